"""CPU of evaluating many segments for one contact, each with the moment at which it flips."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from chalicelib.core.clock import DAY, HOUR, iso, parse_instant
from chalicelib.core.rules.compiled import Rules, compile_rules
from chalicelib.core.rules.evaluate import evaluate
from chalicelib.core.rules.facts import Event, Facts, History
from chalicelib.core.rules.parse import parse
from chalicelib.core.scoring import Score, add, compile_scale
from tests.bench.budgets import Finding

BUDGET_MS = 0.3
_BARE_MS = 0.014
"""What bare closures took where the budget was set."""

_Contact = dict[str, Any]
_COUNTRIES = frozenset({"DE", "FR", "IT"})

_NOW = parse_instant("2026-02-23T10:00:00Z")
_SEGMENTS, _WARMUP, _RUNS = 100, 20, 300
_EVENTS = ("login", "invited", "paid", "exported")
_CONTACT: _Contact = {"plan": "trial", "country": "DE"} | dict.fromkeys(_EVENTS, 20)
_SCALE = compile_scale({"half_life": "14d"})


def measure() -> tuple[float, float]:
    """Median milliseconds of this thread's CPU for 100 segments of 3 conditions, with `flips_at`, and one contact; and
    for bare closures that say the same, run by turns with them.

    Every contact is new to the rules; half of the segments hold.
    """
    rules = [_rules(n) for n in range(_SEGMENTS)]
    bare = bare_run()
    ours, closures = [], []
    for _ in range(_WARMUP + _RUNS):
        facts = _facts()
        started = time.thread_time_ns()
        for one in rules:
            evaluate(one, facts, _NOW)
        ours.append((time.thread_time_ns() - started) / 1e6)
        closures.append(bare())
    return statistics.median(ours[_WARMUP:]), statistics.median(closures[_WARMUP:])


def findings() -> list[Finding]:
    """The one row of the report; where this machine is slower than the budget's was, the closures beside it decide."""
    median, bare = measure()
    budget = f"{BUDGET_MS} ms CPU for {_SEGMENTS} segments of 3 conditions; {_BARE_MS} ms bare"
    told = f"{median:.3f} ms; {bare:.3f} ms bare: {median / bare:.0f}x of {BUDGET_MS / _BARE_MS:.0f}x"
    return [Finding("rules, with flips_at", budget, told, is_kept(median, bare))]


def is_kept(median: float, bare: float) -> bool:
    """True within the budget, or where both are slower alike."""
    return median <= BUDGET_MS or median / bare <= BUDGET_MS / _BARE_MS


def bare_run() -> Callable[[], float]:
    """A yardstick: milliseconds of one run of closures that say what the rules say, taken beside what is measured."""
    segments = [_closures(n) for n in range(_SEGMENTS)]

    def run() -> float:
        started = time.thread_time_ns()
        for first, second, third in segments:
            _ = first(_CONTACT) and second(_CONTACT) and third(_CONTACT)
        return (time.thread_time_ns() - started) / 1e6

    return run


def slowness() -> float:
    """How many times slower this machine is at the moment than the one that the budgets were set on; 1 if it is not.

    Of machines that others use too one can say no more than that both took so long at the same time.
    """
    return max(1.0, measure()[1] / _BARE_MS)


def _closures(n: int) -> tuple[Callable[[_Contact], bool], ...]:
    plan, name, least = "trial" if n % 8 else "growth", _EVENTS[n % 4], 1 + n % 9
    return (
        lambda contact: contact["plan"] == plan,
        lambda contact: contact[name] >= least,
        lambda contact: contact["country"] in _COUNTRIES,
    )


def _rules(n: int) -> Rules:
    """A trait, events in a window, and by turns a date, a moving date, a list; in each tenth a score."""
    third: list[dict[str, Any]] = [
        {"field": "traits.signed_up_at", "op": "gte", "value": "2025-01-01"},
        {"field": "created_at", "op": "gte", "value": "now-60d"},
        {"field": "traits.country", "op": "in", "value": ["DE", "FR", "IT"]},
        {"field": "scores.engagement", "op": "gte", "value": 1 + n % 7},
    ]
    conditions = [
        {"field": "traits.plan", "op": "eq", "value": "trial" if n % 8 else "growth"},
        {"field": f"events.{_EVENTS[n % 4]}", "op": "count_gte", "value": 1 + n % 9, "window": f"{1 + n % 30}d"},
        third[n % 3 if n % 10 else 3],
    ]
    return compile_rules(parse({"operator": "OR" if n % 5 == 0 else "AND", "conditions": conditions}))


def _facts() -> Facts:
    state: dict[str, int] = {}
    events: dict[str, History] = {}
    for place, name in enumerate(_EVENTS):
        times = [_NOW - n * (9 + place) * HOUR for n in range(20)]
        events[name] = History(Event(f"evt_{place}_{n}", moment, {}) for n, moment in enumerate(times))
        for moment in times:
            state = add(state, 1, moment, _SCALE.half_life)
    return Facts(
        email="ada@example.com",
        created_at=_NOW - 40 * DAY,
        last_seen_at=_NOW,
        traits={"plan": "trial", "signed_up_at": iso(_NOW - 40 * DAY), "country": "DE", "seats": 4},
        events=events,
        scores={"engagement": Score(_SCALE, state)},
    )
