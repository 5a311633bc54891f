"""What dies, fails or comes twice while campaigns are sent: nobody gets a mail twice, and nothing is lost unseen."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import time_machine

from chalicelib.core import clock
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.messaging import service as messaging
from chalicelib.platform import table
from chalicelib.readings import doubt
from chalicelib.workers import mails
from tests.support import pipeline
from tests.support.mail_world import MailWorld
from tests.support.post_office import not_answered, not_reached, refused

DAY = clock.DAY
CALLS = 7
"""Calls of the table by which one step of a live campaign is sent."""
AT_EACH_CALL = pytest.mark.parametrize(
    ("number", "after"),
    [(number, after) for number in range(CALLS) for after in (False, True)],
    ids=[f"{when} call {number}" for number in range(CALLS) for when in ("before", "after")],
)


def one_due(world: MailWorld, first: dict[str, Any] | None = None, **fields: Any) -> tuple[str, str]:
    """A campaign of two steps with one contact in it, and the queue's message by which the first is due."""
    campaign = world.lifecycle({"delay": "0m"} | (first or {}), {"delay": "1d"}, **fields)
    world.contact("ada")
    world.receive({"user_id": "ada", "event": "signed_up"}, "track")
    while not world.mails:
        assert world.run_bus()
    (message,) = world.mails
    world.mails = []
    return campaign, message


def handed(world: MailWorld, message: str) -> None:
    """The queue's message is delivered once."""
    with suppress(pipeline.Killed):
        mails.handle({"Records": [{"messageId": "m", "body": message}]}, pipeline.Context())


def statuses(world: MailWorld, campaign: str) -> list[tuple[str, str | None]]:
    return [(row["status"], row["reason"]) for row in world.messages(campaign)]


def test_a_step_is_sent_by_so_many_calls(live_mail: MailWorld) -> None:
    """The tests at each call rest on it."""
    _, message = one_due(live_mail)
    calls: list[str] = []
    live_mail.table.on_call = calls.append
    handed(live_mail, message)
    assert len(live_mail.office.taken) == 1
    assert len(calls) == CALLS


@AT_EACH_CALL
def test_a_worker_that_dies_at_a_call_sends_no_mail_twice(live_mail: MailWorld, number: int, *, after: bool) -> None:
    campaign, message = one_due(live_mail)
    with live_mail.dying_at(number, after=after) as died:
        handed(live_mail, message)
    assert died
    handed(live_mail, message)
    handed(live_mail, message)
    live_mail.settle()
    assert len(live_mail.office.taken) <= 1
    (row,) = live_mail.messages(campaign)
    was_taken = len(live_mail.office.taken) == 1
    assert row["status"] in (("sent", "unconfirmed") if was_taken else ("unconfirmed",))
    figures = live_mail.stats(campaign)
    assert figures == ({"sent": 1} if row["status"] == "sent" else {"unconfirmed": 1})


@AT_EACH_CALL
def test_two_workers_with_the_same_message_send_one_mail(live_mail: MailWorld, number: int, *, after: bool) -> None:
    """While the first is at one of its calls, the second does all of it."""
    campaign, message = one_due(live_mail)
    with live_mail.halted_at(number, lambda: handed(live_mail, message), after=after) as halted:
        handed(live_mail, message)
    assert halted
    live_mail.settle()
    assert len(live_mail.office.taken) == 1
    assert statuses(live_mail, campaign) == [("sent", None)]
    assert live_mail.stats(campaign) == {"sent": 1}


def test_killed_between_acceptance_and_record_it_is_shown_in_doubt_and_settled_by_the_service(
    live_mail: MailWorld,
) -> None:
    campaign, message = one_due(live_mail)

    def die(_call: dict[str, Any]) -> None:
        live_mail.office.after = lambda _: None
        raise pipeline.Killed

    live_mail.office.after = die
    handed(live_mail, message)
    assert statuses(live_mail, campaign) == [("sending", None)]
    handed(live_mail, message)
    live_mail.settle()
    assert statuses(live_mail, campaign) == [("unconfirmed", None)]
    assert live_mail.stats(campaign) == {"unconfirmed": 1}
    (posted,) = live_mail.office.taken
    live_mail.tell(posted, "Delivery")
    assert statuses(live_mail, campaign) == [("delivered", None)]
    assert live_mail.stats(campaign) == {"sent": 1, "delivered": 1}


def test_without_a_word_of_the_service_it_counts_as_failed_after_a_day(test_mail: MailWorld) -> None:
    campaign, message = one_due(test_mail)
    test_mail.table.after_call = lambda name: (_ for _ in ()).throw(pipeline.Killed()) if name == "transact" else None
    handed(test_mail, message)
    test_mail.table.after_call = lambda _: None
    handed(test_mail, message)
    test_mail.settle()
    assert statuses(test_mail, campaign) == [("unconfirmed", None)]
    test_mail.advance(DAY - 1)
    assert ("unconfirmed", None) in statuses(test_mail, campaign)
    test_mail.advance(1)
    assert ("failed", "unconfirmed") in statuses(test_mail, campaign)
    figures = test_mail.stats(campaign)
    assert (figures["failed"], figures.get("unconfirmed", 0), figures["sent"]) == (1, 0, 1)
    assert test_mail.due_timers(doubt.KIND) == []


def test_what_was_being_sent_when_its_contact_was_merged_is_shown_in_doubt(live_mail: MailWorld) -> None:
    campaign, message = one_due(live_mail)

    def die(_call: dict[str, Any]) -> None:
        raise pipeline.Killed

    live_mail.office.after = die
    handed(live_mail, message)
    live_mail.office.after = lambda _: None
    (ada,), bob = live_mail.get("/v1/contacts")["data"], live_mail.contact("bob")
    live_mail.ok(live_mail.client.post(f"/v1/contacts/{bob}/merge", {"source_contact_id": ada["id"]}))
    live_mail.settle()
    handed(live_mail, message)
    assert statuses(live_mail, campaign) == [("unconfirmed", None)]
    live_mail.tell(live_mail.office.taken[0], "Delivery")
    assert statuses(live_mail, campaign) == [("delivered", None)]


def left_in_doubt(world: MailWorld, message: str) -> None:
    """The worker dies once the mail service has taken the mail."""

    def die(_call: dict[str, Any]) -> None:
        raise pipeline.Killed

    world.office.after = die
    handed(world, message)
    world.office.after = lambda _: None


def test_what_was_being_sent_when_its_contact_entered_again_is_shown_in_doubt(live_mail: MailWorld) -> None:
    campaign = live_mail.lifecycle({"delay": "0m"}, reentry=True)
    live_mail.contact("ada")
    live_mail.receive({"user_id": "ada", "event": "signed_up"}, "track")
    while not live_mail.mails:
        assert live_mail.run_bus()
    (message,), live_mail.mails = live_mail.mails, []
    left_in_doubt(live_mail, message)
    live_mail.track("ada", "signed_up")
    handed(live_mail, message)
    assert sorted(statuses(live_mail, campaign)) == [("sent", None), ("unconfirmed", None)]


def test_what_was_being_sent_to_the_one_who_stays_at_a_merge_is_shown_in_doubt(live_mail: MailWorld) -> None:
    campaign, message = one_due(live_mail)
    left_in_doubt(live_mail, message)
    (ada,) = live_mail.get("/v1/contacts")["data"]
    bob = live_mail.contact("bob")
    live_mail.track("bob", "signed_up")
    live_mail.ok(live_mail.client.post(f"/v1/contacts/{ada['id']}/merge", {"source_contact_id": bob}))
    live_mail.settle()
    handed(live_mail, message)
    assert sorted(statuses(live_mail, campaign)) == [("sent", None), ("unconfirmed", None)]


def test_a_message_in_doubt_that_is_then_refused_is_taken_back_once(live_mail: MailWorld) -> None:
    campaign, message = one_due(live_mail)
    left_in_doubt(live_mail, message)
    handed(live_mail, message)
    live_mail.settle()
    live_mail.tell(live_mail.office.taken[0], "Reject", reason="virus")
    assert live_mail.stats(campaign) == {"sent": 1, "failed": 1}


def test_a_broadcast_whose_last_mail_was_leaving_when_it_was_paused_is_complete(live_mail: MailWorld) -> None:
    live_mail.contact("ada")
    segment = live_mail.segment()
    paused: list[str] = []

    def pause(_call: dict[str, Any]) -> None:
        (campaign,) = live_mail.get("/v1/campaigns")["data"]
        paused.append(live_mail.ok(live_mail.client.post(f"/v1/campaigns/{campaign['id']}/pause", {}))["status"])

    live_mail.office.before = pause
    campaign = live_mail.broadcast(segment)
    assert paused == ["paused"]
    assert live_mail.get(f"/v1/campaigns/{campaign}")["status"] == "completed"


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (refused("MessageRejected"), [("failed", "rejected")]),
        (refused("MailFromDomainNotVerifiedException"), [("failed", "sender_not_verified")]),
        (not_answered(), [("unconfirmed", None)]),
        (refused("InternalFailure", 500), [("unconfirmed", None)]),
    ],
)
def test_what_the_mail_service_does_with_a_mail_for_good_is_recorded_and_not_tried_again(
    live_mail: MailWorld, fault: Exception, outcome: list[tuple[str, str | None]]
) -> None:
    campaign, message = one_due(live_mail)

    def fail(_call: dict[str, Any]) -> None:
        raise fault

    live_mail.office.before = fail
    handed(live_mail, message)
    live_mail.office.before = lambda _: None
    handed(live_mail, message)
    live_mail.settle()
    assert statuses(live_mail, campaign) == outcome
    assert live_mail.office.taken == []


@pytest.mark.parametrize("fault", [refused("Throttling"), refused("AccountSendingPausedException"), not_reached()])
def test_what_the_mail_service_did_not_take_for_the_time_being_is_sent_later_once(
    live_mail: MailWorld, fault: Exception
) -> None:
    campaign, message = one_due(live_mail)

    def fail(_call: dict[str, Any]) -> None:
        live_mail.office.before = lambda _: None
        raise fault

    live_mail.office.before = fail
    handed(live_mail, message)
    assert statuses(live_mail, campaign) == []
    assert live_mail.stats(campaign) == {}
    due = live_mail.due_timers(campaigns.STEP)
    assert [round((moment - clock.system_ms()) / clock.MINUTE) for moment in due] == [1]
    with time_machine.travel((due[0] + 1) / 1_000, tick=False):
        live_mail.fire(campaigns.STEP)
        live_mail.settle()
    assert statuses(live_mail, campaign) == [("sent", None)]
    assert len(live_mail.office.taken) == 1


def test_what_was_not_taken_for_the_time_being_waits_though_an_earlier_mail_was_opened_meanwhile(
    live_mail: MailWorld,
) -> None:
    campaign, message = one_due(live_mail)
    (ada,) = live_mail.get("/v1/contacts")["data"]

    def fail(_call: dict[str, Any]) -> None:
        table.write(campaigns.note_happened(live_mail.tenant, ada["id"], campaign, "opened"))
        raise refused("Throttling")

    live_mail.office.before = fail
    handed(live_mail, message)
    live_mail.settle()
    assert statuses(live_mail, campaign) == []
    live_mail.office.before = lambda _: None
    (due,) = live_mail.due_timers(campaigns.STEP)
    with time_machine.travel((due + 1) / 1_000, tick=False):
        live_mail.fire(campaigns.STEP)
        live_mail.settle()
    assert statuses(live_mail, campaign) == [("sent", None)]
    opened = {"field": f"campaigns.{campaign}", "op": "in", "value": ["opened"]}
    segment = live_mail.segment(opened)
    assert live_mail.get(f"/v1/segments/{segment}")["contact_count"] == 1


def test_what_was_not_taken_and_told_in_doubt_by_a_second_delivery_fails_at_once(live_mail: MailWorld) -> None:
    campaign, message = one_due(live_mail)

    def fail(_call: dict[str, Any]) -> None:
        live_mail.office.before = lambda _: None
        handed(live_mail, message)
        raise refused("Throttling")

    live_mail.office.before = fail
    handed(live_mail, message)
    live_mail.settle()
    assert statuses(live_mail, campaign) == [("failed", "throttled")]
    assert live_mail.stats(campaign) == {"failed": 1}
    assert live_mail.office.taken == []


def ada_of(world: MailWorld) -> str:
    (contact,) = world.get("/v1/contacts")["data"]
    return f"/v1/contacts/{contact['id']}"


def unsubscribed(world: MailWorld) -> None:
    world.ok(world.client.patch(ada_of(world), {"unsubscribed": True}))


def no_email(world: MailWorld) -> None:
    world.ok(world.client.patch(ada_of(world), {"traits": {"email": None}}))


def deleted(world: MailWorld) -> None:
    assert world.client.delete(ada_of(world)).status == 204


def bounced(world: MailWorld) -> None:
    messaging.suppress(world.tenant, "ada@example.com", "bounced", clock.system_ms())


def complained(world: MailWorld) -> None:
    messaging.suppress(world.tenant, "ada@example.com", "complained", clock.system_ms())


def condition(world: MailWorld) -> None:
    world.ok(world.client.patch(ada_of(world), {"traits": {"plan": "free"}}))


def exited(world: MailWorld) -> None:
    world.receive({"user_id": "ada", "event": "paid"}, "track")
    world.run_bus()


def between(world: MailWorld, message: str, happening: Callable[[MailWorld], object]) -> None:
    """It happens when the mail is made and all has been read, just before the claim."""

    def interfere(name: str) -> None:
        if name == "transact":
            world.table.on_call = lambda _: None
            happening(world)

    world.table.on_call = interfere
    handed(world, message)
    world.settle()


@pytest.mark.parametrize("happening", [unsubscribed, no_email, deleted, bounced, complained, condition, exited])
def test_what_forbids_the_mail_while_it_is_being_made_still_stops_it(
    live_mail: MailWorld, happening: Callable[[MailWorld], None]
) -> None:
    only = {"operator": "AND", "conditions": [{"field": "traits.plan", "op": "neq", "value": "free"}]}
    campaign, message = one_due(live_mail, {"conditions": only}, exit_on=["paid"])
    between(live_mail, message, happening)
    assert live_mail.office.taken == []
    assert statuses(live_mail, campaign) == [("skipped", happening.__name__)]


@pytest.mark.parametrize("verb", ["pause", "archive"])
def test_a_campaign_that_ends_or_pauses_while_the_mail_is_being_made_may_send_that_one_alone(
    live_mail: MailWorld, verb: str
) -> None:
    """A pause is no lock on each mail: what was read within the 5 seconds before it may leave."""
    campaign, message = one_due(live_mail)
    between(live_mail, message, lambda world: world.client.post(f"/v1/campaigns/{campaign}/{verb}", {}))
    handed(live_mail, message)
    assert statuses(live_mail, campaign) == [("sent", None)]
    assert len(live_mail.office.taken) == 1


def test_an_address_that_changes_while_the_mail_is_being_made_gets_it(live_mail: MailWorld) -> None:
    campaign, message = one_due(live_mail)
    between(live_mail, message, lambda world: world.client.patch(ada_of(world), {"traits": {"email": "a@new.test"}}))
    assert [posted.to for posted in live_mail.office.taken] == ["a@new.test"]
    assert statuses(live_mail, campaign) == [("sent", None)]
