"""How what is said of a contact becomes its state. Pure, and the same whatever order things are said in, but for what
does not fit: there the earlier said stays.

Every function changes the contact that it is given and tells what changed.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from chalicelib.core import scoring, strict_json
from chalicelib.core.durations import parse_duration
from chalicelib.core.events import FIRST_TOUCH, LAST_TOUCH
from chalicelib.features.contacts import verdict
from chalicelib.features.contacts.model import (
    BY_NO_SETTINGS,
    MAX_GROUPS,
    MAX_TAGS,
    MAX_TRAIT_BYTES,
    MAX_TRAIT_KEYS,
    Answered,
    Contact,
    Part,
    Said,
    Stamp,
    anonymous_id_of,
    normal_email,
    normal_tags,
)

_MAX_MEMORIES = 2 * MAX_TRAIT_KEYS
_MAX_MEMORY_BYTES = 200 * 1024
"""Bytes of JSON of all stamps and floors, and of values that do not stand: enough for 500 names that fill 64 KB. With
64 KB of traits and the bounds of touches, groups, tags and identities a contact's row stays below 370 KB; the table
takes 400.
"""

_MAX_ADDRESSES = 20
_STAMP_OVERHEAD = 70
_FLOOR_OVERHEAD = 40
_TOUCH_FIELDS = ("id", "name", "source", "medium", "term", "content")
_MAX_TOUCH_CHARACTERS = 500
TOUCHES = frozenset({FIRST_TOUCH, LAST_TOUCH})


def merge_traits(contact: Contact, name: str, traits: Mapping[str, Any], stamp: Stamp) -> tuple[set[str], list[str]]:
    """Set traits key by key (None removes), as said under the part of that name; the greater stamp wins.

    Returns the changed keys, and those that did not fit into the contact.
    """
    part = _part(contact, name)
    changed: set[str] = set()
    overflow: list[str] = []
    room = _Room(contact)
    side = verdict.sides(contact) if contact.merges else None
    # A visitor may leave for a contact whose API has not set the key.
    cores = frozenset([part.of]) if anonymous_id_of(name) is None else frozenset()
    _note_address(part, traits.get("email"), stamp)
    # Removals first: what they free may be used by the same call.
    for key, value in sorted(traits.items(), key=lambda item: item[1] is not None):
        current = part.says.get(key)
        if stamp.receipt < verdict.floor(contact, key, cores) or (current is not None and current.stamp >= stamp):
            continue
        part.says[key] = Said(stamp, value)
        if not room.settle(key, verdict.winner(contact, key, side)):
            _unsay(part, key, current)
            overflow.append(key)
        elif show(contact, key, room.standing):
            changed.add(key)
    _forget_oldest(contact)
    return changed, overflow


def settle_traits(contact: Contact, traits: Mapping[str, Any], stamp: Stamp) -> tuple[set[str], list[str]]:
    """Set traits by the Management API: as `merge_traits`, and against all that was received before it."""
    core = _part(contact, contact.id)
    for key in traits:
        core.floors[key] = max(stamp.receipt, core.floors.get(key, ""))
        # What was said under an anonymous id, or on another side of a merge, is kept: it may leave, or stand there.
        if key in core.says and core.says[key].stamp.receipt < stamp.receipt:
            del core.says[key]
    return merge_traits(contact, contact.id, traits, stamp)


def touch(contact: Contact, name: str, campaign: Mapping[str, Any], stamp: Stamp) -> set[str]:
    """First and last touch by a campaign (UTM): the least stamp and the greatest one. Returns the changed keys.

    Of the campaign the fields of Segment's spec count, as text: `id name source medium term content`.
    """
    told = {key: text[:_MAX_TOUCH_CHARACTERS] for key in _TOUCH_FIELDS if isinstance(text := campaign.get(key), str)}
    if not told:
        return set()
    part = _part(contact, name)
    first, last = part.says.get(FIRST_TOUCH), part.says.get(LAST_TOUCH)
    if first is None or stamp < first.stamp:
        part.says[FIRST_TOUCH] = Said(stamp, told)
    if last is None or stamp > last.stamp:
        part.says[LAST_TOUCH] = Said(stamp, told)
    return {key for key in (FIRST_TOUCH, LAST_TOUCH) if show(contact, key, _last_touch(contact, key))}


def join_group(contact: Contact, name: str, group_id: str, moment: int) -> bool:
    """Make the contact a member from the earliest moment told. Returns whether anything changed."""
    part = _part(contact, name)
    if part.groups.get(group_id, moment + 1) <= moment:
        return False
    part.groups[group_id] = moment
    keep_groups(part)
    before, contact.groups = contact.groups, verdict.groups(contact)
    return contact.groups != before


def see(contact: Contact, name: str, moment: int) -> None:
    """The contact did something at `moment`."""
    part = _part(contact, name)
    part.seen = max(moment, part.seen or moment)
    contact.last_seen_at = max(moment, contact.last_seen_at or moment)


def score(contact: Contact, name: str, kind: str, moment: int, settings: Mapping[str, Any], version: int) -> bool:
    """Add an event's points to the scores; False where these were given by other settings and must be made anew.

    `settings` are those of each score by its name, `version` says which change of them they are.
    """
    if contact.scored_by not in (None, version):
        contact.scored_by = BY_NO_SETTINGS
        return False
    contact.scored_by = version
    for each, how in settings.items():
        points = scoring.points_of(name, kind, how)
        state = scoring.add(contact.scores.get(each, {}), points, moment, parse_duration(how["half_life"]))
        if state:
            contact.scores[each] = state
    return True


def settle(contact: Contact, first: Collection[str] = ()) -> tuple[set[str], list[str]]:
    """Judge the whole contact anew, after parts came or left; the keys in `first` are given room before others.

    Returns the names of the fields that changed, and the keys of traits that did not fit.
    """
    before = (contact.external_id, contact.groups, dict(contact.traits))
    contact.traits, contact.stands = {}, {}
    side = verdict.sides(contact) if contact.merges else None
    keys = {key for part in contact.parts.values() for key in part.says}
    standing = {key: said for key in keys - TOUCHES if (said := verdict.winner(contact, key, side))}
    overflow: list[str] = []
    room = _Room(contact)
    for key, said in sorted(
        standing.items(), key=lambda item: (item[1].value is not None, item[0] not in first, item[1].stamp)
    ):
        if room.settle(key, said):
            show(contact, key, said)
        else:
            overflow.append(key)
            for part in contact.parts.values():
                part.says.pop(key, None)
    for key in keys & TOUCHES:
        show(contact, key, _last_touch(contact, key))
    _forget_oldest(contact)
    contact.groups = verdict.groups(contact)
    contact.last_seen_at = verdict.last_seen_at(contact)
    contact.external_id = verdict.external_id(contact)
    changed = {f"traits.{key}" for key in keys | before[2].keys() if not _same(before[2], contact.traits, key)}
    changed |= {"external_id"} if contact.external_id != before[0] else set()
    return changed | ({"groups"} if contact.groups != before[1] else set()), overflow


def show(contact: Contact, key: str, said: Said | None) -> bool:
    """Let `said` stand for the key. Returns whether the trait's value changed."""
    before = dict(contact.traits) if key in contact.traits else {}
    contact.traits.pop(key, None)
    contact.stands.pop(key, None)
    if said is not None:
        contact.stands[key] = said
        if said.value is not None:
            contact.traits[key] = said.value
    return not _same(before, contact.traits, key)


def unite(part: Part, other: Part) -> None:
    """Let the part be all that was said under both."""
    for key, receipt in other.floors.items():
        part.floors[key] = max(receipt, part.floors.get(key, ""))
    for each in (part, other):
        struck = [key for key, said in each.says.items() if said.stamp.receipt < part.floors.get(key, "")]
        for key in [key for key in struck if key not in TOUCHES]:
            del each.says[key]
    for key, said in other.says.items():
        mine = part.says.get(key)
        first = key == FIRST_TOUCH
        if mine is None or (said.stamp < mine.stamp if first else said.stamp > mine.stamp):
            part.says[key] = said
    for group_id, moment in other.groups.items():
        part.groups[group_id] = min(moment, part.groups.get(group_id, moment))
    for address, stamp in other.emails.items():
        part.emails[address] = min(stamp, part.emails.get(address, stamp))
    moments = [moment for moment in (part.seen, other.seen) if moment is not None]
    part.seen = max(moments, default=None)
    keep_groups(part)
    _keep_addresses(part)


def keep_groups(part: Part) -> None:
    """Hold a part to as many groups as a contact shows."""
    if len(part.groups) > MAX_GROUPS:
        kept = sorted(part.groups.items(), key=lambda item: (item[1], item[0]))[:MAX_GROUPS]
        part.groups = dict(kept)


def _part(contact: Contact, name: str) -> Part:
    """The part of that name; a core that nothing was said under so far is made."""
    return contact.parts.setdefault(name, Part(of=name))


def _note_address(part: Part, value: object, stamp: Stamp) -> None:
    address = normal_email(value)
    if address is not None:
        part.emails[address] = min(stamp, part.emails.get(address, stamp))
        _keep_addresses(part, address)


def _keep_addresses(part: Part, new: str | None = None) -> None:
    said = part.says.get("email")
    standing = normal_email(said.value) if said is not None else None
    while len(part.emails) > _MAX_ADDRESSES:
        others = [address for address in part.emails if address not in (standing, new)]
        del part.emails[max(others, key=lambda address: (part.emails[address], address))]


def _unsay(part: Part, key: str, before: Said | None) -> None:
    if before is None:
        del part.says[key]
    else:
        part.says[key] = before


def _last_touch(contact: Contact, key: str) -> Said | None:
    """Touches are judged by their moments alone, merged or not."""
    if key == FIRST_TOUCH:
        return verdict.winner(contact, key)
    return max((part.says[key] for part in contact.parts.values() if key in part.says), default=None, key=_moment)


def _moment(said: Said) -> Stamp:
    return said.stamp


class _Room:
    """How much a contact's traits, and the memory that they need, may still grow."""

    def __init__(self, contact: Contact) -> None:
        self._floors = _floored(contact)
        self._sizes = {k: _size(k, v) for k, v in contact.traits.items() if k not in TOUCHES}
        self._bytes = sum(self._sizes.values())
        self._memory = {k: self._needed(k, contact.stands[k]) for k in contact.traits if k in contact.stands}
        self._memory_bytes = sum(self._memory.values())
        self.standing: Said | None = None
        """What `settle` was last asked for."""

    def settle(self, key: str, said: Said | None) -> bool:
        """Reserve the room for what is to stand of a key; False where there is none."""
        self.standing = said
        if said is None or said.value is None:
            self._bytes -= self._sizes.pop(key, 0)
            self._memory_bytes -= self._memory.pop(key, 0)
            return True
        size = self._bytes - self._sizes.get(key, 0) + _size(key, said.value)
        memory = self._memory_bytes - self._memory.get(key, 0) + self._needed(key, said)
        is_one_too_many = key not in self._sizes and len(self._sizes) >= MAX_TRAIT_KEYS
        if is_one_too_many or size > MAX_TRAIT_BYTES or memory > _MAX_MEMORY_BYTES:
            return False
        self._sizes[key], self._bytes = _size(key, said.value), size
        self._memory[key], self._memory_bytes = self._needed(key, said), memory
        return True

    def _needed(self, key: str, said: Said) -> int:
        return _memory_of(key, said.stamp, has_floor=key in self._floors)


def _size(key: str, value: Any) -> int:
    return _written(key) + _written(value)


def _floored(contact: Contact) -> set[str]:
    return {key for part in contact.parts.values() for key in part.floors}


def _memory_of(key: str, stamp: Stamp, *, has_floor: bool) -> int:
    name = _written(key)
    return name + _written(stamp.message_id) + _STAMP_OVERHEAD + (name + _FLOOR_OVERHEAD if has_floor else 0)


def _written(value: Any) -> int:
    """Bytes as the table holds them: JSON, in which some characters take several."""
    return len(strict_json.dumps(value).encode())


def _same(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> bool:
    # True and 1 are equal in Python and different traits.
    old, new = before.get(key), after.get(key)
    return bool(old == new) and type(old) is type(new)


def _forget_oldest(contact: Contact) -> None:
    """What does not stand is remembered for the case that it comes to; and a removed key, so that a late, older value
    does not bring it back. Neither without bound."""
    floored = _floored(contact)
    sizes: dict[tuple[str, str], int] = {}
    loose: list[tuple[Stamp, str, str]] = []
    for name, key, said in _all_said(contact):
        stands = contact.stands.get(key) is said
        size = _memory_of(key, said.stamp, has_floor=key in floored)
        sizes[name, key] = size if stands else size + _size(key, said.value)
        if not stands or said.value is None:
            loose.append((said.stamp, name, key))
    count, total = len(sizes), sum(sizes.values())
    for _, name, key in sorted(loose):
        if count <= _MAX_MEMORIES and total <= _MAX_MEMORY_BYTES:
            return
        count, total = count - 1, total - sizes[name, key]
        said = contact.parts[name].says.pop(key)
        if contact.stands.get(key) is said:
            del contact.stands[key]
            for part in contact.parts.values():
                part.floors.pop(key, None)


def _all_said(contact: Contact) -> Iterable[tuple[str, str, Said]]:
    return ((name, key, said) for name, part in contact.parts.items() for key, said in part.says.items())


def note_answer(contact: Contact, kind: str, answered: Answered) -> bool:
    """Let the contact have given that score in a survey of that type, unless it has given another one since; True where
    that is news. One of the same response corrects it."""
    before = contact.answered.get(kind)
    if before is not None and before.response_id != answered.response_id and before[:2] > answered[:2]:
        return False
    if before == answered:
        return False
    contact.answered = {**contact.answered, kind: answered}
    return True


def pause_marketing(contact: Contact, until: int) -> bool:
    """Let the contact get no marketing mail until that moment (ms); False where it gets none until later."""
    if contact.marketing_paused_until is not None and contact.marketing_paused_until >= until:
        return False
    contact.marketing_paused_until = until
    return True


def add_tags(contact: Contact, tags: Iterable[str]) -> bool:
    """Add tags to those of the contact; False, and nothing is added, where it would have more than MAX_TAGS."""
    together = normal_tags([*contact.tags, *tags])
    if len(together) > MAX_TAGS:
        return False
    contact.tags = together
    return True
