"""What is held on a contact of referrals and waitlists, for its export. Reads only."""

from typing import Annotated

from pydantic import Field

from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer
from chalicelib.features.contacts import service as contacts
from chalicelib.features.referrals import service as referrals
from chalicelib.features.waitlists import service as waitlists
from chalicelib.platform.keys import Tenant


class HeldLink(Answer):
    """A link of the contact."""

    program_id: str
    channel: str
    link_code: str
    created_at: str


class HeldTouch(Answer):
    """That the contact came with somebody's code."""

    program_id: str
    link_code: str
    referrer_contact_id: str
    at: str
    ip: str | None
    user_agent: str | None
    counts: Annotated[bool, Field(description="Whether it is by this that the contact was referred.")]


class HeldEntry(Answer):
    """The contact's entry in a waitlist."""

    waitlist_id: str
    entry_id: str
    status: str
    joined_at: str
    referral_codes: list[str]


class HeldGrowth(Answer):
    """Links, codes that the contact came with, and entries in waitlists."""

    links: list[HeldLink]
    referred_by: list[HeldTouch]
    waitlist_entries: list[HeldEntry]


NOTHING = HeldGrowth(links=[], referred_by=[], waitlist_entries=[])


def run(tenant: Tenant, contact_id: str) -> HeldGrowth:
    """All of it."""
    found = [link for _, link in referrals.links_of(tenant, contact_id) if link is not None]
    came = [
        (each.program_id, touch, touch == each.touch)
        for each in referrals.attributions(tenant, contact_id)
        for touch in each.touches
    ]
    leads = contacts.heirs(tenant, {touch.referrer_id for _, touch, _ in came})
    entered = [
        waitlists.find_entry(tenant, waitlist_id, entry_id)
        for waitlist_id, entry_id in waitlists.all_pointed(tenant, contact_id).items()
    ]
    return HeldGrowth(
        links=[
            HeldLink(
                program_id=each.program_id, channel=each.channel, link_code=each.code, created_at=iso(each.created_at)
            )
            for each in found
        ],
        referred_by=[
            HeldTouch(
                program_id=program_id,
                link_code=touch.code,
                referrer_contact_id=leads.get(touch.referrer_id, touch.referrer_id),
                at=iso(touch.at),
                ip=touch.ip,
                user_agent=touch.agent,
                counts=counts,
            )
            for program_id, touch, counts in came
        ],
        waitlist_entries=[
            HeldEntry(
                waitlist_id=each.waitlist_id,
                entry_id=each.id,
                status=each.status,
                joined_at=iso(each.joined_at),
                referral_codes=list(each.codes),
            )
            for each in entered
            if each is not None
        ],
    )
