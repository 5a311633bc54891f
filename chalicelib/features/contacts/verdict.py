"""What of all that was said of a contact is so now: pure, and blind to the order in which it was said.

A contact's parts are judged side by side. What `alias` or an anonymous id has joined is one side, in which the greatest
stamp wins, key by key. A merge joins two sides: what was said after it wins; of what was said before it each side has
its own winner, and the merge's preference decides between them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from chalicelib.core.events import FIRST_TOUCH
from chalicelib.features.contacts.model import MAX_GROUPS, Alias, Contact, Group, Merge, Said, Stamp


@dataclass(frozen=True, slots=True)
class Side:
    """The cores that a merge joined, and the merge; a single core where there is none."""

    cores: frozenset[str]
    merge: Merge | None = None
    target: "Side | None" = None
    source: "Side | None" = None


def sides(contact: Contact) -> Side:
    """The merges of a contact as a tree, in the order in which they were received."""
    cores = {part.of for part in contact.parts.values()} | {contact.id, *contact.users.values()}
    standing = {core: Side(frozenset([core])) for core in cores}
    for merge in sorted(contact.merges, key=lambda each: each.stamp.receipt):
        target, source = standing.get(merge.target), standing.get(merge.source)
        if target is None or source is None or target is source:
            continue
        joined = Side(target.cores | source.cores, merge, target, source)
        standing |= dict.fromkeys(joined.cores, joined)
    return standing[contact.id]


def winner_of(contact: Contact, key: str, side: Side) -> Said | None:
    """What stands of one key on one side of a contact."""
    return _judge(contact, key, side, "")[0]


def winner(contact: Contact, key: str, side: Side | None = None) -> Said | None:
    """What stands of all that was said of one key; None where nothing was. `side` saves finding the sides again."""
    if key == FIRST_TOUCH:
        return min((part.says[key] for part in contact.parts.values() if key in part.says), default=None, key=_stamp)
    if not contact.merges:
        return _newest(_valid(contact, key, None, ""))
    return _judge(contact, key, side or sides(contact), "")[0]


def floor(contact: Contact, key: str, cores: frozenset[str] | None = None, after: str = "") -> str:
    """The receipt before which nothing counts for the key: that of the last call of the Management API that set it."""
    receipts = [
        part.floors[key]
        for part in contact.parts.values()
        if key in part.floors and (cores is None or part.of in cores) and part.floors[key] > after
    ]
    return max(receipts, default="")


def _judge(contact: Contact, key: str, side: Side, held: str) -> tuple[Said | None, list[Said]]:
    """What stands on a side, and all that counts on it. `held` is the floor of a call that came after the merge."""
    if side.merge is None or side.target is None or side.source is None:
        valid = _valid(contact, key, side.cores, held)
        return _newest(valid), valid
    held = max(held, floor(contact, key, side.cores, side.merge.stamp.receipt))
    target, of_target = _judge(contact, key, side.target, held)
    source, of_source = _judge(contact, key, side.source, held)
    valid = of_target + of_source
    newest = _newest(valid)
    if newest is None or newest.stamp > side.merge.stamp:
        return newest, valid
    if side.merge.preference == "newest":
        # What an earlier merge has decided against stays so.
        return _newest(said for said in (target, source) if said is not None), valid
    ordered = (source, target) if side.merge.preference == "prefer_source" else (target, source)
    return next((said for said in ordered if said is not None and said.value is not None), newest), valid


def _valid(contact: Contact, key: str, cores: frozenset[str] | None, held: str) -> list[Said]:
    held = max(held, floor(contact, key, cores))
    said = [part.says[key] for part in contact.parts.values() if key in part.says and (not cores or part.of in cores)]
    return [each for each in said if each.stamp.receipt >= held]


def _newest(said: Iterable[Said]) -> Said | None:
    return max(said, default=None, key=_stamp)


def _stamp(said: Said) -> Stamp:
    return said.stamp


def groups(contact: Contact) -> list[Group]:
    """The groups of all parts."""
    return joined_groups(item for part in contact.parts.values() for item in part.groups.items())


def joined_groups(told: Iterable[tuple[str, int]]) -> list[Group]:
    """Groups with the moments told, each joined at the earliest; the first ones where they are too many."""
    joined: dict[str, int] = {}
    for group_id, moment in told:
        joined[group_id] = min(moment, joined.get(group_id, moment))
    ordered = sorted(joined.items(), key=lambda item: (item[1], item[0]))
    return [Group(*item) for item in ordered[:MAX_GROUPS]]


def last_seen_at(contact: Contact) -> int | None:
    """The latest moment at which any part did something, in ms."""
    return max((part.seen for part in contact.parts.values() if part.seen is not None), default=None)


def external_id(contact: Contact) -> str | None:
    """The user id that the contact is known by: of merged sides the target's, where it has one."""
    return _external_id(contact, sides(contact)) if contact.users else None


def _external_id(contact: Contact, side: Side) -> str | None:
    if side.target is not None and side.source is not None:
        return _external_id(contact, side.target) or _external_id(contact, side.source)
    users = {user for user, core in contact.users.items() if core in side.cores}
    return last_alias(users, contact.aliases)


def last_alias(users: set[str], aliases: Iterable[Alias]) -> str | None:
    """The user id at the end of the aliases: one that is nobody's previous id.

    Of several ends, and in a circle, the one that the latest alias leads to.
    """
    edges = [edge for edge in aliases if edge.user in users and edge.previous in users and edge.user != edge.previous]
    ends = users - {edge.previous for edge in edges} or users
    if len(ends) <= 1:
        return next(iter(ends), None)
    leading = [edge for edge in edges if edge.user in ends]
    return max(leading, key=lambda edge: (edge.stamp, edge.user)).user if leading else min(ends)


def claims_email(contact: Contact, address: str) -> Stamp | None:
    """When the contact first said that the address is its own; None where it never did."""
    said = (part.emails[address] for part in contact.parts.values() if address in part.emails)
    return min(said, default=None)
