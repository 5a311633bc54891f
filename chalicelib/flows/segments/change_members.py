"""Add contacts to a static segment, or take them out. May be repeated: who is in stays in, who is out stays out."""

from collections.abc import Sequence

from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.features.contacts import service as contacts
from chalicelib.features.segments import service as segments
from chalicelib.features.segments.model import Occasion
from chalicelib.flows.segments import settle
from chalicelib.flows.segments.settle import Move
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant

_BY_HAND = Occasion("rules")


def run(tenant: Tenant, segment_id: str, contact_ids: Sequence[str], *, is_member: bool) -> int:
    """How many contacts there are among these whose membership is now as asked for.

    Raises NotFound for an unknown segment; ValidationFailed where it is dynamic, or a contact does not exist.
    """
    if segments.get(tenant, segment_id).type != "static":
        message = "Members of a dynamic segment follow from its rules."
        raise ValidationFailed(message, details=[detail("contact_ids", "dynamic", message)])
    check(tenant, contact_ids)
    return put(tenant, segment_id, contact_ids, is_member=is_member)


def put(tenant: Tenant, segment_id: str, contact_ids: Sequence[str], *, is_member: bool) -> int:
    """The same without a look at whether that can be; contacts that are gone are passed over."""
    catalog = segments.catalog(tenant)
    wanted = dict.fromkeys((segment_id, *catalog.with_dependents([segment_id])), _BY_HAND)
    by_hand = {segment_id: is_member}
    moves: list[Move] = []
    settled = [
        settle.run(tenant, one, wanted, catalog, by_hand=by_hand, moves=moves) for one in dict.fromkeys(contact_ids)
    ]
    segments.count_moves(tenant, [(one.segment_id, one.event_id, one.is_member) for one in moves if one.occasion])
    return sum(1 for after in settled if after is not None)


def check(tenant: Tenant, contact_ids: Sequence[str]) -> None:
    """Raises ValidationFailed that names each of these contacts that does not exist."""
    keys = {one: contacts.key(tenant, one) for one in contact_ids}
    found = table.batch_get(keys.values())
    standing = {one: contacts.read(found.get(key)) for one, key in keys.items()}
    faults = [
        detail(f"contact_ids.{n}", "not_found", "There is no such contact.")
        for n, one in enumerate(contact_ids)
        if (contact := standing[one]) is None or contact.status != "active"
    ]
    if faults:
        raise ValidationFailed("A contact does not exist.", details=faults)
