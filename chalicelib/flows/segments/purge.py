"""Delete a contact: at once out of every read, and purged with all its events after 30 days, or now.

Order: the contact is retired first, with the timer of the purge. The purge is a job in pages: memberships end first, so
that counts follow; then its events, wherever they lie, and the identities that they tell of; then all else; the
contact's own row last. May be repeated at any line.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chalicelib.core import clock, events
from chalicelib.core.lineage import Lineage
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.names import Names
from chalicelib.features.lake import service as lake
from chalicelib.features.segments import service as segments
from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Timer
from chalicelib.flows.segments import settle
from chalicelib.platform import jobs, outbox, table
from chalicelib.platform.keys import Tenant, contact_of
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.table import ConditionFailed

KIND: Final = "purge_contact"
"""The kind of the job and of the timer, whose name it is too."""

_KEPT = 30 * clock.DAY
"""Milliseconds for which a deleted contact is kept."""


def delete(tenant: Tenant, contact_id: str, now: int, *, purges: bool) -> None:
    """Delete the contact, and purge it now or when its time has come. Raises NotFound."""
    owner = contacts.key(tenant, contact_id).pk
    later = [] if purges else timers.set_ops(tenant, owner, KIND, KIND, now + _KEPT)
    told = lake.gone_ops(tenant, contact_id, contacts.absorbed(tenant, contact_id))
    contacts.delete(tenant, contact_id, now, purges=purges, beside=[*later, *told])


def start(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin the purge of contacts that are to be purged now, on the bus; may be repeated."""
    for event in told:
        if event.data.get("purges"):
            jobs.send(tenant, KIND, {"contact_id": event.data["contact_id"]})


def on_timer(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
    """Tell the bus of a contact whose time has come."""
    told = outbox.emit(tenant, events.CONTACT_PURGE_DUE, {"contact_id": contact_of(owner_pk), "purges": True}, now)
    table.transact([*timers.clear_ops(tenant, owner_pk, timer.name, before=timer.moment), told])


def run(tenant: Tenant, data: Mapping[str, Any], has_time: Callable[[], bool]) -> Mapping[str, Any] | None:
    """Remove what is held on the contact as long as there is time; returns where to go on, None at the end.

    `data` is `{contact_id, partition?, after?}`. What it was taking from others is removed where it lies, source by
    source, then its own.
    """
    contact_id = str(data["contact_id"])
    partition, after = data.get("partition"), data.get("after")
    settle.run(tenant, contact_id, {}, segments.catalog(tenant))
    while True:
        contact = contacts.begin_purge(tenant, contact_id)
        if contact is None:
            return None
        source = next(iter(contact.absorbing), None)
        at = source.contact_id if source is not None else contact_id
        after = after if at == partition else None
        partition = at
        only = Lineage(contact_id, contact.absorbing[:1], contact.ceding)
        rows, told, after = activity.owned_page(tenant, only, at, after)
        still = contacts.still_absorbs(tenant, contact, source) if source is not None else None
        try:
            contacts.erase(tenant, contact_id, rows, Names.told(told), still)
        except ConditionFailed:
            after = None
            continue
        if after is None and source is not None:
            contacts.has_absorbed(tenant, contact_id, source)
        elif after is None and not contacts.forget_absorbed(tenant, contact_id):
            contacts.end_purge(tenant, contact_id)
            return None
        if not has_time():
            return {"contact_id": contact_id, "partition": partition, "after": after}
