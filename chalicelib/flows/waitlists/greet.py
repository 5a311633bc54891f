"""Queue the mails of waitlists, on the bus: the welcome of who is new, the invite of who was approved. May be repeated:
each is claimed once."""

from collections.abc import Sequence

from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.service import EntryMail
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent


def welcome(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Queue a welcome for each who waits in a waitlist that has one."""
    with_welcome = {each.id for each in waitlists.all_of(tenant) if each.welcome_email_template_id is not None}
    wanted = [event.data for event in told if event.data["waitlist_id"] in with_welcome]
    waitlists.dispatch(tenant, [EntryMail(data["waitlist_id"], data["entry_id"], "welcome") for data in wanted])


def invite(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Queue an invite for each."""
    waitlists.dispatch(
        tenant, [EntryMail(event.data["waitlist_id"], event.data["entry_id"], "invite") for event in told]
    )
