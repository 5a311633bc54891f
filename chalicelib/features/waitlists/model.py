"""Waitlists and their entries. Pure; moments in ms on the project's clock."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

from chalicelib.core import clock

MAX_WAITLISTS: Final = 200
MAX_BOOST: Final = 1_000
DEFAULT_BOOST: Final = 3
MAX_BATCH: Final = 1_000
"""Entries that one call approves at the most."""

JOINS_FROM_ONE: Final = 10
"""Joins for one referrer from one address within JOINS_WITHIN that are not looked at."""

JOINS_WITHIN: Final = clock.DAY

Status = Literal["waiting", "approved"]
ReferralStatus = Literal["counted", "flagged"]
BatchOrder = Literal["position", "joined_at"]
MailKind = Literal["welcome", "invite"]

Claimed = tuple[str, str]
"""A message: the contact that it was made for, and its id."""


@dataclass(frozen=True, slots=True)
class Waitlist:
    """A waitlist's definition. `version` counts writes."""

    id: str
    name: str
    slug: str
    referral_boost: int
    auto_approve: bool
    created_at: int
    updated_at: int
    welcome_email_template_id: str | None = None
    invite_email_template_id: str | None = None
    landing_url: str | None = None
    version: int = 1

    @property
    def template_ids(self) -> dict[MailKind, str | None]:
        """What each mail is made from."""
        return {"welcome": self.welcome_email_template_id, "invite": self.invite_email_template_id}


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody in a waitlist.

    `leaf` is where it stands in the order, while it waits. `codes` lead to it: its own, and those of entries that it
    has absorbed. `moves` counts how often it went up by referrals. `referred_by` is the entry whose code it came with,
    and `referral_status` what became of that. `welcome` and `invite` are the messages that were claimed for it.
    `version` counts writes.
    """

    id: str
    waitlist_id: str
    contact_id: str
    joined_at: int
    codes: tuple[str, ...]
    status: Status = "waiting"
    leaf: str | None = None
    approved_at: int | None = None
    referral_count: int = 0
    moves: int = 0
    referred_by: str | None = None
    referral_status: ReferralStatus | None = None
    referral_reasons: tuple[str, ...] = ()
    welcome: Claimed | None = None
    invite: Claimed | None = None
    version: int = 0

    @property
    def ulid(self) -> str:
        """How the order names it."""
        return self.id.rpartition("_")[2]

    def approved(self, now: int) -> "Entry":
        """The entry once it has left the queue."""
        return replace(self, status="approved", approved_at=now, leaf=None)

    def message_of(self, kind: MailKind) -> Claimed | None:
        """The message that was claimed for that mail."""
        return self.welcome if kind == "welcome" else self.invite

    def with_message(self, kind: MailKind, claimed: Claimed | None) -> "Entry":
        """The entry with that message claimed for the mail, or with none."""
        return replace(self, welcome=claimed) if kind == "welcome" else replace(self, invite=claimed)


class Held(NamedTuple):
    """An entry as its contact's own row tells of it."""

    waitlist_id: str
    entry_id: str
    code: str
    status: Status
    joined_at: int


@dataclass(frozen=True, slots=True)
class Stats:
    """How many wait, and how many were approved."""

    waiting: int
    approved: int


def heir(ours: Entry, theirs: Entry, ours_is_better: bool) -> tuple[Entry, Entry]:
    """Of two entries of one person in one waitlist the one that stays, with what the other adds, and the other.

    Who was approved stays before who waits; of two who wait the one with the better position; else the contact's own.
    """
    their_right = theirs.status == "approved" if ours.status != theirs.status else not ours_is_better
    stays, goes = (theirs, ours) if their_right else (ours, theirs)
    return (
        replace(
            stays,
            contact_id=ours.contact_id,
            codes=(*stays.codes, *goes.codes),
            referral_count=stays.referral_count + goes.referral_count,
            welcome=stays.welcome or goes.welcome,
            invite=stays.invite or goes.invite,
        ),
        goes,
    )


def joins_before(moments: Sequence[int], at: int) -> int:
    """How many of these joins from one place were within JOINS_WITHIN before that moment."""
    return sum(at - JOINS_WITHIN < each <= at for each in moments)


def with_join(moments: Sequence[int], at: int) -> list[int]:
    """The moments of joins from one place with one more, as many as can decide of a later one."""
    return sorted([*moments, at])[-JOINS_FROM_ONE:]
