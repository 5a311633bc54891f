"""A client that calls the app with the events that API Gateway would send."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from chalice.app import Chalice

from app import app as product

Query = Mapping[str, str | int | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Response:
    """What the caller gets; `headers` has lower-case names."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.json["error"]["code"])

    @property
    def fields(self) -> list[str]:
        """The fields that the error's details name."""
        return [entry["field"] for entry in self.json["error"]["details"]]


class Client:
    """Calls by default with `key` and from 203.0.113.7; `stage` stands before each path in the address, and `domain` is
    the host that the gateway names."""

    def __init__(
        self,
        key: str | None = None,
        source_ip: str = "203.0.113.7",
        app: Chalice = product,
        stage: str = "",
        domain: str | None = None,
    ) -> None:
        self.key = key
        self.source_ip = source_ip
        self.app = app
        self.stage = stage
        self.domain = domain

    def get(self, path: str, **options: Any) -> Response:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Response:
        return self.request("POST", path, body, **options)

    def patch(self, path: str, body: Any = None, **options: Any) -> Response:
        return self.request("PATCH", path, body, **options)

    def delete(self, path: str, **options: Any) -> Response:
        return self.request("DELETE", path, **options)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Query | None = None,
        content_type: str | None = "application/json",
        source_ip: str | None = None,
    ) -> Response:
        """`body` is sent as JSON, or as it is where it is bytes; `key=""` sends none; the path may have a query."""
        sent = dict(headers or {})
        bearer = self.key if key is None else key
        if bearer and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {bearer}"
        if body is not None and content_type is not None:
            sent.setdefault("Content-Type", content_type)
        path, _, in_path = path.partition("?")
        pairs = parse_qsl(in_path, keep_blank_values=True) + _pairs(query or {})
        event = _event(self.app, method, path, sent, pairs, body, source_ip or self.source_ip)
        event["requestContext"] |= {"path": f"{self.stage}{path}", "domainName": self.domain}
        answer = self.app(event, None)
        lower = {name.lower(): value for name, value in answer["headers"].items()}
        return Response(answer["statusCode"], lower, answer["body"])


def _pairs(query: Query) -> list[tuple[str, str]]:
    return [
        (name, str(value))
        for name, given in query.items()
        for value in ([given] if isinstance(given, str | int) else given)
    ]


def _event(
    app: Chalice,
    method: str,
    path: str,
    headers: dict[str, str],
    query: list[tuple[str, str]],
    body: Any,
    source_ip: str,
) -> dict[str, Any]:
    resource, parameters = _route(app, path)
    multi: dict[str, list[str]] = {}
    for name, value in query:
        multi.setdefault(name, []).append(value)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": {name: values[-1] for name, values in multi.items()} or None,
        "multiValueQueryStringParameters": multi or None,
        "pathParameters": parameters or None,
        "stageVariables": None,
        "requestContext": {
            "httpMethod": method,
            "resourcePath": resource,
            "path": path,
            "identity": {"sourceIp": source_ip},
        },
        "body": None if body is None else base64.b64encode(raw).decode(),
        "isBase64Encoded": body is not None,
    }


def _route(app: Chalice, path: str) -> tuple[str, dict[str, str]]:
    """API Gateway's choice: a fixed segment beats a parameter, and the catch-all takes the rest."""
    trimmed = path.rstrip("/") or "/"
    for template, pattern in _patterns(tuple(app.routes)):
        if match := pattern.fullmatch(trimmed):
            return template, match.groupdict()
    return "/{proxy+}", {"proxy": path.lstrip("/")}


@cache
def _patterns(paths: tuple[str, ...]) -> list[tuple[str, re.Pattern[str]]]:
    templates = sorted((t for t in paths if "+" not in t), key=lambda t: t.replace("{", "~"))
    return [(t, re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(t)))) for t in templates]
