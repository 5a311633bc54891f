"""Answers of analytics after whole histories are what a slow and obvious reading of the contract says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from chalicelib.features.analytics.model import Interval, Measure, Path, Question, Series, Span
from chalicelib.platform import keys
from chalicelib.platform.keys import Tenant
from tests.support import analytics_oracle, pipeline
from tests.support.analytics_histories import HOUR, START, Asking, History, histories
from tests.support.analytics_oracle import DAY, Answer
from tests.support.analytics_people import Act
from tests.support.analytics_play import Play, Workers
from tests.support.memory_world import World

pytestmark = pytest.mark.usefixtures("engine")

FIXTURE = HealthCheck.function_scoped_fixture
QUIET = [FIXTURE, HealthCheck.too_slow, HealthCheck.data_too_large]


class MemoryWorkers(World):
    """As `pipeline` has them."""

    drain = World.settle


@dataclass(frozen=True, slots=True)
class Lake:
    """The way from the table to an answer, step by step."""

    project: Callable[[], object]
    """Let the projector work on what was written since."""

    redeliver: Callable[[], object]
    """Let it work on all of that again, cut into other batches."""

    compact: Callable[[Tenant], object]
    ask: Callable[[Tenant, Question, int], Answer]


@pytest.fixture
def lake(fresh_table: Callable[[], None]) -> Lake:
    """The one place that knows what the product's parts are called."""
    asking = pytest.importorskip("chalicelib.flows.analytics.ask", exc_type=ImportError)
    support = pytest.importorskip("tests.support.lake", exc_type=ImportError)
    return Lake(
        project=support.project_all,
        redeliver=lambda: support.project_all(again=True),
        compact=support.compact,
        ask=asking.run,
    )


@pytest.fixture(autouse=True)
def one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few contacts need no eight Queries for each list."""
    monkeypatch.setattr(keys, "CONTACT_SHARDS", 1)


def compare(got: Answer, expected: Answer, question: Question) -> None:
    assert _rounded(got) == _rounded(expected), question


def _rounded(value: Any) -> Any:
    """Medians may lie between milliseconds, of which nothing is said; all else is exact as it is."""
    if isinstance(value, dict):
        medians = {name: each for name, each in value.items() if name == "median_time_to_convert" and each is not None}
        return {name: _rounded(each) for name, each in value.items()} | {
            name: round(each + 1e-9, 3) for name, each in medians.items()
        }
    return [_rounded(each) for each in value] if isinstance(value, list) else value


def told(act: Act) -> str:
    """An act without what it leaves empty."""
    given = {name: getattr(act, name) for name in act.__slots__}
    return ", ".join(f"{name}={value!r}" for name, value in given.items() if value not in (None, "", {}, False))


# Who is who: the model of the people is the product's.


def told_alike(workers: Workers, history: History) -> None:
    play = Play(workers, START)
    for act in history.acts:
        note(told(act))
        play.take(act)
    play.agrees()


@given(history=histories(12))
@settings(max_examples=60, deadline=None, suppress_health_check=QUIET)
def test_people_and_their_events_are_the_models(monkeypatch: pytest.MonkeyPatch, history: History) -> None:
    told_alike(MemoryWorkers(monkeypatch), history)


@pytest.mark.prove
@pytest.mark.timeout(3000)
@given(history=histories(40))
@settings(max_examples=2_000, deadline=None, suppress_health_check=QUIET)
def test_people_and_their_events_are_the_models_in_long_histories(
    monkeypatch: pytest.MonkeyPatch, history: History
) -> None:
    told_alike(MemoryWorkers(monkeypatch), history)


# What is answered.


@dataclass(frozen=True, slots=True)
class Work:
    """When the projector runs, after each act or at the end, and after which acts what else is done."""

    steadily: bool
    compacted: frozenset[int]
    redelivered: frozenset[int]


@dataclass(frozen=True, slots=True)
class Run:
    history: History
    asked: list[Question]
    work: Work


@st.composite
def runs(draw: st.DrawFn, acts: int, asked: int) -> Run:
    """A history of up to so many acts, and so many questions about it."""
    history = draw(histories(acts))
    some = st.frozensets(st.integers(0, len(history.acts) - 1), max_size=3)
    those = draw(st.lists(Asking(history).questions(), min_size=asked, max_size=asked))
    return Run(history, those, Work(draw(st.booleans()), draw(some), draw(some)))


def answered_alike(lake: Lake, run: Run) -> None:
    """What the model says is answered in the end, and again after all was compacted, and delivered once more."""
    play = Play(pipeline, START)
    for n, act in enumerate(run.history.acts):
        note(told(act))
        play.take(act)
        if run.work.steadily or n in run.work.compacted | run.work.redelivered:
            lake.project()
        if n in run.work.compacted:
            lake.compact(play.tenant)
        if n in run.work.redelivered:
            lake.redeliver()
    world = play.people.world()

    def ask() -> None:
        for question in run.asked:
            expected = analytics_oracle.answer(world, question, run.history.now)
            compare(lake.ask(play.tenant, question, run.history.now), expected, question)

    for meanwhile in (lake.project, lambda: lake.compact(play.tenant), lake.redeliver):
        meanwhile()
        ask()


@given(run=runs(12, 8))
@settings(max_examples=6, deadline=None, suppress_health_check=QUIET)
def test_answers_are_the_oracles(fresh_table: Callable[[], None], lake: Lake, run: Run) -> None:
    fresh_table()
    answered_alike(lake, run)


@pytest.mark.prove
@pytest.mark.timeout(3000)
@given(run=runs(40, 25))
@settings(max_examples=250, deadline=None, suppress_health_check=QUIET)
def test_answers_are_the_oracles_after_long_histories(fresh_table: Callable[[], None], lake: Lake, run: Run) -> None:
    fresh_table()
    answered_alike(lake, run)


@pytest.mark.parametrize("measure", ["event_count", "unique_contacts"])
def test_of_many_groups_the_greatest_are_told(lake: Lake, measure: Measure) -> None:
    """Sixty groups of one to three, so that what is the 50th is a matter of its name."""
    play = Play(pipeline, START)
    values = [f"g{n % 60:02}" for n in range(130)]
    batch = [
        Act(
            kind="track",
            received_at=START,
            user=f"u{n % 7}",
            event="x",
            timestamp=START - n * HOUR,
            properties={"p": p},
        )
        for n, p in enumerate([*values, None])
    ]
    play.take_together(batch)
    lake.project()
    span = Span(START - 10 * DAY, START + 1, "Europe/London")
    intervals: tuple[Interval, ...] = ("day", "month")
    for interval in intervals:
        question = Series(measure, "x", interval, span, (), Path("properties", "p"))
        expected = analytics_oracle.answer(play.people.world(), question, START)
        compare(lake.ask(play.tenant, question, START), expected, question)
