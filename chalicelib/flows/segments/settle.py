"""Bring one contact's memberships up to what rules, data and the moment say.

What: its standing in some segments is judged by what the table holds now, and written with its members' rows, its
timer and the events that tell of it, in one transaction. It holds only over the version of the contact, and of its
memberships, that was read, so neither the bus nor a timer nor a builder overtakes another. May be repeated.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from chalicelib.core import clock, events, ids
from chalicelib.core.errors import Unavailable
from chalicelib.core.rules.evaluate import evaluate
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects import service as projects
from chalicelib.features.segments import service as segments
from chalicelib.features.segments.model import OUTSIDE, Occasion
from chalicelib.features.segments.service import Catalog, Memberships, Standing
from chalicelib.features.timers import service as timers
from chalicelib.platform import outbox, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Check, ConditionFailed, Op, attr
from chalicelib.readings import gather

MERGED: Final = Occasion("merge")
"""What moves a contact that has taken in another."""

_ATTEMPTS = 20
_LONGEST_PAUSE = 0.2
_MOVES_AT_ONCE = 30
"""Segments entered and left in one transaction: two operations each, three in a test project."""


class Move(NamedTuple):
    """A segment that a contact has entered or left, and the event that tells of it where there is an occasion."""

    event_id: str
    segment_id: str
    is_member: bool
    occasion: Occasion | None


def run(
    tenant: Tenant,
    contact_id: str,
    wanted: Mapping[str, Occasion],
    catalog: Catalog,
    *,
    by_hand: Mapping[str, bool] | None = None,
    is_stamped: bool = False,
    moves: list[Move] | None = None,
    handing_on: Occasion = MERGED,
) -> Memberships | None:
    """Judge the contact's standing in the wanted segments now; returns its memberships, None if it is gone.

    `wanted` gives the occasion that is told for each. `by_hand` says of static segments whether it is to be a member.
    With `is_stamped` the version of the definitions is noted even where nothing else changes, so that nobody judges by
    older ones afterwards. What it entered and left is added to `moves`. Where it was merged, whoever stays enters its
    static segments on the occasion `handing_on`. Raises Unavailable where others keep changing
    the same contact.
    """
    conflicts = 0
    while conflicts < _ATTEMPTS:
        keys = contacts.key(tenant, contact_id), segments.memberships_key(tenant, contact_id)
        rows = table.batch_get(keys)
        contact = contacts.read(rows.get(keys[0]))
        before = segments.memberships(rows.get(keys[1]))
        # Asked for after the reads, and never behind who judged before: who leaves is not let in again by a late judge.
        now = max(projects.now(tenant), before.judged_at)
        try:
            if contact is None or contact.status != "active":
                if before.definitions > catalog.version:
                    catalog = segments.catalog(tenant, before.definitions)
                _hand_on(tenant, contact, before, catalog, handing_on)
                if _drop(tenant, contact_id, before, now):
                    return None
                continue
            if before.definitions > catalog.version:
                catalog = segments.catalog(tenant, before.definitions)
            put = _put_by_hand(catalog, by_hand or {})
            standing = before.judged(put, before.definitions, now)
            judged = put | _judged(tenant, contact, standing, catalog, wanted, now)
            # Segments that are no more are left in silence: nobody wanted them.
            judged |= dict.fromkeys(before.standings.keys() - catalog.segments.keys(), OUTSIDE)
            some, is_all = _as_many_as_fit(before, judged)
            after = before.judged(some, catalog.version, now)
            is_newer = is_stamped and before.definitions < catalog.version
            if after.standings != before.standings or is_newer:
                moved = _moves(before, after, wanted)
                table.transact(_ops(tenant, contact, before, after, moved, now))
                if moves is not None:
                    moves += moved
            if is_all:
                return after
        except ConditionFailed:
            conflicts += 1
            clock.sleep(random.uniform(0, _LONGEST_PAUSE * conflicts / _ATTEMPTS))  # noqa: S311 - jitter, not a secret
    raise Unavailable


def _judged(
    tenant: Tenant, contact: Contact, standing: Memberships, catalog: Catalog, wanted: Mapping[str, Occasion], now: int
) -> dict[str, Standing]:
    rules = {segment_id: catalog.rules[segment_id] for segment_id in wanted if segment_id in catalog.rules}
    if not rules:
        return {}
    facts = gather.run(tenant, contact, standing, catalog, rules, now)
    return {segment_id: Standing(*evaluate(one, facts, now)) for segment_id, one in rules.items()}


def _put_by_hand(catalog: Catalog, by_hand: Mapping[str, bool]) -> dict[str, Standing]:
    return {
        segment_id: Standing(is_member, None)
        for segment_id, is_member in by_hand.items()
        if segment_id in catalog.static
    }


def _as_many_as_fit(before: Memberships, judged: Mapping[str, Standing]) -> tuple[dict[str, Standing], bool]:
    """The verdicts that one transaction can hold, and whether these are all."""
    moves = [one for one, standing in judged.items() if standing.is_member != before.of(one).is_member]
    later = frozenset(moves[_MOVES_AT_ONCE:])
    return {one: standing for one, standing in judged.items() if one not in later}, not later


def _moves(before: Memberships, after: Memberships, wanted: Mapping[str, Occasion]) -> list[Move]:
    """What the contact enters and leaves."""
    return [
        Move(ids.new_id("evt"), segment_id, after.of(segment_id).is_member, wanted.get(segment_id))
        for segment_id in sorted(after.standings.keys() | before.standings.keys())
        if after.of(segment_id).is_member != before.of(segment_id).is_member
    ]


def _ops(
    tenant: Tenant, contact: Contact, before: Memberships, after: Memberships, moves: Sequence[Move], now: int
) -> list[Op]:
    ops: list[Op] = [
        Check(contacts.key(tenant, contact.id), attr("version").eq(contact.version)),
        segments.save(tenant, contact.id, after),
        *_timer_ops(tenant, contact.id, before.next_flip(), after.next_flip()),
    ]
    for move in moves:
        if move.is_member:
            ops.append(segments.enter(tenant, contact.id, contact.created_at, move.segment_id, now))
        else:
            ops.append(segments.leave(tenant, contact.id, move.segment_id))
        if move.occasion is not None:
            name = events.SEGMENT_ENTERED if move.is_member else events.SEGMENT_LEFT
            data = {"segment_id": move.segment_id, "contact_id": contact.id} | move.occasion._asdict()
            ops.append(outbox.emit(tenant, name, data, now, event_id=move.event_id))
    return ops


def _timer_ops(tenant: Tenant, contact_id: str, before: int | None, after: int | None) -> list[Op]:
    owner = contacts.key(tenant, contact_id).pk
    if after == before:
        return []
    if after is None:
        return timers.clear_ops(tenant, owner, segments.TIMER, before=before)
    return timers.set_ops(tenant, owner, segments.TIMER, segments.TIMER, after, before=before)


def _hand_on(
    tenant: Tenant, contact: Contact | None, before: Memberships, catalog: Catalog, occasion: Occasion
) -> None:
    """Put the one that a contact was merged into, in the end, into the contact's static segments."""
    if contact is None or contact.status != "merged":
        return
    static = [each for each in before.members_of() if each in catalog.static]
    heir = contacts.heir(tenant, contact.id) if static else None
    if heir is not None and heir.status == "active":
        run(tenant, heir.id, dict.fromkeys(static, occasion), catalog, by_hand=dict.fromkeys(static, True))


def _drop(tenant: Tenant, contact_id: str, before: Memberships, now: int) -> bool:
    """Take a contact that is gone out of its segments, some at a time; True where it has no memberships any more."""
    members = before.members_of()
    some = members[:_MOVES_AT_ONCE]
    ops: list[Op] = []
    for segment_id in some:
        data = {"segment_id": segment_id, "contact_id": contact_id}
        ops += [segments.leave(tenant, contact_id, segment_id), outbox.emit(tenant, events.SEGMENT_DROPPED, data, now)]
    if len(members) > len(some):
        rest = before.judged(dict.fromkeys(some, OUTSIDE), before.definitions, now)
        flips = _timer_ops(tenant, contact_id, before.next_flip(), rest.next_flip())
        table.transact([*ops, segments.save(tenant, contact_id, rest), *flips])
        return False
    if before.version:
        table.transact(
            [
                *ops,
                segments.forget(tenant, contact_id, before),
                *_timer_ops(tenant, contact_id, before.next_flip(), None),
            ]
        )
    return True
