"""Bodies and answers of the referral endpoints."""

import re
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StrictFloat, StrictInt

from chalicelib.core import strict_json
from chalicelib.core.bounds import MAX_NAME_BYTES, has_control
from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.core.schema import Body, Line, NotNull, PageQuery
from chalicelib.features.referrals.model import (
    MAX_TIERS,
    UNITS,
    ConversionStatus,
    Issuing,
    Limits,
    Prize,
    Program,
    ProgramStatus,
    RewardKind,
    RewardStatus,
    Tier,
)

_NAME_MAX = 128
_URL_MAX = 2_048
_AMOUNT_MAX = 1_000_000_000
_DAYS_MAX = 3_650
_COUNT_MAX = 1_000_000
_METADATA_MAX = 10_000
_CHANNEL = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TYPE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_CURRENCY = re.compile(r"[A-Z]{3}")


def _amount(value: int | float) -> int | float:
    exact = Decimal(str(value)) * UNITS
    if exact != exact.to_integral_value():
        raise ValueError("an amount has at most 4 decimals")
    return value


def _kind(text: str) -> str:
    if not _TYPE.fullmatch(text):
        raise ValueError("1 to 32 small letters, digits and underscores, such as credit or discount")
    return text


def _currency(text: str) -> str:
    if not _CURRENCY.fullmatch(text):
        raise ValueError("a currency is three capital letters (ISO 4217)")
    return text


def _channel(text: str) -> str:
    if not _CHANNEL.fullmatch(text):
        raise ValueError("1 to 64 letters, digits, dots, dashes and underscores")
    return text


def _landing(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fine = False
    has_user = "@" in text.partition("://")[2].partition("/")[0]
    if not is_fine or has_user or has_control(text) or any(each.isspace() or each in '\\"<>' for each in text):
        raise ValueError("an http or https address, without a user")
    return text


def _event(text: str) -> str:
    if not text.strip() or has_control(text) or len(text.encode()) > MAX_NAME_BYTES:
        raise ValueError(f"an event's name is not blank and has at most {MAX_NAME_BYTES} bytes")
    return text


def _tiers(tiers: "list[TierBody]") -> "list[TierBody]":
    if any(before.referrals >= after.referrals for before, after in pairwise(tiers)):
        raise ValueError("each tier takes more referrals than the one before")
    return tiers


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    if len(strict_json.dumps(value).encode()) > _METADATA_MAX:
        raise ValueError(f"metadata has at most {_METADATA_MAX:,} bytes of JSON")
    return value


Name = Annotated[Line, Field(min_length=1, max_length=_NAME_MAX, examples=["Friend Referral Program"])]
Amount = Annotated[
    StrictInt | StrictFloat,
    AfterValidator(_amount),
    Field(ge=0, le=_AMOUNT_MAX, description="With up to 4 decimals.", examples=[20]),
]
Kind = Annotated[str, AfterValidator(_kind), Field(description="`credit`, `discount`, …", examples=["credit"])]
Currency = Annotated[str, AfterValidator(_currency), Field(examples=["USD"])]
EventName = Annotated[str, AfterValidator(_event), Field(examples=["subscription_started"])]
Landing = Annotated[str, Field(max_length=_URL_MAX, examples=["https://yourapp.com/welcome"]), AfterValidator(_landing)]
Reference = Annotated[str, Field(min_length=1, max_length=64)]
Days = Annotated[int, Field(ge=1, le=_DAYS_MAX)]


class PrizeBody(Body):
    """What somebody gets."""

    type: Kind
    amount: Amount
    currency: Currency | None = None


class TierBody(Body):
    """What a referrer reaches by so many conversions."""

    referrals: Annotated[int, Field(ge=1, le=_COUNT_MAX, description="Conversions that it takes.")]
    bonus: Amount = 0
    name: Annotated[
        Line | None,
        Field(max_length=64, description="By its place without it: bronze, silver, gold, platinum, diamond."),
    ] = None


class LimitsBody(Body):
    """Bounds of a program; `null` brings one back to its default."""

    max_referrals_per_contact: Annotated[int, Field(ge=1, le=_COUNT_MAX)] | None = None
    conversion_window_days: Annotated[Days | None, Field(description="30 without it.")] = None
    conversions_per_ip: Annotated[
        int | None,
        Field(ge=1, le=1_000, description="For one referrer in 24 hours; further ones are held. 10 without it."),
    ] = None
    hold_days: Annotated[int | None, Field(ge=0, le=_DAYS_MAX, description="How long rewards are pending.")] = None
    review_score: Annotated[
        int | None,
        Field(ge=1, le=101, description="From which score a conversion is held. 50 without it; 101 holds none."),
    ] = None


Tiers = Annotated[list[TierBody], Field(max_length=MAX_TIERS), AfterValidator(_tiers)]


class NewProgram(Body):
    """A referral program."""

    name: Name
    reward_type: Kind | None = None
    reward_amount: Annotated[Amount | None, Field(description="What the referrer gets for each conversion.")] = None
    reward_currency: Currency | None = None
    referee_reward: PrizeBody | None = None
    tiers: Tiers = Field(default_factory=list)
    limits: LimitsBody = Field(default_factory=LimitsBody)
    status: ProgramStatus = "active"
    conversion_event: Annotated[
        EventName | None, Field(description="What a referred contact does to convert; by hand only without it.")
    ] = None
    landing_url: Annotated[
        Landing | None, Field(description="Where links lead. Without it to the project's `domain`, if that is set.")
    ] = None
    reward_issuing: Annotated[
        Issuing, Field(description="`manual`: rewards stay `approved` until `POST …/rewards/{id}/issue`.")
    ] = "automatic"


class ProgramPatch(Body):
    """What to change; `limits` merge key by key, `tiers` and `referee_reward` are replaced."""

    name: Annotated[Name | None, NotNull] = None
    reward_type: Kind | None = None
    reward_amount: Amount | None = None
    reward_currency: Currency | None = None
    referee_reward: PrizeBody | None = None
    tiers: Annotated[Tiers | None, NotNull] = None
    limits: Annotated[LimitsBody | None, NotNull] = None
    status: Annotated[ProgramStatus | None, NotNull] = None
    conversion_event: EventName | None = None
    landing_url: Landing | None = None
    reward_issuing: Annotated[Issuing | None, NotNull] = None


class NewLink(Body):
    """A contact's link of a program; a contact has one for each channel."""

    program_id: Reference
    contact_id: Reference
    channel: Annotated[str, AfterValidator(_channel), Field(examples=["email"])] = "default"


class NewConversion(Body):
    """A conversion that the caller knows of."""

    link_code: Annotated[str, Field(min_length=1, max_length=64, examples=["ALICE-ACME-7K2"])]
    referred_contact_id: Reference
    conversion_event: EventName | None = None
    metadata: Annotated[dict[str, Any], AfterValidator(_metadata)] = Field(default_factory=dict)


class ConversionsQuery(PageQuery):
    """Which conversions to list."""

    status: ConversionStatus | None = None
    program_id: str | None = None


class RewardsQuery(PageQuery):
    """Which rewards to list."""

    status: RewardStatus | None = None
    program_id: str | None = None
    contact_id: str | None = None
    kind: RewardKind | None = None


class BoardQuery(PageQuery):
    """Of which program to list the referrers."""

    program_id: Annotated[str, Field(min_length=1, max_length=64)]


def units(amount: int | float) -> int:
    """An amount as it is kept."""
    return int(Decimal(str(amount)) * UNITS)


def amount(kept: int) -> int | float:
    """A kept amount as callers see it."""
    whole, rest = divmod(kept, UNITS)
    return whole if rest == 0 else float(Decimal(kept) / UNITS)


def defined(body: NewProgram, program_id: str, now: int, domain: str | None) -> Program:
    """The program that a body describes."""
    landing = body.landing_url or (f"https://{domain}" if domain else None)
    return Program(
        id=program_id,
        name=body.name,
        created_at=now,
        updated_at=now,
        status=body.status,
        reward=_reward(body.reward_type, body.reward_amount, body.reward_currency),
        referee_reward=_prize(body.referee_reward),
        tiers=_tiers_of(body.tiers),
        limits=_limits(body.limits, Limits()),
        conversion_event=body.conversion_event,
        landing_url=landing,
        issuing=body.reward_issuing,
    )


def changes(patch: ProgramPatch, before: Program) -> dict[str, Any]:
    """What a patch changes, by the program's fields."""
    sent = patch.model_fields_set
    plain = {"name", "status", "conversion_event", "landing_url"} & sent
    changed: dict[str, Any] = {name: getattr(patch, name) for name in plain}
    if patch.reward_issuing is not None:
        changed["issuing"] = patch.reward_issuing
    if {"reward_type", "reward_amount", "reward_currency"} & sent:
        stands = reward_fields(before.reward)
        merged = {name: getattr(patch, name) if name in sent else stands[name] for name in stands}
        ends = "reward_amount" in sent and patch.reward_amount is None
        changed["reward"] = None if ends else _reward(*merged.values())
    if "referee_reward" in sent:
        changed["referee_reward"] = _prize(patch.referee_reward)
    if patch.tiers is not None:
        changed["tiers"] = _tiers_of(patch.tiers)
    if patch.limits is not None:
        changed["limits"] = _limits(patch.limits, before.limits)
    return changed


def _reward(kind: str | None, value: int | float | None, currency: str | None) -> Prize | None:
    if value is None and (kind is not None or currency is not None):
        message = "A reward has an amount."
        raise ValidationFailed(message, details=[detail("reward_amount", "missing", message)])
    return None if value is None else Prize(kind or "credit", units(value), currency)


def _prize(body: PrizeBody | None) -> Prize | None:
    return None if body is None else Prize(body.type, units(body.amount), body.currency)


def _tiers_of(bodies: list[TierBody]) -> tuple[Tier, ...]:
    return tuple(Tier(each.referrals, units(each.bonus), each.name) for each in bodies)


def _limits(body: LimitsBody, before: Limits) -> Limits:
    plain = Limits()
    merged = {name: getattr(before, name) for name in Limits.__slots__}
    for name in body.model_fields_set:
        given = getattr(body, name)
        merged[name] = getattr(plain, name) if given is None else given
    return Limits(**merged)


def reward_fields(reward: Prize | None) -> dict[str, Any]:
    """The three fields of what the referrer gets."""
    if reward is None:
        return {"reward_type": None, "reward_amount": None, "reward_currency": None}
    return {"reward_type": reward.type, "reward_amount": amount(reward.amount), "reward_currency": reward.currency}
