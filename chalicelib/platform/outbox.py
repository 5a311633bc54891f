"""Domain events: written in the transaction of the change that they tell of, and read from the table's stream.

In a test project the row of a domain event is also its mark (`platform/pending.py`): the bus removes it once handled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core import clock, ids, strict_json
from chalicelib.core.events import ACTIVITY_RECORDED
from chalicelib.platform import pending
from chalicelib.platform.keys import Key, Tenant, contact_of, is_outbox, tenant_of
from chalicelib.platform.marshal import Item, attr, from_item
from chalicelib.platform.table import Put

_KEPT = 7 * clock.DAY
"""Milliseconds that a told event stays readable, for replay by hand."""


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """Something that happened: `id` is the same on every delivery, `created_at` is the project's moment in ms."""

    tenant: Tenant
    id: str
    name: str
    created_at: int
    data: Mapping[str, Any]


def emit(tenant: Tenant, name: str, data: Mapping[str, Any], now: int, *, event_id: str | None = None) -> Put:
    """The row that tells of a change; it belongs into the change's own transaction."""
    event_id = event_id or ids.new_id("evt")
    attrs: dict[str, Any] = {
        "outbox": name,
        "id": event_id,
        "created_at": now,
        "data": strict_json.dumps(data),
        "ttl": (clock.system_ms() + _KEPT) // clock.SECOND,
    }
    if tenant.is_test:
        attrs |= pending.expiry()
    return Put(tenant.outbox(event_id), attrs, attr("PK").not_exists())


def told_by(record: Mapping[str, Any]) -> list[DomainEvent]:
    """The events that one record of the table's stream tells of: a new domain event, or a new row of a timeline.

    A timeline's row tells of itself, and of the domain events named in it. One that was moved there from another
    contact tells nothing: all that it causes was caused where it stood first.
    """
    change = record["dynamodb"]
    partition, sort = change["Keys"]["PK"]["S"], change["Keys"]["SK"]["S"]
    tenant = tenant_of(partition)
    if record["eventName"] != "INSERT" or tenant is None:
        return []
    if is_outbox(partition, sort):
        item = from_item(change["NewImage"])
        return [_event(tenant, item, item["outbox"], strict_json.loads(item["data"].encode()), item["created_at"])]
    contact_id = contact_of(partition)
    if contact_id is None or not sort.startswith("EVT#"):
        return []
    item = from_item(change["NewImage"])
    if "moved_from" in item:
        return []
    data = {
        "contact_id": contact_id,
        "event": item["event"],
        "type": item["type"],
        "timestamp": item["timestamp"],
        "changed": item.get("changed", []),
        "historical": item.get("historical", False),
        "properties": item.get("properties"),
        "context": item.get("context"),
    }
    names = [ACTIVITY_RECORDED, *item.get("told", [])]
    return [_event(tenant, item, name, data, item["received_at"]) for name in names]


def mark_of(told: Sequence[DomainEvent]) -> Key | None:
    """The mark that is to be removed once these events, told by one record, are handled; None for a live project."""
    if not told or not told[0].tenant.is_test:
        return None
    tenant, event_id = told[0].tenant, told[0].id
    return tenant.pending("EVT", event_id) if told[0].name == ACTIVITY_RECORDED else tenant.outbox(event_id)


def _event(tenant: Tenant, item: Item, name: str, data: Mapping[str, Any], created_at: int) -> DomainEvent:
    return DomainEvent(tenant, item["id"], name, created_at, data)
