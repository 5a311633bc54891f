"""Every webhook of campaigns and their mails, after the act that causes it, with the payload of its model, once."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine

from chalicelib.core import clock, events
from chalicelib.flows.webhooks import campaign_kinds, payloads
from tests.support.hooks import hook
from tests.support.mail_world import MailWorld
from tests.support.receiver import Receiver

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"}
Expected = dict[str, Any]


def mailed(world: MailWorld, address: str = "ada@example.com") -> Expected:
    """Somebody has got a mail; what payloads are to say of it."""
    campaign = world.lifecycle({"id": "welcome"}, {"delay": "1d"})
    contact = world.contact("ada", email=address)
    world.track("ada", "signed_up")
    (message,) = world.messages(campaign)
    return {
        "message_id": message["id"],
        "campaign_id": campaign,
        "campaign_name": "Onboarding",
        "contact_id": contact,
        "step_index": 0,
        "step_id": "welcome",
        "reason": None,
    }


def bounced(world: MailWorld) -> Expected:
    return mailed(world, "bounce@simulator.amazonses.com") | {"reason": "permanent"}


def complained(world: MailWorld) -> Expected:
    return mailed(world, "complaint@simulator.amazonses.com") | {"reason": "abuse"}


def asked(kind: str, method: str = "GET") -> Callable[[MailWorld], Expected]:
    """A reader asks for a link of that kind."""

    def act(world: MailWorld) -> Expected:
        expected = mailed(world)
        (mail,) = world.mailbox()
        url = re.findall(rf'"([^"]*/{kind}/[^"]*)"', mail["html"])[0]
        for _ in range(2):
            world.client.request(method, urlsplit(url).path, key="", headers=BROWSER)
        with time_machine.travel((clock.system_ms() + 10_000) / 1_000, tick=False):
            world.settle()
        return expected

    return act


def activated(world: MailWorld) -> Expected:
    return {"campaign_id": world.lifecycle(), "campaign_name": "Onboarding", "type": "lifecycle"}


def paused(world: MailWorld) -> Expected:
    campaign = world.lifecycle()
    world.move(campaign, "pause")
    return {"campaign_id": campaign, "campaign_name": "Onboarding", "type": "lifecycle"}


def completed(world: MailWorld) -> Expected:
    return {"campaign_id": world.broadcast(world.segment()), "campaign_name": "News", "type": "broadcast"}


CAUSES: dict[str, Callable[[MailWorld], Expected]] = {
    events.CAMPAIGN_ACTIVATED: activated,
    events.CAMPAIGN_PAUSED: paused,
    events.CAMPAIGN_COMPLETED: completed,
    events.MAIL_SENT: mailed,
    events.MAIL_DELIVERED: mailed,
    events.MAIL_OPENED: asked("o"),
    events.MAIL_CLICKED: asked("c"),
    events.MAIL_BOUNCED: bounced,
    events.MAIL_COMPLAINED: complained,
    events.MAIL_UNSUBSCRIBED: asked("u", "POST"),
}


@pytest.mark.parametrize("event", CAUSES)
def test_it_is_told_once_after_its_cause_with_the_payload_of_its_model(
    test_mail: MailWorld, receiver: Receiver, event: str
) -> None:
    hook(test_mail.client, receiver.url(), event)
    expected = CAUSES[event](test_mail)
    (got,) = receiver.got
    assert payloads.model(event).model_validate_json(got.body).model_dump(mode="json") == got.json
    assert (got.type, got.json["project_id"]) == (event, test_mail.tenant.project_id)
    assert {name: got.data[name] for name in expected} == expected
    if "contact_id" in expected:
        assert got.data["contact"]["id"] == expected["contact_id"]


def test_all_kinds_have_a_cause_here() -> None:
    assert CAUSES.keys() == campaign_kinds.KINDS.keys()


def test_what_the_mail_service_tells_twice_is_told_once(live_mail: MailWorld, receiver: Receiver) -> None:
    hook(live_mail.client, receiver.url(), "campaign.email.*")
    mailed(live_mail)
    (posted,) = live_mail.office.taken
    for _ in range(3):
        live_mail.tell(posted, "Delivery")
    assert sorted(got.type for got in receiver.got) == ["campaign.email.delivered", "campaign.email.sent"]


def test_what_becomes_of_a_mail_after_a_merge_is_told_of_the_contact_that_stays(
    live_mail: MailWorld, receiver: Receiver
) -> None:
    mailed(live_mail)
    (posted,) = live_mail.office.taken
    stays = live_mail.contact("bob")
    gone = live_mail.get("/v1/contacts", external_id="ada")["data"][0]["id"]
    live_mail.ok(live_mail.client.post(f"/v1/contacts/{stays}/merge", {"source_contact_id": gone}))
    live_mail.settle()
    hook(live_mail.client, receiver.url(), "campaign.email.*")
    live_mail.tell(posted, "Delivery")
    (got,) = receiver.got
    assert (got.data["contact_id"], got.data["contact"]["id"]) == (stays, stays)
