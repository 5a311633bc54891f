"""Take entries out of waitlists: one, or all of a contact that was deleted. The rest close up. May be repeated."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from chalicelib.features.codes import service as codes
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.model import Entry, Waitlist
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.table import Op

CODES_AT_ONCE: Final = 40
"""Codes that one transaction changes: who was merged with many others has as many."""


def one(tenant: Tenant, waitlist: Waitlist, entry_id: str) -> None:
    """Take one entry out; its code leads nowhere from then on. Raises NotFound."""
    waitlists.retried(lambda: _take_out(tenant, waitlists.entry(tenant, waitlist.id, entry_id)))


def deleted(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Take out all entries of contacts that were deleted, on the bus."""
    for event in told:
        of_contact(tenant, str(event.data["contact_id"]))


def of_contact(tenant: Tenant, contact_id: str) -> None:
    """Take out all entries of a contact."""
    for waitlist_id, entry_id in waitlists.all_pointed(tenant, contact_id).items():
        waitlists.retried(
            lambda waitlist_id=waitlist_id, entry_id=entry_id: _leave(tenant, waitlist_id, entry_id)  # type: ignore[misc]
        )


def _leave(tenant: Tenant, waitlist_id: str, entry_id: str) -> None:
    known = waitlists.find_entry(tenant, waitlist_id, entry_id)
    # What a deleted waitlist leaves behind is cleaned up with that.
    if known is not None and waitlists.find(tenant, waitlist_id) is not None:
        _take_out(tenant, known)


def _take_out(tenant: Tenant, known: Entry) -> None:
    table.transact(leaving_ops(tenant, shortened(tenant, known)))


def shortened(tenant: Tenant, known: Entry) -> Entry:
    """The entry, which is about to go, with as few codes as one transaction can take along; the others are removed."""
    while len(known.codes) > CODES_AT_ONCE:
        some, rest = known.codes[-CODES_AT_ONCE:], known.codes[:-CODES_AT_ONCE]
        fewer = replace(known, codes=rest)
        table.transact([waitlists.save(tenant, fewer), *(codes.remove_op(tenant, code) for code in some)])
        known = replace(fewer, version=fewer.version + 1)
    return known


def leaving_ops(tenant: Tenant, known: Entry) -> list[Op]:
    """The operations that take an entry out. Raises Moved, and NotFound where the waitlist is no more."""
    order, parts = waitlists.begun(tenant, known.waitlist_id)
    if known.leaf is None:
        # Read, so that the count stands on it.
        parts.root()
        _ = order.root
        counted = waitlists.order_ops(tenant, known.waitlist_id, order, approved=-1)
    else:
        order.remove(known.ulid, known.leaf)
        counted = waitlists.order_ops(tenant, known.waitlist_id, order, left=1)
    return [
        waitlists.removal(tenant, known),
        waitlists.unpoint(tenant, known.contact_id, known.waitlist_id, known.id),
        *(codes.remove_op(tenant, code) for code in known.codes),
        *counted,
    ]
