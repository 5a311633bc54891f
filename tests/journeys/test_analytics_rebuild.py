"""A lake that is written anew from the table gives the same answers, whatever is left of the old one."""

from collections.abc import Callable

import pytest

from chalicelib.core import clock
from chalicelib.flows.analytics import ask, rebuild
from chalicelib.platform import keys
from chalicelib.workers import lake as worker
from tests.support import analytics_oracle, aws, lake, pipeline
from tests.support.analytics_crowd import Crowd
from tests.support.analytics_play import Play
from tests.support.pipeline import Context

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(autouse=True)
def one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few contacts need no eight Queries for each list."""
    monkeypatch.setattr(keys, "CONTACT_SHARDS", 1)


@pytest.fixture
def played(fresh_table: Callable[[], None]) -> tuple[Play, Crowd]:
    """A crowd that has done all that it does, of which the projector knows."""
    lake.forget()
    crowd = Crowd(0, "Australia/Lord_Howe", 120, 15)
    play = Play(pipeline, crowd.received_at)
    play.take_together(crowd.acts)
    lake.project_all()
    return play, crowd


def judge(play: Play, crowd: Crowd) -> None:
    """Some answers of each type are the oracle's."""
    world, now = play.people.world(), crowd.moments()[0]
    of_type: dict[type, int] = {}
    for question in crowd.questions():
        of_type[type(question)] = of_type.get(type(question), 0) + 1
        if of_type[type(question)] <= 3:
            got, expected = ask.run(play.tenant, question, now), analytics_oracle.answer(world, question, now)
            for step in expected.get("steps", []):
                step["median_time_to_convert"] = pytest.approx(step["median_time_to_convert"], abs=0.001)
            assert got == expected, question


@pytest.mark.parametrize("is_compacted", [pytest.param(False, marks=pytest.mark.prove), True])
def test_the_answers_stay_the_same(played: tuple[Play, Crowd], is_compacted: bool) -> None:
    play, crowd = played
    if is_compacted:
        lake.compact(play.tenant)
    assert rebuild.run(play.tenant, None, clock.system_ms(), lambda: True) is None
    judge(play, crowd)
    lake.compact(play.tenant, sweeps=True)
    judge(play, crowd)


def test_nothing_is_needed_of_the_old_one(played: tuple[Play, Crowd]) -> None:
    play, crowd = played
    lake.compact(play.tenant)
    aws.clear_bucket()
    lake.forget()
    assert rebuild.run(play.tenant, None, clock.system_ms(), lambda: True) is None
    judge(play, crowd)


@pytest.mark.prove
def test_it_goes_on_where_its_time_ended(played: tuple[Play, Crowd]) -> None:
    play, crowd = played
    aws.clear_bucket()
    after, runs = None, 0
    while (after := rebuild.run(play.tenant, after, clock.system_ms(), lambda: False)) is not None:
        runs += 1
    assert runs > 3
    judge(play, crowd)


def test_an_operator_asks_for_it_and_the_worker_does_it(played: tuple[Play, Crowd]) -> None:
    play, crowd = played
    aws.clear_bucket()
    told = worker.handle_rebuild({"project_id": play.tenant.project_id})
    assert told == {"project_id": play.tenant.project_id, "status": "queued"}
    while bodies := lake.take_work():
        records = [{"messageId": str(n), "body": body} for n, body in enumerate(bodies)]
        assert worker.handle({"Records": records}, Context()) == {"batchItemFailures": []}
    judge(play, crowd)
