"""A referral on the local stack: over real HTTP, by the Segment client, and with a hundred callers at once."""

from __future__ import annotations

import http.client
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.stack import Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

PROGRAM: dict[str, Any] = {
    "name": "Friends",
    "reward_type": "credit",
    "reward_amount": 20,
    "reward_currency": "USD",
    "referee_reward": {"type": "discount", "amount": 15, "currency": "USD"},
    "conversion_event": "e2e_paid",
    "landing_url": "https://acme.test/welcome",
}


def made(stack: Stack, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = stack.post(path, body)
    assert answer.status in (200, 201), answer.body
    return dict(answer.body)


def rewards(stack: Stack, program: str) -> list[tuple[str, Any]]:
    rows = stack.get(f"/v1/referrals/rewards?program_id={program}&status=issued").body["data"]
    return sorted((row["kind"], row["amount"]) for row in rows)


def figures(stack: Stack, program: str) -> tuple[int, int, Any]:
    """Conversions, issued rewards, and what these are worth."""
    stats = stack.get(f"/v1/referrals/programs/{program}").body["stats"]
    return stats["total_conversions"], stats["total_rewards_issued"], stats["total_reward_amount"]


def click(stack: Stack, code: str) -> tuple[int, str | None]:
    address = urlsplit(stack.base_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        connection.request("GET", f"/r/{code}", headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("location")
    finally:
        connection.close()


def test_a_friend_comes_by_a_link_and_pays_and_both_are_rewarded_within_seconds(stack: Stack) -> None:
    program = made(stack, "/v1/referrals/programs", PROGRAM)["id"]
    alice = made(stack, "/v1/contacts", {"external_id": "e2e-alice", "traits": {"name": "Alice", "company": "Acme"}})
    link = made(stack, "/v1/referrals/links", {"program_id": program, "contact_id": alice["id"]})
    assert click(stack, link["code"]) == (302, f"https://acme.test/welcome?ref={link['code']}")
    context = {"referral_code": link["code"]}
    batch = [
        {"type": "page", "anonymousId": "e2e-visitor", "context": context},
        {"type": "identify", "anonymousId": "e2e-visitor", "userId": "e2e-bob", "context": context},
        {"type": "track", "userId": "e2e-bob", "event": "e2e_paid"},
    ]
    assert stack.post("/v1/batch", {"batch": batch}, stack.write_key).status == 202
    wait_until(lambda: rewards(stack, program) == [("referee", 15), ("referrer", 20)], 15)
    wait_until(lambda: stack.get(f"/v1/referrals/links/{link['code']}").body["clicks"] == 1, 15)
    wait_until(lambda: figures(stack, program) == (1, 2, 35), 15)
    board = stack.get(f"/v1/referrals/leaderboard?program_id={program}").body["data"]
    assert [(row["contact_id"], row["referrals"], row["conversions"]) for row in board] == [(alice["id"], 1, 1)]


def test_a_hundred_conversions_of_one_pair_at_once_are_one(stack: Stack) -> None:
    program = made(stack, "/v1/referrals/programs", PROGRAM | {"conversion_event": None})["id"]
    alice, bob = (made(stack, "/v1/contacts", {"external_id": f"e2e-pair-{n}"})["id"] for n in range(2))
    code = made(stack, "/v1/referrals/links", {"program_id": program, "contact_id": alice})["code"]
    body = {"link_code": code, "referred_contact_id": bob}
    with ThreadPoolExecutor(20) as callers:
        answers = list(callers.map(lambda _: stack.post("/v1/referrals/conversions", body), range(100)))
    assert {answer.status for answer in answers} <= {200, 201, 429}
    served = [answer for answer in answers if answer.status != 429]
    assert len({answer.body["id"] for answer in served}) == 1
    assert sum(answer.status == 201 for answer in served) == 1
    wait_until(lambda: rewards(stack, program) == [("referee", 15), ("referrer", 20)], 15)
    wait_until(lambda: figures(stack, program) == (1, 2, 35), 15)
