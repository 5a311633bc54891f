"""What attempts tell of an endpoint: when it is disabled, when it is served apart, and when it is forgiven."""

from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from chalicelib.core import clock
from chalicelib.features.webhooks import service as webhooks
from chalicelib.platform import outbound
from chalicelib.platform.config import settings
from tests.support.hook_world import HookWorld
from tests.support.hooks import Hook, hook
from tests.support.receiver import Delivered, Receiver


@pytest.fixture
def world(test_world: HookWorld) -> HookWorld:
    """A test project."""
    return test_world


@pytest.fixture
def start(world: HookWorld) -> int:
    """Where the clock stands at first."""
    return world.now


def test_five_days_of_failure_disable_an_endpoint_to_the_second_and_the_others_are_told(
    world: HookWorld, receiver: Receiver, start: int
) -> None:
    to = hook(world.client, receiver.url("/bad"), "contact.created")
    hook(world.client, receiver.url("/good"), "endpoint.disabled")
    receiver.answer = lambda request: 500 if request.path == "/bad" else 200
    world.happen()
    assert to.shown["failing_since"] == clock.iso(start)
    for day in range(4):
        world.advance(clock.DAY)
        world.happen(f"day {day}")
    world.advance(clock.DAY - 1_000)
    assert (to.shown["status"], receiver.at("/good")) == ("enabled", [])
    world.advance(1_000)
    assert (to.shown["status"], to.shown["disabled_reason"]) == ("disabled", "failing")
    assert to.shown["disabled_at"] == clock.iso(start + 5 * clock.DAY)
    (told,) = receiver.at("/good")
    assert told.data == {
        "endpoint_id": to.id,
        "url": receiver.url("/bad"),
        "reason": "failing",
        "failing_since": clock.iso(start),
        "disabled_at": clock.iso(start + 5 * clock.DAY),
    }


def test_one_success_within_the_five_days_begins_them_anew(world: HookWorld, receiver: Receiver, start: int) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    world.happen()
    world.advance(4 * clock.DAY)
    receiver.answer = lambda _request: 200
    world.happen("u2")
    assert to.shown["failing_since"] is None
    world.advance(clock.DAY)
    receiver.answer = lambda _request: 500
    world.happen("u3")
    world.advance(5 * clock.DAY - 1)
    assert to.shown["status"] == "enabled"
    world.advance(1)
    assert to.shown["disabled_at"] == clock.iso(start + 10 * clock.DAY)


def test_what_a_disabled_endpoint_would_get_is_explained_in_its_log_and_not_sent(
    world: HookWorld, receiver: Receiver
) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    world.happen()
    world.client.patch(to.path, {"status": "disabled"})
    world.happen("u2")
    world.advance(clock.DAY)
    assert len(receiver.got) == 1
    skipped = to.logs(status="skipped")
    assert [log["error"] for log in skipped] == ["endpoint_disabled"] * 2
    assert {log["attempt"] for log in skipped} == {1, 2}
    assert all((log["http_status"], log["next_retry_at"]) == (None, None) for log in skipped)


def test_an_endpoint_that_is_enabled_again_is_sent_what_happens_from_then_on(
    world: HookWorld, receiver: Receiver
) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 410
    world.happen()
    assert to.shown["status"] == "disabled"
    receiver.answer = lambda _request: 200
    shown = world.client.patch(to.path, {"status": "enabled"}).json
    assert (shown["status"], shown["disabled_at"], shown["disabled_reason"]) == ("enabled", None, None)
    world.happen("u2")
    assert to.attempts() == [("failed", 410, 1), ("delivered", 200, 1)]


def test_a_new_url_begins_with_a_clean_record(world: HookWorld, receiver: Receiver) -> None:
    to = hook(world.client, receiver.url("/bad"), "contact.created")
    receiver.answer = lambda request: 500 if request.path == "/bad" else 200
    world.happen()
    world.client.patch(to.path, {"url": receiver.url("/good")})
    assert to.shown["failing_since"] is None
    world.advance(5 * clock.DAY)
    assert to.shown["status"] == "enabled"
    assert [got.path for got in receiver.got] == ["/bad", "/good"]


def test_an_endpoint_that_answers_late_is_served_apart_until_it_is_quick_again(
    world: HookWorld, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowed: list[int] = [6_000]
    post: Callable[..., Any] = outbound.post

    def late(*args: Any, **options: Any) -> outbound.Answer:
        got = post(*args, **options)
        return outbound.Answer(got.status, got.retry_after, got.body, got.error, slowed[0])

    monkeypatch.setattr(outbound, "post", late)
    to = hook(world.client, receiver.url(), "contact.created")
    world.happen()
    assert queued_apart(world, "u2") == (0, 1)
    slowed[0] = 4_999
    world.settle()
    assert queued_apart(world, "u3") == (1, 0)
    world.settle()
    assert to.attempts() == [("delivered", 200, 1)] * 3


def queued_apart(world: HookWorld, name: str) -> tuple[int, int]:
    """How many attempts a new event leaves on the queue of all, and on that of the slow ones."""
    world.client.post("/v1/contacts", {"external_id": name})
    world.run_bus()
    apart = [url for url, _ in world.webhooks if url == settings().webhooks_slow_queue_url]
    return len(world.webhooks) - len(apart), len(apart)


def test_retries_and_replays_of_a_slow_endpoint_go_to_its_queue_too(
    world: HookWorld, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    post: Callable[..., Any] = outbound.post

    def late(*args: Any, **options: Any) -> outbound.Answer:
        got = post(*args, **options)
        return outbound.Answer(got.status, got.retry_after, got.body, got.error, 6_000)

    monkeypatch.setattr(outbound, "post", late)
    to = hook(world.client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    world.happen()
    queued: list[str] = []
    run = world.run_webhooks

    def look_and_run() -> bool:
        queued.extend(url for url, _ in world.webhooks)
        return run()

    monkeypatch.setattr(world, "run_webhooks", look_and_run)
    world.advance(5 * clock.MINUTE)
    world.client.post(f"{to.path}/replay", {"since": "2026-01-01"})
    world.settle()
    assert len(to.logs()) == 3
    assert queued == [settings().webhooks_slow_queue_url] * 2


def test_an_answer_of_the_former_url_says_nothing_of_the_new_one(
    world: HookWorld, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, status in enumerate((410, 500)):
        to = hook(world.client, receiver.url(f"/old/{number}"), "contact.created")

        def move(_request: Delivered, to: Hook = to, status: int = status, number: int = number) -> int:
            world.client.patch(to.path, {"url": receiver.url(f"/new/{number}")})
            return status

        receiver.answer = move
        world.happen(f"u{number}")
        shown = to.shown
        assert (shown["status"], shown["failing_since"]) == ("enabled", None)
        world.client.delete(to.path)


def test_a_success_beside_the_first_failure_begins_the_five_days_with_the_next_one(
    world: HookWorld, receiver: Receiver
) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    inner: list[str] = []

    def fail_within_a_success(request: Delivered) -> int:
        if request.data["contact"]["external_id"] == "fails":
            return 500
        if not inner:
            # The other attempt begins and fails while this one, which has read the endpoint, waits for its answer.
            inner.append("fails")
            world.client.post("/v1/contacts", {"external_id": "fails"})
            world.run_bus()
            world.run_webhooks()
        return 200

    receiver.answer = fail_within_a_success
    world.happen("succeeds")
    assert to.shown["failing_since"] is not None
    world.advance(5 * clock.DAY)
    second = next(log for log in reversed(to.logs(status="failed")) if log["attempt"] == 2)
    assert (to.shown["status"], to.shown["failing_since"]) == ("enabled", second["attempted_at"])
    ends = clock.parse_instant(second["attempted_at"]) + 5 * clock.DAY
    world.advance(ends - 1 - world.now)
    assert to.shown["status"] == "enabled"
    world.advance(1)
    assert (to.shown["status"], to.shown["disabled_at"]) == ("disabled", clock.iso(ends))


def test_a_success_before_the_first_failure_at_the_same_moment_does_not_keep_the_endpoint(
    world: HookWorld, receiver: Receiver, start: int
) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    world.happen("succeeds")
    receiver.answer = lambda _request: 500
    world.happen("fails")
    world.advance(5 * clock.DAY)
    assert (to.shown["status"], to.shown["disabled_at"]) == ("disabled", clock.iso(start + 5 * clock.DAY))


def test_a_sample_does_not_keep_an_endpoint_that_only_fails(world: HookWorld, receiver: Receiver) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    receiver.answer = lambda request: 200 if request.data["contact"]["external_id"] == "user_123" else 500
    world.happen()
    world.client.post(f"{to.path}/test", {"event": "contact.created"})
    world.settle()
    world.advance(5 * clock.DAY)
    assert to.logs(status="delivered")[0]["test"]
    assert to.shown["status"] == "disabled"


def test_an_endpoint_that_is_disabled_for_a_month_is_given_up(world: HookWorld, receiver: Receiver) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    world.client.patch(to.path, {"status": "disabled"})
    world.advance(30 * clock.DAY)
    world.happen("last")
    assert [log["error"] for log in to.logs()] == ["endpoint_disabled"]
    world.advance(1)
    world.happen("given up")
    assert len(to.logs()) == 1


def test_a_410_disables_though_a_replay_has_taken_over_from_the_attempt(world: HookWorld, receiver: Receiver) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    world.happen()
    (log,) = to.logs()
    inner: list[str] = []

    def gone_after_a_replay(_request: Delivered) -> int:
        if inner:
            return 500
        inner.append("replayed")
        world.client.post(f"{to.path}/logs/{log['id']}/replay")
        world.run_bus()
        world.run_webhooks()
        return 410

    receiver.answer = gone_after_a_replay
    world.advance(5 * clock.MINUTE)
    assert (to.shown["status"], to.shown["disabled_reason"]) == ("disabled", "gone")
    assert sorted((log["http_status"], log["replayed"]) for log in to.logs()) == [
        (410, False),
        (500, False),
        (500, True),
    ]


def test_logs_of_a_project_whose_clock_stands_stay_however_long_it_stands(world: HookWorld, receiver: Receiver) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    world.happen()
    with time_machine.travel(clock.system_ms() / 1_000 + 40 * 86_400):
        assert [log["status"] for log in to.logs()] == ["delivered"]


@pytest.mark.parametrize("status", [410, 500])
def test_a_sample_says_nothing_of_the_endpoint(world: HookWorld, receiver: Receiver, status: int) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    before = to.shown
    receiver.answer = lambda _request: status
    world.client.post(f"{to.path}/test", {"event": "contact.created"})
    world.settle()
    assert to.shown == before
    assert to.attempts() == [("failed", status, 1)]


def test_a_secret_that_cannot_be_read_any_more_is_told_by_the_log(
    world: HookWorld, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    monkeypatch.setattr(webhooks, "derive", lambda _purpose: b"k" * 32)
    world.happen()
    (log,) = to.logs()
    assert (log["status"], log["error"]) == ("failed", "secret_unreadable")
    assert receiver.got == []


def test_samples_do_not_hide_the_failures_among_them(world: HookWorld, receiver: Receiver) -> None:
    to = hook(world.client, receiver.url(), "contact.created")
    inner: list[str] = []

    def fail_within_a_success(request: Delivered) -> int:
        if request.data["contact"]["external_id"] != "succeeds":
            return 500
        inner.append("fails")
        world.client.post("/v1/contacts", {"external_id": "fails"})
        world.run_bus()
        world.run_webhooks()
        return 200

    receiver.answer = fail_within_a_success
    world.happen("succeeds")
    for _ in range(130):
        world.client.post(f"{to.path}/test", {"event": "contact.created"})
    world.settle()
    world.advance(6 * clock.DAY)
    assert to.shown["status"] == "disabled"


def test_a_success_at_the_former_url_does_not_keep_the_new_one(world: HookWorld, receiver: Receiver) -> None:
    to = hook(world.client, receiver.url("/old"), "contact.created")
    moved: list[str] = []

    def move_and_fail(request: Delivered) -> int:
        if request.path == "/new":
            return 500
        moved.append("moved")
        world.client.patch(to.path, {"url": receiver.url("/new")})
        world.client.post("/v1/contacts", {"external_id": "fails"})
        world.run_bus()
        world.run_webhooks()
        return 200

    receiver.answer = move_and_fail
    begun = world.now
    world.happen("succeeds")
    world.advance(5 * clock.DAY)
    assert (to.shown["status"], to.shown["disabled_at"]) == ("disabled", clock.iso(begun + 5 * clock.DAY))
