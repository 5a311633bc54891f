"""Merge a contact into another, as the Management API asks for it.

What: one transaction makes the source part of the contact, tells of it, and answers the caller's key; the bus moves the
history. May be repeated: a second call finds the source merged.
"""

from typing import Any

from chalicelib.core import events
from chalicelib.core.errors import NotFound
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact, Preference
from chalicelib.features.contacts.schemas import shown
from chalicelib.features.contacts.service import Received
from chalicelib.platform.idempotency import Receipt, Replay
from chalicelib.platform.keys import Tenant
from chalicelib.platform.retries import retried


def run(
    tenant: Tenant, contact_id: str, source_id: str, preference: Preference, received: Received, receipt: Receipt
) -> Contact:
    """Make the source part of the contact, and return that.

    Raises NotFound for either, with where it went if it was merged; ValidationFailed where they are the same.
    """

    def act() -> Contact:
        try:
            merging = contacts.merging(tenant, contact_id, source_id, preference, received)
        except NotFound:
            # The same call may have merged them a moment ago.
            if (before := receipt.recall()) is not None:
                raise Replay(before) from None
            raise
        told: dict[str, dict[str, Any]] = {}
        if merging.clash is not None:
            told[events.IDENTITY_CONFLICT] = {"kind": "email", "held_by": merging.clash.held_by}
        if merging.overflow:
            told[events.TRAITS_OVERFLOW] = {"dropped": merging.overflow}
        notes = [activity.note(contact_id, name, what, received.moment) for name, what in told.items()]
        ops = [*merging.ops, *(op for note in notes for op in activity.event_ops(tenant, note))]
        receipt.commit(ops, 200, shown(merging.contact).model_dump(mode="json"))
        return merging.contact

    return retried(act)
