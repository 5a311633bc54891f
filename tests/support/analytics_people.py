"""Who is who after a list of acts, for the oracle of analytics: who did what, and the traits that each contact has.

An id has a life: who is deleted sets its ids free, and what is said of them later is of somebody new. Within a life all
that was said is looked at at once. Knows nothing of the product. Moments in ms.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tests.support.analytics_oracle import Happened, World

HOUR = 60 * 60 * 1_000
NAMES = {"identify": "$identify", "page": "$page_view"}
CALLS = ("track", *NAMES)
"""Acts that are events."""

Kind = Literal["identify", "track", "page", "patch", "merge", "delete"]
Preference = Literal["prefer_target", "prefer_source", "newest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One call. `timestamp` is what the caller says, if anything.

    `received_at` never goes back from act to act where it decides anything.
    `event` is the name of what is tracked, or of a page. A merge makes the contact of `source` part of that of `user`.
    """

    kind: Kind
    received_at: int
    user: str | None = None
    visitor: str | None = None
    event: str = ""
    message_id: str | None = None
    timestamp: int | None = None
    imported: bool = False
    properties: dict[str, Any] = field(default_factory=dict)
    traits: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    preference: Preference = "prefer_target"


@dataclass(frozen=True, slots=True)
class _Said:
    """What an event or a PATCH told, of whom; `claims` is the visitor that was named beside a user."""

    of: str
    at: int
    message_id: str
    traits: dict[str, Any]
    claims: str | None = None

    @property
    def when(self) -> tuple[int, str]:
        return self.at, self.message_id


@dataclass(frozen=True, slots=True)
class _Merge:
    target: str
    source: str
    at: int
    preference: Preference


@dataclass(slots=True, eq=False)
class _Side:
    """Ids that belong together: by themselves, or as two sides and their merge."""

    ids: frozenset[str]
    merged: "tuple[_Merge, _Side, _Side] | None" = None


class People:
    """Everybody, as of the acts that were taken."""

    def __init__(self) -> None:
        self._said: list[_Said] = []
        self._merges: list[_Merge] = []
        self._rows: list[Happened] = []
        self._lives: dict[str, int] = {}
        self._seen: set[str] = set()
        self._gone: set[str] = set()

    def take(self, act: Act) -> bool:
        """Take one act; False where there is nobody whom it could be about, so that it is none."""
        if act.kind == "patch":
            return self._patch(act)
        if act.kind == "merge":
            return self._merge(act)
        if act.kind == "delete":
            return self._delete(act)
        self._hear(act)
        return True

    def world(self) -> World:
        """All events that are left, each at whom it belongs to, and everybody's traits."""
        sides = [each for each in self._sides() if not each.ids & self._gone]
        owners = {ident: min(side.ids) for side in sides for ident in side.ids}
        events = [replace(each, contact_id=owners[each.contact_id]) for each in self._rows if each.contact_id in owners]
        return World(events, {min(side.ids): self._traits(side) for side in sides})

    def knows(self, user: str) -> bool:
        """True where a contact has that user id."""
        return any(self._user(user) in side.ids for side in self._sides())

    def _user(self, user: str) -> str:
        return self._alive(f"u:{user}")

    def _alive(self, ident: str) -> str:
        return f"{ident}#{self._lives.get(ident, 0)}"

    def _hear(self, act: Act) -> None:
        if act.message_id is not None:
            if act.message_id in self._seen:
                return
            self._seen.add(act.message_id)
        at = act.received_at
        if act.timestamp is not None and act.timestamp <= act.received_at + HOUR:
            at = act.timestamp
        visitor = None if act.visitor is None else self._alive(f"a:{act.visitor}")
        of = visitor if act.user is None else self._user(act.user)
        assert of is not None
        claims = visitor if act.user is not None else None
        self._said.append(_Said(of, at, act.message_id or "", act.traits, claims))
        name = NAMES.get(act.kind, act.event)
        # What an identify call tells is told again by its event.
        properties = dict(act.traits if act.kind == "identify" else act.properties)
        if act.kind == "page" and act.event:
            properties.setdefault("name", act.event)
        event_id = f"e{len(self._rows):06}"
        self._rows.append(Happened(event_id, of, name, act.kind, at, act.received_at, properties))

    def _patch(self, act: Act) -> bool:
        assert act.user is not None
        if not self.knows(act.user):
            return False
        self._said.append(_Said(self._user(act.user), act.received_at, "", act.traits))
        return True

    def _merge(self, act: Act) -> bool:
        assert act.user is not None
        assert act.source is not None
        target, source = self._user(act.user), self._user(act.source)
        found = {ident: side for side in self._sides() for ident in side.ids}
        if target not in found or source not in found or found[target] is found[source]:
            return False
        self._merges.append(_Merge(target, source, act.received_at, act.preference))
        return True

    def _delete(self, act: Act) -> bool:
        """Of whom the user's id leads to, else the visitor's."""
        ident = self._user(act.user) if act.user is not None else self._alive(f"a:{act.visitor}")
        side = next((each for each in self._sides() if ident in each.ids), None)
        if side is None:
            return False
        self._gone |= side.ids
        for each in side.ids:
            name, _, life = each.rpartition("#")
            self._lives[name] = int(life) + 1
        return True

    def _sides(self) -> list[_Side]:
        claims: dict[str, _Said] = {}
        for each in self._said:
            if each.claims is not None and (each.claims not in claims or each.when < claims[each.claims].when):
                claims[each.claims] = each
        standing = {ident: _Side(frozenset({ident})) for ident in [*(each.of for each in self._said), *claims]}
        for visitor, claim in claims.items():
            joined = _Side(standing[visitor].ids | standing[claim.of].ids)
            standing |= dict.fromkeys(joined.ids, joined)
        for merge in self._merges:
            target, source = standing[merge.target], standing[merge.source]
            if target is not source:
                joined = _Side(target.ids | source.ids, (merge, target, source))
                standing |= dict.fromkeys(joined.ids, joined)
        return list({id(side): side for side in standing.values()}.values())

    def _traits(self, side: _Side) -> dict[str, Any]:
        told = [each for each in self._said if each.of in side.ids]
        keys = {key for each in told for key in each.traits}
        values = {key: self._last(side, key) for key in keys}
        return {key: said.traits[key] for key, said in values.items() if said and said.traits[key] is not None}

    def _last(self, side: _Side, key: str) -> _Said | None:
        """Whose word on a trait stands."""
        told = [each for each in self._said if each.of in side.ids and key in each.traits]
        newest = max(told, key=lambda each: each.when, default=None)
        if newest is None or side.merged is None or newest.at > side.merged[0].at:
            return newest
        merge, target, source = side.merged
        of_both = [self._last(target, key), self._last(source, key)]
        said = [each for each in of_both if each is not None]
        if merge.preference == "newest":
            return max(said, key=lambda each: each.when)
        if merge.preference == "prefer_source":
            said.sort(key=lambda each: each.of in target.ids)
        return next((each for each in said if each.traits[key] is not None), newest)


def world_of(acts: Iterable[Act]) -> World:
    """What is left after all of these."""
    people = People()
    for each in acts:
        people.take(each)
    return people.world()
