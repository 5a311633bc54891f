"""How what is said of a contact becomes its state. Pure, and the same whatever order things are said in, but for what
does not fit: there the earlier said stays.

Every function changes the contact that it is given and tells what changed.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.core import scoring, strict_json
from chalicelib.core.durations import parse_duration
from chalicelib.core.events import FIRST_TOUCH, LAST_TOUCH
from chalicelib.features.contacts.model import (
    MAX_GROUPS,
    MAX_TRAIT_BYTES,
    MAX_TRAIT_KEYS,
    Contact,
    Group,
    Stamp,
)

_MAX_STAMPS = 2 * MAX_TRAIT_KEYS
_MAX_MEMORY_BYTES = 200 * 1024
"""Bytes of JSON of stamps and floors: enough for 500 names that fill 64 KB. With 64 KB of traits and the bounds of
touches, groups, tags and identities a contact's row stays below 370 KB; the table takes 400.
"""

_STAMP_OVERHEAD = 64
_FLOOR_OVERHEAD = 40
_TOUCH_FIELDS = ("id", "name", "source", "medium", "term", "content")
_MAX_TOUCH_CHARACTERS = 500
_TOUCHES = frozenset({FIRST_TOUCH, LAST_TOUCH})


def merge_traits(contact: Contact, traits: Mapping[str, Any], stamp: Stamp) -> tuple[set[str], list[str]]:
    """Set traits key by key (None removes); the greater stamp wins.

    Returns the changed keys, and those that did not fit into the contact.
    """
    changed: set[str] = set()
    overflow: list[str] = []
    room = _Room(contact)
    # Removals first: what they free may be used by the same call.
    for key, value in sorted(traits.items(), key=lambda item: item[1] is not None):
        if stamp.receipt < contact.floors.get(key, ""):
            continue
        current = contact.stamps.get(key)
        if current is not None and current >= stamp:
            continue
        if value is not None and not room.take(key, value, stamp):
            overflow.append(key)
            continue
        if value is None:
            room.free(key)
        if _assign(contact, key, value, stamp):
            changed.add(key)
    _forget_oldest_removals(contact)
    return changed, overflow


def settle_traits(contact: Contact, traits: Mapping[str, Any], stamp: Stamp) -> tuple[set[str], list[str]]:
    """Set traits by the Management API: as `merge_traits`, and against all that was received before it."""
    for key in traits:
        current = contact.stamps.get(key)
        if current is not None and current.receipt < stamp.receipt:
            del contact.stamps[key]
        contact.floors[key] = max(stamp.receipt, contact.floors.get(key, ""))
    return merge_traits(contact, traits, stamp)


def touch(contact: Contact, campaign: Mapping[str, Any], stamp: Stamp) -> set[str]:
    """First and last touch by a campaign (UTM): the least stamp and the greatest one. Returns the changed keys.

    Of the campaign the fields of Segment's spec count, as text: `id name source medium term content`.
    """
    told = {key: text[:_MAX_TOUCH_CHARACTERS] for key in _TOUCH_FIELDS if isinstance(text := campaign.get(key), str)}
    if not told:
        return set()
    first = contact.stamps.get(FIRST_TOUCH)
    last = contact.stamps.get(LAST_TOUCH)
    changed: set[str] = set()
    if (first is None or stamp < first) and _assign(contact, FIRST_TOUCH, told, stamp):
        changed.add(FIRST_TOUCH)
    if (last is None or stamp > last) and _assign(contact, LAST_TOUCH, told, stamp):
        changed.add(LAST_TOUCH)
    return changed


def join_group(contact: Contact, group_id: str, moment: int) -> bool:
    """Make the contact a member from the earliest moment told. Returns whether anything changed."""
    known = {group.id: group for group in contact.groups}
    before = known.get(group_id)
    if before is not None and before.joined_at <= moment:
        return False
    known[group_id] = Group(group_id, moment)
    groups = sorted(known.values(), key=lambda group: (group.joined_at, group.id))[:MAX_GROUPS]
    changed = groups != contact.groups
    contact.groups = groups
    return changed


def see(contact: Contact, moment: int) -> None:
    """The contact did something at `moment`."""
    contact.last_seen_at = max(moment, contact.last_seen_at or moment)


def score(contact: Contact, name: str, kind: str, moment: int, settings: Mapping[str, Any], version: int) -> bool:
    """Add an event's points to the scores; False where these were given by other settings and must be made anew.

    `settings` are those of each score by its name, `version` says which change of them they are.
    """
    if contact.scored_by not in (None, version):
        contact.scored_by = 0  # by no settings: one event is missing
        return False
    contact.scored_by = version
    for each, how in settings.items():
        points = scoring.points_of(name, kind, how)
        state = scoring.add(contact.scores.get(each, {}), points, moment, parse_duration(how["half_life"]))
        if state:
            contact.scores[each] = state
    return True


class _Room:
    """How much a contact's traits, and the memory that they need, may still grow."""

    def __init__(self, contact: Contact) -> None:
        self._floors = contact.floors
        self._sizes = {k: _size(k, v) for k, v in contact.traits.items() if k not in _TOUCHES}
        self._bytes = sum(self._sizes.values())
        self._memory = {k: self._needed(k, contact.stamps[k]) for k in contact.traits if k in contact.stamps}
        self._memory_bytes = sum(self._memory.values())

    def take(self, key: str, value: Any, stamp: Stamp) -> bool:
        """Reserve the room for one trait; False where there is none."""
        size = self._bytes - self._sizes.get(key, 0) + _size(key, value)
        memory = self._memory_bytes - self._memory.get(key, 0) + self._needed(key, stamp)
        is_one_too_many = key not in self._sizes and len(self._sizes) >= MAX_TRAIT_KEYS
        if is_one_too_many or size > MAX_TRAIT_BYTES or memory > _MAX_MEMORY_BYTES:
            return False
        self._sizes[key], self._bytes = _size(key, value), size
        self._memory[key], self._memory_bytes = self._needed(key, stamp), memory
        return True

    def free(self, key: str) -> None:
        """A trait is removed; what is remembered of it may be forgotten for another."""
        self._bytes -= self._sizes.pop(key, 0)
        self._memory_bytes -= self._memory.pop(key, 0)

    def _needed(self, key: str, stamp: Stamp) -> int:
        return _memory_of(key, stamp, has_floor=key in self._floors)


def _size(key: str, value: Any) -> int:
    return _written(key) + _written(value)


def _memory_of(key: str, stamp: Stamp, *, has_floor: bool) -> int:
    name = _written(key)
    return name + _written(stamp.message_id) + _STAMP_OVERHEAD + (name + _FLOOR_OVERHEAD if has_floor else 0)


def _written(value: Any) -> int:
    """Bytes as the table holds them: JSON, in which some characters take several."""
    return len(strict_json.dumps(value).encode())


def _assign(contact: Contact, key: str, value: Any, stamp: Stamp) -> bool:
    contact.stamps[key] = stamp
    before = contact.traits.get(key)
    if value is None:
        contact.traits.pop(key, None)
    else:
        contact.traits[key] = value
    # True and 1 are equal in Python and different traits.
    return before != value or type(before) is not type(value)


def _forget_oldest_removals(contact: Contact) -> None:
    """A removed key is remembered so that a late, older value does not bring it back; not without bound."""
    removed = sorted((key for key in contact.stamps if key not in contact.traits), key=lambda key: contact.stamps[key])
    sizes = {k: _memory_of(k, stamp, has_floor=k in contact.floors) for k, stamp in contact.stamps.items()}
    count, size = len(sizes), sum(sizes.values())
    for key in removed:
        if count <= _MAX_STAMPS and size <= _MAX_MEMORY_BYTES:
            return
        count, size = count - 1, size - sizes[key]
        del contact.stamps[key]
        contact.floors.pop(key, None)
