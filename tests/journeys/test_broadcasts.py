"""Broadcasts: who gets one, how fast, and that what was previewed and simulated is what is sent."""

from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.flows.campaigns import broadcast
from chalicelib.flows.segments import define
from chalicelib.platform.jobs import Later
from tests.support.mail_world import MailWorld
from tests.support.post_office import Posted

DAY = clock.DAY
GROWTH = {"operator": "AND", "conditions": [{"field": "traits.plan", "op": "eq", "value": "growth"}]}


def people(world: MailWorld, count: int) -> None:
    """Contacts of whom every second may not be mailed, for one reason or another."""
    for n in range(count):
        each: list[dict[str, Any]] = [{}, {"email": None}, {}, {"email": f"bounce+{n}@simulator.amazonses.com"}]
        contact = world.contact(f"c{n:03d}", plan="growth" if n % 3 else "free", **each[n % 4])
        if n % 8 == 2:
            world.ok(world.client.patch(f"/v1/contacts/{contact}", {"unsubscribed": True}))
    world.settle()


def outcome(world: MailWorld, campaign: str) -> tuple[int, dict[str, int]]:
    """How many were sent, and how many were skipped, by reason."""
    figures = world.stats(campaign)
    return figures.get("sent", 0), figures.get("skipped", {})


def draft(world: MailWorld, segment: str, **fields: Any) -> str:
    step = {"template_id": world.template()} | fields.pop("step", {})
    body = {"name": "News", "type": "broadcast", "segment_id": segment, "steps": [step]} | fields
    made: str = world.ok(world.client.post("/v1/campaigns", body))["id"]
    return made


def test_everybody_of_the_segment_gets_it_once_and_it_completes_by_itself(test_mail: MailWorld) -> None:
    people(test_mail, 40)
    campaign = test_mail.broadcast(test_mail.segment())
    assert outcome(test_mail, campaign) == (25, {"no_email": 10, "unsubscribed": 5})
    addresses = [mail["to"] for mail in test_mail.mailbox()]
    assert len(addresses) == len(set(addresses)) == 25
    shown = test_mail.get(f"/v1/campaigns/{campaign}")
    assert (shown["status"], shown["completed_at"]) == ("completed", clock.iso(test_mail.now))
    assert test_mail.client.post(f"/v1/campaigns/{campaign}/activate", {}).status == 409
    assert test_mail.client.post(f"/v1/campaigns/{campaign}/pause", {}).status == 409


def test_a_broadcast_to_nobody_completes(test_mail: MailWorld) -> None:
    campaign = test_mail.broadcast(test_mail.segment({"field": "tags", "op": "contains", "value": "none"}))
    assert test_mail.get(f"/v1/campaigns/{campaign}")["status"] == "completed"


def test_the_preview_is_what_is_then_sent_by_number_and_by_reason(test_mail: MailWorld) -> None:
    segment = test_mail.segment()
    people(test_mail, 40)
    test_mail.broadcast(segment)  # after which some addresses have bounced
    campaign = draft(test_mail, segment, step={"conditions": GROWTH})
    seen = test_mail.get(f"/v1/campaigns/{campaign}/preview")
    test_mail.move(campaign, "activate")
    assert outcome(test_mail, campaign) == (seen["recipients"], seen["excluded"])
    assert seen["excluded"].keys() == {"no_email", "unsubscribed", "bounced", "condition"}
    assert len(seen["samples"]) == min(10, seen["recipients"])
    addresses = {mail["to"] for mail in test_mail.mailbox() if mail["campaign_id"] == campaign}
    assert {each["email"] for each in seen["samples"]} <= addresses
    again = test_mail.get(f"/v1/campaigns/{campaign}/preview")
    assert (again["recipients"], again["excluded"]) == (0, {})


def test_of_a_broadcast_that_was_archived_nobody_gets_any(test_mail: MailWorld) -> None:
    segment = test_mail.segment()
    people(test_mail, 5)
    campaign = draft(test_mail, segment)
    test_mail.move(campaign, "archive")
    seen = test_mail.get(f"/v1/campaigns/{campaign}/preview")
    assert (seen["recipients"], seen["excluded"], seen["samples"]) == (0, {}, [])


@pytest.mark.parametrize("what", ["preview", "simulate"])
def test_a_segment_that_does_not_exist_has_neither_preview_nor_simulation(test_mail: MailWorld, what: str) -> None:
    path = f"/v1/campaigns/{draft(test_mail, 'sgmnt_00000000000000000000000000')}/{what}"
    answer = test_mail.client.get(path) if what == "preview" else test_mail.client.post(path, {"until": "1d"})
    assert (answer.status, answer.fields) == (422, ["segment_id"])


def test_a_broadcast_that_was_activated_while_its_segment_was_built_goes_to_all_whom_the_builder_finds(
    live_mail: MailWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(define, "_SMALL", 0)  # so that the answer does not wait for the builder
    for n in range(5):
        live_mail.contact(f"c{n}")
    live_mail.settle()
    body = {"name": "All", "rules": {"operator": "AND", "conditions": [{"field": "created_at", "op": "exists"}]}}
    segment = live_mail.ok(live_mail.client.post("/v1/segments", body))
    assert segment["status"] == "building"
    campaign = draft(live_mail, segment["id"])
    live_mail.ok(live_mail.client.post(f"/v1/campaigns/{campaign}/activate", {}))
    looks = [broadcast.run(live_mail.tenant, {"campaign_id": campaign}, lambda: True) for _ in range(2)]
    assert all(isinstance(look, Later) for look in looks)
    live_mail.settle()
    assert sorted(posted.to for posted in live_mail.office.taken) == [f"c{n}@example.com" for n in range(5)]
    assert live_mail.get(f"/v1/campaigns/{campaign}")["status"] == "completed"


def test_a_step_that_is_renamed_while_it_goes_out_keeps_to_the_rate(test_mail: MailWorld) -> None:
    for n in range(6):
        test_mail.contact(f"c{n}")
    campaign = test_mail.broadcast(test_mail.segment(), rate_per_second=1)
    assert len(test_mail.mailbox()) == 1
    body = {"steps": [{"id": "other", "template_id": test_mail.template()}]}
    test_mail.ok(test_mail.client.patch(f"/v1/campaigns/{campaign}", body))
    test_mail.settle()
    assert len(test_mail.mailbox()) == 1
    test_mail.advance(clock.MINUTE)
    moments = [mail["sent_at"] for mail in test_mail.mailbox()]
    assert len(set(moments)) == len(moments) == 6


def test_a_paced_broadcast_gives_each_second_what_its_rate_says(test_mail: MailWorld) -> None:
    people(test_mail, 24)
    start = test_mail.now
    campaign = test_mail.broadcast(test_mail.segment(), rate_per_second=5)
    test_mail.advance(clock.MINUTE)
    moments = [clock.parse_instant(mail["sent_at"]) for mail in test_mail.mailbox()]
    assert max(moments) - start <= 5 * clock.SECOND
    by_second = {moment // clock.SECOND: 0 for moment in moments}
    for moment in moments:
        by_second[moment // clock.SECOND] += 1
    assert max(by_second.values()) <= 5
    assert test_mail.get(f"/v1/campaigns/{campaign}")["status"] == "completed"


def test_paused_in_the_middle_nothing_leaves_and_resumed_the_rest_goes_out(test_mail: MailWorld) -> None:
    for n in range(20):
        test_mail.contact(f"c{n}")
    segment = test_mail.segment()
    campaign = draft(test_mail, segment, rate_per_second=5)
    test_mail.move(campaign, "activate")
    test_mail.advance(clock.SECOND)
    before = len(test_mail.mailbox())
    assert 0 < before < 20
    test_mail.move(campaign, "pause")
    test_mail.advance(clock.HOUR)
    assert len(test_mail.mailbox()) == before
    test_mail.move(campaign, "activate")
    test_mail.advance(clock.MINUTE)
    addresses = [mail["to"] for mail in test_mail.mailbox()]
    assert len(addresses) == len(set(addresses)) == 20


def test_who_is_merged_or_purged_before_its_turn_does_not_keep_the_broadcast_open(test_mail: MailWorld) -> None:
    ids = [test_mail.contact(f"c{n}") for n in range(8)]
    campaign = test_mail.broadcast(test_mail.segment(), rate_per_second=1)
    client = test_mail.client
    test_mail.ok(client.delete(f"/v1/contacts/{ids[0]}", query={"purge": "true"}))
    test_mail.ok(client.delete(f"/v1/contacts/{ids[1]}"))
    test_mail.ok(client.post(f"/v1/contacts/{ids[2]}/merge", {"source_contact_id": ids[3]}))
    test_mail.settle()
    test_mail.advance(clock.HOUR)
    assert test_mail.get(f"/v1/campaigns/{campaign}")["status"] == "completed"
    addresses = [mail["to"] for mail in test_mail.mailbox()]
    assert len(addresses) == len(set(addresses)) == 5


@pytest.mark.parametrize("quiet", [False, True])
def test_the_simulation_is_what_is_then_sent_mail_for_mail_and_second_for_second(
    test_mail: MailWorld, *, quiet: bool
) -> None:
    if quiet:
        hours = {"quiet_hours": {"start": "00:00", "end": "23:59"}}
        test_mail.ok(test_mail.client.patch("/v1/settings", hours))
    people(test_mail, 30)
    campaign = draft(test_mail, test_mail.segment(), rate_per_second=4, step={"conditions": GROWTH})
    expected = test_mail.ok(test_mail.client.post(f"/v1/campaigns/{campaign}/simulate", {"until": "2d"}))
    test_mail.move(campaign, "activate")
    test_mail.advance(2 * DAY)
    mails = {(mail["contact_id"], mail["step_index"], mail["sent_at"]) for mail in test_mail.mailbox()}
    assert mails == {(each["contact_id"], each["step_index"], each["at"]) for each in expected["mails"]}
    assert len(mails) == len(expected["mails"]) == expected["totals"]["mails"]
    assert test_mail.stats(campaign)["skipped"] == expected["totals"]["skipped"]


def test_what_the_mail_service_tells_changes_state_figures_and_suppression_once_each(live_mail: MailWorld) -> None:
    for name in ("ada", "bob", "cid", "dan", "eve"):
        live_mail.contact(name)
    segment = live_mail.segment()
    campaign = live_mail.broadcast(segment)
    by: dict[str, Posted] = {posted.to.partition("@")[0]: posted for posted in live_mail.office.taken}
    assert live_mail.stats(campaign) == {"sent": 5}
    for _ in range(2):
        live_mail.tell(by["ada"], "Delivery")
        live_mail.tell(by["bob"], "Bounce", bounceType="Permanent", bounceSubType="General")
        live_mail.tell(by["cid"], "Bounce", bounceType="Transient", bounceSubType="MailboxFull")
        live_mail.tell(by["dan"], "Complaint", complaintFeedbackType="abuse")
        live_mail.tell(by["dan"], "Delivery")
        live_mail.tell(by["eve"], "Reject", reason="Bad content")
    figures = live_mail.stats(campaign)
    told = {"sent": 5, "delivered": 2, "bounced": 2, "complained": 1, "failed": 1}
    assert figures == told | {"bounce_rate": 0.4, "complaint_rate": 0.5}
    again = live_mail.broadcast(segment)
    assert live_mail.stats(again) == {"sent": 3, "skipped": {"bounced": 1, "complained": 1}}


def test_an_export_has_all_messages_and_a_purge_leaves_none(test_mail: MailWorld) -> None:
    ada, bob = test_mail.contact("ada"), test_mail.contact("bob")
    campaign = test_mail.broadcast(test_mail.segment())
    test_mail.ok(test_mail.client.post(f"/v1/contacts/{ada}/merge", {"source_contact_id": bob}))
    test_mail.settle()
    held = test_mail.get(f"/v1/contacts/{ada}/export")["messages"]
    assert {(each["campaign_id"], each["to"], each["status"]) for each in held} == {
        (campaign, "ada@example.com", "delivered"),
        (campaign, "bob@example.com", "delivered"),
    }
    test_mail.ok(test_mail.client.delete(f"/v1/contacts/{ada}", query={"purge": "true"}))
    test_mail.settle()
    left = [
        key
        for key in test_mail.table.rows
        if "example.com" in str(test_mail.table.rows[key]) and "MAILBOX" not in key.pk
    ]
    assert left == []
    assert test_mail.messages(campaign) == []
    assert test_mail.stats(campaign)["sent"] == 2


def test_everybody_gets_a_broadcast_in_whatever_order_the_bus_hears_of_it(live_mail: MailWorld) -> None:
    for n in range(45):
        live_mail.contact(f"c{n}")
    segment = live_mail.segment()
    live_mail.hears = lambda records: records[::-1]
    campaign = live_mail.broadcast(segment)
    assert len(live_mail.office.taken) == 45
    assert live_mail.get(f"/v1/campaigns/{campaign}")["status"] == "completed"
