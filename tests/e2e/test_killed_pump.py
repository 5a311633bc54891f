"""Nothing is lost or doubled when the process that feeds the workers is killed in the middle of its work."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.support.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

Event = dict[str, Any]


def events_of(run: str, contacts: int, each: int) -> list[Event]:
    """Track events, `each` for each of so many contacts, in the order of their moments."""
    return [
        {
            "type": "track",
            "user_id": f"{run}-{contact}",
            "event": run,
            "message_id": f"{run}-{contact}-{number}",
            "timestamp": f"2026-01-01T00:00:{number:02}.000Z",
            "properties": {"number": number},
        }
        for number in range(each)
        for contact in range(contacts)
    ]


def batches(events: Sequence[Event], size: int) -> Iterator[Sequence[Event]]:
    for start in range(0, len(events), size):
        yield events[start : start + size]


def send_twice_and_kill(stack: Stack, events: list[Event], size: int, kills: int) -> None:
    """Send all, then all in another order, and kill the pump so many times while it works."""
    again = random.Random(7).sample(events, len(events))
    for batch in [*batches(events, size), *batches(again, size)]:
        answer = stack.post("/v1/batch", {"batch": batch}, key=stack.write_key)
        assert answer.status == 202
        assert all(item["success"] for item in answer.body["items"])
    for _ in range(kills):
        stack.kill_pump()
    stack.await_settled(within_s=240)


def listed(stack: Stack, path: str, **query: str) -> Iterator[Event]:
    """Every row of a listing."""
    while True:
        page = stack.get(path, key=None, limit=100, **query).body
        yield from page["data"]
        if not page["has_more"]:
            return
        query["cursor"] = page["next_cursor"]


def assert_exactly(stack: Stack, run: str, contacts: int, each: int) -> None:
    """Each contact of the run has each of its events once, in order, and the project's stream has no other."""
    found = list(listed(stack, "/v1/analytics/events", event=run))
    assert Counter(event["message_id"] for event in found) == Counter(
        f"{run}-{contact}-{number}" for contact in range(contacts) for number in range(each)
    )
    for contact in random.Random(8).sample(range(contacts), min(contacts, 50)):
        known = stack.get("/v1/contacts", external_id=f"{run}-{contact}").body["data"]
        assert len(known) == 1
        told = [event for event in listed(stack, f"/v1/contacts/{known[0]['id']}/events") if event["event"] == run]
        assert [event["properties"]["number"] for event in reversed(told)] == list(range(each))


def test_300_events_survive_a_killed_pump(stack: Stack) -> None:
    send_twice_and_kill(stack, events_of("small", 30, 10), size=100, kills=1)
    assert_exactly(stack, "small", 30, 10)


@pytest.mark.prove
@pytest.mark.timeout(600)
def test_5000_events_survive_a_pump_that_is_killed_three_times(stack: Stack) -> None:
    send_twice_and_kill(stack, events_of("large", 500, 10), size=500, kills=3)
    assert_exactly(stack, "large", 500, 10)
