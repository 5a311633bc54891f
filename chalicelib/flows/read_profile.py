"""A contact with its latest activity, for the profile. Reads only."""

from chalicelib.features.activity import service as activity
from chalicelib.features.activity.model import Event
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.platform.keys import Tenant

_RECENT = 10


def run(tenant: Tenant, contact_id: str) -> tuple[Contact, list[Event]]:
    """The contact and its newest events. Raises NotFound."""
    contact = contacts.get(tenant, contact_id)
    return contact, activity.recent(tenant, contact.lineage, _RECENT)
