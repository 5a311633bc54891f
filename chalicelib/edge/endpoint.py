"""One endpoint, and the one order in which every call to it is served:

key > scope > IP allow-list > rate limit > size > validation > call > errors.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from chalicelib.core import clock
from chalicelib.core.errors import AppError, BadRequest, NotFound, detail
from chalicelib.edge import auth, errors, validation
from chalicelib.edge.auth import Access
from chalicelib.edge.call import Call, Principal, Reply
from chalicelib.edge.rate_limit import limiter
from chalicelib.edge.requests import Request
from chalicelib.edge.responses import OPEN_TO_ALL_ORIGINS, Outcome
from chalicelib.platform.idempotency import Receipt, Replay, StoredAnswer
from chalicelib.platform.observability import bind, log_failure

Method = Literal["GET", "POST", "PATCH", "DELETE"]
Handler = Callable[[Call[Any, Any]], BaseModel | Reply]

INGEST_BODY_MAX = 500 * 1024
MANAGEMENT_BODY_MAX = 1024 * 1024
"""Bytes, unpacked."""

_IDENTIFIER = re.compile(r"[A-Za-z0-9_.~-]{1,256}")
"""What a path of an endpoint with a key may hold."""

_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")
_ACCEPTED, _OK = 202, 200


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is known of one method of one path; OpenAPI is made from it."""

    method: Method
    path: str
    handler: Handler
    section: str
    access: Access
    scope: str | None
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    answer: type[BaseModel] | None
    status: int
    idempotent: bool
    summary: str
    also: tuple[int, ...] = ()
    """Statuses of other good answers, for OpenAPI: 200 of an endpoint that creates (201) or updates."""
    test_only: bool = False
    """For a live project there is nothing at this path, whatever it sends."""
    may_be_empty: bool = False
    """A call without a body is one with an empty object."""

    @property
    def is_page(self) -> bool:
        """True where anybody may look at it."""
        return self.access == "public" and self.method == "GET"

    @property
    def body_max(self) -> int:
        """The most bytes that a body may have, unpacked."""
        return INGEST_BODY_MAX if self.access == "ingest" else MANAGEMENT_BODY_MAX


def serve(endpoint: Endpoint, request: Request, path: Mapping[str, str]) -> Outcome:
    """The answer to one call; it never raises."""
    headers: dict[str, str] = {}
    is_ingest = endpoint.access == "ingest"
    try:
        outcome = _answer(endpoint, request, path, headers)
    except Replay as replay:
        outcome = _replayed(replay.answer)
    except AppError as error:
        outcome = errors.envelope(error, request.request_id, at_root=is_ingest)
    except Exception:
        log_failure("unexpected failure", route=endpoint.path, method=endpoint.method)
        outcome = errors.internal_error(request.request_id, at_root=is_ingest)
    outcome.headers = headers | outcome.headers | (OPEN_TO_ALL_ORIGINS if is_ingest else {})
    if request.by_basic and outcome.status == _ACCEPTED:
        # RudderStack's Python client takes nothing but 200 for success and sends again.
        outcome.status = _OK
    return outcome


def _answer(endpoint: Endpoint, request: Request, path: Mapping[str, str], headers: dict[str, str]) -> Outcome:
    if endpoint.access == "public":
        return _call(endpoint, request, path, clock.system_ms(), None, None)
    admission, key_text, now = auth.authenticate(request, endpoint.access, endpoint.body_max)
    principal = admission.principal()
    bind(project_id=principal.project_id, key_id=principal.key_id)
    headers |= limiter.headers(principal, endpoint.access)
    auth.check_scope(principal, endpoint.access, endpoint.scope)
    auth.check_address(admission, request)
    headers |= limiter.admit(principal, endpoint.access)
    auth.note_use(principal, now)
    if endpoint.test_only and not principal.tenant.is_test:
        raise NotFound("Only a test project has this.")
    request.open_body(endpoint.body_max)
    receipt = _receipt(endpoint, request, path, principal, key_text, now)
    return _call(endpoint, request, path, now, principal, receipt)


def _call(
    endpoint: Endpoint,
    request: Request,
    path: Mapping[str, str],
    now: int,
    principal: Principal | None,
    receipt: Receipt | None,
) -> Outcome:
    # Before validation: a key that was used with another body is told as that, whatever the body is.
    if receipt is not None and (before := receipt.recall()):
        return _replayed(before)
    is_management = endpoint.access == "management"
    query = validation.read_query(request, endpoint.query, tolerant=not is_management)
    if endpoint.access == "ingest" and endpoint.method == "POST":
        auth.refuse_secret_in_body(request.json(leniently=True))
    body = None
    if endpoint.body is not None and not (endpoint.may_be_empty and not request.payload.strip()):
        body = validation.read_body(request, endpoint.body, any_type=not is_management)
    elif endpoint.body is not None:
        body = endpoint.body()
    # Whoever serves the public judges its links for itself: a token that was spoiled is told as that.
    if endpoint.access != "public" and not all(_IDENTIFIER.fullmatch(value) for value in path.values()):
        raise NotFound("There is nothing under this path.")
    answer = endpoint.handler(Call(request, path, query, body, now, principal, receipt))
    if isinstance(answer, Reply):
        return Outcome(answer.status or endpoint.status, answer.body, dict(answer.headers))
    return Outcome(endpoint.status, answer)


def _receipt(
    endpoint: Endpoint, request: Request, path: Mapping[str, str], principal: Principal, key_text: str, now: int
) -> Receipt:
    key = request.headers.get("idempotency-key") if endpoint.idempotent else None
    if key is None:
        return Receipt(principal.tenant, now)
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        message = "An Idempotency-Key is 1 to 255 printable ASCII characters."
        raise BadRequest(message, details=[detail("Idempotency-Key", "invalid", message)])
    # The resource, not the path as it was written, which may have a slash at its end or a stage before it.
    resource = endpoint.path.format_map(path).encode(errors="replace")
    bound = b"\n".join([endpoint.method.encode(), resource, request.payload])
    return Receipt(principal.tenant, now, secret=key_text, idempotency_key=key, request=bound)


def _replayed(answer: StoredAnswer) -> Outcome:
    return Outcome(answer.status, answer.body, {"Idempotency-Replayed": "true"})
