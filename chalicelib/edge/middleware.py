"""Around every HTTP request: its id, its log line, and the last resort where Chalice itself answered.

The request lies in a context variable: Chalice keeps its own on the app, where threads would overwrite each other's.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from chalice.app import Request as ChaliceRequest
from chalice.app import Response

from chalicelib.core import clock, ids
from chalicelib.core.errors import MethodNotAllowed, NotFound
from chalicelib.edge import errors, requests, responses
from chalicelib.edge.requests import METHODS, Request
from chalicelib.platform import address, deadline
from chalicelib.platform.observability import bind, log_failure, logger, unbind

_current: ContextVar[Request] = ContextVar("request")

_DEADLINE = 15.0
"""Seconds for which a request may begin calls to AWS; the last one takes up to 7 more, and the gateway waits for 29."""


def current_request() -> Request:
    """The request that this thread serves."""
    return _current.get()


def around_http(raw: ChaliceRequest | None, get_response: Callable[[Any], Response]) -> Response:
    """Chalice's http middleware."""
    started = clock.monotonic()
    request_id = ids.new_id("req")
    unbind()
    bind(request_id=request_id)
    try:
        event = raw.to_original_event() if raw is not None else {}
        request = requests.from_event(event, request_id)
        _let_through(event, request.method)
        token = _current.set(request)
        try:
            with deadline.within(_DEADLINE), address.reached_at(request.reached_at):
                response = _in_our_envelope(get_response(raw), request)
        finally:
            _current.reset(token)
        method, route = request.method, request.route
    except Exception:
        log_failure("unexpected failure around a request")
        response = responses.to_chalice(errors.internal_error(request_id))
        method = route = ""
    response.headers["X-Request-Id"] = request_id
    milliseconds = round((clock.monotonic() - started) * 1000, 1)
    logger.info("request", extra={"method": method, "route": route, "status": response.status_code, "ms": milliseconds})
    return response


def _let_through(event: dict[str, Any], method: str) -> None:
    """Bring a method that Chalice does not know to the path's view, which judges by our own request."""
    if method not in METHODS and "requestContext" in event:
        event["requestContext"]["httpMethod"] = METHODS[0]


def _in_our_envelope(response: Response, request: Request) -> Response:
    """Chalice's own answers have a dictionary as their body, ours have text."""
    if isinstance(response.body, str):
        return response
    # With all methods let through, what remains of 405 are routes that the app does not have.
    if response.status_code == MethodNotAllowed.status:
        error = errors.envelope(NotFound("There is nothing under this path."), request.request_id)
        return responses.to_chalice(error)
    return responses.to_chalice(errors.internal_error(request.request_id))
