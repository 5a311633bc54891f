"""Connections that are kept, and what happens to a request on one that the far side has left."""

import select
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.core import clock
from chalicelib.platform import connections, outbound
from tests.support.far_side import OK, FarSide, Script, Visit, answering, closing, private_webhooks, short


@pytest.fixture(autouse=True)
def _private() -> Iterator[None]:
    with private_webhooks("1"):
        yield


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """No look at a kept connection tells that it is closed, as where the close is still on its way."""
    monkeypatch.setattr(connections.Connection, "is_quiet", lambda _self: True)


def post(far: FarSide, timeout_s: float = 15.0) -> str | None:
    return outbound.post(far.url(), {}, b"{}", timeout_s=timeout_s).error


def script(*steps: bytes | Script) -> Script:
    """Answer the first request with the first step, and so on; bytes are sent."""

    def answer(visit: Visit) -> None:
        step = steps[visit.number - 1]
        if isinstance(step, bytes):
            visit.send(step)
        else:
            step(visit)

    return answer


def test_one_connection_carries_many_requests() -> None:
    with answering(OK) as far:
        assert [post(far) for _ in range(5)] == [None] * 5
    assert (far.connections, len(far.requests)) == (1, 5)


@pytest.mark.parametrize(
    ("answer", "made"),
    [
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", 1),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, 1),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", 1),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 2),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", 2),
        (b"HTTP/1.1 200 OK\r\nConnection: upgrade, close\r\nContent-Length: 0\r\n\r\n", 2),
        (OK + b"more than was announced", 2),
        (OK + OK, 2),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", 2),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            2,
        ),
    ],
    ids=short,
)
def test_a_connection_is_reused_where_the_answer_permits_it(answer: bytes, made: int) -> None:
    with answering(answer) as far:
        assert [post(far), post(far)] == [None, None]
        assert far.connections == made


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n"])
def test_a_connection_is_not_reused_after_a_failure(answer: bytes) -> None:
    with answering(script(answer, OK)) as far:
        assert post(far) is not None
        assert post(far) is None
    assert (far.connections, len(far.requests)) == (2, 2)


def test_a_connection_that_the_far_side_has_closed_is_seen_before_a_request_goes_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "is_gone", lambda _error: False)
    with answering(script(closing(OK), OK)) as far:
        assert post(far) is None
        (_, _, kept), *_ = connections.pool._idle
        select.select([kept._socket], [], [], 5)
        assert post(far) is None
    assert (far.connections, len(far.requests)) == (2, 2)


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize("leave", [Visit.close, Visit.reset])
def test_a_request_on_a_connection_that_was_left_is_sent_again_on_a_new_one(leave: Script) -> None:
    with answering(script(OK, leave, OK)) as far:
        assert [post(far), post(far)] == [None, None]
    assert (far.connections, len(far.requests)) == (2, 3)
    assert far.requests[1] == far.requests[2]


@pytest.mark.usefixtures("blind")
def test_a_request_is_sent_again_only_once() -> None:
    with answering(script(OK, Visit.close, Visit.close)) as far:
        assert [post(far), post(far)] == [None, "bad_answer"]
    assert (far.connections, len(far.requests)) == (2, 3)


@pytest.mark.usefixtures("blind")
def test_a_request_whose_answer_has_begun_is_not_sent_again() -> None:
    with answering(script(OK, closing(b"H"))) as far:
        assert [post(far), post(far)] == [None, "bad_answer"]
    assert (far.connections, len(far.requests)) == (1, 2)


@pytest.mark.usefixtures("blind")
def test_a_request_that_was_not_answered_in_time_is_not_sent_again() -> None:
    def keep_silent(visit: Visit) -> None:
        visit.wait(60)

    with answering(script(OK, keep_silent)) as far:
        assert [post(far), post(far, timeout_s=0.3)] == [None, "timeout"]
        assert (far.connections, len(far.requests)) == (1, 2)


@pytest.mark.usefixtures("blind")
def test_a_request_that_the_far_side_had_for_a_while_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "_STALE_S", 0.1)

    def leave_late(visit: Visit) -> None:
        visit.wait(0.3)
        visit.close()

    with answering(script(OK, leave_late)) as far:
        assert [post(far), post(far)] == [None, "bad_answer"]
    assert (far.connections, len(far.requests)) == (1, 2)


def test_a_connection_is_not_reused_after_20_idle_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    later = 0.0
    real = clock.monotonic
    monkeypatch.setattr(clock, "monotonic", lambda: real() + later)
    with answering(OK) as far:
        assert post(far) is None
        later = 19.0
        assert (post(far), far.connections) == (None, 1)
        later += 20.1
        assert (post(far), far.connections) == (None, 2)


def test_connections_belong_to_scheme_host_and_port() -> None:
    with answering(OK) as far:
        outbound.post(far.url(), {}, b"{}")
        outbound.post(far.url(host="localhost"), {}, b"{}")
        assert far.connections == 2


def test_calls_at_once_each_have_a_connection_and_4_of_them_are_kept() -> None:
    together = threading.Barrier(6)

    def meet(visit: Visit) -> None:
        together.wait(10)
        visit.send(OK)

    with answering(meet) as far, ThreadPoolExecutor(6) as threads:
        assert list(threads.map(lambda _: post(far), range(6))) == [None] * 6
        assert far.connections == 6
        assert len(connections.pool._idle) == 4
        assert list(threads.map(lambda _: post(far), range(6))) == [None] * 6
        assert far.connections == 8


def test_no_more_than_the_pools_bound_are_kept_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_KEPT", 2)
    with answering(OK) as first, answering(OK) as second, answering(OK) as third:
        assert [post(each) for each in (first, second, third)] == [None] * 3
        assert [each[1][2] for each in connections.pool._idle] == [second.port, third.port]
        assert post(first) is None
        assert (first.connections, second.connections, third.connections) == (2, 1, 1)
