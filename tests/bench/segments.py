"""What one event costs on the bus where three segments read it, among ever more that do not, at ever more contacts."""

import statistics
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from chalicelib.core import ids
from chalicelib.features.segments import store
from chalicelib.features.segments.model import Segment
from chalicelib.flows import record_activity
from chalicelib.platform import definitions, table
from chalicelib.workers import bus
from tests.bench import budgets, cpu, rules, units
from tests.bench.budgets import Finding
from tests.bench.world import World
from tests.support import pipeline

SEGMENTS = (10, 100, 1_000)
_CONCERNED = 3
_FLAT = 1.5
"""How much more CPU the most expensive case may take than the cheapest: the calls have to be the same."""

_WARMUP, _RUNS = 30, 200
_AT_ONCE = 99


def findings(worlds: Sequence[World]) -> list[Finding]:
    """A row for each number of contacts, and one for all of them."""
    rows: list[Finding] = []
    costs: list[float] = []
    calls: list[Counter[str]] = []
    for world in worlds:
        told = []
        _define(world, ["opened"] * _CONCERNED)
        defined = _CONCERNED
        for wanted in SEGMENTS:
            _define(world, [f"other {n}" for n in range(defined, wanted)])
            defined = wanted
            made, cost, times_bare = _cost(world)
            calls.append(made)
            costs.append(times_bare)
            told.append(f"{wanted}: {cost:.2f} ms ({times_bare:.1f}x bare), {made.total()} calls")
        rows.append(Finding(f"event of 3 segments, {world.size:,} contacts", "-", "; ".join(told), None))
    ratio = max(costs) / min(costs)
    is_flat = ratio <= _FLAT and all(made == calls[0] for made in calls)
    budget = f"flat: the same calls, CPU beside bare closures within {_FLAT}x"
    shown = f"{budgets.told_calls(calls[0])}; CPU within {ratio:.2f}x"
    return [*rows, Finding("the same, all of them", budget, shown, is_flat)]


def _cost(world: World) -> tuple[Counter[str], float, float]:
    """The table calls of one event on the bus; its milliseconds of CPU, the table answering at once; and how many times
    the bare closures' beside it that is, which what else the machine does changes less."""
    records: list[dict[str, Any]] = []
    for _ in range(2):  # the first time the contact may still enter the segments
        with units.recorded() as written:
            record_activity.run(world.tenant, [budgets.event_of(world, "u8")])
        records = written.stream_records()
        _handle(records)
    with budgets.counted() as calls, cpu.recorded() as answers:
        _handle(records)
    bare, runs = rules.bare_run(), []
    with cpu.replayed(answers):
        for _ in range(_WARMUP + _RUNS):
            started = time.thread_time_ns()
            _handle(records)
            runs.append(((time.thread_time_ns() - started) / 1e6, bare()))
    cost, yard = (statistics.median(each) for each in zip(*runs[_WARMUP:], strict=True))
    return calls, cost, cost / yard


def _define(world: World, names: Sequence[str]) -> None:
    """Segments that count events of these names, put into the table at once: one by one, each reads all before it."""
    for start in range(0, len(names), _AT_ONCE):
        defined = [
            Segment(
                id=ids.new_id("seg"),
                name=name,
                type="dynamic",
                rules={"operator": "AND", "conditions": [budgets.counting(name)]},
                status="ready",
                created_at=world.now,
                updated_at=world.now,
            )
            for name in names[start : start + _AT_ONCE]
        ]
        version = definitions.version(world.tenant)
        writes = [store.put(world.tenant, segment, None, version) for segment in defined]
        table.transact([*(definition for definition, _ in writes), writes[0][1]])


def _handle(records: list[dict[str, Any]]) -> None:
    assert bus.handle({"Records": records}, pipeline.Context()) == {"batchItemFailures": []}
