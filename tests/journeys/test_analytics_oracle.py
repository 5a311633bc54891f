"""Answers of analytics after whole histories are what a slow and obvious reading of the contract says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from chalicelib.features.analytics.model import Path, Question, Series
from chalicelib.platform import keys
from chalicelib.platform.keys import Tenant
from tests.support import analytics_oracle, pipeline
from tests.support.analytics_histories import START, History, histories, questions
from tests.support.analytics_oracle import DAY, SECOND, Answer
from tests.support.analytics_people import Act
from tests.support.analytics_play import Play, Workers
from tests.support.memory_world import World

pytestmark = pytest.mark.usefixtures("engine")

FIXTURE = HealthCheck.function_scoped_fixture
QUIET = [FIXTURE, HealthCheck.too_slow, HealthCheck.data_too_large]
HALF_SECOND = 0.0005
"""Medians are told in seconds; nothing is said of less than a millisecond."""


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
    """Medians lie between milliseconds; all else is exact as it is."""
    if isinstance(value, dict):
        return {
            name: round(each, 2) if name == "median_time_to_convert" and each is not None else _rounded(each)
            for name, each in value.items()
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
