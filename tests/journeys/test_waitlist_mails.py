"""The welcome and the invite: each once for each entry, whatever dies or comes twice, and why there was none."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
import time_machine

from chalicelib.core import clock
from chalicelib.features.messaging import service as messaging
from chalicelib.platform import mail, queues
from chalicelib.platform.queues import Delayed
from chalicelib.workers import mails
from tests.support import pipeline
from tests.support.post_office import not_answered, not_reached, refused
from tests.support.wait_world import WaitWorld

CALLS = 9
"""Calls of the table by which an invite of a live project is sent."""

AT_EACH_CALL = pytest.mark.parametrize(
    ("number", "after"),
    [(number, after) for number in range(CALLS) for after in (False, True)],
    ids=[f"{when} call {number}" for number in range(CALLS) for when in ("before", "after")],
)
WELCOME = "<p>{{ event.properties.position }} in {{ event.properties.waitlist_name }}: {{ referral_link }}</p>"


def invite_due(world: WaitWorld, email: str = "ann@x.io", **fields: Any) -> tuple[dict[str, Any], str]:
    """The entry that was approved, and the queue's message by which it is to be invited."""
    waitlist = world.waitlist(**fields)
    entry = world.add(waitlist, email)
    world.settle()
    world.approve(waitlist, entry["id"])
    while not world.mails:
        assert world.run_bus()
    (message,), world.mails = world.mails, []
    return entry | {"waitlist_id": waitlist}, message


def handed(world: WaitWorld, message: str) -> None:
    """The queue's message is delivered once."""
    with suppress(pipeline.Killed):
        mails.handle({"Records": [{"messageId": "m", "body": message}]}, pipeline.Context())


def statuses(world: WaitWorld, contact_id: str) -> list[tuple[str, str, str | None]]:
    """Which mails a contact was to get, and what became of them."""
    return [(each.step_id, each.status, each.reason) for each in messaging.of_contact(world.tenant, contact_id)]


def test_an_invite_is_sent_by_so_many_calls(live_wait: WaitWorld) -> None:
    """The tests at each call rest on it."""
    _, message = invite_due(live_wait)
    calls: list[str] = []
    live_wait.table.on_call = calls.append
    handed(live_wait, message)
    assert len(live_wait.office.taken) == 1
    assert len(calls) == CALLS


@AT_EACH_CALL
def test_a_worker_that_dies_at_a_call_sends_no_mail_twice(live_wait: WaitWorld, number: int, *, after: bool) -> None:
    entry, message = invite_due(live_wait)
    with live_wait.dying_at(number, after=after) as died:
        handed(live_wait, message)
    assert died
    handed(live_wait, message)
    handed(live_wait, message)
    live_wait.settle()
    assert len(live_wait.office.taken) <= 1
    ((kind, status, _),) = statuses(live_wait, entry["contact_id"])
    was_taken = len(live_wait.office.taken) == 1
    assert kind == "invite"
    assert status in (("sent", "unconfirmed") if was_taken else ("unconfirmed",))


@AT_EACH_CALL
def test_two_workers_with_the_same_message_send_one_mail(live_wait: WaitWorld, number: int, *, after: bool) -> None:
    entry, message = invite_due(live_wait)
    with live_wait.halted_at(number, lambda: handed(live_wait, message), after=after) as halted:
        handed(live_wait, message)
    assert halted
    live_wait.settle()
    assert len(live_wait.office.taken) == 1
    assert statuses(live_wait, entry["contact_id"]) == [("invite", "sent", None)]


def test_a_mail_whose_outcome_is_unknown_is_not_sent_again_and_settled_by_the_service(live_wait: WaitWorld) -> None:
    entry, message = invite_due(live_wait)

    def lost(_call: Any) -> None:
        raise not_answered()

    live_wait.office.after = lost
    handed(live_wait, message)
    live_wait.office.after = lambda _call: None
    handed(live_wait, message)
    assert statuses(live_wait, entry["contact_id"]) == [("invite", "unconfirmed", None)]
    (posted,) = live_wait.office.taken
    live_wait.tell(posted, "Delivery")
    assert statuses(live_wait, entry["contact_id"]) == [("invite", "delivered", None)]


@pytest.mark.parametrize("failure", [refused("Throttling"), not_reached()], ids=["throttled", "not reached"])
def test_a_mail_that_was_surely_not_sent_is_tried_again(live_wait: WaitWorld, failure: Exception) -> None:
    entry, message = invite_due(live_wait)

    def fail(_call: Any) -> None:
        raise failure

    live_wait.office.before = fail
    handed(live_wait, message)
    assert statuses(live_wait, entry["contact_id"]) == []
    live_wait.office.before = lambda _call: None
    live_wait.settle()
    assert [posted.to for posted in live_wait.office.taken] == ["ann@x.io"]
    assert statuses(live_wait, entry["contact_id"]) == [("invite", "sent", None)]


def test_a_mail_that_is_refused_for_good_is_not_tried_again(live_wait: WaitWorld) -> None:
    entry, message = invite_due(live_wait)

    def fail(_call: Any) -> None:
        raise refused("MessageRejected")

    live_wait.office.before = fail
    handed(live_wait, message)
    live_wait.settle()
    ((kind, status, reason),) = statuses(live_wait, entry["contact_id"])
    assert (kind, status) == ("invite", "failed")
    assert reason
    assert live_wait.mails == []


def test_who_has_to_wait_long_for_the_accounts_rate_is_queued_until_then(live_wait: WaitWorld) -> None:
    _, message = invite_due(live_wait)
    turn = clock.system_ms() + clock.MINUTE
    live_wait.patch.setattr(mail, "take_turn", lambda: turn)
    sent: list[Delayed] = []

    def send(_url: str, messages: Sequence[Delayed]) -> list[bool]:
        sent.extend(messages)
        return [True] * len(messages)

    live_wait.patch.setattr(queues, "send_delayed", send)
    handed(live_wait, message)
    (later,) = sent
    assert live_wait.office.taken == []
    assert 55 <= later.delay_s <= 60
    live_wait.patch.setattr(mail, "take_turn", lambda: turn + clock.HOUR)
    with time_machine.travel((turn + 1_000) / clock.SECOND, tick=False):
        handed(live_wait, later.body)
    assert [posted.to for posted in live_wait.office.taken] == ["ann@x.io"]
    assert len(sent) == 1


def test_the_welcome_tells_the_place_and_the_link_to_share(test_wait: WaitWorld) -> None:
    template = test_wait.template(html=WELCOME)
    waitlist = test_wait.waitlist(welcome_email_template_id=template)
    made = test_wait.added(waitlist, 3)
    (first, *_, last) = test_wait.mailbox()
    assert (first["to"], last["to"]) == ("u0@x.io", "u2@x.io")
    assert f"3 in Early: {made[2]['share_url']}" in last["html"]
    assert (last["campaign_id"], last["step_index"]) == (None, None)


def test_without_a_template_nobody_is_welcomed(test_wait: WaitWorld) -> None:
    test_wait.added(test_wait.waitlist(), 2)
    assert test_wait.mailbox() == []


def test_who_was_approved_before_its_welcome_went_out_gets_the_invite_alone(test_wait: WaitWorld) -> None:
    waitlist = test_wait.waitlist(welcome_email_template_id=test_wait.template(subject="Welcome"))
    entry = test_wait.add(waitlist, "ann@x.io")
    test_wait.approve(waitlist, entry["id"])
    test_wait.settle()
    assert [kept["subject"] for kept in test_wait.mailbox()] == ["You are in: Early"]


def test_the_invite_is_made_from_the_template_where_there_is_one(test_wait: WaitWorld) -> None:
    template = test_wait.template(subject="Come in", html="<p>{{ event.name }}</p>")
    waitlist = test_wait.waitlist(invite_email_template_id=template)
    test_wait.approve(waitlist, test_wait.added(waitlist, 1)[0]["id"])
    test_wait.settle()
    (kept,) = test_wait.mailbox()
    assert kept["subject"] == "Come in"
    assert "waitlist.entry.approved" in kept["html"]


def test_the_plain_invite_leads_to_the_landing_page(test_wait: WaitWorld) -> None:
    waitlist = test_wait.waitlist(landing_url="https://acme.com/start")
    test_wait.approve(waitlist, test_wait.added(waitlist, 1)[0]["id"])
    test_wait.settle()
    (kept,) = test_wait.mailbox()
    assert kept["links"] == ["https://acme.com/start"]


@pytest.mark.parametrize("reason", ["bounced", "complained"])
def test_a_suppressed_address_gets_none_and_it_is_kept_why(live_wait: WaitWorld, reason: Any) -> None:
    entry, message = invite_due(live_wait)
    messaging.suppress(live_wait.tenant, "ann@x.io", reason, live_wait.now)
    handed(live_wait, message)
    handed(live_wait, message)
    assert live_wait.office.taken == []
    assert statuses(live_wait, entry["contact_id"]) == [("invite", "skipped", reason)]


def test_who_wants_no_marketing_is_invited_all_the_same(live_wait: WaitWorld) -> None:
    entry, message = invite_due(live_wait)
    path = f"/v1/contacts/{entry['contact_id']}"
    live_wait.ok(live_wait.client.patch(path, {"unsubscribed": True}))
    handed(live_wait, message)
    assert [posted.to for posted in live_wait.office.taken] == ["ann@x.io"]


def test_who_was_deleted_before_its_invite_went_out_gets_none(live_wait: WaitWorld) -> None:
    entry, message = invite_due(live_wait)
    live_wait.ok(live_wait.client.delete(f"/v1/contacts/{entry['contact_id']}"))
    handed(live_wait, message)
    live_wait.settle()
    handed(live_wait, message)
    assert live_wait.office.taken == []


def test_an_invite_that_bounces_suppresses_the_address_and_is_told_as_no_campaigns(live_wait: WaitWorld) -> None:
    entry, message = invite_due(live_wait)
    handed(live_wait, message)
    (posted,) = live_wait.office.taken
    bounced = [{"emailAddress": "ann@x.io"}]
    live_wait.tell(posted, "Bounce", bounceType="Permanent", bouncedRecipients=bounced)
    assert statuses(live_wait, entry["contact_id"]) == [("invite", "bounced", "permanent")]
    assert messaging.suppressions(live_wait.tenant, ["ann@x.io"]) == {"ann@x.io": "bounced"}
    told = {row["outbox"] for row in live_wait.table.rows.values() if "outbox" in row}
    assert not [name for name in told if name.startswith("campaign.")]
