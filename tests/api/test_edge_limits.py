"""Rate limits through the whole edge; the clock is moved, never waited for."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from chalicelib.core import clock
from chalicelib.core.errors import Unavailable
from chalicelib.edge import rate_limit
from chalicelib.edge.rate_limit import limiter
from chalicelib.flows import create_project
from chalicelib.flows.create_project import CreatedProject
from tests.support.client import Client
from tests.support.keys import key_with
from tests.support.probe import probe

START = datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)
FULL_AGAIN = int(START.timestamp()) + 1


@pytest.fixture
def free(table: str) -> CreatedProject:
    return create_project.run("Small", "live", "free", now=clock.system_ms())


@pytest.fixture
def caller(free: CreatedProject) -> Client:
    return Client(free.secret_key, app=probe)


def test_the_headers_tell_what_is_left_and_when_all_is_back(caller: Client) -> None:
    with time_machine.travel(START, tick=False):
        caller.get("/v1/things/a")
        response = caller.get("/v1/things/a")
    assert response.headers["x-ratelimit-limit"] == "10"
    assert response.headers["x-ratelimit-remaining"] == "8"
    assert response.headers["x-ratelimit-reset"] == str(FULL_AGAIN)


def test_the_call_over_the_limit_is_429_until_there_is_a_token_again(caller: Client) -> None:
    with time_machine.travel(START, tick=False) as traveller:
        passed = [caller.get("/v1/things/a").status for _ in range(10)]
        refused = caller.get("/v1/things/a")
        traveller.shift(0.099)
        still = caller.get("/v1/things/a")
        traveller.shift(0.001)
        after = caller.get("/v1/things/a")
    assert passed == [200] * 10
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (429, "rate_limited", "1")
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert (still.status, after.status) == (429, 200)


def test_another_instance_counts_on_the_same_bucket(caller: Client) -> None:
    with time_machine.travel(START, tick=False):
        for _ in range(10):
            caller.get("/v1/things/a")
        limiter.forget()
        assert caller.get("/v1/things/a").status == 429


def test_each_key_has_its_own_bucket(caller: Client, free: CreatedProject) -> None:
    with time_machine.travel(START, tick=False):
        other = key_with(Client(free.secret_key), "contacts:read")
        while caller.get("/v1/things/a").status == 200:
            pass
        assert caller.get("/v1/things/a", key=other).status == 200


def test_ingest_and_management_are_counted_apart(caller: Client) -> None:
    with time_machine.travel(START, tick=False):
        while caller.get("/v1/things/a").status == 200:
            pass
        response = caller.post("/v1/track", {"event": "x"})
    assert (response.status, response.headers["x-ratelimit-limit"]) == (202, "100")


def test_ingest_lets_seven_tenths_of_the_limit_pass_at_once_and_the_rest_within_the_second(
    free: CreatedProject,
) -> None:
    sender = Client(free.write_key, app=probe)
    with time_machine.travel(START, tick=False):
        at_once = [sender.post("/v1/track", {"event": "x"}).status for _ in range(100)]
    with time_machine.travel(START + timedelta(seconds=0.4), tick=False):
        later = [sender.post("/v1/track", {"event": "x"}).status for _ in range(41)]
    assert at_once == [202] * 70 + [429] * 30
    assert later == [202] * 40 + [429]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/things/a?nope=1", 400), ("GET", "/v1/things/a%23", 404), ("POST", "/v1/failures/bug", 500)],
)
def test_errors_after_authentication_have_the_headers_too(caller: Client, method: str, path: str, status: int) -> None:
    response = caller.request(method, path)
    assert response.status == status
    assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(response.headers)


def test_a_missing_scope_has_the_headers_and_is_not_counted(caller: Client, free: CreatedProject) -> None:
    weak = key_with(Client(free.secret_key), "events:read")
    with time_machine.travel(START, tick=False):
        responses = [caller.get("/v1/things/a", key=weak) for _ in range(12)]
    assert {response.status for response in responses} == {403}
    assert responses[-1].headers["x-ratelimit-remaining"] == "10"


def test_where_the_table_can_not_count_events_pass_and_management_waits(
    caller: Client, free: CreatedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller.get("/v1/things/a")

    def fail(*_: object) -> None:
        raise Unavailable

    monkeypatch.setattr(rate_limit, "_take", fail)
    refused = caller.get("/v1/things/a")
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "unavailable", "1")
    event = {"user_id": "u", "event": "e"}
    assert {Client(free.write_key).post("/v1/track", event).status for _ in range(20)} == {202}


def test_calls_at_once_in_one_instance_ask_one_after_the_other(caller: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together they would each find that another one was faster, until none is counted."""
    caller.get("/v1/things/a")
    asking, most = [0], [0]
    real = rate_limit._take

    def watched(*arguments: Any) -> tuple[bool, int, int]:
        asking[0] += 1
        most[0] = max(most[0], asking[0])
        try:
            return real(*arguments)
        finally:
            asking[0] -= 1

    monkeypatch.setattr(rate_limit, "_take", watched)
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda _: caller.get("/v1/things/a").status, range(8)))
    assert statuses.keys() <= {200, 429}
    assert most == [1]
