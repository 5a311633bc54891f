"""Every webhook of waitlists, after the act that causes it, with the payload of its model, once."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core import events
from chalicelib.flows.webhooks import payloads, waitlist_kinds
from tests.support.hooks import hook
from tests.support.receiver import Receiver
from tests.support.wait_world import WaitWorld

Expected = dict[str, Any]


def of(waitlist: str, entry: dict[str, Any]) -> Expected:
    return {
        "waitlist_id": waitlist,
        "waitlist_name": "Early",
        "entry_id": entry["id"],
        "contact_id": entry["contact_id"],
    }


def joined(world: WaitWorld) -> Expected:
    waitlist = world.waitlist()
    world.joins(waitlist, "ann@x.io", ip="198.51.100.7", referral_code="NOBODY-ACME-7K2")
    world.joins(waitlist, "ann@x.io")
    (entry,) = world.entries(waitlist)
    return of(waitlist, entry) | {"joined_at": entry["joined_at"], "referral_code": "NOBODY-ACME-7K2"}


def approved(world: WaitWorld) -> Expected:
    waitlist = world.waitlist()
    entry = world.add(waitlist, "ann@x.io")
    for _ in range(2):
        approved_at = world.approve(waitlist, entry["id"])["approved_at"]
    return of(waitlist, entry) | {"approved_at": approved_at}


def moved(world: WaitWorld) -> Expected:
    waitlist = world.waitlist()
    made = world.added(waitlist, 8)
    world.add(waitlist, "first@x.io", referral_code=made[0]["referral_code"])  # who is the first stays where it is
    world.add(waitlist, "new@x.io", referral_code=made[6]["referral_code"])
    return of(waitlist, made[6]) | {"from": 7, "to": 4}


CAUSES: dict[str, Callable[[WaitWorld], Expected]] = {
    events.ENTRY_CREATED: joined,
    events.ENTRY_APPROVED: approved,
    events.POSITION_CHANGED: moved,
}


@pytest.mark.parametrize("event", CAUSES)
def test_an_event_is_told_once_after_what_causes_it(test_wait: WaitWorld, receiver: Receiver, event: str) -> None:
    hook(test_wait.client, receiver.url(), event)
    expected = CAUSES[event](test_wait)
    test_wait.settle()
    (told,) = receiver.got
    data = told.json["data"]
    assert payloads.model(event).model_validate_json(told.body).model_dump(mode="json") == told.json
    assert told.type == event
    assert data.pop("contact")["id"] == expected["contact_id"]
    assert data == expected
    assert "198.51.100.7" not in told.body.decode()


def test_all_webhooks_of_waitlists_have_a_cause_here() -> None:
    assert CAUSES.keys() == waitlist_kinds.KINDS.keys()
