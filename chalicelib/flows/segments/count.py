"""Keep each segment's count of members, on the bus: one update for each segment and batch. May be repeated."""

from collections import defaultdict
from collections.abc import Sequence

from chalicelib.core import events
from chalicelib.features.segments import service as segments
from chalicelib.platform import counters
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent

_DELTAS = {events.SEGMENT_ENTERED: 1, events.SEGMENT_LEFT: -1, events.SEGMENT_DROPPED: -1}


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Count the members that these events tell of."""
    deltas: dict[str, dict[str, int]] = defaultdict(dict)
    for event in told:
        deltas[str(event.data["segment_id"])][event.id] = _DELTAS[event.name]
    for segment_id, some in deltas.items():
        counters.apply(tenant, segments.counter_of(segment_id), some)
