"""The clock of the local stack's test project: the real queues, stream and pump bring it to where it was sent."""

from typing import Any

import pytest

from chalicelib.core import clock
from tests.support.stack import Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

EVENTS = 40
READY_WITHIN_S = 20.0


def test_a_clock_arrives_within_seconds_after_everything_accepted_before_has_settled(stack: Stack) -> None:
    test = stack.local["test"]
    key, before = test["secret_key"], stack.get("/v1/test_clock", key=test["secret_key"]).body
    target = clock.parse_instant(before["now"]) + 5 * clock.DAY
    batch = [{"type": "track", "userId": f"clock-{n}", "event": "clock_started"} for n in range(EVENTS)]
    assert stack.post("/v1/batch", {"batch": batch}, key=test["write_key"]).status == 202

    asked = stack.post("/v1/test_clock/advance", {"by": "5d"}, key=key)

    assert (asked.status, asked.body) == (200, {"now": before["now"], "status": "advancing"})
    wait_until(lambda: stands(stack, key)["status"] == "ready", READY_WITHIN_S, pause_s=0.1)
    assert stands(stack, key) == {"now": clock.iso(target), "status": "ready"}
    rows = stack.get("/v1/analytics/events", key=key, event="clock_started", limit=100).body["data"]
    assert len(rows) == EVENTS
    assert {row["received_at"] for row in rows} == {before["now"]}


def stands(stack: Stack, key: str) -> Any:
    return stack.get("/v1/test_clock", key=key).body


def test_the_live_project_has_no_such_clock(stack: Stack) -> None:
    assert stack.get("/v1/test_clock").status == 404
    assert stack.post("/v1/test_clock/advance", {"by": "5d"}).status == 404
