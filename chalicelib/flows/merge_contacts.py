"""Merge a contact into another, as the Management API asks for it.

What: one transaction makes the source part of the contact, tells of it, and answers the caller's key; the bus moves the
history. May be repeated: a second call finds the source merged.
"""

from chalicelib.core import events
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact, Preference
from chalicelib.features.contacts.schemas import shown
from chalicelib.features.contacts.service import Received
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant


def run(
    tenant: Tenant, contact_id: str, source_id: str, preference: Preference, received: Received, receipt: Receipt
) -> Contact:
    """Make the source part of the contact, and return that.

    Raises NotFound for either, with where it went if it was merged; ValidationFailed where they are the same.
    """

    def act() -> Contact:
        merging = contacts.merging(tenant, contact_id, source_id, preference, received)
        ops = list(merging.ops)
        if merging.clash is not None and merging.is_news:
            note = activity.note(
                contact_id,
                events.IDENTITY_CONFLICT,
                {"kind": "email", "held_by": merging.clash.held_by},
                received.moment,
            )
            ops += activity.event_ops(tenant, note)
        receipt.commit(ops, 200, shown(merging.contact).model_dump(mode="json"))
        return merging.contact

    return contacts.retried(act)
