"""What webhooks say of referrals."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from chalicelib.core import events
from chalicelib.core.clock import iso, parse_instant
from chalicelib.core.schema import Answer
from chalicelib.features.referrals.model import Prize, RewardKind
from chalicelib.features.referrals.schemas import amount
from chalicelib.flows.webhooks.kinds import AT, OF_CONTACT, ULID, Around, Kind, OfContact
from chalicelib.platform.outbox import DomainEvent

_CODE = "ALICE-ACME-7K2"


class LinkCreated(OfContact):
    """A contact has got a link."""

    link_id: str
    link_code: str
    program_id: str
    channel: str


class LinkClicked(OfContact):
    """A person has followed the link of a contact, or its entry's in a waitlist."""

    link_code: str
    link_id: str | None
    program_id: str | None
    entry_id: str | None
    waitlist_id: str | None


class LinkConverted(OfContact):
    """A referred contact, which is the one that is shown, has converted, and it counts."""

    conversion_id: str
    program_id: str
    link_id: str
    link_code: Annotated[str | None, Field(description="Null where the link is gone, with its contact.")]
    referrer_contact_id: str
    conversion_event: str | None
    converted_at: str


class RewardIssued(OfContact):
    """A contact is given a reward."""

    reward_id: str
    program_id: str
    conversion_id: Annotated[str | None, Field(description="Null of a tier's bonus that a merge of contacts crossed.")]
    kind: RewardKind
    type: str
    amount: int | float
    currency: str | None


def _created(event: DomainEvent, around: Around) -> Answer:
    names = ("link_id", "link_code", "program_id", "channel")
    return LinkCreated(**{name: event.data[name] for name in names}, **around.of_contact(event))


def _clicked(event: DomainEvent, around: Around) -> Answer:
    names = ("link_code", "link_id", "program_id", "entry_id", "waitlist_id")
    return LinkClicked(**{name: event.data.get(name) for name in names}, **around.of_contact(event))


def _converted(event: DomainEvent, around: Around) -> Answer:
    names = ("conversion_id", "program_id", "link_id", "link_code", "referrer_contact_id", "conversion_event")
    return LinkConverted(
        **{name: event.data[name] for name in names},
        converted_at=iso(event.data["converted_at"]),
        **around.of_contact(event),
    )


def _issued(event: DomainEvent, around: Around) -> Answer:
    prize = Prize(*event.data["prize"])
    return RewardIssued(
        **{name: event.data[name] for name in ("reward_id", "program_id", "conversion_id", "kind")},
        type=prize.type,
        amount=amount(prize.amount),
        currency=prize.currency,
        **around.of_contact(event),
    )


_LINK = {"link_id": f"ref_link_{ULID}", "link_code": _CODE, "program_id": f"ref_prog_{ULID}"}
_CONVERSION = f"ref_conv_{ULID}"

KINDS: Mapping[str, Kind] = {
    events.REFERRAL_LINK_CREATED: Kind(LinkCreated, _created, LinkCreated(**_LINK, channel="email", **OF_CONTACT)),
    events.REFERRAL_LINK_CLICKED: Kind(
        LinkClicked, _clicked, LinkClicked(**_LINK, entry_id=None, waitlist_id=None, **OF_CONTACT)
    ),
    events.REFERRAL_CONVERTED: Kind(
        LinkConverted,
        _converted,
        LinkConverted(
            **_LINK,
            conversion_id=_CONVERSION,
            referrer_contact_id="cntct_01kj5x8v7c2n4q6s8t0v2x4z6b",
            conversion_event="subscription_started",
            converted_at=iso(parse_instant(AT)),
            **OF_CONTACT,
        ),
    ),
    events.REWARD_ISSUED: Kind(
        RewardIssued,
        _issued,
        RewardIssued(
            reward_id=f"rwd_{ULID}",
            program_id=_LINK["program_id"],
            conversion_id=_CONVERSION,
            kind="referrer",
            type="credit",
            amount=20,
            currency="USD",
            **OF_CONTACT,
        ),
    ),
}
