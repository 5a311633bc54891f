"""The engine against an oracle that is slow and obvious, on random rules, contacts and moments."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.core.clock import iso
from chalicelib.core.rules.compiled import Rules
from chalicelib.core.rules.evaluate import Verdict, evaluate, explain
from chalicelib.core.rules.needs import Need, needs
from tests.unit.rules import oracle
from tests.unit.rules.oracle import Happened, Person
from tests.unit.rules.worlds import COUNTS, EVENTS, FUNNELS, NOW, PEOPLE, RULES, as_event, compiled, facts

MOMENTS = st.sampled_from((NOW, NOW - 60_000, NOW + 1_000, NOW + 1))
PAGE = 2


def busy(examples: int) -> settings:
    """On a busy machine time says nothing of the code."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, deadline=None, suppress_health_check=checks, database=None)


def expected(raw: dict[str, Any], person: Person, now: int) -> Verdict:
    """Whether it holds, and the first of all moments of change at which it does not as it did."""
    before = oracle.holds(raw, person, now)
    later = oracle.moments_of_change(raw, person, now)
    return Verdict(before, next((moment for moment in later if oracle.holds(raw, person, moment) != before), None))


def agrees(raw: dict[str, Any], person: Person, now: int) -> None:
    assert evaluate(compiled(raw), facts(person), now) == expected(raw, person, now)


def explains(raw: dict[str, Any], person: Person, now: int) -> None:
    rules, known = compiled(raw), facts(person)
    _explains(raw, explain(rules, known, now), person, now)
    verdict = evaluate(rules, known, now)
    told = explain(rules, known, now)
    assert (told["holds"], told["flips_at"]) == (verdict.holds, None if not verdict.flips_at else iso(verdict.flips_at))


def _explains(raw: dict[str, Any], told: dict[str, Any], person: Person, now: int) -> None:
    verdict = expected(raw, person, now)
    assert told["holds"] == verdict.holds
    assert told["flips_at"] == (None if verdict.flips_at is None else iso(verdict.flips_at))
    if "operator" in raw:
        assert told["operator"] == raw["operator"]
        for child, shown in zip(raw["conditions"], told["conditions"], strict=True):
            _explains(child, shown, person, now)
        return
    assert {key: told[key] for key in raw} == raw
    assert told.keys() - raw.keys() == {"holds", "flips_at", "actual", "evidence"}
    _evidences(raw, told, person, now)


def _evidences(raw: dict[str, Any], told: dict[str, Any], person: Person, now: int) -> None:
    if raw["field"].startswith("events."):
        counted = sorted(oracle.counted(raw, person, now), key=lambda event: (event.at, event.id), reverse=True)
        assert told["actual"] == len(counted)
        assert told["evidence"] == [event.id for event in counted]
        return
    if raw["field"] == "funnel":
        best = oracle.best_attempt(raw, person, now)
        assert told["actual"] == {"reached": len(best), "started_at": iso(best[0].at) if best else None}
        assert told["evidence"] == [event.id for event in best]
        return
    assert told["evidence"] == []
    if raw["field"] == "segments":
        asked = raw["value"] if isinstance(raw["value"], list) else [raw["value"]]
        members = [one for one in asked if oracle.holds({**raw, "op": "contains", "value": one}, person, now)]
        assert told["actual"] == members
    elif not raw["field"].startswith("campaigns."):
        assert _as_moment(told["actual"]) == _as_moment(oracle.actual(person, raw["field"], now))


def _as_moment(value: Any) -> Any:
    return oracle.moment_of(value) or value if isinstance(value, str) else value


def reads_enough(raw: dict[str, Any], person: Person, now: int) -> None:
    """Verdicts on what `needs` asks for, read in pages, are those on everything."""
    rules, known = compiled(raw), facts(person)
    all_rules = [rules, *(one for one in known.segments.values() if isinstance(one, Rules))]
    kept = [event for name, need in needs(all_rules).items() for event in read(person, name, need, now)]
    whole = facts(person)
    partly = facts(person, events=kept)
    assert evaluate(rules, partly, now) == evaluate(rules, whole, now)
    for whole_read in [list(read(person, name, need, now)) for name, need in needs(all_rules, whole=True).items()]:
        kept = [*(event for event in kept if event not in whole_read), *whole_read]
    assert explain(rules, facts(person, events=kept), now) == explain(rules, whole, now)


def read(person: Person, name: str, need: Need, now: int) -> list[Happened]:
    newest_first = sorted((e for e in person.events if e.name == name), key=lambda e: (e.at, e.id), reverse=True)
    taken: list[Happened] = []
    while not need.is_satisfied([as_event(event) for event in taken], now) and len(taken) < len(newest_first):
        taken = newest_first[: len(taken) + PAGE]
    return taken


@busy(1_500)
@given(RULES, PEOPLE, MOMENTS)
def test_verdicts_and_the_moments_of_their_change_are_those_of_the_oracle(
    raw: dict[str, Any], person: Person, now: int
) -> None:
    agrees(raw, person, now)


@busy(200)
@given(RULES, PEOPLE, MOMENTS)
def test_every_node_is_explained_as_it_is_judged(raw: dict[str, Any], person: Person, now: int) -> None:
    explains(raw, person, now)


@busy(200)
@given(RULES, PEOPLE, MOMENTS)
def test_what_is_needed_decides_as_the_whole_history_does(raw: dict[str, Any], person: Person, now: int) -> None:
    reads_enough(raw, person, now)


@busy(300)
@given(COUNTS, EVENTS, MOMENTS)
def test_a_count_needs_no_more_events_than_decide_it(rule: dict[str, Any], events: list[Happened], now: int) -> None:
    person = Person({}, {}, events, {}, {})
    reads_enough({"operator": "AND", "conditions": [rule]}, person, now)


@busy(500)
@given(FUNNELS, PEOPLE, EVENTS, MOMENTS)
def test_funnels_are_judged_explained_and_read_as_the_oracle_says(
    rule: dict[str, Any], person: Person, more: list[Happened], now: int
) -> None:
    crowded = replace(person, events=person.events + [replace(one, id=f"{one.id}_more") for one in more])
    raw = {"operator": "AND", "conditions": [rule]}
    agrees(raw, crowded, now)
    explains(raw, crowded, now)
    reads_enough(raw, crowded, now)


@pytest.mark.prove
@busy(20_000)
@given(RULES, PEOPLE, MOMENTS)
def test_many_verdicts_and_the_moments_of_their_change_are_those_of_the_oracle(
    raw: dict[str, Any], person: Person, now: int
) -> None:
    agrees(raw, person, now)


@pytest.mark.prove
@busy(2_000)
@given(RULES, PEOPLE, MOMENTS)
def test_every_node_of_many_rules_is_explained_as_it_is_judged(raw: dict[str, Any], person: Person, now: int) -> None:
    explains(raw, person, now)


@pytest.mark.prove
@busy(5_000)
@given(RULES, PEOPLE, MOMENTS)
def test_what_many_rules_need_decides_as_the_whole_history_does(raw: dict[str, Any], person: Person, now: int) -> None:
    reads_enough(raw, person, now)
