"""Give addresses to whoever claimed them first, on the bus.

What: where a holder has given an address up, is deleted, or has a later claim than somebody else, the first claimant
among the contacts whose email that is becomes its holder. May be repeated: it decides anew by what it reads, and one
transaction changes both contacts.
"""

from collections.abc import Sequence
from functools import partial

from chalicelib.core import events
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts import service as contacts
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Op


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Award the addresses of the contacts that these events tell of."""
    moments = {str(event.data["contact_id"]): event.created_at for event in told}
    said = {each: moment for who, moment in moments.items() for each in contacts.addresses(tenant, who)}
    for address, moment in said.items():
        retried(partial(_award, tenant, address, moment))


def _award(tenant: Tenant, address: str, moment: int) -> None:
    award = contacts.awarding(tenant, address, moment)
    if award is None:
        return
    notes: list[Op] = []
    if award.loser is not None:
        clash = {"kind": "email", "held_by": award.winner.id}
        note = activity.note(award.loser.id, events.IDENTITY_CONFLICT, clash, moment)
        notes += activity.event_ops(tenant, note)
    table.transact([*award.ops, *notes])
