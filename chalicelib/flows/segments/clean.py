"""Remove the rows that list the members of a segment that is no more, in resumable pages. May be repeated.

A contact's own memberships forget the segment when they are judged next.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chalicelib.features.segments import service as segments
from chalicelib.platform import jobs
from chalicelib.platform.keys import Tenant
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
        segments.unlist(rows)
    return data
