"""Write queued events: find whose they are, fold them into the contacts, and commit contact and events together.

What: each event becomes a row of one contact's timeline, in the order of the queue. How: two reads for all that is in
hand (identities; then contacts and messages seen), then one transaction for each chunk of a contact's events. It may be
repeated at any point: the message row is in the event's transaction, so what was written is passed over.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chalicelib.core import clock, events
from chalicelib.core.errors import Unavailable
from chalicelib.features.activity import service as activity
from chalicelib.features.activity.intake import Accepted
from chalicelib.features.activity.model import Event
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact, Stamp
from chalicelib.features.contacts.names import JoinedBy, Names, Resolved
from chalicelib.features.contacts.rules import Directory
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.service import Scoring
from chalicelib.platform import table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.table import ConditionFailed, Op, Put

_ATTEMPTS = 10
_TOGETHER = 3
"""Attempts that write all events of a contact together, before each is written alone."""

_LONGEST_PAUSE = 0.2
_WAITS, _WAIT_S = 20, 0.5
"""How often, and how many seconds each time, an event waits for others to be moved, before the queue gives it again."""

_CHUNK_OPS = 90
_CHUNK_BYTES = 1_000_000
_WIDEST_EVENT = 12
"""Operations of one event at the most: its row, its message, two notes, six of its identities, one that tells of an
address; and the contact.

In a test project each of the three rows has its mark besides, for which the transaction has room above _CHUNK_OPS.
"""

HasTime = Callable[[], bool]


def run(tenant: Tenant, accepted: Sequence[Accepted], has_time: HasTime = lambda: True) -> None:
    """Record the events, each once.

    Raises Unavailable where others keep changing the same contacts, or `has_time` says that the invocation ends; what
    was written until then stays.
    """
    remaining = list(accepted)
    written = _Written()
    attempt, waits = 0, _WAITS
    while attempt < _ATTEMPTS:
        before = len(remaining)
        # Contacts of one batch that take identities over from each other can wait for one another in a circle, which
        # writing their events one by one does not.
        if attempt < _TOGETHER:
            remaining = _attempt(tenant, remaining, written, has_time)
        else:
            remaining = [event for event in remaining if not has_time() or _attempt(tenant, [event], written, has_time)]
        if not remaining:
            return
        if not has_time():
            break
        if written.is_waiting and waits:
            # Events are on the way out of a contact or into one: a second or two, as a rule.
            written.is_waiting, waits = False, waits - 1
            clock.sleep(_WAIT_S)
        elif len(remaining) == before:
            clock.sleep(random.uniform(0, _LONGEST_PAUSE * attempt / _ATTEMPTS))  # noqa: S311 - jitter, not a secret
            attempt += 1
    raise Unavailable


@dataclass(slots=True)
class _Written:
    """Ids of the events that are done with; `is_waiting` where one can't be written before others have been moved."""

    ids: set[str] = field(default_factory=set)
    is_waiting: bool = False


@dataclass(slots=True)
class _Chunk:
    """What one transaction writes, and the events that are done with it."""

    accepted: list[Accepted] = field(default_factory=list)
    rows: list[Op] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    size: int = 0


@dataclass(slots=True)
class _Draft:
    """One contact and the chunks of its events, in order; the last one is still open."""

    contact: Contact
    chunks: list[_Chunk] = field(default_factory=lambda: [_Chunk()])


def _attempt(tenant: Tenant, accepted: list[Accepted], written: _Written, has_time: HasTime) -> list[Accepted]:
    """Write what can be written now; returns what is left, in order.

    That is the events of contacts that somebody else changed meanwhile, and all from the first on that makes several
    contacts one: such an event is written by itself, as soon as it is the first.
    """
    names = {event.id: _names(event) for event in accepted}
    pointers = contacts.pointers(tenant, names.values())
    message_keys = {event.id: activity.message_key(tenant, event.id, event.message_id) for event in accepted}
    project = projects.key(tenant)
    items = table.batch_get([*contacts.keys(tenant, pointers), *message_keys.values(), project])
    directory = contacts.directory(tenant, names.values(), pointers, items)
    scoring = projects.scoring(items.get(project))
    drafts: dict[str, _Draft] = {}
    taken: set[Key] = set()
    later: list[Accepted] = []
    for n, event in enumerate(accepted):
        key = message_keys[event.id]
        if event.id in written.ids or key in taken or activity.is_seen(items, key, event.received_at):
            continue
        if directory.must_wait(names[event.id]):
            written.is_waiting = True
            later = accepted[n:]
            break
        if directory.involves_several(names[event.id], _stamp(event)):
            is_first = not drafts and has_time()
            is_written = is_first and _write_alone(tenant, event, written, scoring)
            later = accepted[n + 1 :] if is_written else accepted[n:]
            break
        taken.add(key)
        resolved = directory.resolve(names[event.id], _stamp(event), event.received_at)
        draft = drafts.setdefault(resolved.contact.id, _Draft(resolved.contact))
        _append(tenant, draft, event, resolved, directory, scoring)
    again: set[str] = set()
    for draft in drafts.values():
        _seal(tenant, draft, directory)
        again |= _commit(draft, written, has_time)
    again |= {event.id for event in later}
    return [event for event in accepted if event.id in again]


def _write_alone(tenant: Tenant, event: Accepted, written: _Written, scoring: Scoring) -> bool:
    """Write an event that changes several contacts, in one transaction; False where somebody else changed one."""
    names = _names(event)
    directory = contacts.directory_with_emails(tenant, names)
    try:
        written.is_waiting = directory.must_wait(names)
        resolved = directory.resolve(names, _stamp(event), event.received_at)
    except Unavailable:
        written.is_waiting = True
    if written.is_waiting:
        return False
    contact = resolved.contact
    rows = _rows(tenant, event, resolved, directory, scoring)
    by = JoinedBy("alias" if event.type == "alias" else "identify", event.received_at, event.is_past)
    ops = [
        *rows,
        *contacts.saving(tenant, contact, directory),
        *contacts.tagged(tenant, contact, resolved.tags_before),
        *(op for source in resolved.joined for op in contacts.joined(tenant, contact, source, by, resolved.changed)),
        *(
            op
            for loser in resolved.lost.values()
            for op in contacts.lost(tenant, loser, contact, directory, by, resolved.lost_fields[loser.id])
        ),
    ]
    chunk = _Chunk([event], rows, ops)
    return not _commit(_Draft(contact, [chunk]), written, lambda: True)


def _stamp(event: Accepted) -> Stamp:
    return Stamp(event.timestamp, not event.given, (event.message_id or "") if event.given else "", event.id)


def _names(event: Accepted) -> Names:
    email = contacts.normal_email(event.traits.get("email")) if event.type == "identify" else None
    previous = event.previous_id if event.type == "alias" else None
    return Names(user=event.user_id, anonymous=event.anonymous_id, email=email, previous=previous)


def _append(
    tenant: Tenant, draft: _Draft, event: Accepted, resolved: Resolved, directory: Directory, scoring: Scoring
) -> None:
    ops = _rows(tenant, event, resolved, directory, scoring)
    chunk = draft.chunks[-1]
    chunk.accepted.append(event)
    # Two events of one chunk may remember the same claim to an address.
    standing = {op.key for op in chunk.rows}
    chunk.rows += [op for op in ops if op.key not in standing]
    chunk.size += sum(
        len(value.encode())
        for op in ops
        if isinstance(op, Put)
        for value in op.attrs.values()
        if isinstance(value, str)
    )
    if (
        len(chunk.rows) + len(directory.pending(draft.contact)) > _CHUNK_OPS - _WIDEST_EVENT
        or chunk.size > _CHUNK_BYTES
    ):
        _seal(tenant, draft, directory)
        draft.chunks.append(_Chunk())


def _rows(tenant: Tenant, event: Accepted, resolved: Resolved, directory: Directory, scoring: Scoring) -> list[Op]:
    """Fold the event into its contact; returns its own rows, those that tell of it, and claims to an address."""
    told, changed, extra, claims = _fold(tenant, event, resolved, directory)
    if event.context.get("referral_code") or event.properties.get("referral_code"):
        told.append(events.REFERRAL_NAMED)
    if not contacts.score(resolved.contact, event.name, event.type, event.timestamp, scoring.settings, scoring.version):
        told.append(events.SCORES_STALE)
    row = _row(resolved.contact, event, changed)
    return [
        *activity.event_ops(tenant, row, told),
        *(op for other in extra for op in activity.event_ops(tenant, other)),
        activity.message_op(tenant, event.id, event.message_id, event.received_at),
        *claims,
    ]


def _row(contact: Contact, event: Accepted, changed: set[str]) -> Event:
    return Event(
        id=event.id,
        name=event.name,
        type=event.type,
        contact_id=contact.id,
        properties=_properties(event),
        context=event.context,
        timestamp=event.timestamp,
        received_at=event.received_at,
        message_id=event.message_id,
        historical=event.historical,
        user_id=event.user_id,
        anonymous_id=event.anonymous_id,
        changed=tuple(sorted(changed)),
    )


def _properties(event: Accepted) -> dict[str, Any]:
    """What the timeline shows of each type: traits of an identify, the group and its traits, the name left behind."""
    if event.type == "identify":
        return event.traits
    if event.type == "group":
        return event.properties | {"group_id": event.group_id, "traits": event.traits}
    if event.type == "alias":
        return event.properties | {"previous_id": event.previous_id}
    return event.properties


def _seal(tenant: Tenant, draft: _Draft, directory: Directory) -> None:
    """Close the open chunk with the contact as it is after the chunk's events."""
    chunk = draft.chunks[-1]
    if chunk.accepted:
        chunk.ops = [*chunk.rows, *contacts.saving(tenant, draft.contact, directory)]


def _commit(draft: _Draft, written: _Written, has_time: Callable[[], bool]) -> set[str]:
    """Write the chunks in order up to the first that is refused; returns the ids of the events not written."""
    for n, chunk in enumerate(draft.chunks):
        if not has_time():
            return {event.id for later in draft.chunks[n:] for event in later.accepted}
        try:
            if chunk.ops:
                table.transact(chunk.ops)
        except ConditionFailed as refused:
            written.ids |= _rows_that_stand(chunk, refused)
            return {event.id for later in draft.chunks[n:] for event in later.accepted} - written.ids
        written.ids |= {event.id for event in chunk.accepted}
    return set()


def _rows_that_stand(chunk: _Chunk, refused: ConditionFailed) -> set[str]:
    """Events whose own row is in the table already: redelivered after their message row had expired."""
    standing = {str(item["id"]) for item in refused.failed.values() if item and "event" in item}
    return standing & {event.id for event in chunk.accepted}


def _fold(
    tenant: Tenant, event: Accepted, resolved: Resolved, directory: Directory
) -> tuple[list[str], set[str], list[Event], list[Op]]:
    """Change the contact as the event says; returns the domain events told by its row, the fields that changed,
    further timeline rows, and claims to addresses that somebody else holds."""
    contact, part, stamp = resolved.contact, resolved.part, _stamp(event)
    email_before = contact.email
    changed = resolved.changed | ({"external_id"} if resolved.is_named else set())
    overflow = list(resolved.overflow)
    is_said = False
    if event.type == "identify":
        keys, dropped = contacts.merge_traits(contact, part, event.traits, stamp)
        overflow += dropped
        changed |= {f"traits.{key}" for key in keys}
        address = contacts.normal_email(event.traits.get("email"))
        is_said = "email" in keys or (
            address is not None and address == contacts.normal_email(contact.traits.get("email"))
        )
    extra, claims = _settle_emails(tenant, event, resolved, directory, is_said=is_said)
    changed |= {"email"} if contact.email != email_before else set()
    if resolved.refused is not None:
        refused = {"kind": "user_id", "previous_id": resolved.refused}
        extra.append(_note(contact, event, events.IDENTITY_CONFLICT, refused))
    if overflow:
        extra.append(_note(contact, event, events.TRAITS_OVERFLOW, {"dropped": overflow}))
    if event.type == "group" and event.group_id is not None:
        changed |= {"groups"} if contacts.join_group(contact, part, event.group_id, event.timestamp) else set()
    campaign = event.context.get("campaign")
    if isinstance(campaign, dict) and campaign:
        changed |= {f"traits.{key}" for key in contacts.touch(contact, part, campaign, stamp)}
    contacts.see(contact, part, event.timestamp)
    if resolved.is_new:
        return [events.CONTACT_CREATED], changed, extra, claims
    if changed:
        contact.updated_at = max(contact.updated_at, event.received_at)
    return [events.CONTACT_UPDATED] if changed else [], changed, extra, claims


def _settle_emails(
    tenant: Tenant, event: Accepted, resolved: Resolved, directory: Directory, *, is_said: bool
) -> tuple[list[Event], list[Op]]:
    """Settle who holds the addresses that this is about; returns the notes of clashes, and what remembers them."""
    if resolved.is_judged_anew:
        clashes = directory.settle_emails(resolved)
    else:
        clash = directory.settle_email(resolved.contact) if is_said else None
        clashes = [(resolved.contact, clash)] if clash is not None else []
    notes = [
        _note(contact, event, events.IDENTITY_CONFLICT, {"kind": "email", "held_by": clash.held_by})
        if contact is resolved.contact
        else activity.note(
            contact.id, events.IDENTITY_CONFLICT, {"kind": "email", "held_by": clash.held_by}, event.timestamp
        )
        for contact, clash in clashes
        if contacts.note_clash(contact, clash)
    ]
    return notes, [op for contact, clash in clashes for op in contacts.clashed(tenant, contact, clash)]


def _note(contact: Contact, event: Accepted, name: str, properties: dict[str, Any]) -> Event:
    """A row that the server adds to the timeline, at the moment of the event that caused it and under its ids."""
    note = activity.note(contact.id, name, properties, event.timestamp)
    return replace(note, received_at=event.received_at, user_id=event.user_id, anonymous_id=event.anonymous_id)
