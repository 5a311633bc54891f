"""Note the days on which a project has events, on the bus; lists walk these days only. May be repeated."""

from collections.abc import Sequence

from chalicelib.features.activity import service as activity
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Note the days of these events."""
    activity.mark_days(tenant, ((int(event.data["timestamp"]), event.id) for event in told))
