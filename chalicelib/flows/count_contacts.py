"""Keep the project's count of contacts, on the bus.

What: +1 for each contact created, -1 for each deleted or merged into another. May be repeated: a marker for each
contact and event is in the counter's transaction, so a batch that is cut differently on redelivery counts nothing
twice.
"""

from collections.abc import Sequence

from chalicelib.core import events
from chalicelib.features.contacts import service as contacts
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent

_DELTAS = {
    events.CONTACT_CREATED: ("contact_id", 1),
    events.CONTACT_DELETED: ("contact_id", -1),
    events.CONTACT_MERGED: ("source_contact_id", -1),
}
"""Which contact each event counts, and as what."""


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Count the contacts that these events tell of."""
    for name, (field, delta) in _DELTAS.items():
        contact_ids = [str(event.data[field]) for event in told if event.name == name]
        contacts.count_changes(tenant, contact_ids, name, delta)
