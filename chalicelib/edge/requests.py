"""The request as the rest of the edge sees it, made from the event of API Gateway (REST, proxy)."""

import base64
import binascii
import gzip
import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chalicelib.core import strict_json
from chalicelib.core.errors import BadRequest, PayloadTooLarge

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
"""All that API Gateway passes on. Other servers let callers send any word."""

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_OVERHEAD = 4096
"""Bytes by which a gzip body may be longer than what it holds."""

_UNREAD = object()


@dataclass(slots=True)
class Request:
    """One HTTP request. `headers` has lower-case names; `query` keeps every value of a repeated parameter."""

    method: str
    path: str
    # Left out of the repr: what holds a key, a person's data or an address must not come into a log by accident.
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, list[str]] = field(repr=False)
    source_ip: str = field(repr=False)
    request_id: str
    route: str = ""
    full_path: str = ""
    """The path as the caller sees it: behind API Gateway's own address a stage stands before `path`."""
    domain: str = ""
    """The host as the gateway names it; not the caller's word."""
    by_basic: bool = False
    """True where the caller gave its key as the user name of HTTP Basic; set by authentication."""
    _body: str | bytes | None = field(default=None, repr=False)
    _is_base64: bool = False
    _payload: bytes | None = field(default=None, repr=False)
    _json: Any = field(default=_UNREAD, repr=False)

    @property
    def reached_at(self) -> str:
        """The address before `path`, the stage included; empty where the gateway names no host."""
        stage = self.full_path.removesuffix(self.path) if self.full_path.endswith(self.path) else ""
        return f"https://{self.domain}{stage}" if self.domain else ""

    @property
    def payload(self) -> bytes:
        """The body, unpacked. Only to be read after `open_body`."""
        return self._payload or b""

    def open_body(self, limit: int) -> bytes:
        """Unpack the body. Raises PayloadTooLarge over `limit` bytes, BadRequest where it can't be unpacked."""
        if self._payload is None:
            self._payload = _unpacked(self._raw(), limit)
        if len(self._payload) > limit:
            raise PayloadTooLarge(f"The body is over {limit // 1024} KB.")
        return self._payload

    def json(self, *, leniently: bool = False) -> Any:
        """The body as JSON; to be called after `open_body`. Raises BadRequest where it is malformed.

        `leniently` reads what ingest takes, whose events are judged one by one; the first reading decides.
        """
        if self._json is _UNREAD:
            try:
                load = strict_json.loads_leniently if leniently else strict_json.loads
                self._json = load(self.payload)
            except ValueError as error:
                raise BadRequest(_sentence(str(error))) from error
        return self._json

    def _raw(self) -> bytes:
        try:
            if self._is_base64:
                return base64.b64decode(self._body or b"", validate=True)
            return self._body if isinstance(self._body, bytes) else (self._body or "").encode()
        except (binascii.Error, ValueError) as error:
            raise BadRequest("The body is unreadable.") from error


def from_event(event: Mapping[str, Any], request_id: str) -> Request:
    """The request that API Gateway describes."""
    context = event.get("requestContext") or {}
    return Request(
        method=str(context.get("httpMethod", "")).upper(),
        path=str(event.get("path") or context.get("path") or ""),
        headers={str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()},
        query={
            str(name): [str(value) for value in values]
            for name, values in (event.get("multiValueQueryStringParameters") or {}).items()
        },
        source_ip=str((context.get("identity") or {}).get("sourceIp") or ""),
        request_id=request_id,
        route=str(context.get("resourcePath") or ""),
        full_path=str(context.get("path") or ""),
        domain=str(context.get("domainName") or ""),
        _body=event.get("body"),
        _is_base64=bool(event.get("isBase64Encoded")),
    )


def _unpacked(raw: bytes, limit: int) -> bytes:
    """`raw`, or what it holds where it is gzip; never more than one byte over `limit`, so a bomb costs no memory."""
    if not raw.startswith(_GZIP_MAGIC) or len(raw) > limit + _GZIP_OVERHEAD:
        return raw
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as packed:
            return packed.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadRequest("The body is not valid gzip.") from error


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
