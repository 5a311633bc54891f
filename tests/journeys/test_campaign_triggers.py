"""What starts a run by entering a segment, and what enters it without starting one."""

from typing import Any

import pytest

from chalicelib.core import clock
from tests.support import pipeline
from tests.support.mail_world import MailWorld

DID = {"field": "events.bought", "op": "count_gte", "value": 1}
GROWS = {"field": "traits.plan", "op": "eq", "value": "growth"}
TRAITS = {"plan": "growth", "email": "ada@example.com"}

CAUSES: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "an event": (DID, "track", {"event": "bought", "user_id": "ada"}),
    "a trait": (GROWS, "identify", {"user_id": "ada", "traits": TRAITS}),
    "a contact that it makes": (
        {"field": "created_at", "op": "exists"},
        "identify",
        {"user_id": "eve", "traits": {"email": "eve@example.com"}},
    ),
    "a merge": (GROWS, "alias", {"user_id": "ada", "previous_id": "rich"}),
}
"""By what the segment is entered: its rule, and the event that does it, by type."""


def _entered_in(world: MailWorld, cause: str, **trigger: Any) -> tuple[str, dict[str, Any]]:
    """Two contacts, of whom one has no address, and a campaign for those who enter; returns the event to be told."""
    condition, kind, raw = CAUSES[cause]
    world.contact("ada")
    world.ok(world.client.post("/v1/contacts", {"external_id": "rich", "traits": {"plan": "growth"}}))
    segment = world.segment(condition)
    world.lifecycle(trigger={"segment_id": segment} | trigger)
    return kind, dict(raw)


def _tell(world: MailWorld, kind: str, raw: dict[str, Any], *, historical: bool = False) -> None:
    event = pipeline.accepted(raw, kind, world.now, historical=historical)
    pipeline.work(pipeline.messages(world.tenant, [event]))
    world.settle()


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("include_existing", [False, True])
@pytest.mark.parametrize("how", ["imported", "more than a day old"])
def test_entering_a_segment_by_what_was_imported_or_is_late_starts_nothing(
    test_mail: MailWorld, cause: str, how: str, *, include_existing: bool
) -> None:
    kind, raw = _entered_in(test_mail, cause, include_existing=include_existing)
    before = len(test_mail.mailbox())
    if how == "more than a day old":
        raw["timestamp"] = clock.iso(test_mail.now - clock.DAY - 1)
    _tell(test_mail, kind, raw, historical=how == "imported")
    assert len(test_mail.mailbox()) == before


@pytest.mark.parametrize("cause", CAUSES)
def test_entering_it_by_what_is_told_now_starts(test_mail: MailWorld, cause: str) -> None:
    kind, raw = _entered_in(test_mail, cause)
    _tell(test_mail, kind, raw)
    assert len(test_mail.mailbox()) == 1


def test_what_is_told_now_starts_though_something_imported_was_heard_of_with_it(test_mail: MailWorld) -> None:
    kind, raw = _entered_in(test_mail, "an event")
    imported = pipeline.accepted(raw, kind, test_mail.now, historical=True)
    live = pipeline.accepted(raw, kind, test_mail.now)
    pipeline.work(pipeline.messages(test_mail.tenant, [imported, live]))
    test_mail.settle()
    assert len(test_mail.mailbox()) == 1


@pytest.mark.parametrize("include_existing", [False, True])
def test_who_is_put_into_a_static_segment_enters_it(test_mail: MailWorld, *, include_existing: bool) -> None:
    ids = [test_mail.contact(name) for name in ("ada", "bob")]
    body = {"name": "By hand", "type": "static", "contact_ids": ids[:1]}
    segment = test_mail.ok(test_mail.client.post("/v1/segments", body))["id"]
    test_mail.settle()
    test_mail.lifecycle(trigger={"segment_id": segment, "include_existing": include_existing})
    assert len(test_mail.mailbox()) == include_existing
    test_mail.ok(test_mail.client.post(f"/v1/segments/{segment}/contacts", {"contact_ids": ids}))
    test_mail.settle()
    assert len(test_mail.mailbox()) == 1 + include_existing


def test_an_imported_alias_starts_nobody_by_a_static_segment_that_it_hands_on(test_mail: MailWorld) -> None:
    test_mail.contact("ada")
    body = {"name": "S", "type": "static", "contact_ids": [test_mail.contact("old")]}
    segment = test_mail.ok(test_mail.client.post("/v1/segments", body))["id"]
    test_mail.settle()
    test_mail.lifecycle(trigger={"segment_id": segment})
    alias = {"user_id": "ada", "previous_id": "old"}
    event = pipeline.accepted(alias, "alias", test_mail.now, historical=True)
    pipeline.work(pipeline.messages(test_mail.tenant, [event]))
    test_mail.settle()
    assert test_mail.get(f"/v1/segments/{segment}")["contact_count"] == 1
    assert test_mail.mailbox() == []
