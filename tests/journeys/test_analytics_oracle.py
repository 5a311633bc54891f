"""Answers of analytics after whole histories are what a slow and obvious reading of the contract says."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from chalicelib.features.analytics.model import CohortQuestion, Question
from chalicelib.flows.analytics import ask
from chalicelib.platform import keys
from chalicelib.platform.keys import Tenant
from tests.support import analytics_oracle, pipeline
from tests.support import lake as lake_support
from tests.support.analytics_crowd import Crowd
from tests.support.analytics_histories import CHANGES, START, Asking, History, histories
from tests.support.analytics_oracle import Answer
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
    lake_support.forget()
    return Lake(
        project=lake_support.project_all,
        redeliver=lambda: lake_support.project_all(again=True, size=7),
        compact=lake_support.compact,
        ask=ask.run,
    )


@pytest.fixture(autouse=True)
def one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few contacts need no eight Queries for each list."""
    monkeypatch.setattr(keys, "CONTACT_SHARDS", 1)


def compare(got: Answer, expected: Answer, question: Question) -> None:
    """Exactly, but for medians: these may lie between milliseconds, of which nothing is said."""
    for one, other in zip(got.get("steps", []), expected.get("steps", []), strict=True):
        median = other["median_time_to_convert"]
        if median is not None:
            other["median_time_to_convert"] = pytest.approx(median, abs=0.001)
        assert list(one) == list(other), question
    assert got == expected, question


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
    """Whether the projector runs with the others, or only where it must, and after which acts what else is done."""

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


@dataclass(frozen=True, slots=True)
class Steady:
    """Workers beside whom the projector works: it sees what is moved in two halves."""

    lake: Lake

    def drain(self) -> None:
        self.lake.project()
        pipeline.drain()
        self.lake.project()


def answered_alike(lake: Lake, run: Run) -> None:
    """What the model says is answered in the end, and again after all was compacted, and delivered once more.

    Where the projector runs steadily, so it is after each act.
    """
    play = Play(Steady(lake) if run.work.steadily else pipeline, START)

    def ask(questions: list[Question]) -> None:
        world = play.people.world()
        for question in questions:
            expected = analytics_oracle.answer(world, question, run.history.now)
            compare(lake.ask(play.tenant, question, run.history.now), expected, question)

    for n, act in enumerate(run.history.acts):
        note(told(act))
        play.take(act)
        if n in run.work.compacted | run.work.redelivered:
            lake.project()
        if n in run.work.compacted:
            lake.compact(play.tenant)
        if n in run.work.redelivered:
            lake.redeliver()
        if run.work.steadily:
            ask([run.asked[n % len(run.asked)]])
    for meanwhile in (lake.project, lambda: lake.compact(play.tenant), lake.redeliver):
        meanwhile()
        ask(run.asked)


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


def crowd_of(seed: int) -> Crowd:
    """A small one in Lord Howe by the seed 0; by each of seven in a row another zone."""
    count, people = (250, 20) if seed == 0 else (2_500, 150)
    return Crowd(seed, sorted(CHANGES)[(seed + 5) % len(CHANGES)], count, people)


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.prove) for n in range(1, 8))])
def test_answers_about_a_crowd_are_the_oracles(lake: Lake, seed: int) -> None:
    crowd = crowd_of(seed)
    play = Play(pipeline, crowd.received_at)
    play.take_together(crowd.acts)
    lake.project()
    world = play.people.world()
    for n, now in enumerate(crowd.moments()):
        for question in crowd.questions():
            if seed == 0 and n and not isinstance(question, CohortQuestion):
                continue
            compare(lake.ask(play.tenant, question, now), analytics_oracle.answer(world, question, now), question)
        lake.compact(play.tenant) if n % 2 == 0 else lake.redeliver()


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.prove)])
def test_the_crowds_people_are_the_models(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    crowd = crowd_of(seed)
    play = Play(MemoryWorkers(monkeypatch), crowd.received_at)
    play.take_together(crowd.acts)
    play.agrees()
