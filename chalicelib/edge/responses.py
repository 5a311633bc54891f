"""Answers on their way out, and the headers that belong to them."""

import re
from dataclasses import dataclass, field
from typing import Any

from chalice.app import Response
from pydantic import BaseModel

from chalicelib.core import strict_json

_JSON = "application/json"
_CORS_METHODS = "GET, POST, OPTIONS"
_CORS_HEADERS = "authorization, content-type"
_CORS_MAX_AGE_SECONDS = "7200"
_HEADER_LIST = re.compile(r"[A-Za-z0-9_, -]{1,512}")

OPEN_TO_ALL_ORIGINS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "X-Request-Id, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, "
    "X-RateLimit-Reset",
}
"""On every ingest answer, errors too: browsers of any site send events, and read what says when to try again."""


@dataclass(slots=True)
class Outcome:
    """A status, a body (a model, a JSON value, or text that goes out as it is) and headers."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


def preflight(wanted: str) -> Outcome:
    """The answer to a browser's OPTIONS on an ingest path; `wanted` is its Access-Control-Request-Headers."""
    allowed = wanted if _HEADER_LIST.fullmatch(wanted) else _CORS_HEADERS
    headers = {
        "Access-Control-Allow-Methods": _CORS_METHODS,
        "Access-Control-Allow-Headers": allowed,
        "Access-Control-Max-Age": _CORS_MAX_AGE_SECONDS,
    }
    return Outcome(204, "", OPEN_TO_ALL_ORIGINS | headers)


def to_chalice(outcome: Outcome) -> Response:
    """What Chalice sends. The body is text already, so that a value that JSON does not know can't fail later."""
    body = outcome.body
    headers: dict[str, str | list[str]] = dict(outcome.headers)
    if not isinstance(body, str):
        body = body.model_dump_json(by_alias=True) if isinstance(body, BaseModel) else strict_json.dumps(body)
        headers.setdefault("Content-Type", _JSON)
    return Response(body=body, headers=headers, status_code=outcome.status)
