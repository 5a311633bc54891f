"""Approving: each once, exactly so many, and each invited once, however many ask for it at once and whatever dies."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.core.errors import Unavailable
from chalicelib.edge import middleware
from chalicelib.flows.waitlists import approve
from chalicelib.platform.idempotency import Receipt
from tests.support import pipeline
from tests.support.wait_world import WaitWorld, at_once

EDGE_ENDS_S = middleware._DEADLINE
"""As it is deployed: the tests have a longer one."""


def invited(world: WaitWorld) -> Counter[str]:
    """How many mails each address got."""
    return Counter(posted.to for posted in world.office.taken)


def test_100_approvals_of_one_entry_at_once_send_one_mail(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 3)
    answers = at_once([lambda: live_wait.approve_now(waitlist, made[1]["id"])] * 100, threads=100)
    live_wait.settle()
    assert {(each.status, each.position) for each in answers} == {("approved", None)}
    assert len({each.approved_at for each in answers}) == 1
    assert invited(live_wait) == {"u1@x.io": 1}
    assert live_wait.stats(waitlist) == {"waiting": 2, "approved": 1, "total": 3}


def test_two_batches_of_50_at_once_approve_80_once_each(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 80)
    answers = at_once([lambda: live_wait.approve_many(waitlist, 50)] * 2, threads=2)
    live_wait.settle()
    assert sum(each.approved for each in answers) == 80
    assert Counter(row.id for each in answers for row in each.data) == Counter(each["id"] for each in made)
    assert invited(live_wait) == {f"u{n}@x.io": 1 for n in range(80)}
    assert live_wait.stats(waitlist) == {"waiting": 0, "approved": 80, "total": 80}


@pytest.mark.parametrize("number", range(7))
def test_a_batch_whose_first_ones_another_one_approves_goes_on_with_those_behind(
    live_wait: WaitWorld, number: int
) -> None:
    """Nobody is taken for the last one because those whom the order had were approved before they were read."""
    waitlist = live_wait.waitlist()
    made = [each["id"] for each in live_wait.added(waitlist, 70)]
    other = []
    with live_wait.halted_at(number, lambda: other.append(live_wait.approve_many(waitlist, 20)), after=False) as halted:
        answer = live_wait.approve_many(waitlist, 20)
    assert halted
    assert (other[0].approved, answer.approved) == (20, 20)
    assert [row.id for row in (*other[0].data, *answer.data)] == made[:40]


@pytest.mark.parametrize("count", [1, 22, 23, 24, 64, 65, 100, 150])
def test_exactly_so_many_are_approved_the_first_ones_first(live_wait: WaitWorld, count: int) -> None:
    waitlist = live_wait.waitlist()
    made = [each["id"] for each in live_wait.added(waitlist, 120)]
    answer = live_wait.approve_many(waitlist, count)
    assert [row.id for row in answer.data] == made[:count]
    assert answer.approved == min(count, 120)
    assert live_wait.queue(waitlist) == made[count:]
    assert live_wait.tell_alike(waitlist)


def test_by_the_moment_of_joining_referrals_do_not_matter(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist(referral_boost=1_000)
    made = live_wait.added(waitlist, 90)
    rng = random.Random(5)
    for n in range(40):
        live_wait.join_now(waitlist, f"n{n}@x.io", rng.choice(made)["referral_code"])
        live_wait.run_bus()
    by_joining = live_wait.approve_many(waitlist, 70, "joined_at")
    assert [row.id for row in by_joining.data] == [each["id"] for each in made[:70]]
    left = live_wait.queue(waitlist)
    assert [row.id for row in live_wait.approve_many(waitlist, 5).data] == left[:5]


def test_who_is_approved_again_is_answered_with_and_gets_no_second_mail(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 1)
    first = live_wait.approve(waitlist, made[0]["id"])
    live_wait.settle()
    assert live_wait.approve(waitlist, made[0]["id"]) == first
    live_wait.settle()
    assert invited(live_wait) == {"u0@x.io": 1}


def test_an_entry_that_is_not_there_is_not_approved(live_wait: WaitWorld) -> None:
    one, other = live_wait.waitlist("one"), live_wait.waitlist("other")
    made = live_wait.added(one, 1)
    for entry in (made[0]["id"], "wl_entry_01j00000000000000000000000", "x"):
        assert live_wait.client.post(f"/v1/waitlists/{other}/entries/{entry}/approve", {}).status == 404


def test_a_batch_with_an_idempotency_key_approves_once(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    live_wait.added(waitlist, 200)
    path = f"/v1/waitlists/{waitlist}/entries/approve-batch"
    first, again = (live_wait.client.post(path, {"count": 95}, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json == again.json
    assert again.headers["idempotency-replayed"] == "true"
    assert live_wait.stats(waitlist)["approved"] == 95


def batch(world: WaitWorld, waitlist: str, key: str, count: int = 70) -> Any:
    """A batch with an Idempotency-Key, without the edge: what dies in it is seen."""
    now = clock.system_ms()
    receipt = Receipt(world.tenant, now, secret="s", idempotency_key=key, request=b"same")
    before = receipt.recall()
    if before is not None:
        return before.body
    answer = approve.batch(world.tenant, world.definition(waitlist), count, "position", now, receipt)
    return answer.model_dump(mode="json")


@pytest.mark.parametrize("number", range(0, 24, 1))
@pytest.mark.parametrize("after", [False, True])
def test_after_a_death_in_a_batch_the_same_call_tells_whom_it_has_approved_and_approves_no_more(
    live_wait: WaitWorld, monkeypatch: pytest.MonkeyPatch, number: int, *, after: bool
) -> None:
    monkeypatch.setattr("chalicelib.platform.idempotency._AMENDED_WITHIN_S", 0.0)
    waitlist = live_wait.waitlist()
    made = [each["id"] for each in live_wait.added(waitlist, 100)]
    with live_wait.dying_at(number, after=after), suppress(pipeline.Killed):
        batch(live_wait, waitlist, "k")
    so_far = live_wait.stats(waitlist)["approved"]
    told = batch(live_wait, waitlist, "k")
    approved = live_wait.stats(waitlist)["approved"]
    assert approved == (so_far or 70)
    assert [row["id"] for row in told["data"]] == made[:approved]
    live_wait.settle()
    assert invited(live_wait) == {f"u{n}@x.io": 1 for n in range(approved)}


def test_a_repeated_call_waits_for_a_batch_that_goes_on(live_wait: WaitWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the answer grows nobody is dead: two calls with one key have one answer."""
    monkeypatch.setattr("chalicelib.platform.idempotency._AMENDED_WITHIN_S", 1.0)
    monkeypatch.setattr("chalicelib.platform.idempotency._LOOK_EACH_S", 0.02)
    waitlist = live_wait.waitlist()
    live_wait.added(waitlist, 150)
    begun = threading.Event()

    def slowly(name: str) -> None:
        if name == "transact" and threading.current_thread() is not threading.main_thread():
            if begun.is_set():
                # Real time is what is waited for here: all of it takes longer than an answer that does not grow may.
                time.sleep(0.4)
            begun.set()

    live_wait.table.after_call = slowly
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(batch, live_wait, waitlist, "k", 150)
        assert begun.wait(5)
        again = batch(live_wait, waitlist, "k", 150)
        assert again == first.result()
    assert again["approved"] == 150


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
def test_a_batch_that_the_table_fails_half_way_tells_whom_it_has_approved(
    live_wait: WaitWorld, headers: dict[str, str]
) -> None:
    """Else the caller could only ask again, and so many more would be approved."""
    waitlist = live_wait.waitlist()
    made = [each["id"] for each in live_wait.added(waitlist, 100)]
    path = f"/v1/waitlists/{waitlist}/entries/approve-batch"
    written: list[str] = []

    def fail(name: str) -> None:
        written.extend([name] if name == "transact" else [])
        if len(written) > 2:
            raise Unavailable

    live_wait.table.on_call = fail
    answer = live_wait.client.post(path, {"count": 90}, headers=headers)
    live_wait.table.on_call = lambda _name: None
    assert (answer.status, answer.json["approved"]) == (200, 46)
    assert [row["id"] for row in answer.json["data"]] == made[:46]
    assert live_wait.stats(waitlist)["approved"] == 46


def test_a_batch_ends_before_the_edge_lets_it_begin_no_more_calls() -> None:
    assert approve._LASTS_S < EDGE_ENDS_S - 3


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("after", [False, True])
def test_whoever_dies_while_it_approves_leaves_it_done_or_undone(
    live_wait: WaitWorld, number: int, *, after: bool
) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 3)
    with live_wait.dying_at(number, after=after), suppress(pipeline.Killed):
        live_wait.approve_now(waitlist, made[1]["id"])
    figures = live_wait.stats(waitlist)
    assert figures in ({"waiting": 3, "approved": 0, "total": 3}, {"waiting": 2, "approved": 1, "total": 3})
    assert live_wait.tell_alike(waitlist)
    live_wait.approve_now(waitlist, made[1]["id"])
    live_wait.settle()
    assert live_wait.emails(waitlist) == ["u0", "u2"]
    assert invited(live_wait) == {"u1@x.io": 1}


@pytest.mark.parametrize("order", ["position", "joined_at"])
@pytest.mark.parametrize("number", range(16))
def test_a_batch_approves_all_that_it_is_asked_for_though_another_takes_whom_it_has_just_read(
    live_wait: WaitWorld, number: int, order: Any
) -> None:
    waitlist = live_wait.waitlist()
    live_wait.added(waitlist, 100)
    others: list[str] = []

    def other() -> None:
        others.extend(row.id for row in live_wait.approve_many(waitlist, 35).data)

    with live_wait.halted_at(number, other, after=False):
        own = [row.id for row in live_wait.approve_many(waitlist, 40, order).data]
    if not others:
        other()
    assert (len(own), len(others), len({*own, *others})) == (40, 35, 75)
    assert live_wait.stats(waitlist) == {"waiting": 25, "approved": 75, "total": 100}
