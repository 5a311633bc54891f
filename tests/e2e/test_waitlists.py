"""Waitlists on the local stack: a real table, a real stream, real mails, and many who join at once."""

from __future__ import annotations

import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.core import clock
from tests.e2e.test_killed_pump import listed
from tests.support.mail_catcher import Catcher
from tests.support.stack import Answer, Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

LISTS = "/v1/waitlists"
RATE = 30
SECONDS = 30
THREADS = 60


def waitlist(stack: Stack, slug: str) -> str:
    """The id of a new waitlist."""
    answer = stack.post(LISTS, {"name": "Early", "slug": slug})
    assert answer.status == 201, answer.body
    return str(answer.body["id"])


def join(stack: Stack, slug: str, email: str, **fields: Any) -> Answer:
    return stack.post(f"{LISTS}/{slug}/join", {"email": email} | fields, stack.write_key)


def test_who_refers_moves_up_and_who_is_approved_is_mailed_once(stack: Stack, catcher: Catcher) -> None:
    one = waitlist(stack, "e2e-early")
    stack.request("PATCH", "/v1/settings", b'{"default_from_email": "hello@acme.test"}')
    made = [join(stack, "e2e-early", f"wait{n}@example.com").body for n in range(6)]
    assert [each["position"] for each in made] == [1, 2, 3, 4, 5, 6]
    join(stack, "e2e-early", "brought@example.com", referral_code=made[5]["referral_code"])

    def emails() -> list[str]:
        return [row["email"].partition("@")[0] for row in listed(stack, f"{LISTS}/{one}/entries")]

    wait_until(lambda: emails() == ["wait0", "wait1", "wait5", "wait2", "wait3", "wait4", "brought"], 15)
    told = stack.get(f"{LISTS}/e2e-early/status", stack.write_key, token=made[5]["status_token"])
    assert (told.body["position"], told.body["referral_count"]) == (3, 1)
    with ThreadPoolExecutor(8) as pool:
        path = f"{LISTS}/{one}/entries/{made[1]['id']}/approve"
        answers = list(pool.map(lambda _: stack.post(path, {}), range(8)))
    assert {answer.status for answer in answers} == {200}
    (invite,) = catcher.await_mail("wait1@example.com")
    assert invite["Subject"] == "You are in: Early"
    stack.await_settled()
    assert len(catcher.to("wait1@example.com")) == 1


def test_two_batches_at_once_share_who_waits(stack: Stack) -> None:
    one = waitlist(stack, "e2e-batches")
    with ThreadPoolExecutor(8) as pool:
        joined = list(pool.map(lambda n: join(stack, "e2e-batches", f"batch{n}@example.com").status, range(80)))
        path = f"{LISTS}/{one}/entries/approve-batch"
        answers = list(pool.map(lambda _: stack.post(path, {"count": 50}).body, range(2)))
    assert joined == [201] * 80
    assert sorted(answer["approved"] for answer in answers) == [30, 50]
    assert len({row["id"] for answer in answers for row in answer["data"]}) == 80
    assert stack.get(f"{LISTS}/{one}").body["stats"] == {"waiting": 0, "approved": 80, "total": 80}


@pytest.mark.prove
@pytest.mark.timeout(600)
def test_30_joins_a_second_for_30_seconds_are_all_in_and_none_is_refused(stack: Stack) -> None:
    one = waitlist(stack, "e2e-rush")
    join(stack, "e2e-rush", "first@example.com")
    start = time.monotonic() + 1

    def joins(n: int) -> tuple[int, float]:
        """Somebody joins at its moment, whatever became of those before: the status, and how long it took."""
        time.sleep(max(0.0, start + n / RATE - time.monotonic()))
        began = time.monotonic()
        return join(stack, "e2e-rush", f"rush{n}@example.com").status, time.monotonic() - began

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(joins, range(RATE * SECONDS)))
    took = sorted(seconds for _, seconds in answers)
    ended = time.monotonic() - start
    sys.stdout.write(
        f"\n{len(answers)} joins in {ended:.1f} s: {dict(Counter(status for status, _ in answers))}; "
        f"median {took[len(took) // 2]:.2f} s, 99th {took[len(took) * 99 // 100]:.2f} s, longest {took[-1]:.2f} s\n"
    )
    assert Counter(status for status, _ in answers) == {201: RATE * SECONDS}
    rows = list(listed(stack, f"{LISTS}/{one}/entries"))
    assert [row["position"] for row in rows] == list(range(1, RATE * SECONDS + 2))
    assert {row["email"] for row in rows[1:]} == {f"rush{n}@example.com" for n in range(RATE * SECONDS)}
    moments = [clock.parse_instant(row["joined_at"]) for row in rows]
    assert moments == sorted(moments)
    figures = stack.get(f"{LISTS}/{one}").body["stats"]
    assert (figures["waiting"], figures["total"]) == (RATE * SECONDS + 1, RATE * SECONDS + 1)
