"""What contacts come of a set of facts, by the contract and as plainly as it can be said. Knows nothing of the product.

It looks at all facts at once and has no notion of their order, but for merges, which act on what there is.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Fact:
    """One call: `ident` is its message id, `at` its moment in seconds. A merge has two users instead of one."""

    ident: str
    kind: str
    at: int
    user: str | None = None
    anonymous: str | None = None
    previous: str | None = None
    traits: dict[str, Any] = field(default_factory=dict)
    campaign: str | None = None
    group: str | None = None
    source: str | None = None
    preference: str = ""

    @property
    def when(self) -> tuple[int, str]:
        return self.at, self.ident


@dataclass(frozen=True)
class Seen:
    """What can be told of one contact."""

    events: frozenset[str]
    external_id: str | None
    email: str | None
    traits: dict[str, Any]
    groups: dict[str, int]
    last_seen_at: int


@dataclass
class _Side:
    """Names that belong together: of aliases where there is no merge, else of two sides and their merge."""

    names: set[str]
    merge: Fact | None = None
    target: "_Side | None" = None
    source: "_Side | None" = None


def contacts(facts: Iterable[Fact]) -> list[Seen]:
    """The contacts, in no order."""
    unique = {fact.ident: fact for fact in facts}
    events = [fact for fact in unique.values() if fact.kind != "merge"]
    merges = [fact for fact in unique.values() if fact.kind == "merge"]
    aliases = [fact for fact in events if fact.kind == "alias"]
    sides = _sides(events, aliases, merges)
    found = [(side, [fact for fact in events if _name(fact) in side.names]) for side in sides]
    found = [(side, its) for side, its in found if its]
    traits = [_traits(side, its) for side, its in found]
    emails = _emails([its for _, its in found], traits)
    return [
        Seen(
            events=frozenset(fact.ident for fact in its),
            external_id=_external_id(side, aliases),
            email=email,
            traits=said,
            groups=_groups(its),
            last_seen_at=max(fact.at for fact in its),
        )
        for (side, its), said, email in zip(found, traits, emails, strict=True)
    ]


def _name(fact: Fact) -> str:
    return f"u:{fact.user}" if fact.user is not None else f"a:{fact.anonymous}"


def _sides(events: list[Fact], aliases: list[Fact], merges: list[Fact]) -> list[_Side]:
    names = {_name(fact) for fact in events} | {f"u:{fact.previous}" for fact in aliases}
    links = [(f"u:{fact.previous}", f"u:{fact.user}") for fact in aliases]
    claims: dict[str, Fact] = {}
    for fact in sorted(events, key=lambda each: each.when, reverse=True):
        for anonymous in (fact.anonymous, fact.previous):
            if fact.user is not None and anonymous is not None:
                claims[anonymous] = fact
    links += [(f"a:{anonymous}", f"u:{fact.user}") for anonymous, fact in claims.items()]
    names |= {f"a:{anonymous}" for anonymous in claims}
    standing = {name: _Side({name}) for name in names}
    for one, other in links:
        joined = _Side(standing[one].names | standing[other].names)
        standing |= dict.fromkeys(joined.names, joined)
    for merge in merges:
        target, source = standing[f"u:{merge.user}"], standing[f"u:{merge.source}"]
        if target is not source:
            joined = _Side(target.names | source.names, merge, target, source)
            standing |= dict.fromkeys(joined.names, joined)
    return list({id(side): side for side in standing.values()}.values())


def _traits(side: _Side, events: list[Fact]) -> dict[str, Any]:
    keys = {key for fact in events for key in fact.traits}
    said = {key: winner for key in keys if (winner := _winner(side, key, events)) is not None}
    shown = {key: fact.traits[key] for key, fact in said.items() if fact.traits[key] is not None}
    touched = sorted((fact for fact in events if fact.campaign), key=lambda each: each.when)
    if touched:
        shown |= {"$first_touch": {"source": touched[0].campaign}, "$last_touch": {"source": touched[-1].campaign}}
    return shown


def _winner(side: _Side, key: str, events: list[Fact]) -> Fact | None:
    said = [fact for fact in events if key in fact.traits and _name(fact) in side.names]
    if not said:
        return None
    newest = max(said, key=lambda fact: fact.when)
    if side.merge is None or side.target is None or side.source is None:
        return newest
    if newest.at > side.merge.at:
        return newest
    target, source = _winner(side.target, key, events), _winner(side.source, key, events)
    if side.merge.preference == "newest":
        return max((each for each in (target, source) if each is not None), key=lambda fact: fact.when)
    first, second = (source, target) if side.merge.preference == "prefer_source" else (target, source)
    for each in (first, second):
        if each is not None and each.traits[key] is not None:
            return each
    return newest


def _external_id(side: _Side, aliases: list[Fact]) -> str | None:
    if side.target is not None and side.source is not None:
        return _external_id(side.target, aliases) or _external_id(side.source, aliases)
    users = {name[2:] for name in side.names if name.startswith("u:")}
    edges = [fact for fact in aliases if fact.user in users and fact.user != fact.previous]
    ends = users - {fact.previous for fact in edges}
    if not users:
        return None
    candidates = ends or users
    if len(candidates) == 1:
        return next(iter(candidates))
    return max((fact for fact in edges if fact.user in candidates), key=lambda fact: fact.when).user


def _emails(events: list[list[Fact]], traits: list[dict[str, Any]]) -> list[str | None]:
    holders: dict[str, tuple[tuple[int, str], int]] = {}
    for n, its in enumerate(events):
        address = traits[n].get("email")
        if address is not None:
            claim = min(fact.when for fact in its if fact.traits.get("email") == address)
            holders[address] = min((claim, n), holders.get(address, (claim, n)))
    return [
        address if (address := traits[n].get("email")) is not None and holders[address][1] == n else None
        for n in range(len(events))
    ]


def _groups(events: list[Fact]) -> dict[str, int]:
    groups: dict[str, int] = {}
    for fact in events:
        if fact.group is not None:
            groups[fact.group] = min(fact.at, groups.get(fact.group, fact.at))
    return groups
