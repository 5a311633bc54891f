"""The oracle of analytics on examples that were worked out by hand."""

from typing import Any, Literal

import pytest

from chalicelib.core.clock import parse_instant
from chalicelib.features.analytics.model import (
    CohortQuestion,
    Filter,
    FunnelQuestion,
    Path,
    Scalar,
    Series,
    Span,
    Step,
)
from tests.support import analytics_oracle as oracle
from tests.support.analytics_histories import START
from tests.support.analytics_oracle import NONE, OTHER, SECOND, Answer, Happened, World
from tests.support.analytics_people import Act, world_of

MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
NOON = parse_instant("2026-11-02T12:00:00Z")
"""A Monday's."""

NEW_YORK = "America/New_York"
WEEK = Span(NOON - 12 * HOUR, NOON + 156 * HOUR, "UTC")
LATER = NOON + 60 * DAY


def happened(n: int, who: str, name: str, at: int, received: int = 0, /, **properties: Any) -> Happened:
    return Happened(f"e{n:03}", who, name, "track", at, received or at, properties)


def world(*events: tuple[str, str, int], **traits: dict[str, Any]) -> World:
    """Who did what, how long after noon."""
    return World([happened(n, who, name, NOON + at) for n, (who, name, at) in enumerate(events)], traits)


# Series.


def counted(those: World, /, **fields: Any) -> Answer:
    asked: dict[str, Any] = {"measure": "event_count", "event": "x", "span": WEEK} | fields
    return oracle.answer(those, Series(**asked), LATER)


def test_every_bucket_is_there_and_contacts_count_once_in_each_and_once_in_all() -> None:
    those = world(("a", "x", 0), ("a", "x", 1), ("b", "x", DAY), ("a", "x", DAY), ("a", "y", DAY), ("a", "x", 7 * DAY))
    by_day = [f"2026-11-{day:02}" for day in range(2, 9)]
    told = counted(those, interval="day")
    assert told["data"] == [{"date": day, "count": n} for day, n in zip(by_day, (2, 2, 0, 0, 0, 0, 0), strict=True)]
    assert (told["type"], told["total"], told["as_of"]) == ("event_count", 4, "2027-01-01T12:00:00Z")
    told = counted(those, interval="day", measure="unique_contacts")
    assert [each["count"] for each in told["data"]] == [1, 2, 0, 0, 0, 0, 0]
    assert told["total"] == 2


def test_an_event_of_the_last_moment_counts_and_one_of_the_next_does_not() -> None:
    those = world(("a", "x", -1), ("a", "x", 0), ("a", "x", HOUR - 1), ("a", "x", HOUR))
    told = counted(those, interval="month", span=Span(NOON, NOON + HOUR, "UTC"))
    assert told["data"] == [{"date": "2026-11-01", "count": 2}]


def test_any_event_is_one_that_a_caller_sent() -> None:
    those = world(("a", "x", 0), ("a", "y", 0))
    those.events.append(Happened("s", "a", "$identity_conflict", "system", NOON, NOON))
    assert counted(those, interval="week", event=None)["total"] == 2
    assert counted(those, interval="week", event="$identity_conflict")["total"] == 1


def test_the_repeated_hour_has_two_buckets() -> None:
    change = parse_instant("2026-11-01T06:00:00Z")
    those = World([happened(n, "a", "x", change + at) for n, at in enumerate((-1, 0, HOUR - 1, HOUR))], {})
    told = counted(those, interval="hour", span=Span(change - HOUR, change + 2 * HOUR, NEW_YORK))
    assert told["data"] == [
        {"date": "2026-11-01T01:00:00-04:00", "count": 1},
        {"date": "2026-11-01T01:00:00-05:00", "count": 2},
        {"date": "2026-11-01T02:00:00-05:00", "count": 1},
    ]


@pytest.mark.parametrize(
    ("has", "wanted", "passes"),
    [
        (1, 1.0, True),
        (1.0, 1, True),
        (True, 1, False),
        (1, True, False),
        ("1", 1, False),
        ("true", True, False),
        (True, True, True),
        ("pro", "PRO", False),
        (["pro"], "pro", False),
        (None, "null", False),
    ],
)
def test_filters_are_typed(has: Any, wanted: Scalar, passes: bool) -> None:
    those = world(("a", "x", 0), a={"plan": has})
    only = (Filter(Path("traits", "plan"), ("never", wanted)),)
    assert counted(those, interval="week", filters=only)["total"] == passes


def test_paths_are_keys_first_and_ways_into_objects_then() -> None:
    assert oracle.find({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert oracle.find({"a.b": None, "a": {"b": 2}}, "a.b") is None
    assert oracle.find({"a": {"b.c": 3}}, "a.b.c") == 3
    assert oracle.find({"a.b": {"c": 4}}, "a.b.c") is None
    assert oracle.find({"a": [5]}, "a.0") is None


def test_groups_are_told_by_their_text_and_what_has_none_together() -> None:
    values: list[Any] = [5, "5", 5.0, True, "true", None, [1], {"a": 1}, "", 1e-7, 1e22, 2.5]
    those = World([happened(n, "a", "x", NOON, p=each) for n, each in enumerate(values)], {})
    those.events.append(happened(99, "a", "x", NOON))
    told = counted(those, interval="week", group_by=Path("properties", "p"))
    groups = {"5": 3, "true": 2, NONE: 4, "": 1, "1e-7": 1, str(10**22): 1, "2.5": 1}
    assert told["data"] == [{"date": "2026-11-02", "groups": groups}]


@pytest.mark.parametrize("measure", ["event_count", "unique_contacts"])
def test_the_greatest_50_groups_of_the_whole_span_are_told_and_the_others_together(measure: str) -> None:
    # Two each of 49, three of those that come last, and one each of another two: of these the lesser name is the 50th.
    names = [f"g{n:02}" for n in range(49) for _ in range(2)] + ["z"] * 3 + ["y1", "y2", "y2b"]
    those = World([happened(n, f"c{n}", "x", NOON, p=name) for n, name in enumerate(names)], {})
    those.events.append(happened(200, "c0", "x", NOON + DAY, p="y2b"))
    those.events.append(happened(201, "c0", "x", NOON + DAY))
    told = counted(those, interval="day", measure=measure, group_by=Path("properties", "p"))
    first, second, *rest = (each["groups"] for each in told["data"])
    # `y2b` has two by now, so that only 49 of those with two are left beside `z`.
    assert first == {f"g{n:02}": 2 for n in range(49)} | {"z": 3, OTHER: 3}
    assert second == {OTHER: 1, NONE: 1}
    assert rest == [{}] * 5
    assert told["total"] == (106 if measure == "event_count" else 104)


# Funnels.


def stepped(those: World, *names: str, window: int = DAY, now: int = LATER, span: Span = WEEK) -> list[Answer]:
    question = FunnelQuestion(tuple(map(Step, names)), window, span)
    told: list[Answer] = oracle.answer(those, question, now)["steps"]
    return told


def counts(steps: list[Answer]) -> list[int]:
    return [each["count"] for each in steps]


def test_how_far_each_gets_and_how_long_it_takes() -> None:
    those = world(
        *(("a", "x", 0), ("a", "y", MINUTE), ("a", "z", 3 * MINUTE)),
        *(("b", "x", 0), ("b", "y", 4 * MINUTE)),
        *(("c", "y", 0), ("c", "x", MINUTE)),
    )
    told = stepped(those, "x", "y", "z")
    assert counts(told) == [3, 2, 1]
    assert [each["conversion_rate"] for each in told] == [1.0, 0.6667, 0.3333]
    assert [each["step_conversion_rate"] for each in told] == [1.0, 0.6667, 0.5]
    assert [each["median_time_to_convert"] for each in told] == [None, 150.0, 120.0]
    assert [each["still_open"] for each in told] == [0, 0, 0]


def test_nobody_at_all() -> None:
    told = stepped(world(("a", "y", 0)), "x", "y")
    assert counts(told) == [0, 0]
    assert {(each["conversion_rate"], each["step_conversion_rate"]) for each in told} == {(None, None)}


def test_one_event_is_one_step() -> None:
    assert counts(stepped(world(("a", "x", 0)), "x", "x")) == [1, 0]
    assert counts(stepped(world(("a", "x", 0), ("a", "x", 1)), "x", "x", "x")) == [1, 1, 0]


def test_the_window_includes_its_end_and_runs_from_the_first_step() -> None:
    those = world(
        ("a", "x", 0), ("a", "y", HOUR), ("a", "z", DAY), ("b", "x", 0), ("b", "y", HOUR), ("b", "z", DAY + 1)
    )
    assert counts(stepped(those, "x", "y", "z")) == [2, 2, 1]


def test_the_best_attempt_counts_and_of_equal_ones_the_first() -> None:
    late = world(("a", "x", 0), ("a", "x", DAY), ("a", "y", 2 * DAY))
    told = stepped(late, "x", "y")
    assert (counts(told), told[1]["median_time_to_convert"]) == ([1, 1], 86_400.0)
    equal = world(("a", "x", 0), ("a", "x", HOUR), ("a", "y", 2 * HOUR))
    assert stepped(equal, "x", "y")[1]["median_time_to_convert"] == 7_200.0


def test_ties_in_time_are_broken_by_receipt_and_then_by_id() -> None:
    received = World([happened(1, "a", "y", NOON, NOON + 2), happened(2, "a", "x", NOON, NOON + 1)], {})
    assert counts(stepped(received, "x", "y")) == [1, 1]
    ids = World([happened(1, "a", "y", NOON), happened(2, "a", "x", NOON)], {})
    assert counts(stepped(ids, "x", "y")) == [1, 0]
    assert counts(stepped(ids, "y", "x")) == [1, 1]


def test_the_first_step_is_within_the_range_and_the_others_may_come_after() -> None:
    span = Span(NOON, NOON + HOUR, "UTC")
    those = world(("a", "x", HOUR - 1), ("a", "y", 2 * HOUR), ("b", "x", HOUR), ("b", "y", 2 * HOUR), ("c", "x", -1))
    assert counts(stepped(those, "x", "y", span=span)) == [1, 1]


@pytest.mark.parametrize(("now", "is_open"), [(NOON + DAY, 1), (NOON + DAY + 1, 0)])
def test_an_attempt_is_open_as_long_as_its_window_runs(now: int, is_open: int) -> None:
    told = stepped(world(("a", "x", 0), ("a", "y", HOUR)), "x", "y", "z", now=now)
    assert [each["still_open"] for each in told] == [0, is_open, 0]
    done = stepped(world(("a", "x", 0), ("a", "y", HOUR)), "x", "y", now=now)
    assert [each["still_open"] for each in done] == [0, 0]


def test_a_later_attempt_that_is_as_far_keeps_it_open() -> None:
    those = world(("a", "x", 0), ("a", "x", HOUR), ("b", "x", 0), ("b", "y", 1), ("b", "x", HOUR))
    told = stepped(those, "x", "y", "z", now=NOON + DAY + HOUR)
    assert [each["still_open"] for each in told] == [1, 0, 0]


def test_steps_have_filters_of_their_own() -> None:
    those = World([happened(1, "a", "x", NOON, p=1), happened(2, "a", "x", NOON + 1, p=2)], {"a": {"plan": "pro"}})
    one, two = (Step("x", (Filter(Path("properties", "p"), (n,)),)) for n in (1, 2))
    pro = Step("x", (Filter(Path("traits", "plan"), ("pro",)),))
    assert counts(oracle.funnel(those, FunnelQuestion((one, two), DAY, WEEK), LATER)["steps"]) == [1, 1]
    assert counts(oracle.funnel(those, FunnelQuestion((two, one), DAY, WEEK), LATER)["steps"]) == [1, 0]
    assert counts(oracle.funnel(those, FunnelQuestion((pro, pro), DAY, WEEK), LATER)["steps"]) == [1, 1]


# Cohorts.


def told_of(those: World, interval: Literal["week", "month"], span: Span, now: int, periods: int = 3) -> list[Answer]:
    question = CohortQuestion(Step("in"), Step("back"), interval, periods, span)
    told: list[Answer] = oracle.answer(those, question, now)["data"]
    return told


def figures_of(row: Answer) -> list[tuple[int, int, float | None]]:
    return [(each["period"], each["count"], each["rate"]) for each in row["retention"]]


def test_cohorts_of_months() -> None:
    def moment(text: str) -> int:
        return parse_instant(text)

    those = World(
        [
            happened(1, "a", "in", moment("2026-11-30T23:59:59Z")),
            happened(2, "a", "back", moment("2026-12-31T23:59:59Z")),
            happened(3, "a", "back", moment("2027-01-01T00:00:00Z")),
            happened(4, "b", "in", moment("2026-11-02T00:00:00Z")),
            happened(5, "b", "in", moment("2026-12-02T00:00:00Z")),
            happened(6, "b", "back", moment("2026-11-03T00:00:00Z")),
            happened(7, "c", "in", moment("2026-12-05T00:00:00Z")),
            happened(8, "c", "back", moment("2027-02-01T00:00:00Z")),
            happened(9, "c", "back", moment("2027-02-02T00:00:00Z")),
        ],
        {},
    )
    span = Span(moment("2026-10-20T00:00:00Z"), moment("2026-12-31T00:00:00Z"), "UTC")
    october, november, december = told_of(those, "month", span, moment("2027-02-10T00:00:00Z"))
    assert (october["cohort"], october["size"]) == ("2026-10-01", 0)
    assert figures_of(october) == [(n, 0, None) for n in range(4)]
    assert (november["cohort"], november["size"]) == ("2026-11-01", 2)
    assert figures_of(november) == [(0, 2, 1.0), (1, 1, 0.5), (2, 1, 0.5), (3, 0, 0.0)]
    assert (december["cohort"], december["size"]) == ("2026-12-01", 1)
    assert figures_of(december) == [(0, 1, 1.0), (1, 0, 0.0), (2, 1, 1.0)]


def test_a_week_of_a_cohort_is_the_zones() -> None:
    # In London the second week begins at midnight UTC, in New York five hours later.
    those = world(("a", "in", 0), ("a", "back", 6 * DAY + 13 * HOUR))
    for zone, expected in (("Europe/London", [1, 1]), (NEW_YORK, [1, 0])):
        (row,) = told_of(those, "week", Span(NOON, NOON + DAY, zone), LATER, 1)
        assert [each["count"] for each in row["retention"]] == expected


def test_a_period_that_has_not_begun_is_left_out() -> None:
    begins = NOON + 156 * HOUR
    for now, periods in ((begins - 1, 1), (begins, 2)):
        (row,) = told_of(world(("a", "in", 0)), "week", WEEK, now)
        assert len(row["retention"]) == periods


# The overview, and who is who.


def test_figures_of_the_overview() -> None:
    now = parse_instant("2026-11-02T04:59:59Z")
    today = parse_instant("2026-11-01T04:00:00Z")
    moments = (today - 1, today, now, now + 1, now - 30 * DAY, now - 30 * DAY + 1, today - 30 * DAY - 1)
    those = World([happened(n, f"c{n}", "x", at) for n, at in enumerate(moments)], {})
    assert oracle.figures(those, NEW_YORK, now) == {"contacts_30d": 4, "events_today": 2, "events_avg_daily": 0.1}


def test_what_a_visitor_did_is_of_whom_it_signed_in_as_first_and_goes_with_that_one() -> None:
    def act(kind: Any, seconds: int, **fields: Any) -> Act:
        return Act(kind=kind, received_at=START + seconds * SECOND, **fields)

    acts = [
        act("track", 0, visitor="v", event="x", message_id="m1"),
        act("track", 1, visitor="v", event="x", message_id="m1"),
        act("identify", 2, user="ann", visitor="v", message_id="m2", traits={"plan": "pro"}),
        act("track", 3, user="ben", visitor="v", event="y", message_id="m3", timestamp=START - DAY),
        act("patch", 4, user="ben", traits={"plan": "free"}),
    ]
    assert [(each.contact_id, each.name) for each in world_of(acts).events] == [
        ("a:v#0", "x"),
        ("u:ann#0", "$identify"),
        ("a:v#0", "y"),
    ]
    acts.append(act("merge", 5, user="ann", source="ben", preference="prefer_source"))
    merged = world_of(acts)
    assert {each.contact_id for each in merged.events} == {"a:v#0"}
    assert merged.traits == {"a:v#0": {"plan": "free"}}
    acts += [act("delete", 6, visitor="v"), act("track", 7, user="ben", event="z")]
    assert [(each.contact_id, each.name) for each in world_of(acts).events] == [("u:ben#1", "z")]
