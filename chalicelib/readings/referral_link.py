"""A contact's own link of a referral program: found, or made at its first use."""

from collections.abc import Callable, Sequence
from typing import Final

from chalicelib.core import events, ids
from chalicelib.features.codes import service as codes
from chalicelib.features.codes.model import Code
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects.model import Project
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.model import Link, Program
from chalicelib.platform import outbox, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Check, Op, attr

MAILS: Final = "email"
"""The channel of the links in mails."""

Commit = Callable[[Sequence[Op], Link], None]


def _transact(ops: Sequence[Op], _made: Link) -> None:
    table.transact(ops)


def run(
    tenant: Tenant,
    program: Program,
    contact: Contact,
    project: Project,
    channel: str,
    now: int,
    commit: Commit = _transact,
) -> tuple[Link, bool]:
    """The link, and whether it is new; `commit` writes a new one. Raises Unavailable where the program or the contact
    goes meanwhile."""

    def write(length: int) -> tuple[Link, bool]:
        known = referrals.channel_link(tenant, contact.id, program.id, channel)
        if known is not None:
            return known, False
        # As it is now: it may have been changed since it was read, or since the attempt before.
        stands = referrals.find(tenant, program.id) or program
        code = codes.draft(_name(contact), contact.traits.get("company") or project.name, length)
        made = Link(ids.new_id("ref_link"), code, program.id, contact.id, channel, now)
        data = {"link_id": made.id, "link_code": code, "program_id": program.id, "contact_id": contact.id}
        ops: list[Op] = [
            codes.claim_op(tenant, Code(code, "link", program.id, contact.id, made.id, stands.landing_url)),
            *referrals.put_link(tenant, made),
            referrals.still_defined(tenant, stands),
            Check(contacts.key(tenant, contact.id), attr("status").eq("active")),
            outbox.emit(tenant, events.REFERRAL_LINK_CREATED, data | {"channel": channel}, now),
        ]
        commit(ops, made)
        return made, True

    return codes.claiming(write)


def url(tenant: Tenant, contact: Contact, project: Project, now: int) -> str | None:
    """The address of the contact's link in mails, of the oldest active program; None where there is none."""
    program = referrals.catalog(tenant).main
    if program is None:
        return None
    link, _ = run(tenant, program, contact, project, MAILS, now)
    return codes.url(project.referral_base_url, link.code)


def known_url(tenant: Tenant, contact_id: str, project: Project) -> str | None:
    """The same where the contact has one already; nothing is made."""
    program = referrals.catalog(tenant).main
    link = None if program is None else referrals.channel_link(tenant, contact_id, program.id, MAILS)
    return None if link is None else codes.url(project.referral_base_url, link.code)


def _name(contact: Contact) -> object:
    traits = contact.traits
    return next((traits[each] for each in ("name", "first_name", "firstName") if traits.get(each)), None)
