"""The routes of a test project's clock: what they take, what they refuse, and what they answer at once."""

from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.features.projects import service as projects
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import table
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from tests.support import aws as support
from tests.support import pipeline
from tests.support.client import Client
from tests.support.keys import key_with


@pytest.fixture
def tester(test_project: CreatedProject) -> Client:
    return Client(test_project.secret_key)


@pytest.fixture
def now(test_project: CreatedProject) -> int:
    return projects.now(Tenant(test_project.project_id))


def advance(tester: Client, body: Any, **headers: str) -> Any:
    return tester.post("/v1/test_clock/advance", body, headers=headers)


def test_a_new_projects_clock_stands(tester: Client, now: int) -> None:
    answer = tester.get("/v1/test_clock")
    assert (answer.status, answer.json) == (200, {"now": clock.iso(now), "status": "ready"})


@pytest.mark.parametrize("field", ["by", "to"])
def test_advancing_answers_at_once_and_leads_to_the_moment(tester: Client, now: int, field: str) -> None:
    answer = advance(tester, {field: {"by": "5d", "to": clock.iso(now + 5 * clock.DAY)}[field]})
    assert (answer.status, answer.json) == (200, {"now": clock.iso(now), "status": "advancing"})
    assert tester.get("/v1/test_clock").json == answer.json
    pipeline.drain()
    assert tester.get("/v1/test_clock").json == {"now": clock.iso(now + 5 * clock.DAY), "status": "ready"}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, [""]),
        ({"to": "2030-01-01", "by": "5d"}, [""]),
        ({"to": None, "by": None}, [""]),
        ({"by": "five days"}, ["by"]),
        ({"by": "-5d"}, ["by"]),
        ({"by": 5}, ["by"]),
        ({"by": "3661d"}, ["by"]),
        ({"to": "2020-01-01T00:00:00Z"}, ["to"]),
        ({"to": "2200-01-01T00:00:00Z"}, ["to"]),
        ({"to": "tomorrow"}, ["to"]),
        ({"to": 1_770_000_000_000}, ["to"]),
        ({"by": "5d", "speed": 2}, ["speed"]),
    ],
)
def test_what_is_no_way_forward_is_refused_and_changes_nothing(
    tester: Client, now: int, body: dict[str, Any], fields: list[str]
) -> None:
    answer = advance(tester, body)
    assert (answer.status, answer.fields) == (422, fields), answer.text
    assert tester.get("/v1/test_clock").json == {"now": clock.iso(now), "status": "ready"}


def test_the_bounds_themselves_are_taken(tester: Client, now: int) -> None:
    assert advance(tester, {"to": clock.iso(now)}).status == 200
    pipeline.drain()
    assert advance(tester, {"by": "3660d"}).status == 200


def test_the_clock_never_passes_the_last_moment_that_has_a_date(tester: Client, test_project: CreatedProject) -> None:
    tenant = Tenant(test_project.project_id)
    table.write(table.Update(tenant.test_clock(), set_={"now": clock.LAST_MOMENT - clock.DAY}))
    assert advance(tester, {"by": "2d"}).fields == ["by"]
    assert advance(tester, {"by": "1d"}).status == 200


def test_a_clock_that_advances_can_not_be_asked_again_until_it_is_ready(tester: Client) -> None:
    assert advance(tester, {"by": "1d"}).status == 200
    assert advance(tester, {"by": "1d"}).code == "conflict"
    pipeline.drain()
    assert advance(tester, {"by": "1d"}).status == 200


def test_of_two_who_ask_at_once_one_is_heard(tester: Client, now: int) -> None:
    raced: list[Any] = []

    def race(_number: int, operation: str) -> None:
        if operation == "TransactWriteItems" and not raced:
            raced.append(None)
            raced[0] = advance(tester, {"by": "2d"})

    with pipeline.on_call("before-call", race):
        assert advance(tester, {"by": "3d"}).status == 409
    assert raced[0].status == 200
    pipeline.drain()
    assert tester.get("/v1/test_clock").json["now"] == clock.iso(now + 2 * clock.DAY)


def test_an_idempotent_advance_acts_once_however_far_it_moved_the_clock(tester: Client, now: int) -> None:
    first = advance(tester, {"by": "30d"}, **{"Idempotency-Key": "k"})
    while_advancing = advance(tester, {"by": "30d"}, **{"Idempotency-Key": "k"})
    pipeline.drain()
    after = advance(tester, {"by": "30d"}, **{"Idempotency-Key": "k"})
    assert [answer.json for answer in (first, while_advancing, after)] == [first.json] * 3
    assert [answer.headers.get("idempotency-replayed") for answer in (first, while_advancing, after)] == [
        None,
        "true",
        "true",
    ]
    pipeline.drain()
    assert tester.get("/v1/test_clock").json == {"now": clock.iso(now + 30 * clock.DAY), "status": "ready"}


def test_a_live_project_has_no_clock_to_move(client: Client) -> None:
    for answer in (client.get("/v1/test_clock"), advance(client, {"by": "5d"}), advance(client, {"by": "nonsense"})):
        assert (answer.status, answer.code) == (404, "not_found")
    pipeline.drain()
    assert support.waiting(settings().jobs_queue_url) == []


def test_to_look_and_to_advance_need_their_scopes(tester: Client) -> None:
    reader = Client(key_with(tester, "settings:read"))
    assert reader.get("/v1/test_clock").status == 200
    assert advance(reader, {"by": "1d"}).code == "insufficient_scope"
    assert Client(key_with(tester, "settings:write")).get("/v1/test_clock").code == "insufficient_scope"


def test_what_is_done_after_an_advance_happens_at_the_new_now(tester: Client, now: int) -> None:
    advance(tester, {"by": "2d"})
    pipeline.drain()
    made = tester.post("/v1/contacts", {"external_id": "u"}).json
    assert made["created_at"] == clock.iso(now + 2 * clock.DAY)
