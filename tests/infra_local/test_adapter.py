"""The ASGI adapter in front of a small Chalice app, without a server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest
from chalice.app import Chalice, Response

from chalicelib.core import ids
from infra.local.gateway import MAX_BODY_BYTES, HttpRequest
from infra.local.web import Adapter, Message

REQUEST: ContextVar[Any] = ContextVar("request")


def stand_in_app() -> Chalice:
    """An app that, as ours does, hands the request to its views by a context variable."""
    app = Chalice(app_name="stand-in")

    @app.middleware("http")
    def remember(event: Any, get_response: Any) -> Any:
        REQUEST.set(event)
        return get_response(event)

    @app.route("/echo/{name}", methods=["GET", "POST", "HEAD"], content_types=[])
    def echo(name: str) -> Response:
        request = REQUEST.get()
        body = request.raw_body.decode("utf-8") if request.raw_body else ""
        return Response({"name": name, "body": body, "method": request.method}, headers={"X-Name": name})

    @app.route("/unserialisable")
    def unserialisable() -> object:
        return Response({"value": object()})

    @app.route("/raises")
    def raises() -> object:
        raise RuntimeError("secret")

    return app


@pytest.fixture
def adapter() -> Adapter:
    return Adapter(stand_in_app(), lambda: {"engine": True, "table": True, "pump": True})


def get(path: str, method: str = "GET", body: bytes = b"") -> HttpRequest:
    return HttpRequest(method, path, "", [("Host", "x")], body, "127.0.0.1")


def serve(adapter: Adapter, path: str, messages: list[Message]) -> list[Message]:
    """What the adapter sends for one POST whose body comes as these messages."""
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Mapping[str, Any] = {
        "type": "http",
        "method": "POST",
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"x-a", b"1")],
        "client": ("127.0.0.1", 1),
    }
    asyncio.run(adapter(scope, receive, send))
    return sent


def test_a_request_reaches_the_view_and_its_answer_returns(adapter: Adapter) -> None:
    chunks: list[Message] = [
        {"type": "http.request", "body": b"he", "more_body": True},
        {"type": "http.request", "body": b"llo", "more_body": False},
    ]
    start, body = serve(adapter, "/echo/a%20b", chunks)
    assert start["status"] == 200
    assert (b"x-name", b"a%20b") in start["headers"]
    assert json.loads(body["body"]) == {"name": "a%20b", "body": "hello", "method": "POST"}


def test_a_body_that_does_not_come_whole_is_400_and_does_no_harm(adapter: Adapter) -> None:
    cut: list[Message] = [{"type": "http.request", "body": b"x", "more_body": True}, {"type": "http.disconnect"}]
    start, body = serve(adapter, "/echo/a", cut)
    assert (start["status"], json.loads(body["body"])["error"]["code"]) == (400, "bad_request")
    assert adapter.answer(get("/echo/a")).status == 200


def test_a_body_over_10_mb_is_413_without_reaching_the_app(adapter: Adapter) -> None:
    chunk = b"x" * (MAX_BODY_BYTES // 2 + 1)
    chunks: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for _ in range(2)]
    start, body = serve(adapter, "/echo/a", chunks)
    assert (start["status"], json.loads(body["body"])["error"]["code"]) == (413, "payload_too_large")


def test_an_unknown_path_is_what_the_gateway_answers(adapter: Adapter) -> None:
    response = adapter.answer(get("/nowhere"))
    assert (response.status, json.loads(response.body)["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/raises", "/unserialisable"])
def test_a_failing_view_is_a_500_without_its_reason(adapter: Adapter, path: str) -> None:
    response = adapter.answer(get(path))
    assert response.status == 500
    assert b"secret" not in response.body


def test_head_is_answered_without_a_body(adapter: Adapter) -> None:
    response = adapter.answer(get("/echo/a", "HEAD"))
    assert (response.status, response.body) == (200, b"")


def test_health_names_the_part_that_is_down() -> None:
    adapter = Adapter(stand_in_app(), lambda: {"engine": True, "table": True, "pump": False})
    response = adapter.answer(get("/health"))
    assert response.status == 503
    assert json.loads(response.body) == {"status": "down", "parts": {"engine": "up", "table": "up", "pump": "down"}}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_has_a_request_id(adapter: Adapter, method: str) -> None:
    response = adapter.answer(get("/health", method))
    assert response.status == 200
    assert ids.is_id("req", dict(response.headers)["X-Request-Id"])


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "FOO"])
def test_health_serves_no_other_method(adapter: Adapter, method: str) -> None:
    response = adapter.answer(get("/health", method))
    assert (response.status, json.loads(response.body)["error"]["code"]) == (405, "method_not_allowed")
    assert dict(response.headers)["Allow"] == "GET, HEAD"
    assert json.loads(response.body)["request_id"] == dict(response.headers)["X-Request-Id"]


def test_eight_threads_never_see_each_others_request(adapter: Adapter) -> None:
    together = threading.Barrier(8)

    def call(worker: int) -> list[bool]:
        together.wait()
        return [own_answer(adapter, f"w{worker}n{number}") for number in range(200)]

    with ThreadPoolExecutor(8) as threads:
        assert all(all(results) for results in threads.map(call, range(8)))


def own_answer(adapter: Adapter, name: str) -> bool:
    response = adapter.answer(get(f"/echo/{name}", "POST", name.encode()))
    body = json.loads(response.body)
    return bool(body["name"] == body["body"] == name == dict(response.headers)["X-Name"])
