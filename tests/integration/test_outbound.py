"""Every way in which the far side of a webhook answers, fails and stalls."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from chalicelib.platform import outbound
from chalicelib.platform.outbound import Answer
from tests.support import far_side
from tests.support.far_side import OK, Visit, answering, closing, private_webhooks, short

SHORT = 0.3
"""Seconds for the cases that use them up."""

SOON_MS = 3_000
"""Far less than the 15 s of a request that nothing ended."""

MEGABYTE = 1024 * 1024
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.fixture(autouse=True)
def _private() -> Iterator[None]:
    """Servers on this machine may be reached."""
    with private_webhooks("1"):
        yield


def told(answer: Answer) -> tuple[int | None, bytes, str | None]:
    assert answer.took_ms < SOON_MS
    return answer.status, answer.body, answer.error


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (OK, 200, b"ok"),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 200 OK\ncontent-length:2\n\nok", 200, b"ok"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 200 OK\r\nX-Long: a\r\n b\r\nContent-Length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 202 \xff\xfe\r\nContent-Length: 0\r\n\r\n", 202, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone", 404, b"none"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 4\r\n\r\noops", 500, b"oops"),
        (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", 999, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK, 200, b"ok"),
        (CHUNKED + b"2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
        (CHUNKED + b"1;a=b\r\no\r\n01 \r\nk\r\n0\r\nX-Trailer: 1\r\n\r\n", 200, b"ok"),
        (CHUNKED + b"A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n", 200, b"0123456789" * 2),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1500\r\n\r\n" + b"x" * 1_500, 200, b"x" * 1_024),
    ],
    ids=short,
)
def test_a_whole_answer_is_told_with_the_beginning_of_its_body(sent: bytes, status: int, body: bytes) -> None:
    with answering(sent) as far:
        assert told(outbound.post(far.url(), {}, b"{}")) == (status, body, None)


def test_a_body_may_end_with_the_connection() -> None:
    with answering(closing(UNTIL_CLOSE + b"all of it")) as far:
        assert told(outbound.post(far.url(), {}, b"{}")) == (200, b"all of it", None)


def test_a_body_of_a_megabyte_is_read_to_its_end() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MEGABYTE + b"x" * MEGABYTE) as far:
        assert told(outbound.post(far.url(), {}, b"{}")) == (200, b"x" * 1_024, None)


def test_a_request_is_one_post_with_the_urls_host_and_the_callers_headers() -> None:
    with answering(OK) as far:
        outbound.post(far.url("/a//b?c=%20"), {"Content-Type": "application/json", "webhook-id": "msg_1"}, b'{"a":1}')
    lines, _, body = far.requests[0].partition(b"\r\n\r\n")
    assert lines.split(b"\r\n") == [
        b"POST /a//b?c=%20 HTTP/1.1",
        b"Host: 127.0.0.1:%d" % far.port,
        b"Accept-Encoding: identity",
        b"Content-Length: 7",
        b"Content-Type: application/json",
        b"webhook-id: msg_1",
    ]
    assert body == b'{"a":1}'


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X": "a\n"}, {"X\rY": "a"}, {"X": "\u20ac"}])
def test_a_header_that_cannot_be_sent_is_the_callers_fault(headers: dict[str, str]) -> None:
    with answering(OK) as far, pytest.raises(ValueError, match=r"line break|encode"):
        outbound.post(far.url(), headers, b"")
    assert far.requests == []


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{far_side.refusing_port()}")
    with answering(OK) as far:
        assert told(outbound.post(far.url(), {}, b"")) == (200, b"ok", None)


def test_a_redirect_is_an_answer_like_any_other() -> None:
    def redirect(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % far.url("/other").encode())

    with answering(redirect) as far:
        assert told(outbound.post(far.url(), {}, b"{}")) == (302, b"", None)
    assert len(far.requests) == 1


@pytest.mark.parametrize(
    ("value", "kept"),
    [("120", "120"), ("x" * 70, "x" * 64), ("\xe4", "\xe4"), ("", "")],
    ids=["number", "long", "latin-1", "empty"],
)
def test_retry_after_is_told_as_it_came(value: str, kept: str) -> None:
    head = f"HTTP/1.1 503 Busy\r\nretry-AFTER:  {value} \r\nContent-Length: 0\r\n\r\n"
    with answering(head.encode("latin-1")) as far:
        answer = outbound.post(far.url(), {}, b"{}")
    assert (answer.status, answer.retry_after, answer.error) == (503, kept, None)


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (b"", None, b""),
        (b"SSH-2.0-OpenSSH_9.6\r\n", None, b""),
        (b"\x16\x03\x01\x02\x00\n", None, b""),
        (b"\r\n" + OK, None, b""),
        (b"HTTP/2 200\r\n\r\n", None, b""),
        (b"HTTP/1.1 20\r\n\r\n", None, b""),
        (b"HTTP/1.1 099 Low\r\n\r\n", None, b""),
        (b"HTTP/1.1 200", None, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n", None, b""),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 101, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Le", 200, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", 200, b""),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", 200, b""),
        (b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n", 200, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", 200, b"short"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", 200, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", 200, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", 200, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok", 200, b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 200, b""),
        (CHUNKED + b"x\r\n", 200, b""),
        (CHUNKED + b"-1\r\n", 200, b""),
        (CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n", 200, b""),
        (CHUNKED + b"\r\nok\r\n", 200, b""),
        (CHUNKED + b"2\r\nokay\r\n0\r\n\r\n", 200, b"ok"),
        (CHUNKED + b"2\r\nok\r\n", 200, b"ok"),
        (CHUNKED + b"9\r\nok", 200, b"ok"),
        (CHUNKED + b"2\r\nok\r\n0\r\n", 200, b"ok"),
    ],
    ids=short,
)
def test_what_is_no_whole_http_answer_is_a_bad_one(sent: bytes, status: int | None, body: bytes) -> None:
    with answering(closing(sent)) as far:
        assert told(outbound.post(far.url(), {}, b"{}")) == (status, body, "bad_answer")
    assert len(far.requests) == 1


@pytest.mark.parametrize(
    ("head", "piece", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (3 * MEGABYTE), b"x" * MEGABYTE, 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MEGABYTE + 1), b"x" * MEGABYTE, 200),
        (UNTIL_CLOSE, b"x" * MEGABYTE, 200),
        (CHUNKED, b"100000\r\n" + b"x" * MEGABYTE + b"\r\n", 200),
        (CHUNKED, b"ffffffff\r\n" + b"x" * MEGABYTE, 200),
        (CHUNKED, b"1;" + b"x" * MEGABYTE, 200),
        (CHUNKED + b"0\r\n", b"X: y\r\n" * 100_000, 200),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 10_000, 200),
        (b"HTTP/1.1 200 OK\r\n", b"X" * MEGABYTE, 200),
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 32 * 1024 + b"\r\n\r\n", 200),
        (b"", b"H" * MEGABYTE, None),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, None),
    ],
    ids=short,
)
def test_an_answer_is_read_no_further_than_its_bounds(head: bytes, piece: bytes, status: int | None) -> None:
    def script(visit: Visit) -> None:
        visit.send(head)
        for _ in range(3):
            visit.send(piece)
        visit.wait(60)

    with answering(script) as far:
        answer = outbound.post(far.url(), {}, b"{}")
        assert (answer.status, answer.error) == (status, "answer_too_large")
        assert answer.took_ms < SOON_MS
        assert len(answer.body) <= 1_024


def test_headers_of_almost_32_kilobytes_are_read() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 32_000 + b"\r\nContent-Length: 0\r\n\r\n") as far:
        assert told(outbound.post(far.url(), {}, b"{}")) == (200, b"", None)


def test_the_first_kilobyte_of_a_body_that_is_too_long_is_told() -> None:
    def script(visit: Visit) -> None:
        visit.send(UNTIL_CLOSE + b"x" * 2 * MEGABYTE)
        visit.wait(60)

    with answering(script) as far:
        assert told(outbound.post(far.url(), {}, b"{}")) == (200, b"x" * 1_024, "answer_too_large")


@pytest.mark.parametrize(
    ("at_once", "dripped", "status"),
    [
        (b"", b"", None),
        (b"", OK, None),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"", None),
        (b"HTTP/1.1 200 OK\r\n", b"", 200),
        (b"HTTP/1.1 200 OK\r\n", b"X-Slow: " + b"y" * 1_000, 200),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x" * 1_000, 200),
        (UNTIL_CLOSE, b"x" * 1_000, 200),
        (CHUNKED, b"1\r\nx\r\n" * 1_000, 200),
        (CHUNKED, b"1;" + b"x" * 1_000, 200),
        (CHUNKED + b"0\r\n", b"X: y\r\n" * 1_000, 200),
    ],
    ids=short,
)
def test_the_deadline_ends_what_is_silent_and_what_drips(at_once: bytes, dripped: bytes, status: int | None) -> None:
    def script(visit: Visit) -> None:
        visit.send(at_once)
        visit.drip(dripped, 0.05)
        visit.wait(60)

    with answering(script) as far:
        answer = outbound.post(far.url(), {}, b"{}", timeout_s=SHORT)
        assert (answer.status, answer.error) == (status, "timeout")
        assert SHORT * 1_000 - 1 <= answer.took_ms < SOON_MS
        assert len(far.requests) == 1


def test_the_deadline_ends_a_connection_that_is_not_accepted() -> None:
    with ExitStack() as open_ones:
        listener = open_ones.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            filler = open_ones.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        answer = outbound.post(f"http://127.0.0.1:{listener.getsockname()[1]}/", {}, b"{}", timeout_s=SHORT)
    assert told(answer) == (None, b"", "timeout")


def test_the_deadline_ends_a_body_that_the_far_side_does_not_take() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        answer = outbound.post(url, {}, b"x" * 32 * MEGABYTE, timeout_s=SHORT)
    assert told(answer) == (None, b"", "timeout")


def test_a_large_body_is_sent_whole() -> None:
    body = b"0123456789" * 300_000
    with answering(OK) as far:
        assert told(outbound.post(far.url(), {}, body)) == (200, b"ok", None)
    assert far.requests[0].endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (b"", None, b""),
        (b"HTTP/1.1 200 OK\r\n", 200, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", 200, b"ok"),
    ],
    ids=short,
)
def test_a_reset_is_told_with_what_came_before_it(sent: bytes, status: int | None, body: bytes) -> None:
    def script(visit: Visit) -> None:
        visit.send(sent)
        # A reset overtakes bytes that the other side has not read.
        visit.wait(0.1)
        visit.reset()

    with answering(script) as far:
        assert told(outbound.post(far.url(), {}, b"{}")) == (status, body, "connection_reset")
    assert len(far.requests) == 1


def test_a_port_at_which_nobody_listens_refuses() -> None:
    answer = outbound.post(f"http://127.0.0.1:{far_side.refusing_port()}/", {}, b"{}")
    assert told(answer) == (None, b"", "connection_refused")


def test_a_network_without_a_way_to_the_address_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(_self: socket.socket, _where: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    assert told(outbound.post("http://127.0.0.1:9/", {}, b"{}")) == (None, b"", "connection_failed")


@pytest.mark.parametrize(
    ("url", "reason"),
    [("ftp://x.io/", "not_https"), ("https://a@x.io/", "userinfo"), ("https://127.1/", "invalid_host")],
)
def test_a_url_that_is_no_target_is_told_like_a_failure(url: str, reason: str) -> None:
    assert told(outbound.post(url, {}, b"{}")) == (None, b"", reason)


def test_the_time_that_a_request_took_is_real() -> None:
    def script(visit: Visit) -> None:
        visit.wait(0.2)
        visit.send(OK)

    with answering(script) as far:
        begun = time.monotonic()
        answer = outbound.post(far.url(), {}, b"{}")
        assert 200 <= answer.took_ms <= (time.monotonic() - begun) * 1_000
