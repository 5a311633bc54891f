"""API Gateway's part: finds the resource that serves a path, and translates between HTTP and REST-proxy (v1) events."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from chalicelib.core import ids
from infra import template

Headers = Sequence[tuple[str, str]]

MAX_BODY_BYTES: Final = 10 * 1024 * 1024
STAGE: Final = "api"
_VARIABLE: Final = re.compile(r"\{(\w+)(\+?)\}")
_BODILESS: Final = frozenset({204, 304})
_REQUEST_ID: Final = "context.requestId"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request as it came over the wire: `path` is still percent-encoded, `headers` keep order and repetition."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    source_ip: str


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One response to send; `body` is empty where HTTP forbids one."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Match:
    """The resource that serves a path, with the values of its variables as they stood in the path."""

    resource: str
    parameters: Mapping[str, str]


@dataclass(slots=True)
class _Node:
    """One path segment: what may follow it, and the resource that ends here."""

    static: dict[str, _Node] = field(default_factory=dict)
    variable: tuple[str, _Node] | None = None
    greedy: tuple[str, str] | None = None  # variable, resource
    resource: str | None = None


class ResourceTree:
    """Finds resources as API Gateway does: a fixed segment beats a variable, and `{name+}` takes what is left."""

    def __init__(self, resources: Iterable[str]) -> None:
        """Raises ValueError where two resources name one position differently, which API Gateway refuses."""
        self._root = _Node()
        for resource in resources:
            self._add(resource)

    def find(self, path: str) -> Match | None:
        """The resource for a raw path, or None. A slash at the end is ignored."""
        return _find(self._root, _segments(path), {})

    def _add(self, resource: str) -> None:
        node = self._root
        for segment in _segments(resource):
            variable = _VARIABLE.fullmatch(segment)
            if variable is None:
                node = node.static.setdefault(segment, _Node())
            elif variable[2]:
                node.greedy = (variable[1], resource)
                return
            else:
                node = _variable_child(node, variable[1], resource)
        node.resource = resource


def _variable_child(node: _Node, name: str, resource: str) -> _Node:
    if node.variable is None:
        node.variable = (name, _Node())
    known, child = node.variable
    if known != name:
        raise ValueError(f"{resource}: this position is already called {{{known}}}")
    return child


def _find(node: _Node, segments: Sequence[str], parameters: Mapping[str, str]) -> Match | None:
    if not segments:
        return Match(node.resource, parameters) if node.resource is not None else None
    first, rest = segments[0], segments[1:]
    if first in node.static and (match := _find(node.static[first], rest, parameters)):
        return match
    if node.variable is not None and first:
        name, child = node.variable
        if match := _find(child, rest, {**parameters, name: first}):
            return match
    if node.greedy is not None:
        name, resource = node.greedy
        return Match(resource, {**parameters, name: "/".join(segments)})
    return None


def _segments(path: str) -> list[str]:
    inner = path.removeprefix("/").removesuffix("/")
    return inner.split("/") if inner else []


def to_event(request: HttpRequest, match: Match, request_id: str | None = None) -> dict[str, Any]:
    """The REST-proxy event for a request. Empty maps are None, as API Gateway sends them."""
    headers = _multi(request.headers)
    query = _multi(parse_qsl(request.query, keep_blank_values=True))
    body, encoded = _event_body(request.body)
    identifier = request_id or str(uuid.uuid4())
    return {
        "resource": match.resource,
        "path": request.path,
        "httpMethod": request.method,
        "headers": _last(headers),
        "multiValueHeaders": headers,
        "queryStringParameters": _last(query) if query else None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": dict(match.parameters) or None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "stage": STAGE,
            "protocol": "HTTP/1.1",
            "path": request.path,  # as behind a domain of one's own, where no stage stands before it
            "resourcePath": match.resource,
            "httpMethod": request.method,
            "requestId": identifier,
            "extendedRequestId": identifier,
            "identity": {"sourceIp": request.source_ip, "userAgent": headers.get("user-agent", [None])[-1]},
        },
        "body": body,
        "isBase64Encoded": encoded,
    }


def from_answer(answer: Mapping[str, Any], method: str) -> HttpResponse:
    """The response that a function's answer stands for. Raises ValueError where API Gateway would find it malformed."""
    try:
        status = int(answer["statusCode"])
        body = _answer_body(answer)
    except (KeyError, TypeError, binascii.Error) as error:
        raise ValueError(f"malformed proxy answer: {error!r}") from error
    headers = list(_answer_headers(answer))
    if status in _BODILESS:
        return HttpResponse(status, [(name, value) for name, value in headers if name.lower() != "content-type"], b"")
    headers.append(("Content-Length", str(len(body))))
    return HttpResponse(status, headers, b"" if method == "HEAD" else body)


def own_response(kind: str, method: str = "GET") -> HttpResponse:
    """What API Gateway answers without calling the function, as the template's GatewayResponses shape it."""
    response = template.load()["Resources"]["RestAPI"]["Properties"]["GatewayResponses"][kind]
    request_id = ids.new_id("req")
    headers = {
        name: request_id if value == _REQUEST_ID else value.strip("'")
        for name, value in response["ResponseParameters"]["Headers"].items()
    }
    body = response["ResponseTemplates"]["application/json"].replace(f"${_REQUEST_ID}", request_id)
    answer = {
        "statusCode": response["StatusCode"],
        "headers": headers | {"Content-Type": "application/json"},
        "body": body,
    }
    return from_answer(answer, method)


def _answer_headers(answer: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    single: Mapping[str, Any] = answer.get("headers") or {}
    multi: Mapping[str, Sequence[Any]] = answer.get("multiValueHeaders") or {}
    repeated = {name.lower() for name in multi}
    for name, value in single.items():
        if name.lower() not in repeated | {"content-length"}:
            yield name, str(value)
    for name, values in multi.items():
        for value in values:
            yield name, str(value)


def _answer_body(answer: Mapping[str, Any]) -> bytes:
    body = answer.get("body") or ""
    if answer.get("isBase64Encoded"):
        return base64.b64decode(body, validate=True)
    return body if isinstance(body, bytes) else str(body).encode("utf-8")


def _event_body(body: bytes) -> tuple[str | None, bool]:
    """The body as text; base64 where it is no text, as gzip is."""
    if not body:
        return None, False
    try:
        return body.decode("utf-8"), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii"), True


def _multi(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return values


def _last(values: Mapping[str, Sequence[str]]) -> dict[str, str]:
    return {name: entries[-1] for name, entries in values.items()}
