"""Start moving the events of a contact that became part of another one, or of an anonymous id that left, on the bus.

Where the one that takes them is deleted they are removed instead, at once, so that the anonymous id is free for others.
May be repeated: each move has a name, and whoever moves again finds what is moved already.
"""

from collections.abc import Sequence

from chalicelib.features.contacts import service as contacts
from chalicelib.platform import jobs
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent

KIND = "relocate"


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Start the jobs; each moves what one contact takes from one source."""
    for event in told:
        contact = contacts.heir(tenant, str(event.data["contact_id"]))
        if contact is None:
            continue
        from_whom = event.data.get("source_contact_id")
        for source in contact.absorbing:
            if from_whom is None or from_whom in (source.contact_id, *source.ceded_by):
                # Readers find the events wherever they are, so no clock waits for the move.
                jobs.send(tenant, KIND, {"contact": contact.id, "move": source.id}, awaited=False)
