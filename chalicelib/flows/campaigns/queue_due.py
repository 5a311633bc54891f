"""Queue runs whose next step is due, on the bus. May be repeated: each step is claimed once."""

from collections.abc import Sequence

from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.service import Due, Sample
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Queue one run for each event."""
    campaigns.dispatch(tenant, [Due(**event.data) for event in told])


def sample(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Queue the samples that were asked for."""
    campaigns.dispatch(tenant, [Sample(**event.data) for event in told])
