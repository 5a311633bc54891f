"""Keep each segment's count of members, on the bus: one update for each segment and batch. May be repeated."""

from collections.abc import Sequence

from chalicelib.core import events
from chalicelib.features.segments import service as segments
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Count the members that these events tell of."""
    segments.count_moves(
        tenant, [(str(event.data["segment_id"]), event.id, event.name == events.SEGMENT_ENTERED) for event in told]
    )
