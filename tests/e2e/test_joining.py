"""One contact for each person on the local stack: real queues, a real stream, and the real clock."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.test_killed_pump import listed
from tests.support.stack import Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]


def send(stack: Stack, kind: str, **raw: Any) -> None:
    assert stack.post(f"/v1/{kind}", raw, stack.write_key).status == 202


def found(stack: Stack, external_id: str) -> dict[str, Any]:
    rows = stack.get(f"/v1/contacts?external_id={external_id}").body["data"]
    return dict(rows[0]) if rows else {}


def events(stack: Stack, external_id: str) -> list[str]:
    contact = found(stack, external_id)
    rows = listed(stack, f"/v1/contacts/{contact['id']}/events") if contact else []
    return sorted(row["event"] for row in rows)


def test_visitors_aliases_and_merges_end_in_one_contact_with_one_history(stack: Stack) -> None:
    rules = {"operator": "AND", "conditions": [{"field": "events.join_looked", "op": "count_gte", "value": 2}]}
    segment = stack.post("/v1/segments", {"name": "Looked twice", "rules": rules}).body["id"]
    send(stack, "track", anonymousId="join-device", event="join_looked")
    send(stack, "identify", userId="join-old", traits={"plan": "free"})
    send(stack, "identify", userId="join-old", anonymousId="join-device")
    wait_until(lambda: events(stack, "join-old") == ["$identify", "$identify", "join_looked"], 10)

    send(stack, "alias", userId="join-new", previousId="join-old")
    wait_until(lambda: found(stack, "join-old").get("external_id") == "join-new", 10)

    send(stack, "track", userId="join-other", event="join_looked")
    wait_until(lambda: bool(found(stack, "join-other")), 10)
    target, source = found(stack, "join-new")["id"], found(stack, "join-other")["id"]
    merged = stack.post(f"/v1/contacts/{target}/merge", {"source_contact_id": source})
    assert (merged.status, merged.body["traits"]) == (200, {"plan": "free"})
    gone = stack.get(f"/v1/contacts/{source}")
    assert (gone.status, gone.body["error"]["details"]) == (404, [{"merged_into": target}])
    expected = ["$alias", "$identify", "$identify", "join_looked", "join_looked"]
    assert events(stack, "join-other") == expected

    def members() -> list[str]:
        return [row["id"] for row in listed(stack, f"/v1/segments/{segment}/contacts")]

    wait_until(lambda: members() == [target], 10)
    assert stack.get(f"/v1/segments/{segment}").body["contact_count"] == 1
    assert events(stack, "join-new") == expected
