"""Bodies and answers of the waitlist endpoints."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from chalicelib.core.bounds import has_control
from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer, Body, Line, NotNull, Page, PageQuery, Query
from chalicelib.features.waitlists.model import (
    DEFAULT_BOOST,
    MAX_BATCH,
    MAX_BOOST,
    BatchOrder,
    Entry,
    ReferralStatus,
    Stats,
    Status,
    Waitlist,
)

_NAME_MAX = 128
_SLUG_MAX = 64
_URL_MAX = 2_048
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_CODE_MAX = 64


def _slug(text: str) -> str:
    if not _SLUG.fullmatch(text):
        raise ValueError("lower-case letters and digits, in parts with a dash between")
    return text


def _landing(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_web = parts.scheme == "https" and bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        is_web = False
    if not is_web or has_control(text) or re.search(r"[\s\\<>\"]", text):
        raise ValueError("not an https address")
    return text


Name = Annotated[Line, Field(min_length=1, max_length=_NAME_MAX, examples=["Pro Plan Early Access"])]
Slug = Annotated[
    str,
    Field(
        min_length=1,
        max_length=_SLUG_MAX,
        description="Unique in the project; names the waitlist in the paths of widgets.",
        examples=["pro-early-access"],
    ),
    AfterValidator(_slug),
]
Boost = Annotated[
    int, Field(ge=0, le=MAX_BOOST, description="How many positions a successful referral moves the referrer up.")
]
Reference = Annotated[str, Field(min_length=1, max_length=64)]
Landing = Annotated[
    str, Field(max_length=_URL_MAX, description="Where shared links lead to; https."), AfterValidator(_landing)
]
Code = Annotated[
    str | None,
    Field(max_length=_CODE_MAX, description="The code that somebody came with. One that is unknown is passed over."),
]


class NewWaitlist(Body):
    """A waitlist. Without an invite template a plain text invites."""

    name: Name
    slug: Slug
    referral_boost: Boost = DEFAULT_BOOST
    auto_approve: Annotated[bool, Field(description="Whoever joins is approved at once.")] = False
    welcome_email_template_id: Reference | None = None
    invite_email_template_id: Reference | None = None
    landing_url: Landing | None = None


class WaitlistPatch(Body):
    """What to change; fields that are not sent stay as they are. Nobody moves by a change of the boost."""

    name: Annotated[Name | None, NotNull] = None
    slug: Annotated[Slug | None, NotNull] = None
    referral_boost: Annotated[Boost | None, NotNull] = None
    auto_approve: Annotated[bool | None, NotNull] = None
    welcome_email_template_id: Reference | None = None
    invite_email_template_id: Reference | None = None
    landing_url: Landing | None = None


class WaitlistStats(Answer):
    """How many entries a waitlist has."""

    waiting: int
    approved: int
    total: int


class WaitlistAnswer(Answer):
    """A waitlist."""

    id: Annotated[str, Field(examples=["wl_01j8x2m4k00000000000000000"])]
    name: str
    slug: str
    referral_boost: int
    auto_approve: bool
    welcome_email_template_id: str | None
    invite_email_template_id: str | None
    landing_url: str | None
    stats: WaitlistStats
    created_at: str
    updated_at: str


class Removed(Answer):
    """What is gone."""

    id: str
    deleted: Literal[True] = True


class EntriesQuery(PageQuery):
    """Which entries to list."""

    status: Annotated[
        Status, Field(description="`waiting` is listed by position, `approved` in the order of joining.")
    ] = "waiting"


class EntryAnswer(Answer):
    """Somebody in a waitlist."""

    id: Annotated[str, Field(examples=["wl_entry_01j8x2m4k00000000000000000"])]
    contact_id: str
    email: str | None
    position: Annotated[int | None, Field(description="The first one is 1; null once approved.")]
    referral_count: int
    status: Status
    joined_at: str
    approved_at: str | None
    referral_code: str
    share_url: str
    referred_by: Annotated[str | None, Field(description="The entry whose code it came with.")]
    referral_status: Annotated[
        ReferralStatus | None,
        Field(description="What became of that: `counted` moved the referrer up, `flagged` moved nobody."),
    ]
    referral_reasons: Annotated[
        list[str],
        Field(
            description=(
                "Why it was flagged: `same_contact`, or what a conversion is held for too: `same_person`, "
                "`email_variant`, `disposable_domain`, `many_from_one_ip`."
            )
        ),
    ]


class HeldEntry(EntryAnswer):
    """An entry as what is held on a contact has it."""

    waitlist_id: str


class EntriesPage(Page[EntryAnswer]):
    """One page of entries, and how many there are of their status."""

    total_entries: int


class BatchBody(Body):
    """Whom to approve."""

    count: Annotated[int, Field(ge=1, le=MAX_BATCH, examples=[50])]
    order: Annotated[BatchOrder, Field(description="Who is first: by position, or by the moment of joining.")] = (
        "position"
    )


class BatchAnswer(Answer):
    """Who was approved by this call; fewer than asked for where no more wait."""

    approved: int
    data: list[EntryAnswer]


class StatusQuery(Query):
    """Whose place to tell."""

    token: Annotated[str | None, Field(max_length=1_024, description="`status_token` of the answer to joining.")] = None
    email: Annotated[
        str | None, Field(max_length=320, description="Where it is given, it has to be the address that joined.")
    ] = None


class PublicEntry(Answer):
    """An entry as whoever has joined sees it."""

    id: str
    email: str | None
    position: Annotated[int | None, Field(description="The first one is 1; null once approved.")]
    referral_count: int
    status: Status
    joined_at: str
    approved_at: str | None
    referral_code: str
    share_url: str
    status_token: Annotated[str, Field(description="By this the widget asks for the status; it holds no address.")]
    status_url: Annotated[
        str, Field(description="A page that tells the same to whoever has its address. Each answer has another one.")
    ]


class StatusAnswer(Answer):
    """Where somebody stands."""

    position: Annotated[int | None, Field(description="The first one is 1; null once approved.")]
    status: Status
    referral_count: int
    referral_code: str
    share_url: str
    total_waiting: int


def shown(waitlist: Waitlist, stats: Stats) -> WaitlistAnswer:
    """The waitlist as its callers see it."""
    return WaitlistAnswer(
        id=waitlist.id,
        name=waitlist.name,
        slug=waitlist.slug,
        referral_boost=waitlist.referral_boost,
        auto_approve=waitlist.auto_approve,
        welcome_email_template_id=waitlist.welcome_email_template_id,
        invite_email_template_id=waitlist.invite_email_template_id,
        landing_url=waitlist.landing_url,
        stats=WaitlistStats(waiting=stats.waiting, approved=stats.approved, total=stats.waiting + stats.approved),
        created_at=iso(waitlist.created_at),
        updated_at=iso(waitlist.updated_at),
    )


def entry_shown(entry: Entry, email: str | None, position: int | None, share_url: str) -> EntryAnswer:
    """The entry as callers of the Management API see it."""
    return EntryAnswer(
        id=entry.id,
        contact_id=entry.contact_id,
        email=email,
        position=position,
        referral_count=entry.referral_count,
        status=entry.status,
        joined_at=iso(entry.joined_at),
        approved_at=None if entry.approved_at is None else iso(entry.approved_at),
        referral_code=entry.codes[0],
        share_url=share_url,
        referred_by=entry.referred_by,
        referral_status=entry.referral_status,
        referral_reasons=list(entry.referral_reasons),
    )


def public_shown(known: EntryAnswer, token: str, url: str) -> PublicEntry:
    """The same without what is the project's own."""
    fields = known.model_dump(include=set(PublicEntry.model_fields))
    return PublicEntry(**fields, status_token=token, status_url=url)
