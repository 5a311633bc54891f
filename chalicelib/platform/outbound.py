"""HTTP requests to URLs that others gave: webhooks, and what messages of SNS name. Nothing inside of the deployment's
network can be reached.

A name is resolved once for a connection, all of its addresses are checked, and the connection goes to one of those. A
kept connection stays with its address, so that requests on it ask no resolver. No redirects, no proxies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.core import clock
from chalicelib.core.addresses import BadTarget, Target, is_public, parse_target
from chalicelib.platform import http_answer
from chalicelib.platform.config import settings
from chalicelib.platform.http_answer import KEPT_BODY, Failed, Received

if TYPE_CHECKING:
    from chalicelib.platform.connections import Address, Connection, Key

_MAX_ADDRESSES = 4
_CHECK_S = 5.0
_STALE_S = 1.0
"""A connection that was closed while it was idle fails within a round trip; one that fails later had the request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request."""

    status: int | None
    """Of HTTP, where a status line was read, also where the rest failed."""

    retry_after: str | None
    """Text of the header, at most 64 characters."""

    body: bytes
    """The first bytes: 1,024 at most of the answer to a POST."""

    error: str | None
    """None where a whole answer came in time; else timeout, unresolvable, private_address or another reason of
    `addresses.BadTarget`, connection_refused, connection_reset, connection_failed, tls_error, bad_answer or
    answer_too_large."""

    took_ms: int


def check(url: str) -> None:
    """Raise BadTarget where nothing would ever be sent to `url`, as far as can be told now.

    A name that does not resolve, or not within 5 seconds, is accepted: it may be set up later.
    """
    target = parse_target(url, allow_private=_allows_private())
    if _allows_private():
        return
    try:
        _checked(target, clock.monotonic() + _CHECK_S)
    except (Failed, TimeoutError):
        return


def post(url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float = 15.0) -> Answer:
    """Send a POST and read its answer, all within `timeout_s` seconds from the first look at the name.

    `headers` do without Host, Content-Length and Connection. Whatever the far side and the network do is told by the
    answer; raises ValueError for a header that cannot be sent. The far side may get the same request twice.
    """
    return _asked(url, "POST", headers, body, timeout_s, KEPT_BODY)


def _asked(url: str, method: str, headers: Mapping[str, str], body: bytes, timeout_s: float, body_max: int) -> Answer:
    from chalicelib.platform import connections

    begun = clock.monotonic()
    received = Received(body_max)
    error = None
    try:
        target = parse_target(url, allow_private=_allows_private())
        _exchange(target, _request(target, method, headers, body), begun + timeout_s, received)
    except BadTarget as refused:
        error = refused.reason
    except Failed as failed:
        error = failed.word
    except OSError as failed:
        error = connections.word(failed)
    took_ms = int((clock.monotonic() - begun) * 1_000)
    return Answer(received.status, received.retry_after, received.body, error, took_ms)


def get(url: str, *, body_max: int, timeout_s: float = 5.0) -> Answer:
    """Read what is at `url`, its first `body_max` bytes, within `timeout_s` seconds; as `post` in all else."""
    return _asked(url, "GET", {}, b"", timeout_s, body_max)


def forget() -> None:
    """Close the kept connections, as in a process that has just started."""
    from chalicelib.platform import connections

    connections.pool.forget()


def _allows_private() -> bool:
    return bool(settings().allow_private_webhooks)


def _request(target: Target, method: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [
        f"{method} {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        "Accept-Encoding: identity",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header has a line break")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _checked(target: Target, end: float) -> "list[Address]":
    """The addresses to connect to. Raises BadTarget where any one is not public, Failed and TimeoutError."""
    from chalicelib.platform import connections

    found = connections.resolve(target, end)
    if not _allows_private() and not all(is_public(each.ip) for each in found):
        raise BadTarget("private_address", "The URL's host has an address that is not one of the public internet.")
    return found[:_MAX_ADDRESSES]


def _exchange(target: Target, request: bytes, end: float, received: Received) -> None:
    """Raises BadTarget, Failed and OSError."""
    from chalicelib.platform import connections

    key = (target.scheme, target.host, target.port)
    kept = connections.pool.take(key)
    if kept is not None:
        begun = clock.monotonic()
        try:
            _converse(key, kept, request, end, received)
        except (Failed, OSError) as error:
            is_late = clock.monotonic() - begun > _STALE_S
            if kept.has_answered or is_late or not connections.is_gone(error):
                raise
        else:
            return
    made = connections.connect(target, _checked(target, end), end)
    _converse(key, made, request, end, received)


def _converse(key: "Key", connection: "Connection", request: bytes, end: float, received: Received) -> None:
    from chalicelib.platform.connections import pool

    connection.end, connection.has_answered = end, False
    try:
        connection.send(request)
        is_kept = http_answer.read(connection, received)
    except BaseException:
        connection.close()
        raise
    if is_kept:
        pool.put(key, connection)
    else:
        connection.close()
