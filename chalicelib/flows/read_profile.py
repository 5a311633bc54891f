"""A contact with its latest activity and its segments, for the profile. Reads only."""

from chalicelib.features.activity import service as activity
from chalicelib.features.activity.model import Event
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.segments import service as segments
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant

_RECENT = 10


def run(tenant: Tenant, contact_id: str) -> tuple[Contact, list[Event], list[str]]:
    """The contact, its newest events, and the ids of the segments that it is in. Raises NotFound."""
    contact = contacts.get(tenant, contact_id)
    key = segments.memberships_key(tenant, contact_id)
    standing = segments.memberships(table.batch_get([key]).get(key))
    return contact, activity.recent(tenant, contact.lineage, _RECENT), standing.members_of()
