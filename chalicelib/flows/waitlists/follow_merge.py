"""Move the entries of a contact that was merged to the one that has absorbed it, on the bus.

Of two entries in one waitlist one stays: who was approved, else the one with the better position. It gets the
referrals of the other one, whose codes lead to it from then on. Each is one transaction. May be repeated.
"""

from collections.abc import Sequence
from dataclasses import replace

from chalicelib.core.errors import NotFound
from chalicelib.features.codes import service as codes
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.waitlists import model
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.model import Entry
from chalicelib.features.waitlists.order import Order
from chalicelib.flows.waitlists import leave
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.table import Check, Op, attr


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Move the entries of those who were merged."""
    for event in told:
        source_id = str(event.data["source_contact_id"])
        for waitlist_id in waitlists.all_pointed(tenant, source_id):
            waitlists.retried(lambda one=waitlist_id, source_id=source_id: _move(tenant, source_id, one))  # type: ignore[misc]


def _move(tenant: Tenant, source_id: str, waitlist_id: str) -> None:
    heir = contacts.heir(tenant, source_id)
    if heir is not None and heir.id == source_id:
        return
    if heir is None or heir.status != "active":
        leave.of_contact(tenant, source_id)
        return
    theirs, ours = (_entry(tenant, each, waitlist_id) for each in (source_id, heir.id))
    if theirs is None:
        return
    # In the transaction are as many codes as it can take along. The others lead to the same person before and after.
    for start in range(leave.CODES_AT_ONCE, len(theirs.codes), leave.CODES_AT_ONCE):
        table.transact(_leading(tenant, theirs.codes[start : start + leave.CODES_AT_ONCE], heir))
    try:
        ops = _moved(tenant, theirs, heir) if ours is None else _joined(tenant, ours, theirs, heir)
    except NotFound:
        return  # the waitlist was deleted: its entries go with it
    table.transact([Check(contacts.key(tenant, heir.id), attr("version").eq(heir.version)), *ops])


def _entry(tenant: Tenant, contact_id: str, waitlist_id: str) -> Entry | None:
    known = waitlists.pointed(tenant, contact_id, waitlist_id)
    return None if known is None else waitlists.find_entry(tenant, waitlist_id, known)


def _moved(tenant: Tenant, theirs: Entry, heir: Contact) -> list[Op]:
    moved = replace(theirs, contact_id=heir.id)
    return [
        waitlists.unpoint(tenant, theirs.contact_id, theirs.waitlist_id, theirs.id),
        waitlists.point(tenant, moved),
        waitlists.save(tenant, moved),
        *_leading(tenant, theirs.codes[: leave.CODES_AT_ONCE], heir),
    ]


def _joined(tenant: Tenant, ours: Entry, theirs: Entry, heir: Contact) -> list[Op]:
    """Raises Moved."""
    order, _ = waitlists.begun(tenant, ours.waitlist_id)
    _ = order.root  # the count of those who were approved stands on it
    stays, goes = model.heir(ours, theirs, _index(order, ours) <= _index(order, theirs))
    if goes.leaf is not None:
        order.remove(goes.ulid, goes.leaf)
    was_approved = -1 if goes.leaf is None else 0
    left = 1 if goes.leaf is not None else 0
    return [
        waitlists.unpoint(tenant, theirs.contact_id, ours.waitlist_id, theirs.id),
        waitlists.point(tenant, stays, over=ours.id),
        waitlists.removal(tenant, goes),
        waitlists.save(tenant, stays),
        *_leading(tenant, theirs.codes[: leave.CODES_AT_ONCE], heir),
        *waitlists.order_ops(tenant, ours.waitlist_id, order, approved=was_approved, left=left),
    ]


def _leading(tenant: Tenant, some: Sequence[str], heir: Contact) -> list[Op]:
    return [codes.change_op(tenant, code, contact_id=heir.id) for code in some]


def _index(order: Order, known: Entry) -> int:
    return -1 if known.leaf is None else order.index(known.ulid, known.leaf)
