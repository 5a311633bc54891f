"""Lifecycle campaigns on the clock of a test project: who gets what, when, and who not and why."""

from typing import Any

import pytest

from chalicelib.core import clock
from tests.support import pipeline
from tests.support.mail_world import HTML, MailWorld, sent

DAY = clock.DAY
GROWTH = {"operator": "AND", "conditions": [{"field": "traits.plan", "op": "eq", "value": "growth"}]}
YEARLY = {"operator": "AND", "conditions": [{"field": "event.properties.term", "op": "eq", "value": "yearly"}]}


def skipped(world: MailWorld, campaign: str) -> list[tuple[int, str]]:
    """Step and reason of each message that was skipped, the oldest first."""
    rows = world.messages(campaign)[::-1]
    return [(row["step_index"], row["reason"]) for row in rows if row["status"] == "skipped"]


def test_each_step_comes_at_its_moment(test_mail: MailWorld) -> None:
    start = test_mail.now
    campaign = test_mail.lifecycle({"delay": "0m"}, {"delay": "2d"}, {"delay": "5d"})
    test_mail.contact("ada")
    test_mail.track("ada", "signed_up")
    assert sent(test_mail, start) == [("ada", 0, 0)]

    test_mail.advance(2 * DAY - 1)
    assert len(test_mail.mailbox()) == 1
    test_mail.advance(1)
    assert len(test_mail.mailbox()) == 2
    test_mail.advance(30 * DAY)

    assert sent(test_mail, start) == [("ada", 0, 0), ("ada", 1, 2), ("ada", 2, 7)]
    figures = test_mail.stats(campaign)
    assert (figures["sent"], figures["delivered"]) == (3, 3)


def test_who_is_in_a_campaign_does_not_enter_it_again(test_mail: MailWorld) -> None:
    start = test_mail.now
    test_mail.lifecycle({"delay": "0m"}, {"delay": "1d"})
    for _ in range(3):
        test_mail.track("ada", "signed_up")
    test_mail.receive({"user_id": "ada", "traits": {"email": "ada@example.com"}}, "identify")
    test_mail.settle()
    test_mail.advance(2 * DAY)
    test_mail.track("ada", "signed_up")
    assert sent(test_mail, start) == [("ada", 1, 1)]


def test_with_reentry_a_run_that_has_ended_may_begin_again(test_mail: MailWorld) -> None:
    start = test_mail.now
    test_mail.lifecycle({"delay": "0m"}, {"delay": "2d"}, reentry=True)
    test_mail.contact("ada")
    test_mail.track("ada", "signed_up")
    test_mail.advance(DAY)
    test_mail.track("ada", "signed_up")  # its run goes on
    test_mail.advance(2 * DAY)
    test_mail.track("ada", "signed_up")
    test_mail.advance(10 * DAY)
    assert sent(test_mail, start) == [("ada", 0, 0), ("ada", 1, 2), ("ada", 0, 3), ("ada", 1, 5)]


def test_an_event_starts_only_members_where_a_segment_stands_beside_it(test_mail: MailWorld) -> None:
    segment = test_mail.segment({"field": "events.paid", "op": "count_gte", "value": 2})
    test_mail.lifecycle(trigger={"event": "paid", "segment_id": segment})
    test_mail.contact("ada")
    test_mail.track("ada", "paid")
    assert test_mail.mailbox() == []
    test_mail.track("ada", "paid")  # counted before it is judged: the second makes a member
    assert len(test_mail.mailbox()) == 1


def test_entering_a_segment_starts_where_it_stands_alone_also_by_time(test_mail: MailWorld) -> None:
    start = test_mail.now
    quiet = {"field": "events.login", "op": "count_lte", "value": 0, "window": "7d"}
    seen = {"field": "events.login", "op": "exists"}
    segment = test_mail.segment(quiet, seen)
    test_mail.lifecycle(trigger={"segment_id": segment}, reentry=True)
    test_mail.contact("ada")
    test_mail.track("ada", "login")
    test_mail.advance(8 * DAY)
    test_mail.track("ada", "login")
    test_mail.advance(8 * DAY)
    assert sent(test_mail, start) == [("ada", 0, 7), ("ada", 0, 15)]


def test_who_is_in_the_segment_already_starts_only_where_that_is_asked_for(test_mail: MailWorld) -> None:
    segment = test_mail.segment()
    test_mail.contact("ada")
    test_mail.settle()
    test_mail.lifecycle(trigger={"segment_id": segment})
    assert test_mail.mailbox() == []
    test_mail.lifecycle(trigger={"segment_id": segment, "include_existing": True})
    assert len(test_mail.mailbox()) == 1


@pytest.mark.parametrize("include_existing", [False, True])
def test_a_segment_entered_by_a_change_of_its_rules_starts_where_that_is_asked_for(
    test_mail: MailWorld, *, include_existing: bool
) -> None:
    segment = test_mail.segment({"field": "traits.plan", "op": "eq", "value": "never"})
    test_mail.contact("ada", plan="growth")
    test_mail.settle()
    test_mail.lifecycle(trigger={"segment_id": segment, "include_existing": include_existing})
    test_mail.ok(test_mail.client.patch(f"/v1/segments/{segment}", {"rules": GROWTH}))
    test_mail.settle()
    assert len(test_mail.mailbox()) == include_existing


def test_filters_and_conditions_read_what_the_event_said(test_mail: MailWorld) -> None:
    campaign = test_mail.lifecycle({}, {"conditions": YEARLY}, {}, trigger={"event": "paid", "filters": GROWTH})
    for name, plan, term in (("ada", "growth", "yearly"), ("bob", "growth", "monthly"), ("cid", "free", "yearly")):
        test_mail.contact(name, plan=plan)
        test_mail.track(name, "paid", term=term)
    got = [(name, step) for name, step, _ in sent(test_mail, test_mail.now)]
    assert got == [("ada", 0), ("ada", 1), ("ada", 2), ("bob", 0), ("bob", 2)]
    assert skipped(test_mail, campaign) == [(1, "condition")]


@pytest.mark.parametrize(
    "late", [{"timestamp": "{late}"}, {"sent_by": "import"}], ids=["more than a day old", "imported"]
)
def test_what_is_late_or_imported_starts_nothing(test_mail: MailWorld, late: dict[str, str]) -> None:
    test_mail.lifecycle()
    test_mail.contact("ada")
    raw: dict[str, Any] = {"user_id": "ada", "event": "signed_up", "type": "track"}
    if "timestamp" in late:
        raw["timestamp"] = clock.iso(test_mail.now - DAY - 1)
    event = pipeline.accepted(raw, "track", test_mail.now, historical="timestamp" not in late)
    pipeline.work(pipeline.messages(test_mail.tenant, [event]))
    test_mail.settle()
    assert test_mail.mailbox() == []
    raw["timestamp"] = clock.iso(test_mail.now - DAY)
    pipeline.work(pipeline.messages(test_mail.tenant, [pipeline.accepted(raw, "track", test_mail.now)]))
    test_mail.settle()
    assert len(test_mail.mailbox()) == 1


def test_what_was_received_before_the_activation_starts_nothing(test_mail: MailWorld) -> None:
    test_mail.contact("ada")
    test_mail.receive({"user_id": "ada", "event": "signed_up"}, "track")
    test_mail.lifecycle()  # the bus hears of the event only now
    assert test_mail.mailbox() == []


def test_an_exit_ends_the_run_and_its_next_step_is_told_as_skipped(test_mail: MailWorld) -> None:
    start = test_mail.now
    campaign = test_mail.lifecycle({"delay": "0m"}, {"delay": "2d"}, {"delay": "2d"}, exit_on=["paid"])
    test_mail.contact("ada")
    test_mail.track("ada", "paid")  # before it was in
    test_mail.track("ada", "signed_up")
    test_mail.advance(DAY)
    test_mail.track("ada", "paid")
    test_mail.advance(30 * DAY)
    assert sent(test_mail, start) == [("ada", 0, 0)]
    assert skipped(test_mail, campaign) == [(1, "exited")]
    assert test_mail.stats(campaign)["skipped"] == {"exited": 1}


def test_an_exit_that_happened_before_the_run_began_does_not_end_it(test_mail: MailWorld) -> None:
    test_mail.lifecycle({"delay": "0m"}, {"delay": "2d"}, exit_on=["paid"])
    test_mail.contact("ada")
    test_mail.track("ada", "signed_up")
    earlier = {"user_id": "ada", "event": "paid", "timestamp": clock.iso(test_mail.now - 1)}
    test_mail.receive(earlier, "track")
    test_mail.advance(30 * DAY)
    assert len(test_mail.mailbox()) == 2


def test_whoever_must_not_be_mailed_is_skipped_step_by_step_and_goes_on(test_mail: MailWorld) -> None:
    start = test_mail.now
    campaign = test_mail.lifecycle({"delay": "0m"}, {"delay": "1d"}, {"delay": "1d"})
    ada = test_mail.contact("ada")
    test_mail.track("ada", "signed_up")
    test_mail.ok(test_mail.client.patch(f"/v1/contacts/{ada}", {"unsubscribed": True}))
    test_mail.advance(DAY)
    test_mail.ok(test_mail.client.patch(f"/v1/contacts/{ada}", {"unsubscribed": False}))
    test_mail.advance(DAY)
    assert sent(test_mail, start) == [("ada", 0, 0), ("ada", 2, 2)]
    assert skipped(test_mail, campaign) == [(1, "unsubscribed")]


def test_a_contact_without_an_address_is_skipped(test_mail: MailWorld) -> None:
    campaign = test_mail.lifecycle()
    test_mail.track("nobody", "signed_up")
    assert skipped(test_mail, campaign) == [(0, "no_email")]


@pytest.mark.parametrize(("address", "reason"), [("bounce", "bounced"), ("complaint", "complained")])
def test_after_a_bounce_or_a_complaint_the_address_gets_nothing_in_any_campaign(
    test_mail: MailWorld, address: str, reason: str
) -> None:
    first = test_mail.lifecycle({"delay": "0m"}, {"delay": "1d"})
    test_mail.contact("ada", email=f"{address}@simulator.amazonses.com")
    test_mail.track("ada", "signed_up")
    other = test_mail.lifecycle(trigger={"event": "login"})
    test_mail.track("ada", "login")
    test_mail.advance(DAY)
    assert len(test_mail.mailbox()) == 1
    assert skipped(test_mail, first) == [(1, reason)]
    assert skipped(test_mail, other) == [(0, reason)]
    figures = test_mail.stats(first)
    assert figures["sent"] == figures[reason] == 1
    assert figures.get("delivered", 0) == (address == "complaint")


def test_a_deleted_contact_leaves_its_campaigns(test_mail: MailWorld) -> None:
    campaign = test_mail.lifecycle({"delay": "0m"}, {"delay": "1d"}, {"delay": "1d"})
    ada = test_mail.contact("ada")
    test_mail.track("ada", "signed_up")
    test_mail.ok(test_mail.client.delete(f"/v1/contacts/{ada}"))
    test_mail.advance(10 * DAY)
    assert len(test_mail.mailbox()) == 1
    assert skipped(test_mail, campaign) == [(1, "deleted")]


def test_quiet_hours_hold_a_mail_back_to_their_end(test_mail: MailWorld) -> None:
    quiet = {"quiet_hours": {"start": "22:00", "end": "08:00"}, "timezone": "America/New_York"}
    test_mail.ok(test_mail.client.patch("/v1/settings", quiet))
    test_mail.lifecycle({"delay": "0m"}, {"delay": "1h"})
    test_mail.contact("ada")
    midnight = test_mail.now - test_mail.now % DAY + DAY + 5 * clock.HOUR  # about midnight in New York
    test_mail.advance(midnight - test_mail.now)
    test_mail.track("ada", "signed_up")
    assert test_mail.mailbox() == []
    test_mail.advance(DAY)
    hours = [mail["sent_at"][11:19] for mail in test_mail.mailbox()]
    summer = hours[0] == "12:00:00"
    assert hours == (["12:00:00", "13:00:00"] if summer else ["13:00:00", "14:00:00"])


def test_a_rate_gives_each_second_no_more_mails_than_it_says(test_mail: MailWorld) -> None:
    test_mail.lifecycle({"delay": "1h"}, rate_per_second=2)
    for n in range(7):
        test_mail.contact(f"c{n}")
        test_mail.receive({"user_id": f"c{n}", "event": "signed_up"}, "track")
    test_mail.settle()
    start = test_mail.now + clock.HOUR
    test_mail.advance(2 * clock.HOUR)
    moments = [clock.parse_instant(mail["sent_at"]) for mail in test_mail.mailbox()]
    first = [moment for moment in moments if moment == start]
    assert len(first) == 2
    later = [(moment - start) // clock.SECOND + (start % clock.SECOND > 0) for moment in moments[2:]]
    assert later == [1, 1, 2, 2, 3]


def test_an_archived_campaign_sends_nothing_more(test_mail: MailWorld) -> None:
    campaign = test_mail.lifecycle({"delay": "0m"}, {"delay": "1d"})
    test_mail.contact("ada")
    test_mail.track("ada", "signed_up")
    test_mail.move(campaign, "archive")
    test_mail.advance(10 * DAY)
    assert len(test_mail.mailbox()) == 1
    assert test_mail.client.post(f"/v1/campaigns/{campaign}/activate", {}).status == 409


def test_what_was_sent_and_opened_is_read_by_rules(test_mail: MailWorld) -> None:
    campaign = test_mail.lifecycle({"delay": "0m"})
    got = test_mail.segment({"field": f"campaigns.{campaign}", "op": "in", "value": ["sent"]}, name="Got")
    test_mail.contact("ada")
    test_mail.contact("bob")
    test_mail.track("ada", "signed_up")
    members = test_mail.get(f"/v1/segments/{got}/contacts")["data"]
    assert [each["external_id"] for each in members] == ["ada"]


def test_a_mail_says_what_its_template_merges(test_mail: MailWorld) -> None:
    template = test_mail.template(html=HTML, preheader="For {{ contact.name }}")
    test_mail.lifecycle({"template_id": template, "subject": "Welcome, {{ contact.name }}: {{ event.term }}"})
    test_mail.contact("ada", name="Ada <b>")
    test_mail.track("ada", "signed_up", term="yearly")
    (mail,) = test_mail.mailbox()
    assert mail["subject"] == "Welcome, Ada <b>: yearly"
    assert "Hi Ada &lt;b&gt;!" in mail["html"]
    assert "Hi Ada <b>!" in mail["text"]
    assert mail["links"] == ["https://acme.test/start"]
    headers = {header["name"]: header["value"] for header in mail["headers"]}
    assert headers["From"] == "Acme <hello@acme.test>"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_template_that_can_t_be_rendered_for_somebody_fails_for_that_one_alone(test_mail: MailWorld) -> None:
    source = "{% assign seats = contact.seats | default: 1 %}<p>{{ 100 | divided_by: seats }}</p>"
    template = test_mail.template(html=source, text="x")
    campaign = test_mail.lifecycle({"template_id": template}, {})
    for name, seats in (("ada", 0), ("bob", 5)):
        test_mail.contact(name, seats=seats)
        test_mail.track(name, "signed_up")
    assert [(mail["to"][:3], mail["step_index"]) for mail in test_mail.mailbox()] == [
        ("ada", 1),
        ("bob", 0),
        ("bob", 1),
    ]
    (failed,) = [row for row in test_mail.messages(campaign) if row["status"] == "failed"]
    assert failed["reason"] == "render_failed"
    assert test_mail.stats(campaign)["failed"] == 1


def test_the_simulation_gives_turns_at_one_moment_in_the_order_of_the_live_run(test_mail: MailWorld) -> None:
    """Some enter by time at the very moment at which others' second step is due, in a campaign with a rate."""
    quiet = {"field": "events.visited", "op": "count_lte", "value": 0, "window": "2d"}
    segment = test_mail.segment(quiet, {"field": "traits.plan", "op": "eq", "value": "growth"})
    campaign = test_mail.lifecycle({}, {"delay": "2d"}, trigger={"segment_id": segment}, rate_per_second=1)
    for n in range(4):
        test_mail.contact(f"runs{n}")
        test_mail.contact(f"enters{n}")
        test_mail.track(f"enters{n}", "visited")
    for name in ("runs", "enters"):
        for n in range(4):
            test_mail.ok(
                test_mail.client.post("/v1/contacts", {"external_id": f"{name}{n}", "traits": {"plan": "growth"}})
            )
    test_mail.settle()
    before = {mail["id"] for mail in test_mail.mailbox()}
    answer = test_mail.ok(test_mail.client.post(f"/v1/campaigns/{campaign}/simulate", {"until": "3d"}))
    test_mail.advance(3 * DAY)
    after = [mail for mail in test_mail.mailbox() if mail["id"] not in before]
    assert len(after) > 8
    assert sorted((mail["contact_id"], mail["step_index"], mail["sent_at"]) for mail in after) == sorted(
        (mail["contact_id"], mail["step_index"], mail["at"]) for mail in answer["mails"]
    )


def test_the_simulation_of_a_sequence_by_segment_has_those_whom_time_lets_enter(test_mail: MailWorld) -> None:
    quiet = {"field": "events.login", "op": "count_lte", "value": 0, "window": "7d"}
    seen = {"field": "events.login", "op": "exists"}
    segment = test_mail.segment(quiet, seen)
    bought = {"operator": "AND", "conditions": [{"field": "events.bought", "op": "exists"}]}
    step = {"template_id": test_mail.template(), "conditions": bought}
    body = {
        "name": "Come back",
        "type": "lifecycle",
        "trigger": {"segment_id": segment, "include_existing": True},
        "steps": [{"template_id": step["template_id"]}, step | {"delay": "3d"}],
    }
    campaign = test_mail.ok(test_mail.client.post("/v1/campaigns", body))["id"]
    for name in ("ada", "bob", "cid"):
        test_mail.contact(name)
        test_mail.track(name, "login")
        test_mail.advance(3 * DAY)
    test_mail.track("cid", "bought")
    expected = test_mail.ok(test_mail.client.post(f"/v1/campaigns/{campaign}/simulate", {"until": "30d"}))
    test_mail.move(campaign, "activate")
    test_mail.advance(30 * DAY)
    mails = {(mail["contact_id"], mail["step_index"], mail["sent_at"]) for mail in test_mail.mailbox()}
    assert mails == {(mail["contact_id"], mail["step_index"], mail["at"]) for mail in expected["mails"]}
    assert len(mails) == 4
    assert expected["totals"] == {"mails": 4, "skipped": {"condition": 2}, "contacts": 3}
