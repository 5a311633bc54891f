"""Random histories as acts on the product's public surface, and random questions about them, for the oracle's tests.

Moments lie where they hurt: at changes of the clock, at midnights, at the ends of months, as long before and after one
another as windows last. Two moments of receipt differ wherever the contract lets receipt alone decide.
"""

from dataclasses import dataclass, replace
from datetime import date

from hypothesis import strategies as st

from chalicelib.features.analytics.model import (
    CohortQuestion,
    Filter,
    FunnelQuestion,
    Interval,
    Path,
    Question,
    Scalar,
    Series,
    Span,
    Step,
)
from tests.support.analytics_oracle import DAY, SECOND, midnight
from tests.support.analytics_people import Act, Kind, Preference

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

USERS, VISITORS = ("ann", "ben", "cyd", "o'neill"), ("v", "w", "ann")
"""One visitor's id is a user's too."""

EVENTS = ("visit", "signup", "pay", "';--", 'é "vent" \\ 漢')
SCALARS: tuple[Scalar, ...] = (
    *(1, 1.0, True, "1", "true", 0, False, -2.5, 0.1, 1e-7, 1e16, 1e22, 9_007_199_254_740_993),
    *("", "True", "pro", "PRO", "größe 漢字 🚀", 'say "hi"', "back\\slash", "';--", "50%_", "a.b", "null", " pro "),
)
VALUES = st.sampled_from(SCALARS) | st.sampled_from((None, [1, "pro"], [], {}, {"b": 1}, 1, "pro", "pro"))
KEYS = ("plan", "plan", "a", "a.b", "a.b.c", "größe", "it's", 'q"x', "back\\s", "[0]", "list")
PATHS = (*KEYS, "$.plan", "missing", "a.c", "list.0", "plan.x")
_NESTED = st.one_of(
    st.fixed_dictionaries({"a": st.fixed_dictionaries({}, optional={"b": VALUES, "b.c": VALUES, "c": VALUES})}),
    st.fixed_dictionaries({"a": st.fixed_dictionaries({"b": st.fixed_dictionaries({"c": VALUES})})}),
)
FREE = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3) | _NESTED


@dataclass(frozen=True, slots=True)
class History:
    """Acts in the order of their receipt, the zone of the project, and the moment at which questions are asked."""

    zone: str
    acts: list[Act]
    now: int


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


def moments(zone: str) -> st.SearchStrategy[int]:
    return st.tuples(st.sampled_from(anchors(zone)), st.sampled_from(_DISTANCES)).map(sum)


# Acts.


@st.composite
def histories(draw: st.DrawFn, most: int) -> History:
    """Up to `most` acts; the ids of messages are not in the order of their receipt."""
    zone = draw(st.sampled_from(sorted(CHANGES)))
    received_at = START
    acts: list[Act] = []
    for n in range(draw(st.integers(1, most))):
        act = draw(_acts(acts, zone))
        is_plain = act.kind in ("track", "page") and (act.user is None or act.visitor is None)
        gaps = (0, SECOND, MINUTE) if is_plain and acts and acts[-1].kind == act.kind else (SECOND, 10 * MINUTE)
        received_at += draw(st.sampled_from(gaps))
        if act.kind == "identify" and act.timestamp is not None and 0 < act.timestamp - received_at <= HOUR:
            # Whether a PATCH wins against a trait of the future is not to be asked.
            act = replace(act, timestamp=None)
        has_id = act.message_id is None and (not is_plain or draw(st.booleans()))
        ident = f"m{(n * 37) % 101:03}" if has_id else act.message_id
        acts.append(replace(act, received_at=received_at, message_id=ident))
    return History(zone, acts, received_at + draw(st.sampled_from((1, SECOND, HOUR))))


def _acts(before: list[Act], zone: str) -> st.SearchStrategy[Act]:
    """Any act; `message_id` is only of those that are sent again."""
    calls = [_said(zone)] * 12
    others = [_patches(), _merges(), _deletes()]
    again = [each for each in before if each.message_id is not None and each.kind in ("track", "page", "identify")]
    if again:
        others.append(st.sampled_from(again))
        # Another event under an id that was there.
        doubled = st.builds(
            lambda act, one: replace(act, message_id=one.message_id), _said(zone), st.sampled_from(again)
        )
        others.append(doubled)
    return st.sampled_from([*calls, *others]).flatmap(lambda one: one)


@st.composite
def _said(draw: st.DrawFn, zone: str) -> Act:
    kind: Kind = draw(st.sampled_from(("track", "track", "track", "track", "page", "identify")))
    user = draw(st.none() | st.sampled_from(USERS) | st.sampled_from(USERS))
    visitor = draw(st.sampled_from(VISITORS) | (st.none() if user else st.nothing()))
    named = {"track": st.sampled_from(EVENTS), "page": st.sampled_from(("", "Home"))}.get(kind, st.just(""))
    return Act(
        kind=kind,
        received_at=0,
        user=user,
        visitor=visitor,
        event=draw(named),
        timestamp=draw(st.none() | moments(zone) | moments(zone)),
        imported=draw(st.integers(0, 7)) == 0,
        properties=draw(FREE) if kind != "identify" else {},
        traits=draw(FREE) if kind == "identify" else {},
    )


def _patches() -> st.SearchStrategy[Act]:
    return st.builds(
        lambda user, traits: Act(kind="patch", received_at=0, user=user, traits=traits),
        st.sampled_from(USERS),
        FREE.filter(bool),
    )


def _merges() -> st.SearchStrategy[Act]:
    preferences: tuple[Preference, ...] = ("prefer_target", "prefer_source", "newest")
    return st.builds(
        lambda user, source, how: Act(kind="merge", received_at=0, user=user, source=source, preference=how),
        *(st.sampled_from(USERS), st.sampled_from(USERS), st.sampled_from(preferences)),
    )


def _deletes() -> st.SearchStrategy[Act]:
    return st.builds(
        lambda user, visitor: Act(kind="delete", received_at=0, user=user, visitor=None if user else visitor),
        *(st.none() | st.sampled_from(USERS), st.sampled_from(VISITORS)),
    )


# Questions.

_NAMES = st.sampled_from((*EVENTS[:3], *EVENTS, "$identify", "$page_view", "never"))
_WINDOWS = st.sampled_from((SECOND, MINUTE, HOUR, DAY, 7 * DAY, 30 * DAY, 365 * DAY))
_LONGEST: dict[Interval, int] = {"hour": 4 * DAY, "day": 70 * DAY, "week": 400 * DAY, "month": 800 * DAY}


def paths() -> st.SearchStrategy[Path]:
    return st.builds(Path, st.sampled_from(("traits", "properties")), st.sampled_from(PATHS))


def filters() -> st.SearchStrategy[tuple[Filter, ...]]:
    """Mostly none, or one that something may pass."""
    values = st.lists(st.sampled_from(SCALARS), min_size=1, max_size=6).map(tuple)
    one = st.builds(Filter, paths(), values)
    none: st.SearchStrategy[tuple[Filter, ...]] = st.just(())
    return st.one_of(none, none, st.tuples(one), st.tuples(one, one))


@st.composite
def spans(draw: st.DrawFn, zone: str, longest: int) -> Span:
    """Any, but most of them begin or end near what happens."""
    since = draw(moments(zone))
    if draw(st.booleans()):
        until = since + draw(st.sampled_from([each for each in (*_STEPS, 60 * DAY, longest) if 0 < each <= longest]))
    else:
        until = min(since + longest, max(since + 1, draw(moments(zone))))
    return Span(since, until, zone)


def steps(filtered: st.SearchStrategy[tuple[Filter, ...]]) -> st.SearchStrategy[Step]:
    return st.builds(Step, _NAMES, filtered)


@st.composite
def series(draw: st.DrawFn, zone: str) -> Series:
    interval: Interval = draw(st.sampled_from(("hour", "day", "week", "month")))
    return Series(
        measure=draw(st.sampled_from(("event_count", "unique_contacts"))),
        event=draw(st.none() | _NAMES),
        interval=interval,
        span=draw(spans(zone, _LONGEST[interval])),
        filters=draw(filters()),
        group_by=draw(st.none() | paths()),
    )


@st.composite
def funnels(draw: st.DrawFn, zone: str) -> FunnelQuestion:
    most = draw(st.sampled_from((2, 3, 5)))
    named = draw(st.lists(steps(st.just(()) | filters()), min_size=1, max_size=most))
    return FunnelQuestion(tuple(named), draw(_WINDOWS), draw(spans(zone, 800 * DAY)))


@st.composite
def cohorts(draw: st.DrawFn, zone: str) -> CohortQuestion:
    return CohortQuestion(
        entry=draw(steps(filters())),
        comeback=draw(steps(filters())),
        interval=draw(st.sampled_from(("week", "month"))),
        periods=draw(st.integers(1, 6)),
        span=draw(spans(zone, 120 * DAY)),
    )


def questions(zone: str) -> st.SearchStrategy[Question]:
    return series(zone) | series(zone) | funnels(zone) | cohorts(zone)
