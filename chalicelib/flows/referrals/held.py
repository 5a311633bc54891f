"""What is held on a contact of referrals, for its export. Reads only."""

from typing import Annotated

from pydantic import Field

from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer
from chalicelib.features.contacts import service as contacts
from chalicelib.features.referrals import service as referrals
from chalicelib.flows.referrals import read
from chalicelib.flows.referrals.answers import ConversionAnswer, RewardAnswer
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


class HeldReferrals(Answer):
    """Links, codes that the contact came with, conversions on either side of which it is, and its rewards."""

    links: list[HeldLink]
    referred_by: list[HeldTouch]
    conversions: list[ConversionAnswer]
    rewards: list[RewardAnswer]


NOTHING = HeldReferrals(links=[], referred_by=[], conversions=[], rewards=[])


def run(tenant: Tenant, contact_id: str) -> HeldReferrals:
    """All of it."""
    found = [link for _, link in referrals.links_of(tenant, contact_id) if link is not None]
    attributions = referrals.attributions(tenant, contact_id)
    came = [(each.program_id, touch, touch == each.touch) for each in attributions for touch in each.touches]
    own = [each.conversion_id for each in attributions if each.conversion_id is not None]
    made, given = referrals.conversions_and_rewards(tenant, own, [link.id for link in found])
    standings = referrals.standings(tenant, contact_id)
    given |= referrals.rewards(tenant, [bonus for each in standings for bonus in each.bonuses.values()])
    shown = read.show_rewards(tenant, list(given.values()))
    leads = contacts.heirs(tenant, {touch.referrer_id for _, touch, _ in came})
    return HeldReferrals(
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
        conversions=read.show_conversions(tenant, made),
        rewards=[each for each in shown if each.contact_id == contact_id],
    )
