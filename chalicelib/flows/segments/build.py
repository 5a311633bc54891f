"""Build a segment whose rules are new: judge every contact by them, in resumable pages.

What: the contacts newest first, from the list's index; then those again that were created since a minute before the
start, which the index may not have shown. Whatever happens meanwhile is judged by the bus, by the same rules: the
builder starts after they are written, and leaves their version with every contact, so that nobody judges by older ones
after it. May be repeated and may be done twice at once: a contact's standing is the same however often it is judged.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chalicelib.core import clock
from chalicelib.core.errors import NotFound
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.segments import service as segments
from chalicelib.features.segments.model import Occasion, Segment
from chalicelib.flows.segments import change_members, settle
from chalicelib.flows.segments.settle import Move
from chalicelib.platform import jobs
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent

KIND: Final = "build_segment"
"""The kind of the job."""

_AT_ONCE = 25
_AGAIN = clock.MINUTE
"""Milliseconds before the start from which on contacts are judged twice."""

_BECAUSE = Occasion("rules", "including_existing")


def start(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin the building of segments that are told to be defined, on the bus; may be repeated."""
    for event in told:
        jobs.send(tenant, KIND, event.data)


def first_page(segment_id: str, rules_version: int) -> dict[str, Any]:
    """The data of the job's first page."""
    return {"segment_id": segment_id, "rules_version": rules_version}


def run(tenant: Tenant, data: Mapping[str, Any], has_time: Callable[[], bool]) -> Mapping[str, Any] | None:
    """Judge contacts as long as there is time; returns where to go on, None when the segment is ready.

    `data` is that of the first page, with `started` (ms on the project's clock), `position` in the list, and `again` in
    the second walk. Rules that have changed again end it: the change has a job of its own.
    Where the segment was built within the answer, the second walk alone is done: the index may have been behind.
    """
    segment = _by_the_same_rules(tenant, data)
    if segment is None:
        return None
    if segment.type == "static":
        _fill(tenant, segment, data.get("contact_ids", []))
        return None
    progress = {"started": projects.now(tenant), "again": segment.status == "ready"} | dict(data)
    while True:
        since = progress["started"] - _AGAIN if progress["again"] else None
        some, position = contacts.ids_page(tenant, _AT_ONCE, since=since, position=progress.get("position"))
        _judge(tenant, segment.id, some)
        if position is None and progress["again"]:
            segments.settled(tenant, segment)
            return None
        progress |= {"position": position, "again": progress["again"] or position is None}
        if not has_time():
            return progress


def at_once(tenant: Tenant, segment: Segment, seconds: float) -> None:
    """Build the segment now as far as it takes no longer; the rest is left to the job."""
    deadline = clock.monotonic() + seconds
    run(tenant, first_page(segment.id, segment.rules_version), lambda: clock.monotonic() < deadline)


def _fill(tenant: Tenant, segment: Segment, contact_ids: Sequence[str]) -> None:
    """Put the first members into a static segment, where nobody has come so far as to do it."""
    if segment.status == "building":
        change_members.put(tenant, segment.id, contact_ids, is_member=True)
        segments.settled(tenant, segment)


def _by_the_same_rules(tenant: Tenant, data: Mapping[str, Any]) -> Segment | None:
    """The segment, where it still has the rules that the job is for."""
    try:
        segment = segments.get(tenant, data["segment_id"])
    except NotFound:
        return None
    return segment if segment.rules_version == data["rules_version"] else None


def _judge(tenant: Tenant, segment_id: str, contact_ids: Sequence[str]) -> None:
    """Judge these contacts, and count whom the segment gains and loses: what is ready has been counted.

    The bus will be told of the same moves, and passes over what was counted.
    """
    catalog = segments.catalog(tenant)
    wanted = dict.fromkeys(catalog.with_dependents([segment_id]), _BECAUSE)
    moves: list[Move] = []
    for contact_id in contact_ids:
        settle.run(tenant, contact_id, wanted, catalog, is_stamped=True, moves=moves)
    segments.count_moves(tenant, [(one.segment_id, one.event_id, one.is_member) for one in moves if one.occasion])
