"""What is known of one contact when its rules are evaluated. Moments in ms."""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

NEVER = 1 << 62
"""Later than every moment."""

Reading = tuple[bool, int, bool]
"""Whether something holds, a later moment until which that can't change by itself, and if it surely changes then."""

Judge = Callable[["Facts", int], Reading]
"""A reading for a contact and a moment, for which the segments that are named must have been settled."""

Line = tuple["list[int] | tuple[int, ...]", "list[int] | tuple[int, ...]", int]
"""When events begin to count and when they stop: starts, and ends less the third, each sorted."""


class Event(NamedTuple):
    """One event of a contact; `timestamp`, and `received_at`, by which steps of funnels are ordered too, in ms."""

    id: str
    timestamp: int
    properties: Mapping[str, Any]
    received_at: int = 0


class History:
    """A contact's events of one name, in any order given; kept by timestamp, then id."""

    __slots__ = ("events", "times")

    def __init__(self, events: Iterable[Event]) -> None:
        self.events = sorted(events, key=lambda event: (event.timestamp, event.id))
        self.times = [event.timestamp for event in self.events]


class Piece(Protocol):
    """A number over a span of time in which it never turns: from the moment asked for to just before `until`."""

    @property
    def until(self) -> int:
        """The moment at which another piece begins; NEVER if none does."""

    @property
    def begin(self) -> float:
        """The number at the moment asked for."""

    @property
    def end(self) -> float:
        """The number just before `until`, or at the last moment of all."""

    def value(self, moment: int) -> float:
        """The number at a moment of the span."""

    def estimate(self, value: float) -> float | None:
        """About when it reaches `value`; None if it does not."""


class Score(Protocol):
    """A number that changes by itself."""

    def piece(self, facts: "Facts", now: int) -> Piece:
        """The number from `now` on."""


class Segment(Protocol):
    """Rules of a dynamic segment, for other rules that name it."""

    @property
    def judge(self) -> Judge:
        """Whether the contact belongs to it."""

    @property
    def segments(self) -> frozenset[str]:
        """The segments that it names itself."""


@dataclass(frozen=True, slots=True)
class Facts:
    """One contact at one state of its data; when data change, make a new one.

    An absent email, moment or score is None. `campaigns` has the set of `sent opened clicked` by campaign id,
    `events` the history by name, `scores` by `engagement` and `lead`. `segments` has compiled rules, or membership in
    a static segment, by id; an id that is missing is no membership.
    """

    email: str | None = None
    external_id: str | None = None
    created_at: int | None = None
    last_seen_at: int | None = None
    tags: list[str] = field(default_factory=list)
    traits: Mapping[str, Any] = field(default_factory=dict)
    referral_stats: Mapping[str, int | float] = field(default_factory=dict)
    last_nps_score: int | float | None = None
    last_csat_score: int | float | None = None
    campaigns: Mapping[str, Set[str]] = field(default_factory=dict)
    cause: Mapping[str, Any] = field(default_factory=dict)
    """Properties of the event by which something was started, where rules may read them."""
    events: Mapping[str, History] = field(default_factory=dict)
    scores: Mapping[str, Score] = field(default_factory=dict)
    segments: Mapping[str, Segment | bool] = field(default_factory=dict)

    # What was worked out once, for all rules that are evaluated for this contact.
    settled: dict[tuple[str, int], Reading] = field(default_factory=dict, init=False, repr=False, compare=False)
    pieces: dict[tuple[str, int], Piece] = field(default_factory=dict, init=False, repr=False, compare=False)
    lines: dict[object, Line] = field(default_factory=dict, init=False, repr=False, compare=False)
