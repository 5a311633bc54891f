"""Answers of the referral endpoints."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from chalicelib.core import strict_json
from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer
from chalicelib.features.referrals.ledger import AMOUNT, CLICKS, CONVERSIONS, ISSUED, LINKS, REFERRALS
from chalicelib.features.referrals.model import (
    Conversion,
    ConversionStatus,
    Issuing,
    Limits,
    Link,
    Program,
    ProgramStatus,
    Reward,
    RewardKind,
    RewardStatus,
    tier_name,
)
from chalicelib.features.referrals.schemas import amount, reward_fields


class PrizeAnswer(Answer):
    """What somebody gets."""

    type: str
    amount: int | float
    currency: str | None


class TierAnswer(Answer):
    """A tier with the name that it goes by."""

    referrals: int
    bonus: int | float
    name: str


class LimitsAnswer(Answer):
    """The bounds that hold."""

    max_referrals_per_contact: int | None
    conversion_window_days: int
    conversions_per_ip: int
    hold_days: int
    review_score: int


class ProgramAnswer(Answer):
    """A referral program."""

    id: Annotated[str, Field(examples=["ref_prog_01j8x2m4k00000000000000000"])]
    name: str
    status: ProgramStatus
    reward_type: str | None
    reward_amount: int | float | None
    reward_currency: str | None
    referee_reward: PrizeAnswer | None
    tiers: list[TierAnswer]
    limits: LimitsAnswer
    conversion_event: str | None
    landing_url: str | None
    reward_issuing: Issuing
    created_at: str
    updated_at: str


class RemovedProgram(Answer):
    """A program that is deleted."""

    id: str
    deleted: bool = True


class ProgramStats(Answer):
    """What has come of a program. `total_reward_amount` adds up all that is issued, whatever its type."""

    total_links: int
    total_clicks: int
    total_referrals: Annotated[int, Field(description="Contacts that were referred.")]
    total_conversions: int
    total_rewards_issued: int
    total_reward_amount: int | float


class ProgramDetail(ProgramAnswer):
    """A referral program with its figures."""

    stats: ProgramStats


class LinkAnswer(Answer):
    """A contact's link."""

    id: Annotated[str, Field(examples=["ref_link_01j8x2m4k00000000000000000"])]
    code: Annotated[str, Field(examples=["ALICE-ACME-7K2"])]
    url: str
    program_id: str
    contact_id: Annotated[str, Field(description="Where the contact was merged, the one that has absorbed it.")]
    channel: str
    clicks: int
    conversions: int
    created_at: str


class ReasonAnswer(Answer):
    """One thing that speaks against a conversion."""

    name: str
    score: int


class ConversionAnswer(Answer):
    """What came of a referral."""

    id: Annotated[str, Field(examples=["ref_conv_01j8x2m4k00000000000000000"])]
    program_id: str
    link_code: Annotated[str | None, Field(description="Null where the link is gone, with its contact or program.")]
    referrer_contact_id: str
    referred_contact_id: str
    referred_email: Annotated[str | None, Field(description="Null where the contact has none, or is gone.")]
    conversion_event: str | None
    status: ConversionStatus
    score: int
    reasons: list[ReasonAnswer]
    metadata: dict[str, Any]
    attributed_at: str
    converted_at: str
    created_at: str


class RewardAnswer(Answer):
    """One line of the ledger."""

    id: Annotated[str, Field(examples=["rwd_01j8x2m4k00000000000000000"])]
    program_id: str
    contact_id: str
    conversion_id: Annotated[str | None, Field(description="Null of a tier's bonus that a merge of contacts crossed.")]
    kind: RewardKind
    type: str
    amount: int | float
    currency: str | None
    status: RewardStatus
    created_at: str
    approved_at: Annotated[str | None, Field(description="When a pending one will be approved.")]
    issued_at: str | None


class BoardRow(Answer):
    """A referrer and its rank."""

    rank: int
    contact_id: str
    email: str | None
    referrals: int
    conversions: int
    tier: Annotated[str | None, Field(description="Null below the first.")]


class BoardPage(Answer):
    """One page of the leaderboard: by conversions, then referrals, then who came first."""

    data: list[BoardRow]
    program_id: str
    has_more: bool
    next_cursor: Annotated[str | None, Field(description="Where the next page goes on; null at the end.")]


def fields(program: Program) -> dict[str, Any]:
    """The program as the fields of its answer."""
    referee = program.referee_reward
    tiers = [
        TierAnswer(referrals=tier.referrals, bonus=amount(tier.bonus), name=tier_name(program.tiers, n))
        for n, tier in enumerate(program.tiers)
    ]
    return {
        "id": program.id,
        "name": program.name,
        "status": program.status,
        **reward_fields(program.reward),
        "referee_reward": None
        if referee is None
        else PrizeAnswer(type=referee.type, amount=amount(referee.amount), currency=referee.currency),
        "tiers": tiers,
        "limits": LimitsAnswer(**{name: getattr(program.limits, name) for name in Limits.__slots__}),
        "conversion_event": program.conversion_event,
        "landing_url": program.landing_url,
        "reward_issuing": program.issuing,
        "created_at": iso(program.created_at),
        "updated_at": iso(program.updated_at),
    }


def detailed(program: Program, figures: Mapping[str, int]) -> ProgramDetail:
    """The program with its figures."""
    stats = ProgramStats(
        total_links=figures.get(LINKS, 0),
        total_clicks=figures.get(CLICKS, 0),
        total_referrals=figures.get(REFERRALS, 0),
        total_conversions=figures.get(CONVERSIONS, 0),
        total_rewards_issued=figures.get(ISSUED, 0),
        total_reward_amount=amount(figures.get(AMOUNT, 0)),
    )
    return ProgramDetail(**fields(program), stats=stats)


def shown_link(link: Link, url: str, contact_id: str, clicks: int) -> LinkAnswer:
    """The link, of the contact that it leads to by now."""
    return LinkAnswer(
        id=link.id,
        code=link.code,
        url=url,
        program_id=link.program_id,
        contact_id=contact_id,
        channel=link.channel,
        clicks=clicks,
        conversions=link.conversions,
        created_at=iso(link.created_at),
    )


def shown_conversion(
    conversion: Conversion, code: str | None, referrer: str, referred: str, email: str | None
) -> ConversionAnswer:
    """The conversion, of the contacts that its own lead to by now; `code` is that of its link."""
    return ConversionAnswer(
        id=conversion.id,
        program_id=conversion.program_id,
        link_code=code,
        referrer_contact_id=referrer,
        referred_contact_id=referred,
        referred_email=email,
        conversion_event=conversion.event,
        status=conversion.status,
        score=conversion.score,
        reasons=[ReasonAnswer(name=reason.name, score=reason.score) for reason in conversion.reasons],
        metadata={} if conversion.metadata is None else strict_json.stored(conversion.metadata),
        attributed_at=iso(conversion.attributed_at),
        converted_at=iso(conversion.converted_at),
        created_at=iso(conversion.created_at),
    )


def shown_reward(reward: Reward, contact_id: str) -> RewardAnswer:
    """The line of the ledger, of the contact that its own leads to by now."""
    return RewardAnswer(
        id=reward.id,
        program_id=reward.program_id,
        contact_id=contact_id,
        conversion_id=reward.conversion_id,
        kind=reward.kind,
        type=reward.prize.type,
        amount=amount(reward.prize.amount),
        currency=reward.prize.currency,
        status=reward.status,
        created_at=iso(reward.created_at),
        approved_at=None if reward.due_at is None else iso(reward.due_at),
        issued_at=None if reward.issued_at is None else iso(reward.issued_at),
    )
