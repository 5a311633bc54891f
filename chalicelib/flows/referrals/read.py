"""Links, conversions, rewards and the board, with the contacts that they lead to by now. Reads only."""

from collections.abc import Sequence

from chalicelib.core.errors import NotFound
from chalicelib.features.codes import service as codes
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.model import Conversion, Link, Reward
from chalicelib.features.referrals.schemas import BoardQuery, ConversionsQuery, RewardsQuery
from chalicelib.flows.referrals import people
from chalicelib.flows.referrals.answers import (
    BoardPage,
    BoardRow,
    ConversionAnswer,
    LinkAnswer,
    ProgramDetail,
    RewardAnswer,
    detailed,
    shown_conversion,
    shown_link,
    shown_reward,
)
from chalicelib.platform.keys import Tenant


def program(tenant: Tenant, program_id: str) -> ProgramDetail:
    """A program with its figures. Raises NotFound."""
    return detailed(referrals.get(tenant, program_id), referrals.figures(tenant, program_id))


def link(tenant: Tenant, code: str) -> Link:
    """The link with that code, however it is typed. Raises NotFound."""
    found = codes.find(code)
    known = None if found is None or found[0] != tenant else referrals.link(tenant, found[1].item_id)
    if known is None:
        raise NotFound("There is no such link.")
    return known


def links(tenant: Tenant, program_id: str, limit: int, cursor: str | None) -> tuple[list[LinkAnswer], str | None]:
    """A page of a program's links, newest first, and the cursor of the next one. Raises NotFound."""
    referrals.get(tenant, program_id)
    rows, following = referrals.links(tenant, program_id, limit, cursor)
    return show_links(tenant, rows), following


def show_links(tenant: Tenant, rows: Sequence[Link]) -> list[LinkAnswer]:
    """Links as their callers see them."""
    base, clicks = projects.get(tenant).referral_base_url, referrals.clicks(tenant, [each.id for each in rows])
    leads, _ = people.shown(tenant, [each.contact_id for each in rows])
    return [
        shown_link(each, codes.url(base, each.code), leads.get(each.contact_id, each.contact_id), clicks[each.id])
        for each in rows
    ]


def conversions(tenant: Tenant, query: ConversionsQuery) -> tuple[list[ConversionAnswer], str | None]:
    """A page of conversions, newest first, and the cursor of the next one."""
    rows, following = referrals.conversions(tenant, query.status, query.program_id, query.limit, query.cursor)
    return show_conversions(tenant, rows), following


def conversions_of_link(
    tenant: Tenant, code: str, limit: int, cursor: str | None
) -> tuple[list[ConversionAnswer], str | None]:
    """A page of a link's conversions, newest first, and the cursor of the next one. Raises NotFound."""
    rows, following = referrals.conversions_of_link(tenant, link(tenant, code).id, limit, cursor)
    return show_conversions(tenant, rows), following


def show_conversions(tenant: Tenant, rows: Sequence[Conversion]) -> list[ConversionAnswer]:
    """Conversions as their callers see them."""
    sides = [side for each in rows for side in (each.referrer_id, each.referred_id)]
    leads, there = people.shown(tenant, sides)
    links_of = referrals.links_named(tenant, {each.link_id for each in rows})
    shown = []
    for each in rows:
        referrer, referred = (leads.get(side, side) for side in (each.referrer_id, each.referred_id))
        email = there[referred].email if referred in there else None
        of = links_of.get(each.link_id)
        shown.append(shown_conversion(each, None if of is None else of.code, referrer, referred, email))
    return shown


def rewards(tenant: Tenant, query: RewardsQuery) -> tuple[list[RewardAnswer], str | None]:
    """A page of the ledger, newest first, and the cursor of the next one."""
    # What those have got whom a contact has absorbed is that contact's.
    wanted = None if query.contact_id is None else {query.contact_id, *contacts.absorbed(tenant, query.contact_id)}

    def is_wanted(reward: Reward) -> bool:
        return (
            query.program_id in (None, reward.program_id)
            and query.kind in (None, reward.kind)
            and (wanted is None or reward.contact_id in wanted)
        )

    filters = {"program": query.program_id, "contact": query.contact_id, "kind": query.kind}
    rows, following = referrals.rewards_page(tenant, query.status, filters, is_wanted, query.limit, query.cursor)
    return show_rewards(tenant, rows), following


def show_rewards(tenant: Tenant, rows: Sequence[Reward]) -> list[RewardAnswer]:
    """Rewards as their callers see them."""
    leads, _ = people.shown(tenant, [each.contact_id for each in rows])
    return [shown_reward(each, leads.get(each.contact_id, each.contact_id)) for each in rows]


def board(tenant: Tenant, query: BoardQuery) -> BoardPage:
    """A page of a program's referrers. Raises NotFound."""
    of = referrals.get(tenant, query.program_id)
    emails: dict[str, str | None] = {}

    def is_there(contact_ids: Sequence[str]) -> dict[str, str | None]:
        _, there = people.shown(tenant, contact_ids)
        emails.update({each.id: each.email for each in there.values()})
        return emails

    rows, following = referrals.board(tenant, of.id, query.limit, query.cursor, is_there)
    data = [
        BoardRow(
            rank=rank,
            contact_id=each.contact_id,
            email=emails[each.contact_id],
            referrals=each.referrals,
            conversions=each.conversions,
            tier=of.tier_name(each.conversions),
        )
        for rank, each in rows
    ]
    return BoardPage(data=data, program_id=of.id, has_more=following is not None, next_cursor=following)
