"""Both engines under one suite: the same lake, the same questions, the recount's answers."""

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.features.analytics import answers, queries
from chalicelib.features.analytics.model import Question
from chalicelib.features.lake import service as lakes
from chalicelib.features.lake.model import Live, Manifest, Stored
from chalicelib.readings.lake import athena, embedded, route, span
from chalicelib.readings.lake.embedded import Engine
from tests.support import analytics_oracle, aws, lake, pipeline
from tests.support.analytics_crowd import Crowd
from tests.support.analytics_play import Play
from tests.support.athena_stand_in import standing_in

ENGINES: dict[str, Engine] = {"embedded": embedded.rows, "athena": athena.rows}
OF_EACH_TYPE = 12


@pytest.fixture(scope="module")
def played(engine: str) -> Iterator[tuple[Play, Crowd]]:
    """A crowd of which a part is compacted and a part is not; the bucket is the module's."""
    aws.clear_table(engine)
    aws.clear_queues()
    lake.forget()
    crowd = Crowd(0, "Australia/Lord_Howe", 120, 15)
    play = Play(pipeline, crowd.received_at)
    half = len(crowd.acts) // 2
    play.take_together(crowd.acts[:half])
    lake.project_all()
    lake.compact(play.tenant)
    play.take_together(crowd.acts[half:])
    lake.project_all()
    yield play, crowd
    lake.forget()


def some(crowd: Crowd) -> list[Question]:
    """Some questions of each type."""
    of_type: dict[type, list[Question]] = {}
    for question in crowd.questions():
        of_type.setdefault(type(question), []).append(question)
    return [question for each in of_type.values() for question in each[:OF_EACH_TYPE]]


def answered(engine: Engine, play: Play, question: Question, now: int) -> dict[str, Any]:
    live = lakes.live(play.tenant)
    assert live.hot
    assert live.manifest.days
    statement = queries.statement(play.tenant.project_id, question, now, span.recent_of(live))
    rows = engine(play.tenant, live, statement, question.span.since, queries.until_of(question))
    return answers.answer(question, rows, now)


@pytest.mark.parametrize("name", ENGINES)
def test_each_engine_gives_the_answers_of_a_recount(played: tuple[Play, Crowd], name: str) -> None:
    play, crowd = played
    world, now = play.people.world(), crowd.moments()[0]
    with standing_in():
        for question in some(crowd):
            expected = analytics_oracle.answer(world, question, now)
            for step in expected.get("steps", []):
                step["median_time_to_convert"] = pytest.approx(step["median_time_to_convert"], abs=0.001)
            assert answered(ENGINES[name], play, question, now) == expected, question


def test_athena_reads_live_objects_only(played: tuple[Play, Crowd]) -> None:
    play, crowd = played
    with standing_in() as asked:
        answered(athena.rows, play, next(crowd.questions()), crowd.moments()[0])
    (text,) = asked
    assert text.count('"$path" IN') >= 4
    assert play.tenant.project_id not in text


def test_the_size_of_what_is_live_decides(played: tuple[Play, Crowd]) -> None:
    live = lakes.live(played[0].tenant)
    large = Live(Manifest(days={"2026-11-27": Stored("events/day", 1, 351_000_000)}))
    assert route.engine(large) is embedded.rows
    with standing_in():
        assert route.engine(live) is embedded.rows
        assert route.engine(large) is athena.rows
