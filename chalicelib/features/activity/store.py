"""Events in the table: a row for each event, one for each message seen, one for each day that has events."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from chalicelib.core import clock, strict_json
from chalicelib.core.lineage import Lineage
from chalicelib.features.activity.model import Event
from chalicelib.platform import lineage as lineages
from chalicelib.platform import table
from chalicelib.platform.keys import EVENT_SHARDS, Key, Tenant, contact_of, moment_sk, shard_of
from chalicelib.platform.listing import FIRST, LAGS_S, LAST, Entry, Merge, Range, walk
from chalicelib.platform.table import Condition, Item, Put, Update, attr

DEDUPE_WINDOW = clock.DAY
"""Milliseconds of receipt for which a message id counts once."""

_FIRST_EVENT, _LAST_EVENT = "EVT#", "EVT#~"
_DAYS_A_PAGE = 100
_DAY_PAGE = 500
_LOOKS = 3
_SPARSE_CHUNK = 250
"""Rows read from each shard at a time where a filter will drop most of them."""


def event_op(tenant: Tenant, event: Event, told: Sequence[str] = ()) -> Put:
    """The row of an event; `told` names the domain events that it stands for besides itself."""
    key = tenant.event(event.contact_id, event.name, event.timestamp, event.id)
    timeline = tenant.timeline_entry(event.contact_id, event.timestamp, event.id)
    stream = tenant.stream_entry(event.timestamp, event.id)
    attrs = {
        "id": event.id,
        "event": event.name,
        "type": event.type,
        "properties": strict_json.dumps(event.properties) if event.properties else None,
        "context": strict_json.dumps(event.context) if event.context else None,
        "timestamp": event.timestamp,
        "received_at": event.received_at,
        "message_id": event.message_id,
        "historical": event.historical or None,
        "user_id": event.user_id,
        "anonymous_id": event.anonymous_id,
        "changed": list(event.changed) or None,
        "told": list(told) or None,
        "list_pk": timeline.pk,
        "list_sk": timeline.sk,
        "stream_pk": stream.pk,
        "stream_sk": stream.sk,
    }
    return Put(key, attrs, attr("PK").not_exists())


def message_key(tenant: Tenant, event_id: str, message_id: str | None) -> Key:
    """What stands for the message; one without an id of its own counts as itself, so that a redelivery is seen."""
    return tenant.message(f"e#{event_id}" if message_id is None else f"m#{message_id}")


def message_op(tenant: Tenant, event_id: str, message_id: str | None, received_at: int) -> Put:
    """Remember the message; refused where it was seen within the window."""
    expired = attr("expires_at").lte(received_at)
    attrs = {
        "event_id": event_id,
        "expires_at": received_at + DEDUPE_WINDOW,
        "ttl": table.ttl(tenant, DEDUPE_WINDOW),
    }
    return Put(message_key(tenant, event_id, message_id), attrs, attr("PK").not_exists() | expired)


def is_seen(item: Item | None, received_at: int) -> bool:
    """True where the row remembers a message received less than the window before."""
    return item is not None and bool(item["expires_at"] > received_at)


def mark_day(tenant: Tenant, day: str, event_ids: Iterable[str]) -> None:
    """The project has events on that day, in the shards of these; saying it again changes nothing."""
    shards = {shard_of(event_id, EVENT_SHARDS) for event_id in event_ids}
    table.write(Update(tenant.day(day), add={"shards": shards}))


def timeline(tenant: Tenant, of: Lineage, span: Range, limit: int, name: str | None = None) -> Iterator[Merge]:
    """One contact's events, newest first; an event that is being moved may come twice."""
    where, chunk = _named(tenant, name, limit)
    yield Merge([tenant.timeline_partition(each) for each in of.partitions], "list", span, chunk, where)


def stream(tenant: Tenant, span: Range, limit: int, name: str | None = None) -> Iterator[Merge]:
    """All events of the project, newest first, a day at a time; days without events cost nothing."""
    where, chunk = _named(tenant, name, limit)
    for item in _days(tenant, span):
        partitions = tenant.stream_partitions(item["SK"])
        of_day = Range(max(span.low, moment_sk(clock.parse_instant(item["SK"]), "")), span.high)
        yield Merge([partitions[shard] for shard in sorted(item["shards"])], "stream", of_day, chunk, where)


def days(tenant: Tenant) -> Iterator[str]:
    """The UTC days on which the project has events, the earliest first."""
    return (row["SK"] for row in walk(tenant.day("").pk))


def of_day(tenant: Tenant, day: str) -> Iterator[list[Event]]:
    """All events of a UTC day in pages, each once, with the contact whose it is.

    Where a row was gone by the time that it was read, it may have been moved to where the index did not show it yet:
    the day is looked through again, a few times at the most.
    """
    seen: set[str] = set()
    for _ in range(_LOOKS):
        is_missing = False
        for found in _of_day(tenant, day):
            events = hydrate(tenant, found, seen)
            yield [event for event in events if event]
            rows = table.batch_get(entry.key for entry, event in zip(found, events, strict=True) if event is None)
            is_missing = is_missing or any(
                event is None and entry.key not in rows for entry, event in zip(found, events, strict=True)
            )
        if not is_missing:
            return
        clock.sleep(LAGS_S)


def _of_day(tenant: Tenant, day: str) -> Iterator[list[Entry]]:
    for partition in tenant.stream_partitions(day):
        after = None
        while True:
            page = table.query_index(partition, "stream", (FIRST, LAST), _DAY_PAGE, after, None)
            yield [Entry(position, key) for position, key in page.rows]
            if (after := page.last) is None:
                break


def hydrate(tenant: Tenant, found: Sequence[Entry], seen: set[str]) -> list[Event | None]:
    """The event behind each entry; None where it, or its contact, is gone, or the event is one of those `seen`."""
    lying = [contact_of(entry.key.pk) or "" for entry in found]
    items = table.batch_get([*(entry.key for entry in found), *(tenant.contact(each) for each in lying)])
    rows = [(contact_id, items.get(entry.key, {})) for contact_id, entry in zip(lying, found, strict=True)]
    owners = lineages.owners(tenant, rows, items)
    return [_once(row, owner, seen) for (_, row), owner in zip(rows, owners, strict=True)]


def hydrate_of(of: Lineage, found: Sequence[Entry], seen: set[str]) -> list[Event | None]:
    """The same for entries of one contact that was just read."""
    items = table.batch_get([entry.key for entry in found])
    rows = [(contact_of(entry.key.pk) or "", items.get(entry.key, {})) for entry in found]
    return [_once(row, of.contact_id if is_of(of, lying, row) else None, seen) for lying, row in rows]


def history(tenant: Tenant, of: Lineage, name: str, low: str, high: str, chunk: int) -> Iterator[list[Event]]:
    """A contact's events of one name in pages, newest first, consistently, from position `low` to `high`."""
    between = (tenant.event_prefix(name) + low, tenant.event_prefix(name) + high)
    seen: set[str] = set()
    if not of.sources:
        pages = _pages(tenant, of.contact_id, between, chunk)
    else:
        # Each partition is read on only where the merge needs it.
        walks = [_rows(tenant, each, between, chunk) for each in of.partitions]
        merged = heapq.merge(*walks, key=lambda found: found[1]["SK"], reverse=True)
        pages = ([found] for found in merged)
    for page in pages:
        owned = [_once(row, of.contact_id if is_of(of, lying, row) else None, seen) for lying, row in page]
        if events := [event for event in owned if event]:
            yield events


def everything(tenant: Tenant, of: Lineage, chunk: int) -> Iterator[list[Event]]:
    """All events of a contact in pages, by name, consistently."""
    seen: set[str] = set()
    for partition in of.partitions:
        for page in _pages(tenant, partition, (_FIRST_EVENT, _LAST_EVENT), chunk):
            owned = [_once(row, of.contact_id if is_of(of, lying, row) else None, seen) for lying, row in page]
            yield [event for event in owned if event]


def lying(tenant: Tenant, contact_id: str, after: str | None, limit: int) -> tuple[list[Item], str | None]:
    """Rows of events in the contact's partition, whosever they are, and where to go on; None at the end."""
    key = tenant.contact(contact_id)
    start = None if after is None else {"PK": key.pk, "SK": after}
    page = table.query(key.pk, prefix=_FIRST_EVENT, limit=limit, after=start)
    return page.items, page.last["SK"] if page.last else None


def copy_op(tenant: Tenant, row: Item, contact_id: str) -> Put:
    """Writes the row into another contact's partition; done again, it changes nothing."""
    attrs = {name: value for name, value in row.items() if name not in ("PK", "SK")}
    entry = tenant.timeline_entry(contact_id, row["timestamp"], row["id"])
    moved = {"list_pk": entry.pk, "list_sk": entry.sk, "moved_from": row.get("moved_from", contact_of(row["PK"]))}
    return Put(copy_key(tenant, row, contact_id), attrs | moved)


def copy_key(tenant: Tenant, row: Item, contact_id: str) -> Key:
    return tenant.event(contact_id, row["event"], row["timestamp"], row["id"])


def _rows(tenant: Tenant, contact_id: str, between: tuple[str, str], chunk: int) -> Iterator[tuple[str, Item]]:
    for page in _pages(tenant, contact_id, between, chunk):
        yield from page


def _pages(tenant: Tenant, contact_id: str, between: tuple[str, str], chunk: int) -> Iterator[list[tuple[str, Item]]]:
    after = None
    while True:
        page = table.query(tenant.contact(contact_id).pk, between=between, limit=chunk, newest_first=True, after=after)
        yield [(contact_id, item) for item in page.items]
        after = page.last
        if after is None:
            return


def is_of(of: Lineage, lying: str, row: Item) -> bool:
    """True where a row that lies in that contact's partition belongs to the contact."""
    return of.owns(lying, row.get("user_id"), row.get("anonymous_id"))


def _once(row: Item, owner: str | None, seen: set[str]) -> Event | None:
    """The event where it is there, is somebody's, and was not seen before."""
    if not row or owner is None or row["id"] in seen:
        return None
    seen.add(row["id"])
    return _from_item(row, owner)


def _from_item(item: Item, contact_id: str) -> Event:
    return Event(
        id=item["id"],
        name=item["event"],
        type=item["type"],
        contact_id=contact_id,
        properties=_object(item.get("properties")),
        context=_object(item.get("context")),
        timestamp=item["timestamp"],
        received_at=item["received_at"],
        message_id=item.get("message_id"),
        historical=item.get("historical", False),
        user_id=item.get("user_id"),
        anonymous_id=item.get("anonymous_id"),
        changed=tuple(item.get("changed", ())),
    )


def _object(text: str | None) -> dict[str, Any]:
    return strict_json.stored(text) if text else {}


def _named(tenant: Tenant, name: str | None, limit: int) -> tuple[Condition | None, int]:
    if name is None:
        return None, limit + 2
    return attr("SK").begins_with(tenant.event_prefix(name)), _SPARSE_CHUNK


def _days(tenant: Tenant, span: Range) -> Iterator[Item]:
    low, high = _day_of(span.low), _day_of(span.high)
    after = None
    while low <= high:
        page = table.query(tenant.day(low).pk, between=(low, high), limit=_DAYS_A_PAGE, newest_first=True, after=after)
        yield from page.items
        after = page.last
        if after is None:
            return


def _day_of(position: str) -> str:
    digits = position.partition("#")[0]
    return clock.day(int(digits)) if digits.isdigit() and len(digits) > 1 else position
