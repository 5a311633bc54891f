"""Every webhook of referrals, after the act that causes it, with the payload of its model, once."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core import clock, events
from chalicelib.flows.webhooks import payloads, referral_kinds
from tests.support.hooks import hook
from tests.support.receiver import Receiver
from tests.support.referral_world import ReferralWorld

Expected = dict[str, Any]


def linked(world: ReferralWorld) -> Expected:
    alice = world.contact("alice")
    code = world.link(alice)
    world.link(alice)
    return {"contact_id": alice, "link_code": code, "program_id": world.program, "channel": "email"}


def clicked(world: ReferralWorld) -> Expected:
    alice = world.contact("alice")
    code = world.link(alice)
    world.click(code)
    world.settle()
    expected = {"contact_id": alice, "link_code": code, "program_id": world.program}
    return expected | {"entry_id": None, "waitlist_id": None}


def converted(world: ReferralWorld) -> Expected:
    alice = world.contact("alice")
    code = world.link(alice)
    world.come("bob", code)
    for _ in range(2):
        world.track("bob", "paid")
    (made,) = world.conversions()
    return {
        "contact_id": world.id_of("bob"),
        "referrer_contact_id": alice,
        "conversion_id": made["id"],
        "program_id": world.program,
        "link_code": code,
        "conversion_event": "paid",
        "converted_at": clock.iso(world.now),
    }


def issued(world: ReferralWorld) -> Expected:
    world.client.patch(f"/v1/referrals/programs/{world.program}", {"referee_reward": None})
    expected = converted(world)
    (reward,) = world.rewards()
    prize = {"kind": "referrer", "type": "credit", "amount": 20, "currency": "USD"}
    of = {"contact_id": expected["referrer_contact_id"], "conversion_id": expected["conversion_id"]}
    return of | prize | {"reward_id": reward["id"], "program_id": world.program}


CAUSES: dict[str, Callable[[ReferralWorld], Expected]] = {
    events.REFERRAL_LINK_CREATED: linked,
    events.REFERRAL_LINK_CLICKED: clicked,
    events.REFERRAL_CONVERTED: converted,
    events.REWARD_ISSUED: issued,
}


@pytest.mark.parametrize("event", CAUSES)
def test_an_event_is_told_once_after_what_causes_it(referring: ReferralWorld, receiver: Receiver, event: str) -> None:
    hook(referring.client, receiver.url(), event)
    expected = CAUSES[event](referring)
    (told,) = receiver.got
    assert payloads.model(event).model_validate_json(told.body).model_dump(mode="json") == told.json
    assert told.type == event
    assert {name: told.data[name] for name in expected} == expected
    assert told.data["contact"]["id"] == expected["contact_id"]


def test_all_webhooks_of_referrals_have_a_cause_here() -> None:
    assert CAUSES.keys() == referral_kinds.KINDS.keys()


def test_a_held_conversion_is_told_when_it_is_approved(referring: ReferralWorld, receiver: Receiver) -> None:
    hook(referring.client, receiver.url(), "referral.converted", "referral.reward.issued")
    code = referring.link(referring.contact("alice"))
    bob = referring.contact("bob", email="bob@mailinator.com")
    held = referring.convert(code, bob).json
    assert (held["status"], receiver.got) == ("review", [])
    referring.decide(held["id"], "approve")
    told = sorted(each.type for each in receiver.got)
    assert told == ["referral.link.converted", "referral.reward.issued", "referral.reward.issued"]


def test_a_hold_tells_of_rewards_when_it_is_over(referring: ReferralWorld, receiver: Receiver) -> None:
    hook(referring.client, receiver.url(), "referral.reward.issued")
    referring.client.patch(f"/v1/referrals/programs/{referring.program}", {"limits": {"hold_days": 3}})
    converted(referring)
    assert receiver.got == []
    referring.advance(3 * clock.DAY)
    assert sorted(each.data["kind"] for each in receiver.got) == ["referee", "referrer"]
