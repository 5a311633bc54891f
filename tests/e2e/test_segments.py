"""Segments on the local stack: real queues, a real stream, and the real clock."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from chalicelib.core import clock
from tests.e2e.test_killed_pump import batches, listed
from tests.support.stack import Stack, running, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

WINDOW_S = 30
LATE_S = 2.0


def counting(event: str, value: int = 1, window: str | None = None) -> dict[str, Any]:
    condition = {"field": f"events.{event}", "op": "count_gte", "value": value}
    return {"operator": "AND", "conditions": [condition | ({"window": window} if window else {})]}


def created(stack: Stack, rules: dict[str, Any]) -> dict[str, Any]:
    answer = stack.post("/v1/segments", {"name": "S", "rules": rules})
    assert answer.status == 201, answer.body
    return dict(answer.body)


def track(stack: Stack, event: str, users: list[str], at: int | None = None) -> None:
    """One event for each user, at a moment in ms where one is given."""
    extra = {} if at is None else {"timestamp": clock.iso(at)}
    for some in batches([{"type": "track", "userId": user, "event": event} | extra for user in users], 500):
        assert stack.post("/v1/batch", {"batch": list(some)}, stack.write_key).status == 202


def members(stack: Stack, segment_id: str) -> Counter[str]:
    return Counter(str(row["external_id"]) for row in listed(stack, f"/v1/segments/{segment_id}/contacts"))


def size(stack: Stack, segment_id: str) -> int:
    return int(stack.get(f"/v1/segments/{segment_id}").body["contact_count"])


@pytest.mark.alone
def test_contacts_leave_a_segment_within_2_seconds_of_the_end_of_their_window(stack: Stack) -> None:
    segment_id = created(stack, counting("e2e_window", window="5s"))["id"]
    users = [f"window-{n}" for n in range(20)]
    now = clock.system_ms()
    track(stack, "e2e_window", users, now)
    wait_until(lambda: len(members(stack, segment_id)) == len(users), 4.0)
    time.sleep(max(0.0, (now + 5_000 - clock.system_ms()) / 1000 - 0.5))
    assert len(members(stack, segment_id)) == len(users)
    # Each look at the list is work for the stack too, so they are not taken without a pause.
    wait_until(lambda: not members(stack, segment_id), LATE_S + 0.5, pause_s=0.1)
    wait_until(lambda: size(stack, segment_id) == 0, LATE_S, pause_s=0.1)


@pytest.mark.prove
@pytest.mark.timeout(900)
def test_200_windows_run_out_to_the_second_beside_5000_contacts_for_which_nothing_is_done(stack: Stack) -> None:
    segment_id = created(stack, counting("prove_window", window=f"{WINDOW_S}s"))["id"]
    track(stack, "prove_other", [f"other-{n}" for n in range(5_000)])
    stack.await_settled(600)
    before = writes_of_others(stack)
    users = [f"prove-{n}" for n in range(200)]
    ends: dict[str, int] = {}
    for n, user in enumerate(users):
        moment = clock.system_ms() + 10_000 + 50 * n - 1_000 * WINDOW_S
        ends[user] = moment + 1_000 * WINDOW_S
        track(stack, "prove_window", [user], moment)
    gone: dict[str, int] = {}
    while len(gone) < len(users) and clock.system_ms() < max(ends.values()) + 20_000:
        seen, moment = set(members(stack, segment_id)), clock.system_ms()
        for user in users:
            if user not in seen and moment > ends[user]:
                gone.setdefault(user, moment)
        time.sleep(0.05)
    late = sorted(gone[user] - ends[user] for user in users)
    assert late[int(0.99 * len(late)) - 1] <= 1_000 * LATE_S, late[-20:]
    assert writes_of_others(stack) == before


def writes_of_others(stack: Stack) -> int:
    """The sum of the versions of what is kept of the memberships of contacts that no rule concerns."""
    rows = stack.rows("MEMBERSHIPS")
    mine = {row["id"] for row in stack.rows("CONTACT") if str(row.get("external_id", "")).startswith("other-")}
    return sum(int(row["version"]) for row in rows if row["PK"].rpartition("#")[2] in mine)


@pytest.mark.prove
@pytest.mark.timeout(1200)
def test_5000_contacts_are_judged_by_new_rules_through_a_kill_while_others_come_and_change(tmp_path: Path) -> None:
    with running(tmp_path / "home") as stack:
        _build_through_a_kill(stack)


def _build_through_a_kill(stack: Stack) -> None:
    users = [f"built-{n}" for n in range(5_000)]
    track(stack, "prove_built", users)
    stack.await_settled(600)
    made = created(stack, counting("prove_built", value=2))
    body = json.dumps({"rules": counting("prove_built")}).encode()
    changed = stack.request("PATCH", f"/v1/segments/{made['id']}", body).body
    assert (made["status"], changed["status"]) == ("building", "building")
    track(stack, "prove_built", [f"new-{n}" for n in range(50)])
    stack.kill_pump()
    track(stack, "prove_built", [*users[:20], *users[-20:], *(f"newer-{n}" for n in range(50))])
    wait_until(lambda: stack.get(f"/v1/segments/{made['id']}").body["status"] == "ready", 900.0, pause_s=0.5)
    stack.await_settled(300)
    expected = {*users, *(f"new-{n}" for n in range(50)), *(f"newer-{n}" for n in range(50))}
    assert members(stack, made["id"]) == dict.fromkeys(expected, 1)
    assert size(stack, made["id"]) == len(expected)
