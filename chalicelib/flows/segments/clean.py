"""Take the members out of a segment that is no more, in resumable pages, in silence. May be repeated.

The memberships of contacts that were not members forget the segment when they are judged next.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chalicelib.features.segments import service as segments
from chalicelib.flows.segments import settle
from chalicelib.platform import jobs
from chalicelib.platform.keys import Tenant, contact_of
from chalicelib.platform.outbox import DomainEvent

KIND: Final = "clean_segment"
"""The kind of the job."""

_AT_ONCE = 100


def start(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin to clean up behind segments that are told to be removed, on the bus; may be repeated."""
    for event in told:
        jobs.send(tenant, KIND, {"segment_id": event.data["segment_id"]})


def run(tenant: Tenant, data: Mapping[str, Any], has_time: Callable[[], bool]) -> Mapping[str, Any] | None:
    """Remove rows as long as there is time; returns where to go on, None when none is left."""
    while has_time():
        rows = segments.members(tenant, data["segment_id"], _AT_ONCE)
        if not rows:
            return None
        catalog = segments.catalog(tenant)
        for row in rows:
            settle.run(tenant, contact_of(row.pk) or "", {}, catalog)
        # What no contact's memberships told of, and what the index still shows.
        segments.unlist(rows)
    return data
