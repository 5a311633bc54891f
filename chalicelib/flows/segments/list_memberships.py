"""The segments that a contact is in now, newest first. Reads only."""

from chalicelib.features.contacts import service as contacts
from chalicelib.features.segments import service as segments
from chalicelib.features.segments.service import Segment
from chalicelib.platform import cursor, table
from chalicelib.platform.keys import Tenant

_ENDPOINT = "contacts.segments"


def run(tenant: Tenant, contact_id: str, limit: int, after: str | None) -> tuple[list[Segment], str | None]:
    """A page of segments, and the cursor of the next one. Raises NotFound, and BadRequest on a foreign cursor."""
    filters = {"contact": contact_id}
    position = None if after is None else cursor.decode(after, tenant, _ENDPOINT, filters)
    contacts.get(tenant, contact_id)
    key = segments.memberships_key(tenant, contact_id)
    standing = segments.memberships(table.batch_get([key]).get(key))
    known = segments.catalog(tenant).segments
    found = [known[one] for one in reversed(standing.members_of()) if one in known]
    rest = [one for one in found if position is None or one.id < position]
    shown = rest[:limit]
    following = cursor.encode(tenant, _ENDPOINT, filters, shown[-1].id) if len(rest) > limit else None
    return shown, following
