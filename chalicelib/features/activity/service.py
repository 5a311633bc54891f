"""Public verbs of the activity feature: what was seen, what is written, what is listed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core import clock, ids, strict_json
from chalicelib.core.lineage import Lineage, Source
from chalicelib.features.activity import model, store
from chalicelib.features.activity.model import Event
from chalicelib.platform import cursor, pending, table
from chalicelib.platform import lineage as lineages
from chalicelib.platform.keys import Key, Tenant, moment_sk
from chalicelib.platform.listing import FIRST, LAST, Listed, Range, escaped_size, fill, within_answer
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.table import Delete, Item, Op, Put

MOVED_AT_ONCE = 40
"""Rows of 32 KB and more fit into one transaction so."""

_HISTORY_PAGE = 100
_OWNED_AT_ONCE = 99
_BESIDE_PROPERTIES = 2_000
"""Bytes of the rest of an event in an answer, at the most: names and ids, escaped."""

days = store.days
message_key = store.message_key
message_op = store.message_op
of_day = store.of_day


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events to list; moments in ms, `since` inclusive, `until` exclusive."""

    contact_id: str | None = None
    name: str | None = None
    since: int | None = None
    until: int | None = None


def event_ops(tenant: Tenant, event: Event, told: Sequence[str] = ()) -> list[Put]:
    """The row of an event, and in a test project the mark that the bus removes.

    `told` names the domain events that the row stands for besides itself.
    """
    return [store.event_op(tenant, event, told), *pending.mark(tenant, "EVT", event.id)]


def is_seen(items: Mapping[Key, Item], key: Key, received_at: int) -> bool:
    """True where a message with that key was received before, within 24 hours of `received_at`."""
    return store.is_seen(items.get(key), received_at)


def is_past(told: DomainEvent) -> bool:
    """True where this was told by an event that starts nothing, as one that was imported; see `model.is_past`."""
    moment = int(told.data.get("timestamp", told.created_at))
    return model.is_past(moment, told.created_at, historical=bool(told.data.get("historical")))


def recent(tenant: Tenant, of: Lineage, count: int) -> list[Event]:
    """The newest events of a contact that was just read."""
    seen: set[str] = set()
    return fill(store.timeline(tenant, of, Range(), count), count, lambda found: store.hydrate_of(of, found, seen)).rows


def history(
    tenant: Tenant,
    of: Lineage,
    name: str,
    *,
    since: int | None = None,
    until: int | None = None,
    page_size: int = _HISTORY_PAGE,
) -> Iterator[list[Event]]:
    """The contact's events of one name, newest first, in pages that are read as they are asked for.

    `of` is the contact's lineage, read just before. Reads are consistent: whatever was written before is in it, events
    of the future and those of contacts that are being absorbed too, each once. `since` inclusive and `until` exclusive
    bound the timestamp, in ms. A page has `page_size` rows at the most, and may have fewer.
    """
    low = FIRST if since is None else moment_sk(max(0, since), "")
    high = LAST if until is None else moment_sk(max(0, until), "")
    return store.history(tenant, of, name, low, high, page_size)


def everything(tenant: Tenant, of: Lineage) -> Iterator[list[Event]]:
    """All events of a contact in pages, in no order of time, read consistently as they are asked for; each once."""
    return store.everything(tenant, of, _HISTORY_PAGE)


def listing(
    tenant: Tenant, endpoint: str, only: Filter, limit: int, after: str | None
) -> tuple[list[Event], str | None]:
    """A page of the project's events, newest first, and the cursor of the next one, bound to `endpoint`.

    Raises BadRequest where `after` is not a cursor of this list.
    """
    filters = {"contact": only.contact_id, "name": only.name, "since": only.since, "until": only.until}
    span = Range(
        low=FIRST if only.since is None else moment_sk(max(0, only.since), ""),
        high=LAST if only.until is None else moment_sk(max(0, only.until), ""),
    )
    if after is not None:
        span = Range(span.low, cursor.decode(after, tenant, endpoint, filters))
    seen: set[str] = set()
    if only.contact_id is None:
        sources = store.stream(tenant, span, limit, only.name)
        page: Listed[Event] = fill(sources, limit, lambda found: store.hydrate(tenant, found, seen))
    elif of := lineages.find(tenant, only.contact_id):
        sources = store.timeline(tenant, of, span, limit, only.name)
        page = fill(sources, limit, lambda found: store.hydrate_of(of, found, seen))
    else:
        return [], None
    page = within_answer(page, _answer_bytes, lambda event: moment_sk(event.timestamp, event.id))
    following = cursor.encode(tenant, endpoint, filters, page.position) if page.position else None
    return page.rows, following


def _answer_bytes(event: Event) -> int:
    return escaped_size(strict_json.dumps([event.properties, event.context])) + _BESIDE_PROPERTIES


def move_page(
    tenant: Tenant, of: Lineage, source: Source, after: str | None, *, remove: bool
) -> tuple[list[Op], str | None]:
    """The operations that copy the next rows of a source to the contact that is absorbing it, and where to go on.

    With `remove` they remove the rows that were copied instead, or copy what is missing. At most `MOVED_AT_ONCE`
    operations; None at the end. Rows that the contact has lost to another one meanwhile are left to that one.
    """
    rows, following = store.lying(tenant, source.contact_id, after, MOVED_AT_ONCE)
    own = [row for row in rows if store.is_of(of, source.contact_id, row)]
    if not remove:
        return [store.copy_op(tenant, row, of.contact_id) for row in own], following
    copies = table.batch_get([store.copy_key(tenant, row, of.contact_id) for row in own])
    ops: list[Op] = []
    for row in own:
        is_copied = store.copy_key(tenant, row, of.contact_id) in copies
        ops.append(Delete(Key(row["PK"], row["SK"])) if is_copied else store.copy_op(tenant, row, of.contact_id))
    return ops, following


def note(contact_id: str, name: str, properties: Mapping[str, Any], moment: int) -> Event:
    """An event by which the server tells on the timeline what it did, at `moment` in ms."""
    return Event(
        id=ids.new_id("evt"),
        name=name,
        type="system",
        contact_id=contact_id,
        properties=dict(properties),
        context={},
        timestamp=moment,
        received_at=moment,
    )


def owned_page(
    tenant: Tenant, of: Lineage, partition: str, after: str | None
) -> tuple[list[Key], set[tuple[str | None, str | None]], str | None]:
    """Rows of a contact's events in one of its partitions, whatever its status; the user and anonymous ids that they
    tell of; and where to go on, None at the end."""
    rows, following = store.lying(tenant, partition, after, _OWNED_AT_ONCE)
    own = [row for row in rows if store.is_of(of, partition, row)]
    told = {(row.get("user_id"), row.get("anonymous_id")) for row in own}
    return [Key(row["PK"], row["SK"]) for row in own], told, following


def mark_days(tenant: Tenant, events: Iterable[tuple[int, str]]) -> None:
    """Note the days that have events, given as (moment in ms, event id); may be repeated."""
    days: dict[str, list[str]] = {}
    for moment, event_id in events:
        days.setdefault(clock.day(moment), []).append(event_id)
    for day, event_ids in days.items():
        store.mark_day(tenant, day, event_ids)


__all__ = [
    "Event",
    "Filter",
    "days",
    "event_ops",
    "everything",
    "history",
    "is_seen",
    "listing",
    "mark_days",
    "message_key",
    "message_op",
    "move_page",
    "note",
    "of_day",
    "owned_page",
    "recent",
]
