"""Campaigns that are paused, changed and resumed, and contacts that are merged in the middle of them."""

from itertools import count
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.features.campaigns import service as campaigns
from tests.support.mail_world import MailWorld, sent

DAY = clock.DAY


def test_a_pause_holds_everything_back_and_what_is_overdue_goes_out_once(test_mail: MailWorld) -> None:
    start = test_mail.now
    campaign = test_mail.lifecycle({"delay": "0m"}, {"delay": "1d"}, {"delay": "1d"})
    for name in ("ada", "bob"):
        test_mail.contact(name)
        test_mail.track(name, "signed_up")
        test_mail.advance(DAY // 2)
    test_mail.move(campaign, "pause")
    test_mail.track("cid", "signed_up")  # nobody enters meanwhile
    test_mail.advance(5 * DAY)
    assert len(test_mail.mailbox()) == 3
    test_mail.move(campaign, "activate")
    test_mail.advance(10 * DAY)
    got = sent(test_mail, start)
    assert sorted(got) == [
        *[("ada", 0, 0), ("ada", 1, 1), ("ada", 2, 6)],
        *[("bob", 0, 0.5), ("bob", 1, 6), ("bob", 2, 7)],
    ]


def test_a_change_of_steps_keeps_contacts_in_their_place(test_mail: MailWorld) -> None:
    start = test_mail.now
    template = test_mail.template()
    steps = [{"id": name, "template_id": template, "delay": "2d"} for name in ("a", "b", "c")]
    campaign = test_mail.lifecycle(*steps)
    test_mail.contact("ada")
    test_mail.track("ada", "signed_up")
    test_mail.advance(3 * DAY)  # a on day 2, b is due on day 4
    later = [steps[0], steps[1] | {"delay": "7d"}, {"id": "new", "template_id": template, "delay": "1d"}, steps[2]]
    test_mail.ok(test_mail.client.patch(f"/v1/campaigns/{campaign}", {"steps": later}))
    test_mail.settle()
    test_mail.advance(30 * DAY)
    assert sent(test_mail, start) == [("ada", 0, 2), ("ada", 1, 9), ("ada", 2, 10), ("ada", 3, 12)]


def test_a_step_that_a_change_makes_overdue_goes_out_at_once(test_mail: MailWorld) -> None:
    start = test_mail.now
    template = test_mail.template()
    campaign = test_mail.lifecycle({"id": "a", "delay": "0m"}, {"id": "b", "delay": "30d"})
    test_mail.contact("ada")
    test_mail.track("ada", "signed_up")
    test_mail.advance(3 * DAY)
    steps = [{"id": "a", "template_id": template}, {"id": "b", "template_id": template, "delay": "1d"}]
    test_mail.ok(test_mail.client.patch(f"/v1/campaigns/{campaign}", {"steps": steps}))
    test_mail.settle()
    assert sent(test_mail, start) == [("ada", 0, 0), ("ada", 1, 3)]
    test_mail.advance(60 * DAY)
    assert len(test_mail.mailbox()) == 2


def test_steps_without_ids_are_known_by_their_place(test_mail: MailWorld) -> None:
    campaign = test_mail.lifecycle({"delay": "0m"}, {"delay": "2d"})
    test_mail.contact("ada")
    test_mail.track("ada", "signed_up")
    only = [{"template_id": test_mail.template(subject="Other"), "delay": "0m"}]
    test_mail.ok(test_mail.client.patch(f"/v1/campaigns/{campaign}", {"steps": only}))
    test_mail.settle()
    test_mail.advance(10 * DAY)
    assert len(test_mail.mailbox()) == 1


def test_of_two_runs_the_further_goes_on_after_a_merge_and_no_step_comes_twice(test_mail: MailWorld) -> None:
    start = test_mail.now
    campaign = test_mail.lifecycle({"delay": "0m"}, {"delay": "1d"}, {"delay": "1d"}, {"delay": "1d"})
    ada, bob = test_mail.contact("ada"), test_mail.contact("bob")
    test_mail.track("bob", "signed_up")
    test_mail.advance(DAY + DAY // 2)  # bob has had two
    test_mail.track("ada", "signed_up")
    test_mail.ok(test_mail.client.post(f"/v1/contacts/{ada}/merge", {"source_contact_id": bob}))
    test_mail.settle()
    test_mail.advance(10 * DAY)
    assert sent(test_mail, start) == [("bob", 0, 0), ("bob", 1, 1), ("ada", 0, 1.5), ("ada", 2, 2), ("ada", 3, 3)]
    assert {row["contact_id"] for row in test_mail.messages(campaign)} == {ada}


@pytest.mark.parametrize("number", range(4))
def test_a_run_whose_heir_is_merged_while_it_moves_goes_on_with_the_last_one(test_mail: MailWorld, number: int) -> None:
    test_mail.lifecycle({"delay": "0m"}, {"delay": "2d"})
    ada, bob, cid = (test_mail.contact(name) for name in ("ada", "bob", "cid"))
    test_mail.track("ada", "signed_up")
    test_mail.ok(test_mail.client.post(f"/v1/contacts/{bob}/merge", {"source_contact_id": ada}))

    transactions = count()

    def merge_again(name: str) -> None:
        if name == "transact" and next(transactions) == number:
            test_mail.table.on_call = lambda _: None
            test_mail.ok(test_mail.client.post(f"/v1/contacts/{cid}/merge", {"source_contact_id": bob}))
            test_mail.settle()

    test_mail.table.on_call = merge_again
    test_mail.settle()
    test_mail.advance(5 * DAY)
    assert [mail["contact_id"] for mail in test_mail.mailbox()] == [ada, cid]


def test_a_run_moves_with_its_contact_and_is_not_begun_again(test_mail: MailWorld) -> None:
    start = test_mail.now
    test_mail.lifecycle({"delay": "0m"}, {"delay": "2d"})
    ada, bob = test_mail.contact("ada"), test_mail.contact("bob")
    test_mail.track("bob", "signed_up")
    test_mail.advance(DAY)
    test_mail.ok(test_mail.client.post(f"/v1/contacts/{ada}/merge", {"source_contact_id": bob}))
    test_mail.settle()
    test_mail.track("ada", "signed_up")
    test_mail.advance(5 * DAY)
    assert sent(test_mail, start) == [("bob", 0, 0), ("ada", 1, 2)]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"steps": [{"template_id": "tmpl_nope"}]}, "steps.0.template_id"),
        ({"trigger": {"segment_id": "seg_nope"}}, "trigger.segment_id"),
    ],
)
def test_an_active_campaign_is_not_changed_to_what_is_not_there(
    test_mail: MailWorld, change: dict[str, object], field: str
) -> None:
    campaign = test_mail.lifecycle()
    answer = test_mail.client.patch(f"/v1/campaigns/{campaign}", change)
    assert (answer.status, answer.json["error"]["details"][0]["field"]) == (422, field)


def test_an_active_campaign_can_be_changed_though_its_sender_was_taken_away(test_mail: MailWorld) -> None:
    campaign = test_mail.lifecycle()
    test_mail.ok(test_mail.client.patch("/v1/settings", {"default_from_email": None}))
    assert test_mail.ok(test_mail.client.patch(f"/v1/campaigns/{campaign}", {"name": "Other"}))["name"] == "Other"


def test_null_takes_back_that_who_is_there_already_starts(test_mail: MailWorld) -> None:
    path = f"/v1/campaigns/{test_mail.lifecycle(trigger={'segment_id': test_mail.segment(), 'include_existing': True})}"
    answer = test_mail.ok(test_mail.client.patch(path, {"trigger": {"include_existing": None}}))
    assert answer["trigger"]["include_existing"] is False


@pytest.mark.parametrize("what", ["template", "segment"])
@pytest.mark.parametrize("verb", ["activate", "patch"])
def test_what_a_campaign_begins_to_use_while_it_is_deleted_stays(
    test_mail: MailWorld, what: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at who uses it and the deletion a campaign is activated, or changed to it."""
    ids = {"template": test_mail.template(), "segment": test_mail.segment()}
    uses = {"trigger": {"segment_id": ids["segment"]}, "steps": [{"template_id": ids["template"]}]}
    body: dict[str, Any] = {"name": "N", "type": "lifecycle"} | (
        uses if verb == "activate" else {"trigger": {"event": "x"}}
    )
    body.setdefault("steps", [{"template_id": test_mail.template()}])
    campaign = test_mail.ok(test_mail.client.post("/v1/campaigns", body))["id"]
    if verb == "patch":
        test_mail.move(campaign, "activate")
    check = campaigns.check_unused

    def checked(*args: Any, **named: Any) -> None:
        check(*args, **named)
        monkeypatch.setattr(campaigns, "check_unused", check)
        if verb == "patch":
            test_mail.ok(test_mail.client.patch(f"/v1/campaigns/{campaign}", uses))
        else:
            test_mail.ok(test_mail.client.post(f"/v1/campaigns/{campaign}/activate", {}))

    monkeypatch.setattr(campaigns, "check_unused", checked)
    answer = test_mail.client.delete(f"/v1/{what}s/{ids[what]}")
    assert (answer.status, answer.json["error"]["code"]) == (409, "conflict")
    test_mail.get(f"/v1/{what}s/{ids[what]}")


def test_a_subject_whose_tags_are_broken_is_refused_with_its_step(test_mail: MailWorld) -> None:
    step = {"template_id": test_mail.template()}
    body = {"name": "N", "type": "lifecycle", "trigger": {"event": "x"}}
    broken = {"steps": [step, step | {"subject": "Hi {{ contact.name"}]}
    answer = test_mail.client.post("/v1/campaigns", body | broken)
    fault = answer.json["error"]["details"][0]
    assert (answer.status, fault["field"], fault["line"]) == (422, "steps.1.subject", 1)


@pytest.mark.parametrize("traits", ["x", [1], 5])
def test_a_contact_or_event_of_another_shape_is_not_rendered(test_mail: MailWorld, traits: object) -> None:
    path = f"/v1/templates/{test_mail.template()}/render"
    for body in ({"contact": {"traits": traits}}, {"event": {"properties": traits}}):
        assert test_mail.client.post(path, body).status == 422


def test_who_is_in_the_segment_already_starts_too_where_a_pause_came_between(test_mail: MailWorld) -> None:
    for n in range(3):
        test_mail.contact(f"c{n}")
    trigger = {"segment_id": test_mail.segment(), "include_existing": True}
    body = {"name": "N", "type": "lifecycle", "trigger": trigger, "steps": [{"template_id": test_mail.template()}]}
    campaign = test_mail.ok(test_mail.client.post("/v1/campaigns", body))["id"]
    test_mail.ok(test_mail.client.post(f"/v1/campaigns/{campaign}/activate", {}))
    paused: list[int] = []

    def pause(_name: str) -> None:
        if test_mail.get(f"/v1/campaigns/{campaign}")["status"] == "active" and _name == "query_index":
            test_mail.table.on_call = lambda _: None
            paused.append(test_mail.client.post(f"/v1/campaigns/{campaign}/pause", {}).status)

    def pause_within(name: str) -> None:
        test_mail.table.on_call = lambda _: None
        pause(name)
        if not paused:
            test_mail.table.on_call = pause_within

    test_mail.table.on_call = pause_within
    test_mail.settle()
    assert paused == [200]
    test_mail.move(campaign, "activate")
    assert sorted(mail["to"] for mail in test_mail.mailbox()) == [f"c{n}@example.com" for n in range(3)]


def test_a_segment_that_only_the_rules_of_an_active_campaign_read_is_not_deleted(test_mail: MailWorld) -> None:
    first, second = test_mail.segment(name="A"), test_mail.segment(name="B")
    rules = [
        {"operator": "AND", "conditions": [{"field": "segments", "op": "contains", "value": each}]}
        for each in (first, second)
    ]
    trigger = {"event": "signed_up", "filters": rules[0]}
    campaign = test_mail.lifecycle({"conditions": rules[1]}, trigger=trigger)
    for segment in (first, second):
        assert test_mail.client.delete(f"/v1/segments/{segment}").status == 409
    test_mail.move(campaign, "archive")
    for segment in (first, second):
        assert test_mail.client.delete(f"/v1/segments/{segment}").status == 200


def test_a_simulation_goes_to_a_moment_as_to_a_duration(test_mail: MailWorld) -> None:
    test_mail.contact("ada")
    path = f"/v1/campaigns/{test_mail.lifecycle()}/simulate"
    moment = clock.iso(test_mail.now + DAY)
    assert test_mail.ok(test_mail.client.post(path, {"until": moment})) == test_mail.ok(
        test_mail.client.post(path, {"until": "1d"})
    )
    for wrong in (clock.iso(test_mail.now - 1), clock.iso(test_mail.now + 366 * DAY), "tomorrow", "366d"):
        answer = test_mail.client.post(path, {"until": wrong})
        assert (answer.status, answer.json["error"]["details"][0]["field"]) == (422, "until")
