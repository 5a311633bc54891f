"""Domain events: written in the transaction of the change that they tell of, and read from the table's stream."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.core import clock, ids, strict_json
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Put, attr

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


def emit(tenant: Tenant, name: str, data: Mapping[str, Any], now: int) -> Put:
    """The row that tells of a change; it belongs into the change's own transaction."""
    event_id = ids.new_id("evt")
    attrs = {
        "outbox": name,
        "id": event_id,
        "created_at": now,
        "data": strict_json.dumps(data),
        "ttl": (clock.system_ms() + _KEPT) // clock.SECOND,
    }
    return Put(tenant.outbox(event_id), attrs, attr("PK").not_exists())


def read(tenant: Tenant, item: Mapping[str, Any]) -> DomainEvent:
    """The event that such a row tells of."""
    data = strict_json.loads(item["data"].encode())
    return DomainEvent(tenant, item["id"], item["outbox"], item["created_at"], data)
