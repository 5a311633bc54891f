"""One log line for each request, with its ids, and without anything that must not be in a log."""

import json
from collections.abc import Iterator
from io import StringIO
from logging import StreamHandler
from typing import Any

import pytest

from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform.observability import logger
from tests.support.client import Client
from tests.support.probe import probe


@pytest.fixture
def caller(project: CreatedProject) -> Client:
    return Client(project.secret_key, app=probe)


@pytest.fixture
def log(caller: Client) -> Iterator[StringIO]:
    """What is logged from here on."""
    written = StringIO()
    handler = logger.registered_handler
    assert isinstance(handler, StreamHandler)
    before = handler.setStream(written)
    yield written
    handler.setStream(before)


def lines(log: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_request_leaves_one_line_with_its_ids(caller: Client, project: CreatedProject, log: StringIO) -> None:
    response = caller.get("/v1/things/abc")
    (line,) = lines(log)
    assert (line["method"], line["route"], line["status"]) == ("GET", "/v1/things/{thing_id}", 200)
    assert line["ms"] >= 0
    assert line["request_id"] == response.headers["x-request-id"]
    assert line["project_id"] == project.project_id
    assert line["key_id"].startswith("key_")


def test_a_line_has_nothing_of_the_request_before(caller: Client, log: StringIO) -> None:
    caller.get("/v1/things/abc")
    caller.get("/v1/things/abc", key="")
    assert "project_id" not in lines(log)[-1]


def test_a_failure_is_logged_with_its_traceback(caller: Client, log: StringIO) -> None:
    caller.post("/v1/failures/bug")
    failure, _ = lines(log)
    assert failure["level"] == "ERROR"
    assert "RuntimeError" in failure["exception"]


def test_no_line_shows_a_key_a_query_a_body_or_an_address(
    caller: Client, project: CreatedProject, log: StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = "shown@example.com"
    caller.get("/v1/things/a", query={"tag": shown})
    caller.get("/v1/things/a", query={"nope": shown})
    caller.post("/v1/things", {"name": shown, "extra": shown}, headers={"Idempotency-Key": "idem-4711"})
    caller.post("/v1/track", {"email": shown}, key="", query={"writeKey": project.write_key})
    caller.get("/v1/things/a", query={"key": project.secret_key})
    caller.get("/v1/things/a", key=project.write_key)
    caller.get(f"/nowhere/{shown}")
    text = log.getvalue() + capsys.readouterr().out
    assert text.count('"message":"request"') == 7
    for hidden in (project.secret_key, project.write_key, shown, "idem-4711", caller.source_ip):
        assert hidden not in text
