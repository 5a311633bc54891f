"""Analytics on the local stack: from the 202 of an event to the answers that count it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.stack import Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

FRESH_S = 60.0
ALL_WITHIN_S = 300.0
BATCH = 20


def ok(answer: Any) -> Any:
    assert answer.status in (200, 201, 202), answer
    return answer.body


def sent(stack: Stack, name: str, user: str, count: int) -> None:
    """So many events in one call."""
    items = [{"type": "track", "user_id": f"{user}-{n}", "event": name} for n in range(count)]
    ok(stack.post("/v1/batch", {"batch": items}, stack.write_key))


def total(stack: Stack, name: str, measure: str = "event_count") -> int:
    """How many the answer counts."""
    today = datetime.now(UTC).date()
    span = {"from": (today - timedelta(days=1)).isoformat(), "to": (today + timedelta(days=1)).isoformat()}
    asked = {"type": measure, "event": name, "interval": "day", **span}
    answer = ok(stack.post("/v1/analytics/query", asked))
    counted: int = answer["total"]
    assert sum(bucket["count"] for bucket in answer["data"]) >= counted
    return counted


def test_an_event_is_in_the_answers_within_a_minute_and_a_deleted_contact_in_none(stack: Stack) -> None:
    name = "analytics seen"
    sent(stack, name, "analytics-seen", 3)
    wait_until(lambda: total(stack, name) == 3, FRESH_S)
    assert total(stack, name, "unique_contacts") == 3
    contact = ok(stack.get("/v1/contacts?external_id=analytics-seen-0"))["data"][0]["id"]
    ok(stack.request("DELETE", f"/v1/contacts/{contact}"))
    assert (total(stack, name), total(stack, name, "unique_contacts")) == (2, 2)


@pytest.mark.prove
@pytest.mark.timeout(600)
def test_nineteen_in_twenty_are_in_the_answers_within_a_minute(
    stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    """Events are sent for a minute and a half; each is seen when as many as were sent up to it are counted."""
    name, accepted, counted = "analytics fresh", [], [(time.monotonic(), 0)]
    ended = threading.Event()

    def send() -> None:
        for n in range(90):
            sent(stack, name, f"analytics-fresh-{n}", BATCH)
            accepted.extend([time.monotonic()] * BATCH)
            time.sleep(1)
        ended.set()

    sender = threading.Thread(target=send)
    sender.start()
    while not ended.is_set() or counted[-1][1] < len(accepted):
        assert time.monotonic() - (accepted[-1] if accepted else counted[0][0]) < ALL_WITHIN_S
        counted.append((time.monotonic(), total(stack, name)))
        time.sleep(0.5)
    sender.join()
    waits = sorted(next(moment for moment, number in counted if number > n) - began for n, began in enumerate(accepted))
    middle, late = waits[len(waits) // 2], waits[len(waits) * 95 // 100]
    record_property("events", len(waits))
    record_property("seconds until seen: median, 95 %, all", [round(each, 1) for each in (middle, late, waits[-1])])
    assert late <= FRESH_S
    assert waits[-1] <= ALL_WITHIN_S
