"""Random histories as acts on the product's public surface, and random questions about them, for the oracle's tests.

Moments lie where they hurt: at changes of the clock, at midnights, at the ends of months, as long before and after one
another as windows last. Two moments of receipt differ wherever the contract lets receipt alone decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, TypeVar

from hypothesis import strategies as st

from chalicelib.features.analytics.model import (
    CohortQuestion,
    Filter,
    FunnelQuestion,
    Interval,
    Measure,
    Path,
    Question,
    Scalar,
    Series,
    Span,
    Step,
)
from tests.support.analytics_oracle import DAY, SECOND, midnight
from tests.support.analytics_people import CALLS, NAMES, Act, Kind, Preference

T = TypeVar("T")

MINUTE, HOUR = 60 * SECOND, 60 * 60 * SECOND
START = 1_826_625_600_137
"""The first receipt: noon (UTC) of 2027-11-19. No moment that a caller gives has its milliseconds."""

CHANGES: dict[str, tuple[str, ...]] = {
    "America/New_York": ("2026-03-08T07:00", "2026-11-01T06:00", "2027-03-14T07:00", "2027-11-07T06:00"),
    "Europe/London": ("2026-03-29T01:00", "2026-10-25T01:00", "2027-03-28T01:00", "2027-10-31T01:00"),
    "Australia/Lord_Howe": ("2026-04-04T15:00", "2026-10-03T15:30", "2027-04-03T15:00", "2027-10-02T15:30"),
    "Africa/Casablanca": ("2026-02-15T02:00", "2026-03-22T02:00", "2027-02-07T02:00", "2027-03-14T02:00"),
    "America/St_Johns": ("2026-03-08T05:30", "2026-11-01T04:30", "2027-03-14T05:30", "2027-11-07T04:30"),
    "Asia/Kolkata": ("2026-11-01T06:00",),
    "Asia/Kathmandu": ("2026-11-01T06:00",),
}
"""When the offset changes, in UTC; of those zones where it never does, some moment."""

_EDGES = (date(2026, 3, 1), date(2026, 11, 2), date(2027, 1, 1), date(2027, 11, 1), date(2027, 11, 15))
"""Beginnings of months, of weeks and of a year."""

_STEPS = (0, 1, SECOND, MINUTE, 30 * MINUTE, HOUR, 90 * MINUTE, DAY - HOUR, DAY, DAY + HOUR, 7 * DAY, 30 * DAY)
_DISTANCES = tuple(sorted({sign * each for each in _STEPS for sign in (-1, 1)}))

USERS, VISITORS = ("ann", "ben", "o'neill"), ("v", "ann")
"""One visitor's id is a user's too."""

EVENTS = ("visit", "signup", "pay", "';--", 'é "vent" \\ 漢')
SCALARS: tuple[Scalar, ...] = (
    *(1, 1.0, True, "1", "true", 0, False, -2.5, 0.1, 1e-7, 1e16, 1e22, 9_007_199_254_740_993),
    *("", "True", "pro", "PRO", "größe 漢字 🚀", 'say "hi"', "back\\slash", "';--", "50%_", "a.b", "null", " pro "),
)


def weighed(*choices: tuple[int, st.SearchStrategy[T]]) -> st.SearchStrategy[T]:
    """One of the strategies, each as often as its weight says; `one_of` takes the same one twice for one."""
    all_of = [strategy for weight, strategy in choices for _ in range(weight)]
    return st.sampled_from(all_of).flatmap(lambda one: one)


def mostly(those: Sequence[T], others: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """One of those, where there are any; sometimes another."""
    return weighed((4, st.sampled_from(those)), (1, others)) if those else others


VALUES = st.sampled_from(SCALARS) | st.sampled_from((None, [1, "pro"], [], {}, {"b": 1}, 1, "pro", "pro"))
KEYS = ("plan", "plan", "a", "a.b", "a.b.c", "größe", "it's", 'q"x', "back\\s", "[0]", "list")
PATHS = (*KEYS, "$.plan", "missing", "a.c", "list.0", "plan.x")
_NESTED = st.one_of(
    st.fixed_dictionaries({"a": st.fixed_dictionaries({}, optional={"b": VALUES, "b.c": VALUES, "c": VALUES})}),
    st.fixed_dictionaries({"a": st.fixed_dictionaries({"b": st.fixed_dictionaries({"c": VALUES})})}),
)
_PLANS = st.sampled_from(("pro", "pro", "free", 1, 1.0, True, "1", None)).map(lambda plan: {"plan": plan})
FREE = weighed((5, _PLANS), (2, st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3)), (1, _NESTED))


@dataclass(frozen=True, slots=True)
class History:
    """Acts in the order of their receipt, the zone of the project, and the moment at which questions are asked.

    Most happens near the moments of `focus`.
    """

    zone: str
    acts: list[Act]
    now: int
    focus: tuple[int, ...]


def changes(zone: str) -> list[int]:
    """The moments of `CHANGES`."""
    return [parsed(each) for each in CHANGES[zone]]


def parsed(text: str) -> int:
    """A moment of `CHANGES`."""
    day, _, time = text.partition("T")
    hour, minute = map(int, time.split(":"))
    return midnight(date.fromisoformat(day), "UTC") + hour * HOUR + minute * MINUTE


def anchors(zone: str) -> list[int]:
    """Moments in whole seconds near which things happen."""
    edges = [midnight(each, zone) for each in _EDGES]
    # What is near to now is not so far from being the half of all.
    lately = [START - START % SECOND, midnight(date(2027, 11, 19), zone), midnight(date(2027, 11, 20), zone)]
    return [*changes(zone), *edges, *lately, *lately]


def moments(focus: Sequence[int]) -> st.SearchStrategy[int]:
    return st.tuples(st.sampled_from(focus), st.sampled_from(_DISTANCES)).map(sum)


# Acts.


@dataclass(frozen=True, slots=True)
class _Cast:
    """Near which moments a history happens, and the names of what is tracked in it."""

    focus: tuple[int, ...]
    events: list[str]


@st.composite
def histories(draw: st.DrawFn, most: int) -> History:
    """Up to `most` acts; the ids of messages are not in the order of their receipt."""
    zone = draw(st.sampled_from(sorted(CHANGES)))
    focus = tuple(draw(st.lists(st.sampled_from(anchors(zone)), min_size=1, max_size=2)))
    cast = _Cast(focus, draw(st.lists(st.sampled_from(EVENTS), min_size=1, max_size=2)))
    received_at = START
    acts: list[Act] = []
    for n in range(draw(st.integers(most // 2, most))):
        act = draw(_acts(acts, cast))
        is_plain = act.kind in ("track", "page") and (act.user is None or act.visitor is None)
        gaps = (0, SECOND, MINUTE) if is_plain and acts and acts[-1].kind == act.kind else (SECOND, 10 * MINUTE)
        received_at += draw(st.sampled_from(gaps))
        if act.kind == "identify" and act.timestamp is not None and 0 < act.timestamp - received_at <= HOUR:
            # Whether a PATCH wins against a trait of the future is not to be asked.
            act = replace(act, timestamp=None)
        has_id = act.message_id is None and (not is_plain or draw(st.booleans()))
        ident = f"m{(n * 37) % 101:03}" if has_id else act.message_id
        acts.append(replace(act, received_at=received_at, message_id=ident))
    return History(zone, acts, received_at + draw(st.sampled_from((1, SECOND, HOUR))), focus)


def _acts(before: list[Act], cast: _Cast) -> st.SearchStrategy[Act]:
    """Any act; `message_id` is only of those that are sent again."""
    known = sorted({each.user for each in before if each.user is not None})
    choices = [(20, _said(cast)), (1, _deletes())]
    if known:
        choices += [(2, _patches(known)), (2, _merges(known))]
    again = [each for each in before if each.message_id is not None and each.kind in CALLS]
    if again:
        choices.append((1, st.sampled_from(again)))
        # Another event under an id that was there.
        doubled = st.builds(
            lambda act, one: replace(act, message_id=one.message_id), _said(cast), st.sampled_from(again)
        )
        choices.append((1, doubled))
    return weighed(*choices)


@st.composite
def _said(draw: st.DrawFn, cast: _Cast) -> Act:
    kind: Kind = draw(st.sampled_from(("track", "track", "track", "track", "page", "identify")))
    user = draw(weighed((1, st.none()), (3, st.sampled_from(USERS))))
    visitor = draw(weighed((1, st.sampled_from(VISITORS)), (4, st.none())) if user else st.sampled_from(VISITORS))
    named = {"track": st.sampled_from(cast.events), "page": st.sampled_from(("", "Home"))}.get(kind, st.just(""))
    return Act(
        kind=kind,
        received_at=0,
        user=user,
        visitor=visitor,
        event=draw(named),
        timestamp=draw(weighed((1, st.none()), (3, moments(cast.focus)))),
        imported=draw(st.integers(0, 7)) == 0,
        properties=draw(FREE) if kind != "identify" else {},
        traits=draw(FREE) if kind == "identify" else {},
    )


def _patches(known: Sequence[str]) -> st.SearchStrategy[Act]:
    return st.builds(
        lambda user, traits: Act(kind="patch", received_at=0, user=user, traits=traits),
        st.sampled_from(known),
        FREE.filter(bool),
    )


def _merges(known: Sequence[str]) -> st.SearchStrategy[Act]:
    preferences: tuple[Preference, ...] = ("prefer_target", "prefer_source", "newest")
    return st.builds(
        lambda user, source, how: Act(kind="merge", received_at=0, user=user, source=source, preference=how),
        *(st.sampled_from(known), st.sampled_from(known), st.sampled_from(preferences)),
    )


def _deletes() -> st.SearchStrategy[Act]:
    return st.builds(
        lambda user, visitor: Act(kind="delete", received_at=0, user=user, visitor=None if user else visitor),
        *(st.none() | st.sampled_from(USERS), st.sampled_from(VISITORS)),
    )


# Questions.


class Asking:
    """What may be asked of a history: mostly of names, paths and values that are in it."""

    def __init__(self, history: History) -> None:
        self._zone, self._focus = history.zone, history.focus
        happened = {NAMES.get(each.kind, each.event) for each in history.acts if each.kind in CALLS}
        said = [(Path("traits", name), value) for each in history.acts for name, value in _scalars(each.traits)]
        done = [(Path("properties", name), value) for each in history.acts for name, value in _scalars(each.properties)]
        some_path = st.builds(Path, st.sampled_from(("traits", "properties")), st.sampled_from(PATHS))
        some_filter = st.builds(
            Filter, some_path, st.lists(st.sampled_from(SCALARS), min_size=1, max_size=6).map(tuple)
        )
        self._names = mostly(sorted(happened), st.sampled_from(("never", "$identify", *EVENTS)))
        self._paths = mostly([path for path, _ in said + done], some_path)
        passing = [Filter(path, (value, "pro")) for path, value in said + done]
        self._filter = mostly(passing, some_filter)
        self._steps = st.builds(Step, self._names, weighed((2, st.just(())), (1, self._filters())))

    def questions(self) -> st.SearchStrategy[Question]:
        """Any question."""
        return weighed((2, self.series()), (1, self.funnels()), (1, self.cohorts()))

    def _filters(self) -> st.SearchStrategy[tuple[Filter, ...]]:
        """Mostly none."""
        none: st.SearchStrategy[tuple[Filter, ...]] = st.just(())
        return weighed((3, none), (1, st.tuples(self._filter)), (1, st.tuples(self._filter, self._filter)))

    def _spans(self, longest: int) -> st.SearchStrategy[Span]:
        """Most of them hold one of the moments near which things happen."""
        steps = [each for each in (*_STEPS, longest // 2) if 2 * each <= longest]
        around = st.builds(
            lambda middle, before, after: Span(middle - before, max(middle + after, middle - before + 1), self._zone),
            *(st.sampled_from(self._focus), st.sampled_from(steps[::-1]), st.sampled_from(steps[::-1])),
        )
        anywhere = st.builds(
            lambda since, until: Span(since, min(since + longest, max(since + 1, until)), self._zone),
            *(moments(self._focus), moments(self._focus)),
        )
        return weighed((3, around), (1, anywhere))

    def series(self) -> st.SearchStrategy[Series]:
        intervals: tuple[Interval, ...] = ("hour", "day", "week", "month")
        measures: tuple[Measure, ...] = ("event_count", "unique_contacts")
        return st.sampled_from(intervals).flatmap(
            lambda interval: st.builds(
                Series,
                measure=st.sampled_from(measures),
                event=st.none() | self._names,
                interval=st.just(interval),
                span=self._spans(_LONGEST[interval]),
                filters=self._filters(),
                group_by=st.none() | self._paths,
            )
        )

    def funnels(self) -> st.SearchStrategy[FunnelQuestion]:
        steps = st.sampled_from((2, 2, 3, 5)).flatmap(
            lambda most: st.lists(self._steps, min_size=most // 2, max_size=most)
        )
        return st.builds(FunnelQuestion, steps.map(tuple), st.sampled_from(_WINDOWS), self._spans(800 * DAY))

    def cohorts(self) -> st.SearchStrategy[CohortQuestion]:
        return st.builds(
            CohortQuestion,
            entry=self._steps,
            comeback=self._steps,
            interval=st.sampled_from(("week", "month")),
            periods=st.integers(1, 6),
            span=self._spans(120 * DAY),
        )


_WINDOWS = (365 * DAY, 365 * DAY, 30 * DAY, 30 * DAY, 7 * DAY, DAY, DAY, HOUR, SECOND)
_LONGEST: dict[Interval, int] = {"hour": 4 * DAY, "day": 70 * DAY, "week": 400 * DAY, "month": 800 * DAY}


def _scalars(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Scalar]]:
    """The paths of what can be compared in free-form values, and that."""
    found: list[tuple[str, Scalar]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            found += _scalars(value, f"{prefix}{name}.")
        elif isinstance(value, str | int | float):
            found.append((prefix + name, value))
    return found
