"""Queue attempts that were asked for or have fallen due, on the bus. May be repeated: each is made once."""

from collections.abc import Sequence

from chalicelib.features.webhooks import service as webhooks
from chalicelib.features.webhooks.model import Parcel
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Queue one attempt for each event."""
    webhooks.dispatch_where_they_belong(tenant, [Parcel(**event.data) for event in told])
