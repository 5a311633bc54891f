"""The web process: granian in front, and an ASGI adapter that calls `app(event, context)` as API Gateway would.

ASGI, not WSGI: it gives the path before decoding and every repeated header, which API Gateway passes on.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from chalice.app import Chalice

from chalicelib.core import ids
from chalicelib.core.errors import MethodNotAllowed
from chalicelib.edge import errors
from infra.local.context import LambdaContext
from infra.local.gateway import (
    MAX_BODY_BYTES,
    HttpRequest,
    HttpResponse,
    ResourceTree,
    from_answer,
    own_response,
    to_event,
)
from infra.local.lifeline import follow_parent

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Probe = Callable[[], Mapping[str, bool]]

HEALTH_PATH: Final = "/health"
_HEALTH_METHODS: Final = ("GET", "HEAD")
TIMEOUT_S: Final = 29.0
WORKERS: Final = 2
THREADS: Final = 16
_STOP_WITHIN_S: Final = 10

_log = logging.getLogger("growthos.local.web")


class TooLargeError(Exception):
    """The body is longer than API Gateway takes."""


class BrokenBodyError(Exception):
    """The body did not come whole: the client went away, or its chunks are malformed, which granian tells alike."""


class Adapter:
    """An ASGI application in front of a REST app. Requests run in threads, many at once, in the app's one process."""

    def __init__(self, app: Chalice, probe: Probe) -> None:
        self._app = app
        self._probe = probe
        self._resources = ResourceTree(app.routes)
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="request")

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] != "http":
            return
        try:
            request = _request(scope, await _read_body(receive))
        except BrokenBodyError:
            await _send(send, own_response("BAD_REQUEST_BODY"))
            return
        except TooLargeError:
            await _send(send, own_response("REQUEST_TOO_LARGE"))
            return
        loop = asyncio.get_running_loop()
        await _send(send, await loop.run_in_executor(self._threads, self.answer, request))

    def answer(self, request: HttpRequest) -> HttpResponse:
        """The response to a request whose body is read. Never raises: what the app lets through is a 5xx, as on AWS."""
        if request.path == HEALTH_PATH:
            return _health(self._probe, request.method)
        match = self._resources.find(request.path)
        if match is None:
            return own_response("MISSING_AUTHENTICATION_TOKEN", request.method)
        event = to_event(request, match)
        try:
            return from_answer(self._app(event, LambdaContext("api_handler", TIMEOUT_S)), request.method)
        except Exception:
            _log.exception("%s %s failed outside of the app's own error handling", request.method, match.resource)
            return own_response("DEFAULT_5XX", request.method)


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BrokenBodyError
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise TooLargeError
        if not message.get("more_body", False):
            return bytes(body)


def _request(scope: Mapping[str, Any], body: bytes) -> HttpRequest:
    client = scope.get("client") or ("127.0.0.1", 0)
    return HttpRequest(
        method=scope["method"],
        path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        body=body,
        source_ip=client[0],
    )


async def _send(send: Send, response: HttpResponse) -> None:
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _health(probe: Probe, method: str) -> HttpResponse:
    if method not in _HEALTH_METHODS:
        error = errors.envelope(MethodNotAllowed(_HEALTH_METHODS), ids.new_id("req"))
        return _answered(error.status, error.body, error.body["request_id"], method, error.headers)
    parts = probe()
    up = all(parts.values())
    named = {name: "up" if part else "down" for name, part in parts.items()}
    body = {"status": "up" if up else "down", "parts": named}
    return _answered(200 if up else 503, body, ids.new_id("req"), method)


def _answered(
    status: int, body: Mapping[str, Any], request_id: str, method: str, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    told = {"Content-Type": "application/json", "X-Request-Id": request_id, **(headers or {})}
    return from_answer({"statusCode": status, "headers": told, "body": json.dumps(body)}, method)


def application() -> Adapter:
    """The adapter around the product's own app; granian calls this once in each of its worker processes."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a forked worker has its parent's, which would swallow an early stop
    follow_parent()
    from app import app
    from infra.local.health import probe

    return Adapter(app, probe)


def main() -> None:
    """Serve on the loopback port given as the only argument until SIGTERM."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    follow_parent()
    importlib.import_module("app")  # once, for the workers that are forked from this process
    Server(
        "infra.local.web:application",
        factory=True,
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.ASGINL,
        workers=WORKERS,
        websockets=False,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=_STOP_WITHIN_S,
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main()
