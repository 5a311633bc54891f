"""Broadcasts at a moment: who is a member of the segment then, to the millisecond, and what can be done before."""

from collections import Counter
from typing import Any

import pytest

from chalicelib.core import clock
from tests.support.mail_world import MailWorld

DAY = clock.DAY
LOGGED_IN = {"field": "events.login", "op": "count_gte", "value": 1, "window": "2d"}
SILENT = {"field": "events.login", "op": "count_lte", "value": 0, "window": "2d"}


def drafted(world: MailWorld, segment: str, **fields: Any) -> str:
    """The id of a new broadcast."""
    body = {"name": "News", "type": "broadcast", "segment_id": segment, "steps": [{"template_id": world.template()}]}
    made: str = world.ok(world.client.post("/v1/campaigns", body | fields))["id"]
    return made


@pytest.mark.parametrize("rule", [LOGGED_IN, SILENT], ids=["whoever leaves then", "whoever enters then"])
def test_it_goes_to_who_is_a_member_at_that_very_moment_as_its_simulation_says(
    test_mail: MailWorld, rule: dict[str, Any]
) -> None:
    """Twelve contacts, whose window ends before, at and after the moment of the broadcast."""
    begin = test_mail.now
    ends: dict[str, int] = {}
    for n in range(12):
        name = f"c{n:02d}"
        test_mail.contact(name)
        ends[name] = begin + 2 * DAY + n // 4
        test_mail.receive({"user_id": name, "event": "login", "timestamp": clock.iso(ends[name] - 2 * DAY)}, "track")
    test_mail.advance(clock.MINUTE)
    segment, moment = test_mail.segment(rule), begin + 2 * DAY + 1
    campaign = test_mail.broadcast(segment, scheduled_at=clock.iso(moment))
    played = test_mail.ok(test_mail.client.post(f"/v1/campaigns/{campaign}/simulate", {"until": "5d"}))
    test_mail.advance(3 * DAY)
    wanted = {name for name, end in ends.items() if (end > moment) == (rule is LOGGED_IN)}
    assert Counter(mail["to"] for mail in test_mail.mailbox()) == Counter(f"{name}@example.com" for name in wanted)
    mails = [(mail["contact_id"], mail["sent_at"]) for mail in test_mail.mailbox()]
    assert Counter((each["contact_id"], each["at"]) for each in played["mails"]) == Counter(mails)
    assert {at for _, at in mails} == {clock.iso(moment)}


def test_a_membership_that_time_has_ended_counts_no_more_though_nobody_has_noted_it(
    live_mail: MailWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = live_mail.segment(LOGGED_IN)
    for name in ("ada", "bob"):
        live_mail.contact(name)
        live_mail.track(name, "login")
    later = clock.system_ms() + 2 * DAY
    monkeypatch.setattr(clock, "system_ms", lambda: later)
    live_mail.track("bob", "login")
    members = live_mail.get(f"/v1/segments/{segment}/contacts")["data"]
    assert {each["external_id"] for each in members} == {"ada", "bob"}
    live_mail.broadcast(segment)
    assert [posted.to for posted in live_mail.office.taken] == ["bob@example.com"]


def test_a_moment_that_has_passed_is_now(test_mail: MailWorld) -> None:
    test_mail.contact("ada")
    test_mail.broadcast(test_mail.segment(), scheduled_at=clock.iso(test_mail.now - DAY))
    assert [mail["sent_at"] for mail in test_mail.mailbox()] == [clock.iso(test_mail.now)]


def test_what_is_archived_before_its_moment_is_never_sent(test_mail: MailWorld) -> None:
    test_mail.contact("ada")
    campaign = test_mail.broadcast(test_mail.segment(), scheduled_at=clock.iso(test_mail.now + DAY))
    test_mail.move(campaign, "archive")
    test_mail.advance(3 * DAY)
    assert (test_mail.mailbox(), test_mail.messages(campaign)) == ([], [])
    assert [row for row in test_mail.table.rows.values() if row.get("kind") == "scheduled_broadcast"] == []


def test_a_scheduled_broadcast_goes_to_who_is_a_member_then(test_mail: MailWorld) -> None:
    segment = test_mail.segment({"field": "events.login", "op": "count_gte", "value": 1, "window": "2d"})
    start = test_mail.now
    for name in ("ada", "bob"):
        test_mail.contact(name)
        test_mail.track(name, "login")
    campaign = test_mail.broadcast(segment, scheduled_at=clock.iso(start + 3 * DAY))
    test_mail.advance(2 * DAY)
    assert test_mail.mailbox() == []
    test_mail.track("bob", "login")
    test_mail.advance(5 * DAY)
    assert [(mail["to"], mail["sent_at"]) for mail in test_mail.mailbox()] == [
        ("bob@example.com", clock.iso(start + 3 * DAY))
    ]
    assert test_mail.get(f"/v1/campaigns/{campaign}")["status"] == "completed"


def test_the_moment_of_a_scheduled_broadcast_can_be_changed_until_it_has_begun(test_mail: MailWorld) -> None:
    start = test_mail.now
    test_mail.contact("ada")
    segment = test_mail.segment()
    campaign = test_mail.broadcast(segment, scheduled_at=clock.iso(start + 3 * DAY))
    path = f"/v1/campaigns/{campaign}"
    test_mail.ok(test_mail.client.patch(path, {"scheduled_at": clock.iso(start + DAY)}))
    test_mail.settle()
    test_mail.advance(2 * DAY)
    assert [mail["sent_at"] for mail in test_mail.mailbox()] == [clock.iso(start + DAY)]
    assert test_mail.client.patch(path, {"scheduled_at": clock.iso(start + 9 * DAY)}).status == 409
    test_mail.advance(5 * DAY)
    assert len(test_mail.mailbox()) == 1


def test_a_scheduled_broadcast_that_is_paused_waits_and_is_not_lost(test_mail: MailWorld) -> None:
    start = test_mail.now
    test_mail.contact("ada")
    campaign = test_mail.broadcast(test_mail.segment(), scheduled_at=clock.iso(start + DAY))
    test_mail.move(campaign, "pause")
    test_mail.advance(3 * DAY)
    assert test_mail.mailbox() == []
    test_mail.move(campaign, "activate")
    assert [mail["sent_at"] for mail in test_mail.mailbox()] == [clock.iso(start + 3 * DAY)]
