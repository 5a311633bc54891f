"""Funnels in rules: the words of the contract, one example each. Moments in ms."""

from typing import Any

import pytest

from chalicelib.core.clock import DAY, HOUR, iso, parse_instant
from chalicelib.core.errors import ValidationFailed
from chalicelib.core.rules.compiled import Rules, compile_rules
from chalicelib.core.rules.evaluate import Verdict, evaluate, explain
from chalicelib.core.rules.facts import Event, Facts, History
from chalicelib.core.rules.needs import needs, reads
from chalicelib.core.rules.parse import parse

NOW = parse_instant("2026-02-23T10:00:00Z")
STEPS: list[dict[str, Any]] = [{"event": "visit"}, {"event": "signup"}, {"event": "pay"}]


def asked(op: str, step: Any, *, window: str = "7d", within: str = "30d", steps: Any = STEPS) -> dict[str, Any]:
    value = {"steps": steps, "window": window, "step": step, "within": within}
    return {"field": "funnel", "op": op, "value": value}


def tree(*conditions: Any, operator: str = "AND") -> dict[str, Any]:
    return {"operator": operator, "conditions": list(conditions)}


def rules(op: str, step: int, **more: Any) -> Rules:
    return compile_rules(parse(tree(asked(op, step, **more))))


def happened(*told: tuple[str, int] | tuple[str, int, int], **properties: Any) -> Facts:
    """Events as (name, moment, moment of receipt?), named evt_0 and so on; all with the same properties."""
    by_name: dict[str, list[Event]] = {}
    for n, (name, at, *received) in enumerate(told):
        by_name.setdefault(name, []).append(Event(f"evt_{n}", at, properties, *received))
    return Facts(events={name: History(events) for name, events in by_name.items()})


def faults(*conditions: Any) -> list[str]:
    with pytest.raises(ValidationFailed) as caught:
        parse(tree(*conditions))
    return [one["field"].removeprefix("rules.conditions.") for one in caught.value.details]


def told(op: str, step: int, facts: Facts, now: int = NOW, **more: Any) -> dict[str, Any]:
    return dict(explain(rules(op, step, **more), facts, now)["conditions"][0])


def test_who_reaches_the_step_has_converted_until_the_attempt_is_too_long_ago() -> None:
    facts = happened(("visit", NOW - DAY), ("signup", NOW))
    assert evaluate(rules("converted", 2), facts, NOW) == Verdict(True, NOW + 29 * DAY)
    assert evaluate(rules("converted", 2), facts, NOW + 29 * DAY - 1) == Verdict(True, NOW + 29 * DAY)
    assert evaluate(rules("converted", 2), facts, NOW + 29 * DAY) == Verdict(False, None)
    assert evaluate(rules("converted", 3), facts, NOW) == Verdict(False, None)


def test_the_first_step_alone_is_converted_at_by_starting() -> None:
    facts = happened(("visit", NOW))
    assert evaluate(rules("converted", 1), facts, NOW) == Verdict(True, NOW + 30 * DAY)
    assert evaluate(rules("converted", 1), facts, NOW - 1) == Verdict(False, NOW)


def test_who_goes_no_further_has_dropped_out_from_the_millisecond_after_the_window() -> None:
    dropped, facts = rules("dropped", 1), happened(("visit", NOW))
    assert evaluate(dropped, facts, NOW) == Verdict(False, NOW + 7 * DAY + 1)
    assert evaluate(dropped, facts, NOW + 7 * DAY) == Verdict(False, NOW + 7 * DAY + 1)
    assert evaluate(dropped, facts, NOW + 7 * DAY + 1) == Verdict(True, NOW + 30 * DAY)
    assert evaluate(dropped, facts, NOW + 30 * DAY) == Verdict(False, None)


def test_a_step_at_the_windows_last_millisecond_counts_and_one_after_it_does_not() -> None:
    assert evaluate(rules("converted", 2), happened(("visit", NOW - 7 * DAY), ("signup", NOW)), NOW).holds
    late = happened(("visit", NOW - 7 * DAY - 1), ("signup", NOW))
    assert not evaluate(rules("converted", 2), late, NOW).holds
    assert evaluate(rules("dropped", 1), late, NOW).holds


def test_the_window_runs_from_the_first_step() -> None:
    facts = happened(("visit", NOW), ("signup", NOW + 5 * DAY), ("pay", NOW + 8 * DAY))
    assert not evaluate(rules("converted", 3), facts, NOW + 8 * DAY).holds
    assert evaluate(rules("dropped", 2), facts, NOW + 7 * DAY + 1) == Verdict(True, NOW + 30 * DAY)


def test_any_start_may_succeed() -> None:
    facts = happened(("visit", NOW - 20 * DAY), ("visit", NOW - DAY), ("signup", NOW))
    assert evaluate(rules("converted", 2), facts, NOW) == Verdict(True, NOW + 29 * DAY)
    assert not evaluate(rules("dropped", 1), facts, NOW).holds


def test_who_may_still_go_on_in_another_attempt_as_far_has_not_dropped_out() -> None:
    facts = happened(("visit", NOW - 20 * DAY), ("visit", NOW))
    assert evaluate(rules("dropped", 1), facts, NOW - 1) == Verdict(True, NOW)
    assert evaluate(rules("dropped", 1), facts, NOW) == Verdict(False, NOW + 7 * DAY + 1)


def test_an_attempt_that_is_behind_the_furthest_does_not_hold_it_open() -> None:
    facts = happened(("visit", NOW - 20 * DAY), ("signup", NOW - 19 * DAY), ("visit", NOW))
    assert evaluate(rules("dropped", 2), facts, NOW) == Verdict(True, NOW + 10 * DAY)
    assert not evaluate(rules("dropped", 1), facts, NOW).holds
    # Then the furthest attempt is too long ago, and the other one is what is left.
    assert evaluate(rules("dropped", 1), facts, NOW) == Verdict(False, NOW + 10 * DAY)


def test_who_goes_further_later_has_not_dropped_out_any_more() -> None:
    facts = happened(("visit", NOW - 20 * DAY), ("visit", NOW - DAY), ("signup", NOW))
    assert evaluate(rules("dropped", 1), facts, NOW - 1).holds is False
    assert evaluate(rules("dropped", 2), facts, NOW) == Verdict(False, NOW + 6 * DAY + 1)


def test_dropped_lasts_for_no_time_where_the_attempt_is_too_long_ago_before_its_window_ends() -> None:
    for window in ("7d", "30d"):
        never = rules("dropped", 1, window=window, within="7d")
        assert evaluate(never, happened(("visit", NOW)), NOW) == Verdict(False, None)


def test_a_step_that_is_reached_after_the_attempt_is_too_long_ago_is_none() -> None:
    facts = happened(("visit", NOW), ("signup", NOW + 8 * DAY))
    assert evaluate(rules("converted", 2, window="30d", within="7d"), facts, NOW) == Verdict(False, None)


def test_one_event_fulfils_one_step() -> None:
    twice = [{"event": "visit"}, {"event": "visit"}]
    assert not evaluate(rules("converted", 2, steps=twice), happened(("visit", NOW)), NOW).holds
    assert evaluate(rules("converted", 2, steps=twice), happened(("visit", NOW), ("visit", NOW)), NOW).holds


@pytest.mark.parametrize(
    ("visit", "signup", "holds"),
    [
        ((NOW - 1, 9), (NOW, 1), True),
        ((NOW, 1), (NOW - 1, 9), False),
        ((NOW, 1), (NOW, 2), True),
        ((NOW, 2), (NOW, 1), False),
        ((NOW, 1), (NOW, 1), True),
    ],
)
def test_steps_are_in_the_order_of_time_then_receipt_then_id(
    visit: tuple[int, int], signup: tuple[int, int], holds: bool
) -> None:
    facts = happened(("visit", *visit), ("signup", *signup))
    assert evaluate(rules("converted", 2), facts, NOW).holds is holds


@pytest.mark.parametrize(
    ("wanted", "found", "holds"),
    [
        ("growth", "growth", True),
        ("growth", "Growth", False),
        (["free", "growth"], "growth", True),
        (1, 1.0, True),
        (1, True, False),
        (True, 1, False),
        (True, True, True),
        ("1", 1, False),
        ("growth", ["growth"], False),
        ("growth", None, False),
    ],
)
@pytest.mark.parametrize("place", ["properties", "traits"])
def test_a_filter_is_compared_with_its_type(place: str, wanted: Any, found: Any, holds: bool) -> None:
    steps = [{"event": "visit", "filters": {f"{place}.a.b": wanted}}]
    values = {"a": {"b": found}}
    event = Event("evt_0", NOW, values if place == "properties" else {})
    facts = Facts(events={"visit": History([event])}, traits=values if place == "traits" else {})
    assert evaluate(rules("converted", 1, steps=steps), facts, NOW).holds is holds


def test_all_filters_of_a_step_must_hold() -> None:
    steps = [{"event": "visit", "filters": {"properties.a": 1, "properties.b": [1, 2]}}]
    for b, holds in ((2, True), (3, False)):
        assert evaluate(rules("converted", 1, steps=steps), happened(("visit", NOW), a=1, b=b), NOW).holds is holds


def test_an_event_of_the_future_is_reached_at_its_own_moment() -> None:
    facts = happened(("visit", NOW), ("signup", NOW + HOUR))
    assert evaluate(rules("converted", 2), facts, NOW) == Verdict(False, NOW + HOUR)
    # And so nobody drops out who reaches it in time.
    assert evaluate(rules("dropped", 1), facts, NOW) == Verdict(False, None)


def test_not_over_a_funnel_flips_with_it() -> None:
    negated = compile_rules(parse(tree(tree(asked("dropped", 1), operator="NOT"))))
    assert evaluate(negated, happened(("visit", NOW)), NOW) == Verdict(True, NOW + 7 * DAY + 1)


def test_who_never_began_has_neither_converted_nor_dropped_out() -> None:
    for op in ("converted", "dropped"):
        assert evaluate(rules(op, 1), Facts(), NOW) == Verdict(False, None)
    assert told("dropped", 1, Facts())["actual"] == {"reached": 0, "started_at": None}


def test_the_furthest_attempt_is_explained_and_of_several_the_earliest() -> None:
    facts = happened(
        ("visit", NOW - 9 * DAY), ("visit", NOW - 3 * DAY), ("visit", NOW - 2 * DAY), ("signup", NOW - DAY)
    )
    assert told("dropped", 2, facts) == {
        **asked("dropped", 2),
        "holds": False,
        # Then the later attempt can't go on either.
        "flips_at": iso(NOW + 5 * DAY + 1),
        "actual": {"reached": 2, "started_at": iso(NOW - 3 * DAY)},
        "evidence": ["evt_1", "evt_3"],
    }


def test_an_attempt_is_explained_from_its_first_millisecond_to_its_last() -> None:
    facts = happened(("visit", NOW), ("signup", NOW + DAY))
    moments = (NOW - 1, NOW, NOW + DAY - 1, NOW + DAY, NOW + 30 * DAY - 1, NOW + 30 * DAY)
    assert [told("converted", 2, facts, now)["actual"]["reached"] for now in moments] == [0, 1, 1, 2, 2, 0]
    assert [told("converted", 2, facts, now)["holds"] for now in moments] == [False, False, False, True, True, False]


def test_rules_on_a_funnel_read_its_events_and_the_traits_of_its_filters() -> None:
    steps = [{"event": "visit", "filters": {"traits.a.b": 1, "properties.p": 1}}, {"event": "pay"}]
    read = reads(parse(tree(asked("dropped", 1, steps=steps))))
    assert read.events == {"visit", "pay"}
    assert read.fields == {"traits.a", "traits.a.b"}


def test_the_events_of_attempts_that_count_are_read_and_no_older_ones() -> None:
    need = needs([rules("dropped", 1, within="1h")])
    assert need.keys() == {"visit", "signup", "pay"}
    newest = [Event(f"evt_{n}", NOW - n, {}) for n in range(1_000)]
    assert not need["pay"].is_satisfied(newest, NOW)
    assert not need["pay"].is_satisfied([*newest, Event("evt", NOW - HOUR + 1, {})], NOW)
    assert need["pay"].is_satisfied([*newest, Event("evt", NOW - HOUR, {})], NOW)


def with_value(**changed: Any) -> dict[str, Any]:
    condition = asked("dropped", 1)
    return condition | {"value": {key: one for key, one in (condition["value"] | changed).items() if one is not ...}}


def with_step(**step: Any) -> dict[str, Any]:
    return with_value(steps=[STEPS[0], {"event": "pay"} | step])


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ({"field": "funnel", "op": "dropped"}, "value"),
        (asked("dropped", 1) | {"value": []}, "value"),
        (asked("dropped", 1) | {"value": "fnl_1"}, "value"),
        (asked("exists", 1), "op"),
        (asked("dropped", 1) | {"window": "7d"}, "window"),
        (asked("dropped", 1) | {"where": [{"field": "properties.a", "op": "exists"}]}, "where"),
        (asked("dropped", 1) | {"field": "traits.a"}, "op"),
        (with_value(colour=1), "value.colour"),
        (with_value(steps=...), "value.steps"),
        (with_value(steps={}), "value.steps"),
        (with_value(steps=[]), "value.steps"),
        (with_value(steps=STEPS[:1] * 11), "value.steps"),
        (with_value(steps=[*STEPS, "pay"]), "value.steps.3"),
        (with_value(window=...), "value.window"),
        (with_value(window="0d"), "value.window"),
        (with_value(window="366d"), "value.window"),
        (with_value(window=7), "value.window"),
        (with_value(within=...), "value.within"),
        (with_value(within=None), "value.within"),
        (with_value(within="53w"), "value.within"),
        (with_value(step=...), "value.step"),
        (with_value(step=0), "value.step"),
        (with_value(step=3), "value.step"),
        (with_value(step=True), "value.step"),
        (with_value(step="1"), "value.step"),
        (with_value(step=1, steps=STEPS[:1]), "value.step"),
        (asked("converted", 4), "value.step"),
        (asked("converted", 1.0), "value.step"),
        (with_step(event=7), "value.steps.1.event"),
        (with_step(event=" "), "value.steps.1.event"),
        (with_step(event="a\n"), "value.steps.1.event"),
        (with_step(event="é" * 129), "value.steps.1.event"),
        (with_value(steps=[{}, STEPS[0]]), "value.steps.0.event"),
        (with_step(name="pay"), "value.steps.1.name"),
        (with_step(filters=[]), "value.steps.1.filters"),
        (with_step(filters={f"properties.{n}": 1 for n in range(11)}), "value.steps.1.filters"),
        (with_step(filters={"plan": 1}), "value.steps.1.filters.plan"),
        (with_step(filters={"traits.": 1}), "value.steps.1.filters.traits."),
        (with_step(filters={"email": "a"}), "value.steps.1.filters.email"),
        (with_step(filters={"traits.a": None}), "value.steps.1.filters.traits.a"),
        (with_step(filters={"traits.a": {}}), "value.steps.1.filters.traits.a"),
        (with_step(filters={"traits.a": []}), "value.steps.1.filters.traits.a"),
        (with_step(filters={"traits.a": [1] * 101}), "value.steps.1.filters.traits.a"),
        (with_step(filters={"traits.a": [1, None]}), "value.steps.1.filters.traits.a.1"),
        (with_step(filters={"traits.a": "x" * 1_025}), "value.steps.1.filters.traits.a"),
    ],
)
def test_a_bad_condition_on_a_funnel_is_refused_at_its_path(raw: dict[str, Any], place: str) -> None:
    assert faults(raw) == [f"0.{place}"]


def test_all_faults_are_told_at_once() -> None:
    steps = [{"event": "", "filters": {"plan": 1, "traits.a": [None, 1, None]}}, 7]
    assert sorted(faults(asked("dropped", 9, window="1y", within="400d", steps=steps))) == [
        "0.value.step",
        "0.value.steps.0.event",
        "0.value.steps.0.filters.plan",
        "0.value.steps.0.filters.traits.a.0",
        "0.value.steps.0.filters.traits.a.2",
        "0.value.steps.1",
        "0.value.window",
        "0.value.within",
    ]


def test_ten_conditions_look_into_events_funnels_among_them() -> None:
    counted = {"field": "events.a", "op": "count_gte", "value": 1, "where": [{"field": "properties.a", "op": "exists"}]}
    five = [counted] * 5 + [asked("dropped", 1)] * 5
    assert len(parse(tree(*five)).conditions) == 10
    assert faults(*five, asked("dropped", 1)) == ["10.value"]
    assert faults(*five, counted) == ["10.where"]


def test_the_longest_funnel_is_taken() -> None:
    step = {"event": "e" * 256, "filters": {f"traits.{'é' * 127}{n}": [1, "a", True, 2.5] * 25 for n in range(10)}}
    steps = [step, *STEPS * 3]
    assert parse(tree(asked("dropped", 9, window="365d", within="365d", steps=steps)))
