"""What failed is sent again when it is asked for: exactly that, and once."""

import itertools
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.flows.webhooks import ask
from chalicelib.workers.timers import fire_due
from tests.support.hook_world import HookWorld
from tests.support.hooks import Hook, hook
from tests.support.receiver import Receiver

SINCE = "2026-01-01"


def names(receiver: Receiver) -> list[str]:
    return sorted(got.data["contact"]["external_id"] for got in receiver.got)


def replay(to: Hook, **more: Any) -> Any:
    answer = to.client.post(f"{to.path}/replay", {"since": SINCE} | more)
    assert answer.status == 200, answer.text
    return answer.json


def failing(*which: str) -> Any:
    """Fails for contacts of these external ids."""
    return lambda got: 500 if got.data["contact"]["external_id"] in which else 200


def test_a_replay_sends_exactly_the_failed_ones_once(live_world: HookWorld, receiver: Receiver) -> None:
    to = hook(live_world.client, receiver.url(), "contact.created")
    receiver.answer = failing("b", "d")
    live_world.happen("a", "b", "c", "d")
    receiver.got.clear()
    receiver.answer = lambda _request: 200
    told = replay(to)
    live_world.settle()
    assert (told["endpoint_id"], told["status"]) == (to.id, "queued")
    assert names(receiver) == ["b", "d"]
    assert sorted(log["attempt"] for log in to.logs() if log["replayed"]) == [1, 1]


def test_a_second_replay_finds_nothing_left(live_world: HookWorld, receiver: Receiver) -> None:
    to = hook(live_world.client, receiver.url(), "contact.created")
    receiver.answer = failing("a")
    live_world.happen("a")
    receiver.answer = lambda _request: 200
    replay(to)
    live_world.settle()
    replay(to)
    live_world.settle()
    assert len(receiver.got) == 2


def test_two_replays_at_once_send_once(live_world: HookWorld, receiver: Receiver) -> None:
    to = hook(live_world.client, receiver.url(), "contact.created")
    receiver.answer = failing("a", "b")
    live_world.happen("a", "b")
    receiver.got.clear()
    receiver.answer = lambda _request: 200
    replay(to)
    replay(to)
    live_world.run_bus()
    live_world.run_jobs()
    live_world.settle()
    assert names(receiver) == ["a", "b"]


def test_a_replay_is_bound_by_events_and_by_the_moments_at_which_they_happened(
    test_world: HookWorld, receiver: Receiver
) -> None:
    to = hook(test_world.client, receiver.url())
    test_world.settle()
    receiver.answer = lambda _request: 500
    start = test_world.now
    for n in range(4):
        test_world.advance(start + n * 1_000 - test_world.now)
        person = test_world.client.post("/v1/contacts", {"external_id": f"u{n}"}).json["id"]
        test_world.client.patch(f"/v1/contacts/{person}", {"traits": {"n": n}})
        test_world.settle()
    receiver.got.clear()
    receiver.answer = lambda _request: 200
    replay(
        to,
        since=clock.iso(start + 1_000),
        until=clock.iso(start + 3_000),
        events=["contact.created"],
    )
    test_world.settle()
    assert (names(receiver), {got.type for got in receiver.got}) == (["u1", "u2"], {"contact.created"})


def test_without_an_end_a_replay_reaches_to_this_very_moment(test_world: HookWorld, receiver: Receiver) -> None:
    to = hook(test_world.client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    test_world.happen("u1")
    receiver.answer = lambda _request: 200
    replay(to, since=clock.iso(test_world.now))
    test_world.settle()
    assert to.attempts() == [("failed", 500, 1), ("delivered", 200, 1)]


def test_what_is_replayed_and_taken_is_not_retried_as_well(test_world: HookWorld, receiver: Receiver) -> None:
    to = hook(test_world.client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    test_world.happen("u1")
    receiver.answer = lambda _request: 200
    replay(to)
    test_world.settle()
    test_world.advance(2 * clock.DAY)
    assert len(receiver.got) == 2


def test_what_failed_for_good_is_tried_as_often_as_a_new_one(test_world: HookWorld, receiver: Receiver) -> None:
    to = hook(test_world.client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    test_world.happen("u1")
    test_world.advance(clock.DAY)
    replay(to)
    test_world.settle()
    test_world.advance(2 * clock.DAY)
    assert [attempt for _, _, attempt in to.attempts()] == [1, 2, 3, 4, 5] * 2
    assert len({got.id for got in receiver.got}) == 1


def test_what_was_skipped_while_the_endpoint_was_disabled_is_replayed(
    live_world: HookWorld, receiver: Receiver
) -> None:
    to = hook(live_world.client, receiver.url(), "contact.created")
    live_world.client.patch(to.path, {"status": "disabled"})
    live_world.happen("a", "b")
    assert live_world.client.post(f"{to.path}/replay", {"since": SINCE}).status == 409
    live_world.client.patch(to.path, {"status": "enabled"})
    replay(to)
    live_world.settle()
    assert names(receiver) == ["a", "b"]


@pytest.mark.parametrize("after", [False, True], ids=["before a call", "after a call"])
def test_a_replay_that_dies_at_any_call_of_its_pages_sends_each_once(
    live_world: HookWorld,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    after: bool,
) -> None:
    monkeypatch.setattr(ask, "_PAGE", 2)
    # It fails again, so that a page which runs twice would find it once more.
    receiver.answer = lambda _request: 500
    for number in itertools.count():
        to = hook(live_world.client, receiver.url(f"/{number}"), "contact.created")
        wanted = [f"{number} {n}" for n in range(5)]
        live_world.happen(*wanted)
        receiver.got.clear()
        replay(to)
        live_world.run_bus()
        with live_world.dying_at(number, after=after, first=live_world.run_webhooks) as died:
            live_world.run_jobs()
        live_world.settle()
        assert names(receiver) == wanted
        live_world.client.delete(to.path)
        if not died:
            assert number > 4  # a look at each of four shards, and more
            return


def test_one_webhook_is_sent_again_under_its_id_even_if_it_was_delivered(
    live_world: HookWorld, receiver: Receiver
) -> None:
    to = hook(live_world.client, receiver.url(), "contact.created")
    live_world.happen("u1")
    (log,) = to.logs()
    answer = live_world.client.post(f"{to.path}/logs/{log['id']}/replay")
    live_world.settle()
    first, again = receiver.got
    assert (first.id, first.body) == (again.id, again.body)
    assert answer.json == {
        "event_id": first.id,
        "event": "contact.created",
        "endpoint_id": to.id,
        "status": "queued",
    }
    assert [entry["replayed"] for entry in to.logs()] == [True, False]


def test_a_replay_with_the_same_idempotency_key_is_one(live_world: HookWorld, receiver: Receiver) -> None:
    to = hook(live_world.client, receiver.url(), "contact.created")
    live_world.happen("u1")
    (log,) = to.logs()
    for _ in range(2):
        live_world.client.post(f"{to.path}/logs/{log['id']}/replay", headers={"Idempotency-Key": "k"})
        live_world.settle()
    assert len(receiver.got) == 2


def test_a_log_of_another_endpoint_is_not_found(live_world: HookWorld, receiver: Receiver) -> None:
    to, other = (
        hook(live_world.client, receiver.url("/1"), "contact.created"),
        hook(live_world.client, receiver.url("/2"), "key.created"),
    )
    live_world.happen("u1")
    (log,) = to.logs()
    assert live_world.client.post(f"{other.path}/logs/{log['id']}/replay").status == 404
    assert live_world.client.post(f"{to.path}/logs/wh_log_01j00000000000000000000000/replay").status == 404


def test_a_replay_walks_all_that_failed_however_much_it_is(
    live_world: HookWorld, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "_PAGE", 7)
    to = hook(live_world.client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    live_world.happen(*(f"u{n}" for n in range(300)))
    receiver.got.clear()
    receiver.answer = lambda _request: 200
    replay(to)
    live_world.settle()
    assert len(receiver.got) == len({got.id for got in receiver.got}) == 300


def test_a_replay_stops_where_its_time_ends_and_goes_on(live_world: HookWorld) -> None:
    to = hook(live_world.client, "https://nowhere.invalid/x")
    data = {"endpoint_id": to.id, "since": 0, "until": 1, "events": None, "replay": "r"}
    shards = 0
    following: Any = data
    while (following := ask.run(live_world.tenant, following, lambda: False)) is not None:
        shards += 1
    assert shards == 3


def test_a_replay_leaves_out_what_was_delivered_while_it_was_queued(live_world: HookWorld, receiver: Receiver) -> None:
    to = hook(live_world.client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    live_world.happen("u1")
    replay(to)
    live_world.run_bus()
    live_world.run_jobs()
    (waiting,) = live_world.webhooks
    # The retry has come before it.
    receiver.answer = lambda _request: 200
    (timer,) = [row for key, row in live_world.table.rows.items() if key.sk.startswith("TIMER#retry")]
    fire_due(live_world.tenant, timer["PK"], "retry_webhook", timer["moment"], timer["moment"])
    live_world.webhooks = []
    live_world.settle()
    live_world.webhooks = [waiting]
    live_world.settle()
    assert to.attempts() == [("failed", 500, 1), ("delivered", 200, 2)]
    assert len(receiver.got) == 2


def test_what_can_never_be_sent_again_is_not_replayed_again(live_world: HookWorld, receiver: Receiver) -> None:
    to = hook(live_world.client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    live_world.happen("u1")
    person = receiver.got[0].data["contact_id"]
    live_world.client.delete(f"/v1/contacts/{person}")
    live_world.settle()
    for _ in range(3):
        replay(to)
        live_world.settle()
    assert [log["error"] for log in to.logs()] == ["contact_deleted", "http_500"]


def test_a_replay_of_the_future_is_refused_and_one_of_long_ago_finds_nothing(live_world: HookWorld) -> None:
    to = hook(live_world.client, "https://nowhere.invalid/x", "contact.created")
    answer = live_world.client.post(f"{to.path}/replay", {"since": "2999-01-01"})
    assert (answer.status, answer.fields) == (422, ["since"])
    replay(to, since="1900-01-01", until="1960-01-01")
    live_world.settle()
    assert to.logs() == []


def test_two_replays_of_one_webhook_in_one_batch_are_one(test_world: HookWorld, receiver: Receiver) -> None:
    to = hook(test_world.client, receiver.url(), "contact.created")
    test_world.happen()
    (log,) = to.logs()
    for _ in range(2):
        test_world.client.post(f"{to.path}/logs/{log['id']}/replay")
    test_world.settle()
    assert len(receiver.got) == 2
