"""What concerns every entry of a waitlist, in jobs of pages: codes that are to lead elsewhere, and what a waitlist that
was deleted leaves behind. May be repeated."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chalicelib.features.codes import service as codes
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.model import Entry, Status
from chalicelib.flows.waitlists import leave
from chalicelib.platform import jobs, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.table import ConditionFailed

KIND: Final = "clean_waitlist"
RELINK: Final = "relink_waitlist"
"""The kinds of the jobs."""

_AT_ONCE = 25
_NEXT: dict[Status, Status | None] = {"waiting": "approved", "approved": None}


def start(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin to clean up behind waitlists that were deleted, on the bus."""
    for event in told:
        jobs.send(tenant, KIND, {"waitlist_id": event.data["waitlist_id"]})


def start_relinking(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin to let all codes of these waitlists lead where those lead now, on the bus."""
    for event in told:
        jobs.send(tenant, RELINK, {"waitlist_id": event.data["waitlist_id"], "status": "waiting", "after": None})


def run(tenant: Tenant, data: Mapping[str, Any], has_time: Callable[[], bool]) -> Mapping[str, Any] | None:
    """Remove entries with their codes, then the order, as long as there is time; returns where to go on."""
    waitlist_id = str(data["waitlist_id"])
    while has_time():
        left = waitlists.leftovers(tenant, waitlist_id, _AT_ONCE)
        for entry in left:
            _erase(tenant, entry)
        if not left and not waitlists.erase_rest(tenant, waitlist_id):
            return None
    return data


def relink(tenant: Tenant, data: Mapping[str, Any], has_time: Callable[[], bool]) -> Mapping[str, Any] | None:
    """Let the codes of entries lead where the waitlist says by now; returns where to go on."""
    waitlist_id, status, after = str(data["waitlist_id"]), data["status"], data["after"]
    while has_time():
        waitlist = waitlists.find(tenant, waitlist_id)
        if waitlist is None:
            return None
        page = waitlists.entries(tenant, waitlist_id, status, _AT_ONCE, after)
        for code in [code for entry in page for code in entry.codes]:
            _lead(tenant, code, waitlist.landing_url)
        after = page[-1].id if page else None
        if not page:
            status = _NEXT[status]
            if status is None:
                return None
    return {"waitlist_id": waitlist_id, "status": status, "after": after}


def _lead(tenant: Tenant, code: str, landing_url: str | None) -> None:
    try:
        table.write(codes.change_op(tenant, code, landing_url=landing_url))
    except ConditionFailed:
        return  # its entry has left meanwhile


def _erase(tenant: Tenant, entry: Entry) -> None:
    entry = leave.shortened(tenant, entry)
    try:
        table.transact(
            [
                waitlists.removal(tenant, entry),
                waitlists.unpoint(tenant, entry.contact_id, entry.waitlist_id, entry.id),
                *(codes.remove_op(tenant, code) for code in entry.codes),
            ]
        )
    except ConditionFailed:
        # Its contact was purged, or a merge moves it: without what leads to it.
        table.transact([waitlists.removal(tenant, entry), *(codes.remove_op(tenant, code) for code in entry.codes)])
