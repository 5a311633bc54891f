"""What a receiver that fails is sent, and when: on the clock of a test project."""

import functools
import itertools
import ssl
from pathlib import Path

import pytest

from chalicelib.core import clock
from chalicelib.platform import outbound
from tests.support.authority import Authority
from tests.support.far_side import OK, Script, Visit, answering, refusing_port
from tests.support.hook_world import HookWorld
from tests.support.hooks import Hook, hook
from tests.support.receiver import Receiver

WAITS = (300_000, 1_800_000, 10_800_000, 72_000_000)
"""Milliseconds that the contract states between attempts, at the most."""

TIMEOUT_S = 0.3


def answer(line: str, *headers: str, body: bytes = b"no") -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {line}", *headers, f"Content-Length: {len(body)}", "", ""])
    return head.encode() + body


def reset(visit: Visit) -> None:
    visit.reset()


def silence(visit: Visit) -> None:
    visit.wait(5)
    visit.close()


def drip(visit: Visit) -> None:
    visit.drip(answer("200 OK", body=b"x" * 100), 0.05)
    visit.close()


WAYS: dict[str, tuple[Script | bytes, int | None, str]] = {
    "500": (answer("500 Oops"), 500, "http_500"),
    "404": (answer("404 Not Found"), 404, "http_404"),
    "429": (answer("429 Too Many", "Retry-After: 60"), 429, "http_429"),
    "503": (answer("503 Unavailable"), 503, "http_503"),
    "503, a date out of all time": (
        answer("503 Unavailable", "Retry-After: Mon, 01 Jan 2026 00:00:00 +9999999999999"),
        503,
        "http_503",
    ),
    "301": (answer("301 Moved", "Location: https://example.com/"), 301, "http_301"),
    "timeout": (silence, None, "timeout"),
    "reset": (reset, None, "connection_reset"),
    "garbage": (b"this is not HTTP\r\n\r\n", None, "bad_answer"),
    "3 MB": (answer("200 OK", body=b"x" * 3_000_000), 200, "answer_too_large"),
    "slow drip": (drip, None, "timeout"),
}


@pytest.fixture
def world(test_world: HookWorld, monkeypatch: pytest.MonkeyPatch) -> HookWorld:
    """A test project whose receivers have less time than 15 seconds."""
    monkeypatch.setattr(outbound, "post", functools.partial(outbound.post, timeout_s=TIMEOUT_S))
    return test_world


@pytest.fixture
def start(world: HookWorld) -> int:
    """Where the clock stands at first."""
    return world.now


def moments(to: Hook) -> list[int]:
    return [clock.parse_instant(log["attempted_at"]) for log in reversed(to.logs())]


def assert_contracted(to: Hook, start: int, least: tuple[int, ...] = (0, 0, 0, 0)) -> None:
    """Five attempts, the first at once, each of the others after its wait less a tenth at the most."""
    found = moments(to)
    assert (len(found), found[0]) == (5, start)
    for wait, asked, (before, after) in zip(WAITS, least, itertools.pairwise(found), strict=True):
        assert max(0.9 * wait, asked) <= after - before <= max(wait, asked)
    told = [log["next_retry_at"] for log in reversed(to.logs())]
    assert [None if text is None else clock.parse_instant(text) for text in told] == [*found[1:], None]


@pytest.mark.parametrize("way", WAYS)
def test_a_receiver_that_fails_sees_five_attempts_at_the_contracted_moments(
    world: HookWorld, receiver: Receiver, start: int, way: str
) -> None:
    script, status, error = WAYS[way]
    with answering(script) as far_side:
        to = hook(world.client, far_side.url(), "contact.created")
        world.happen()
        world.advance(25 * clock.HOUR)
        assert len(far_side.requests) == 5
        assert len({request.partition(b"webhook-id: ")[2][:30] for request in far_side.requests}) == 1
        world.advance(3 * clock.DAY)
        assert len(far_side.requests) == 5
    assert_contracted(to, start)
    assert to.attempts() == [("failed", status, n) for n in range(1, 6)]
    assert {log["error"] for log in to.logs()} == {error}
    assert all(log["delivered_at"] is None for log in to.logs())


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A server's side whose certificate nobody trusts."""
    return Authority(tmp_path).server("127.0.0.1")


def test_a_receiver_whose_certificate_nobody_trusts_sees_no_request_at_all(
    world: HookWorld, receiver: Receiver, start: int, tls: ssl.SSLContext
) -> None:
    with answering(OK, tls) as far_side:
        to = hook(world.client, far_side.url(), "contact.created")
        world.happen()
        world.advance(25 * clock.HOUR)
        assert (far_side.requests, far_side.connections) == ([], 5)
    assert_contracted(to, start)
    assert {log["error"] for log in to.logs()} == {"tls_error"}


def test_nobody_listening_is_five_attempts_too(world: HookWorld, receiver: Receiver, start: int) -> None:
    to = hook(world.client, f"http://127.0.0.1:{refusing_port()}/x", "contact.created")
    world.happen()
    world.advance(25 * clock.HOUR)
    assert_contracted(to, start)
    assert {log["error"] for log in to.logs()} == {"connection_refused"}


def test_a_wait_that_the_receiver_asks_for_is_kept_up_to_a_day(
    world: HookWorld, receiver: Receiver, start: int
) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    asked = iter(["3600", "99999999", "60", "60"])
    receiver.answer = lambda _request: receiver.headers.update({"Retry-After": next(asked, "1")}) or 503
    world.happen()
    world.advance(60 * clock.HOUR)
    assert_contracted(to, start, (3_600_000, clock.DAY, 60_000, 60_000))


def test_only_429_and_503_may_ask_for_a_wait(world: HookWorld, receiver: Receiver, start: int) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    receiver.headers["Retry-After"] = "86400"
    receiver.answer = lambda _request: 500
    world.happen()
    world.advance(25 * clock.HOUR)
    assert_contracted(to, start)


@pytest.mark.parametrize("failures", range(1, 5))
def test_a_receiver_that_recovers_is_sent_the_same_webhook_until_it_takes_it(
    world: HookWorld, receiver: Receiver, failures: int
) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500 if len(receiver.got) < failures else 204
    world.happen()
    world.advance(3 * clock.DAY)
    assert to.attempts() == [
        *(("failed", 500, n) for n in range(1, failures + 1)),
        ("delivered", 204, failures + 1),
    ]
    assert len({(got.id, got.body) for got in receiver.got}) == 1
    assert to.shown["failing_since"] is None


def test_logs_expire_after_30_days(world: HookWorld, receiver: Receiver) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    world.happen()
    (log,) = to.logs()
    world.advance(30 * clock.DAY - 1)
    assert to.logs() == [log]
    world.advance(1)
    assert to.logs() == []
    assert world.client.post(f"{to.path}/logs/{log['id']}/replay").status == 404


@pytest.mark.parametrize("after", [False, True], ids=["before a call", "after a call"])
def test_a_worker_that_dies_at_any_call_of_a_failing_attempt_changes_nothing_of_the_schedule(
    world: HookWorld,
    receiver: Receiver,
    start: int,
    after: bool,
) -> None:
    receiver.answer = lambda _request: 500
    for number in itertools.count():
        to = hook(world.client, receiver.url(f"/{number}"), "contact.created")
        world.client.post("/v1/contacts", {"external_id": f"u{number}"})
        world.run_bus()
        with world.dying_at(number, after=after) as died:
            world.run_webhooks()
        world.settle()
        assert to.attempts() == [("failed", 500, 1)]
        assert to.shown["failing_since"] == clock.iso(start)
        (log,) = to.logs()
        assert 0.9 * WAITS[0] <= clock.parse_instant(log["next_retry_at"]) - start <= WAITS[0]
        world.client.delete(to.path)
        if not died:
            assert number == 4  # what is needed, the clock, the endpoint's first failure, the record
            return


@pytest.mark.parametrize("after", [False, True], ids=["before a call", "after a call"])
def test_a_clock_that_dies_at_any_call_while_retries_fall_due_makes_each_attempt_once(
    world: HookWorld,
    receiver: Receiver,
    after: bool,
) -> None:
    receiver.answer = lambda _request: 500
    for number in itertools.count():
        to = hook(world.client, receiver.url(f"/{number}"), "contact.created")
        world.happen(f"u{number}")
        world.ask_to_advance(5 * clock.MINUTE)
        with world.dying_at(number, after=after) as died:
            world.settle()
        assert to.attempts() == [("failed", 500, 1), ("failed", 500, 2)]
        world.client.delete(to.path)
        if not died:
            return
