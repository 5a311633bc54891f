"""The published Python clients of Segment and RudderStack, unmodified but for the base URL, against the local stack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rudderstack.analytics.client import Client as RudderClient
from segment.analytics.client import Client as SegmentClient

from tests.support.stack import Stack, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

CONTACTS = 6
STEPS = 50
FIRST = ["identify", "track", "page", "screen", "group"]

MakeClient = Callable[[Stack, list[Any]], Any]


def segment(stack: Stack, errors: list[Any]) -> SegmentClient:
    def on_error(*error: Any) -> None:
        errors.append(error)

    return SegmentClient(stack.write_key, host=stack.base_url, gzip=True, on_error=on_error)


def rudder(stack: Stack, errors: list[Any]) -> RudderClient:
    def on_error(*error: Any) -> None:
        errors.append(error)

    return RudderClient(stack.write_key, host=stack.base_url, gzip=True, on_error=on_error)


@pytest.mark.parametrize("make", [segment, rudder])
def test_every_event_arrives_once_under_its_contact_and_in_order(stack: Stack, make: MakeClient) -> None:
    errors: list[Any] = []
    client = make(stack, errors)
    users = [f"{make.__name__}-{number}" for number in range(CONTACTS)]
    for user in users:
        client.identify(user, {"email": f"{user}@example.com", "plan": "growth"})
        client.track(user, "Signed Up", {"source": "organic"})
        client.page(user, "Docs", "Pricing", {"url": "https://example.com/pricing"})
        client.screen(user, "App", "Home", {})
        client.group(user, f"org-{user}", {"name": "Acme"})
    for step in range(STEPS):
        for user in users:
            client.track(user, "Stepped", {"step": step})
    client.flush()
    client.join()
    assert errors == []
    stack.await_settled()
    for user in users:
        contact = only_contact(stack, user)
        assert contact["email"] == f"{user}@example.com"
        assert contact["traits"]["plan"] == "growth"
        told = timeline(stack, contact["id"])
        assert [event["type"] for event in told[: len(FIRST)]] == FIRST
        assert [event["properties"].get("step") for event in told[len(FIRST) :]] == list(range(STEPS))


@pytest.mark.parametrize("make", [segment, rudder])
def test_a_write_key_that_is_not_known_is_told_to_the_client(stack: Stack, make: MakeClient) -> None:
    errors: list[Any] = []
    client = make(stack, errors)
    for consumer in client.consumers:
        consumer.write_key = "gos_wk_unknown"
    client.track("nobody", "Signed Up")
    client.flush()
    client.join()
    wait_until(lambda: bool(errors), 10)
    assert "401" in str(errors[0][0]) or getattr(errors[0][0], "status", None) == 401


def only_contact(stack: Stack, external_id: str) -> dict[str, Any]:
    """The one contact with that external id."""
    found = stack.get("/v1/contacts", external_id=external_id).body["data"]
    assert len(found) == 1
    return dict(found[0])


def timeline(stack: Stack, contact_id: str) -> list[dict[str, Any]]:
    """All events of a contact, oldest first."""
    answer = stack.get(f"/v1/contacts/{contact_id}/events", limit=100)
    assert not answer.body["has_more"]
    return list(reversed(answer.body["data"]))
