"""Programs, links, conversions and rewards. Pure. Moments in ms; amounts in ten-thousandths of the currency's unit."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from chalicelib.core import clock

ProgramStatus = Literal["active", "paused"]
ConversionStatus = Literal["review", "approved", "rejected", "reversed", "refused"]
"""A refused one is a note of why what a contact did is no conversion."""

RewardStatus = Literal["pending", "approved", "issued", "void"]
RewardKind = Literal["referrer", "referee", "tier_bonus"]
Issuing = Literal["automatic", "manual"]

MAX_PROGRAMS = 100
MAX_TIERS = 20
UNITS: Final = 10_000
"""Of an amount of 1."""

REVIEW_SCORE: Final = 50
MAX_TOUCHES: Final = 50
THINNED: Final = clock.DAY
"""Milliseconds."""

_TIER_NAMES = ("bronze", "silver", "gold", "platinum", "diamond")


class Prize(NamedTuple):
    """What somebody gets; `currency` is None for points and the like."""

    type: str
    amount: int
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """What a referrer reaches by so many conversions, and the bonus for reaching it."""

    referrals: int
    bonus: int
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a program. `conversions_per_ip` may come for one referrer from one address in 24 hours before they are
    held for review; so are those whose score reaches `review_score`."""

    max_referrals_per_contact: int | None = None
    conversion_window_days: int = 30
    conversions_per_ip: int = 10
    hold_days: int = 0
    review_score: int = REVIEW_SCORE


@dataclass(frozen=True, slots=True)
class Program:
    """A referral program. Without `conversion_event` conversions are recorded by hand only."""

    id: str
    name: str
    created_at: int
    updated_at: int
    status: ProgramStatus = "active"
    reward: Prize | None = None
    referee_reward: Prize | None = None
    tiers: tuple[Tier, ...] = ()
    limits: Limits = field(default_factory=Limits)
    conversion_event: str | None = None
    landing_url: str | None = None
    issuing: Issuing = "automatic"
    version: int = 1

    @property
    def window(self) -> int:
        """Milliseconds from the attribution within which a conversion counts, both ends included."""
        return self.limits.conversion_window_days * clock.DAY

    @property
    def hold(self) -> int:
        """Milliseconds for which a reward is pending."""
        return self.limits.hold_days * clock.DAY

    def tier_name(self, conversions: int) -> str | None:
        """The highest tier reached by so many conversions; None below the first."""
        reached = [n for n, tier in enumerate(self.tiers) if tier.referrals <= conversions]
        return tier_name(self.tiers, reached[-1]) if reached else None


def tier_name(tiers: tuple[Tier, ...], position: int) -> str:
    """The name of a tier: its own, or else by its place."""
    own = tiers[position].name
    if own is not None:
        return own
    return _TIER_NAMES[position] if position < len(_TIER_NAMES) else f"tier {position + 1}"


@dataclass(frozen=True, slots=True)
class Link:
    """A contact's link of one program and channel, as it was made; a contact that was merged is led on from."""

    id: str
    code: str
    program_id: str
    contact_id: str
    channel: str
    created_at: int
    conversions: int = 0


class Touch(NamedTuple):
    """That a contact came with a code, at `at`, and from where."""

    at: int
    link_id: str
    code: str
    referrer_id: str
    ip: str | None = None
    agent: str | None = None

    @property
    def name(self) -> str:
        """Tells it from the contact's others."""
        return f"{self.at}#{self.link_id}"


class Passed(NamedTuple):
    """The moment of the last thing a contact did that was refused as a conversion of a touch, and why."""

    at: int
    reason: str


@dataclass(frozen=True, slots=True)
class Attribution:
    """By whom a contact was referred to a program, and the conversion that came of it.

    `touch` is the one that counts among the `touches`, which begin with the earliest. `refusals` has what was last
    refused as a conversion of each; what was refused of one touch may count by another.
    """

    program_id: str
    contact_id: str
    touch: Touch
    touches: tuple[Touch, ...]
    conversion_id: str | None = None
    refusals: Mapping[str, Passed] = field(default_factory=dict)
    version: int = 0

    @property
    def passed(self) -> Passed | None:
        """What was refused last of the touch that counts."""
        return self.refusals.get(self.touch.name)

    @property
    def judged_from(self) -> int:
        """The first moment of what may still be a conversion."""
        return self.touch.at if self.passed is None else max(self.touch.at, self.passed.at + 1)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a contact has referred in one program: `referrals` were attributed, `conversions` stand approved.

    `bonuses` has the reward that was given for each tier that stands, by its threshold. `since` is when it came.
    """

    program_id: str
    contact_id: str
    since: int
    referrals: int = 0
    conversions: int = 0
    bonuses: Mapping[int, str] = field(default_factory=dict)
    version: int = 0


class Reason(NamedTuple):
    """One thing that speaks against a conversion; 100 of `score` is certainty."""

    name: str
    score: int


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a referred contact did, `converted_at`. `rewards` are those given for it the last time it was approved."""

    id: str
    program_id: str
    link_id: str
    referrer_id: str
    referred_id: str
    attributed_at: int
    converted_at: int
    created_at: int
    status: ConversionStatus
    event: str | None = None
    reasons: tuple[Reason, ...] = ()
    metadata: str | None = None
    rewards: tuple[str, ...] = ()
    decided_at: int | None = None
    version: int = 0

    @property
    def score(self) -> int:
        """What speaks against it, together; 100 at the most."""
        return min(100, sum(reason.score for reason in self.reasons))


@dataclass(frozen=True, slots=True)
class Reward:
    """One line of the ledger. Pending until `due_at`; a bonus that a merge crossed belongs to no conversion.

    `by_hand` is whether its program left the issuing to hand when it was given: that holds when the program is gone.
    """

    id: str
    program_id: str
    contact_id: str
    conversion_id: str | None
    kind: RewardKind
    prize: Prize
    status: RewardStatus
    created_at: int
    due_at: int | None = None
    issued_at: int | None = None
    tier: int | None = None
    by_hand: bool = False
    version: int = 0


def in_order(touches: Iterable[Touch]) -> tuple[Touch, ...]:
    """The touches, the earliest first; of those of one moment by one link, first those that tell from where."""

    def place(touch: Touch) -> tuple[object, ...]:
        return (*touch[:4], touch.ip is None, touch.ip or "", touch.agent is None, touch.agent or "")

    return tuple(sorted(set(touches), key=place))


def counting(touches: Iterable[Touch], window: int) -> Touch | None:
    """The touch that counts: the first, and after its window (ms) the first of those that come then, and so on."""
    counts: Touch | None = None
    for touch in in_order(touches):
        if counts is None or touch.at > counts.at + window:
            counts = touch
    return counts


def kept(touches: Iterable[Touch], new: Touch) -> tuple[Touch, ...]:
    """The touches with one more, the earliest first, unless it says nothing new: a contact that has come by a link
    sends its code with all that it does for a while, and of that one in THINNED is kept. MAX_TOUCHES at the most."""
    known = tuple(touches)
    if any(each.link_id == new.link_id and each.at <= new.at < each.at + THINNED for each in known):
        return known
    return in_order((*known, new))[:MAX_TOUCHES]
