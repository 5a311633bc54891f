"""Scores: order, decay, bounds and the exact moments at which they cross a bound. Moments in ms."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.core import scoring
from chalicelib.core.clock import DAY, HOUR, iso, parse_instant
from chalicelib.core.rules.compiled import Rules, compile_rules
from chalicelib.core.rules.evaluate import Verdict, evaluate
from chalicelib.core.rules.facts import Facts
from chalicelib.core.rules.parse import parse
from chalicelib.features.projects.model import DEFAULT_SCORING

NOW = parse_instant("2026-02-23T10:00:00Z")
HALF_LIFE = 14 * DAY
PLAIN = {"half_life": "14d"}

# Two buckets, far ones, and such as fall out: moments over 200 half-lives of an hour.
GIVEN = st.lists(
    st.tuples(
        st.sampled_from((5, 1, -3, 0.1, 12.5, 1_000)),
        st.integers(0, 3 * HOUR) | st.integers(0, 200).map(lambda n: n * HOUR) | st.integers(0, 200 * HOUR),
    ),
    max_size=12,
)
ANY_NUMBER_OF = settings(deadline=None, database=None)


def summed(given: list[tuple[float, int]], half_life: int = HOUR) -> scoring.State:
    state: scoring.State = {}
    for points, moment in given:
        state = scoring.add(state, points, moment, half_life)
    return state


def score(*given: tuple[float, int], traits: list[dict[str, Any]] | None = None) -> scoring.Score:
    return scoring.Score(scoring.compile_scale({**PLAIN, "traits": traits or []}), summed(list(given), HALF_LIFE))


def asked(op: str, value: Any) -> Rules:
    condition = {"field": "scores.lead", "op": op, "value": value}
    return compile_rules(parse({"operator": "AND", "conditions": [condition]}))


def judged(op: str, value: Any, lead: scoring.Score, now: int = NOW, **known: Any) -> Verdict:
    return evaluate(asked(op, value), Facts(scores={"lead": lead}, **known), now)


@ANY_NUMBER_OF
@given(GIVEN.flatmap(lambda given: st.tuples(st.just(given), st.permutations(given))))
def test_the_order_of_events_changes_no_digit(orders: tuple[list[tuple[float, int]], list[tuple[float, int]]]) -> None:
    assert summed(orders[0]) == summed(orders[1])


@ANY_NUMBER_OF
@given(GIVEN, GIVEN)
def test_merged_states_are_those_of_all_events(one: list[tuple[float, int]], other: list[tuple[float, int]]) -> None:
    merged = scoring.merge(summed(one), summed(other))
    assert merged == scoring.merge(summed(other), summed(one)) == summed(one + other)


@ANY_NUMBER_OF
@given(GIVEN)
def test_what_is_dropped_would_not_have_been_seen(given: list[tuple[float, int]]) -> None:
    now = 200 * HOUR
    scale = scoring.compile_scale({"half_life": "1h"})
    exact = sum(Decimal(points) * Decimal(2) ** (Decimal(moment - now) / HOUR) for points, moment in given)
    shown = scoring.Score(scale, summed(given)).value(Facts(), now)
    assert abs(Decimal(shown) - min(Decimal(100), max(Decimal(0), exact))) < Decimal("2e-9")


def test_a_state_keeps_few_buckets() -> None:
    state = summed([(1, n * HOUR) for n in range(1_000)])
    assert len(state) == 65
    assert state["999"] == 2**32


@pytest.mark.parametrize("halvings", range(8))
def test_points_halve_exactly_with_each_half_life(halvings: int) -> None:
    moment = NOW + 12_345
    assert score((64, moment)).value(Facts(), moment + halvings * HALF_LIFE) == 64 / 2**halvings


def test_a_score_stays_between_its_bounds() -> None:
    assert score((1_000, NOW)).value(Facts(), NOW) == 100
    assert score((-5, NOW)).value(Facts(), NOW) == 0
    assert score().value(Facts(), NOW) == 0


def test_a_score_read_long_before_its_events_is_the_greatest() -> None:
    assert score((5, NOW)).value(Facts(), 0) <= 100
    assert scoring.Score(scoring.compile_scale({"half_life": "1h"}), summed([(5, NOW)])).value(Facts(), 0) == 100


@pytest.mark.parametrize(
    ("op", "holds", "flips_at"),
    [
        ("gte", True, NOW + HALF_LIFE + 1),
        ("gt", True, NOW + HALF_LIFE),
        ("lt", False, NOW + HALF_LIFE + 1),
        ("lte", False, NOW + HALF_LIFE),
        ("eq", False, NOW + HALF_LIFE),
        ("neq", True, NOW + HALF_LIFE),
    ],
)
def test_a_bound_is_crossed_at_its_exact_millisecond(op: str, holds: bool, flips_at: int) -> None:
    lead = score((20, NOW))
    assert judged(op, 10, lead) == Verdict(holds, flips_at)
    assert judged(op, 10, lead, flips_at - 1) == Verdict(holds, flips_at)
    assert judged(op, 10, lead, flips_at).holds is not holds


def test_equality_is_left_after_one_millisecond() -> None:
    lead = score((20, NOW))
    assert judged("eq", 10, lead, NOW + HALF_LIFE) == Verdict(True, NOW + HALF_LIFE + 1)


def test_a_list_of_numbers_is_met_at_the_nearest() -> None:
    assert judged("in", [2.5, 5, 10, 90], score((20, NOW))) == Verdict(False, NOW + HALF_LIFE)


def test_the_cap_holds_until_the_sum_is_below_it() -> None:
    assert judged("gte", 100, score((200, NOW))) == Verdict(True, NOW + HALF_LIFE + 1)


def test_a_malus_decays_and_lets_the_score_rise() -> None:
    gift = [{"field": "email", "op": "exists", "points": 50}]
    lead = score((-40, NOW), traits=gift)
    assert judged("gte", 30, lead, email="a@b.example") == Verdict(False, NOW + HALF_LIFE)
    assert judged("gt", 30, lead, email="a@b.example") == Verdict(False, NOW + HALF_LIFE + 1)


def test_points_of_a_trait_do_not_decay() -> None:
    lead = score(traits=[{"field": "traits.plan", "op": "eq", "value": "scale", "points": 30}])
    assert judged("gte", 30, lead, traits={"plan": "scale"}) == Verdict(True, None)
    assert judged("gte", 30, lead, traits={"plan": "free"}) == Verdict(False, None)


def test_points_of_a_trait_leave_when_its_date_has_passed() -> None:
    lead = score(traits=[{"field": "traits.due", "op": "gt", "value": "now", "points": 30}])
    assert judged("gte", 30, lead, traits={"due": iso(NOW + HOUR)}) == Verdict(True, NOW + HOUR)


def test_decay_goes_on_after_a_trait_has_flipped() -> None:
    lead = score((20, NOW), traits=[{"field": "traits.due", "op": "gt", "value": "now", "points": 30}])
    verdict = judged("gte", 10, lead, traits={"due": iso(NOW + HOUR)})
    assert verdict == Verdict(True, NOW + HALF_LIFE + 1)


def test_a_trait_rule_that_reads_no_contact_gives_no_points() -> None:
    loop = [
        {"field": "scores.lead", "op": "gte", "value": 0, "points": 30},
        {"field": "plan", "op": "like", "points": 1},
    ]
    assert score(traits=loop).value(Facts(), NOW) == 0


def test_a_score_that_is_not_known_equals_nothing() -> None:
    assert evaluate(asked("gte", 0), Facts(), NOW) == Verdict(False, None)
    assert evaluate(asked("neq", 0), Facts(), NOW) == Verdict(True, None)


@pytest.mark.parametrize(
    ("name", "kind", "points"),
    [("login", "track", 5), ("$page_view", "page", 1), ("$identify", "identify", 0), ("$page_view", "track", 1)],
)
def test_events_have_the_points_of_the_settings(name: str, kind: str, points: int) -> None:
    assert scoring.points_of(name, kind, DEFAULT_SCORING["engagement"]) == points


def test_the_lead_score_gives_nothing_by_default() -> None:
    assert scoring.points_of("login", "track", DEFAULT_SCORING["lead"]) == 0


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, 0), (5.0, 5), (4.999999999, 4.99), (0.29, 0.29), (99.999, 99.99), (12.5, 12.5), (100.0, 100)],
)
def test_a_score_is_shown_rounded_down_to_two_decimals(value: float, shown: float) -> None:
    assert scoring.shown(value) == shown
    assert type(scoring.shown(value)) is type(shown)
