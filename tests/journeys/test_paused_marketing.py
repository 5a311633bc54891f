"""Marketing mail that an answer has paused: whom campaigns skip, until when, and which mails go out all the same."""

from typing import Any

import pytest

from chalicelib.core import events
from chalicelib.core.clock import DAY, iso
from chalicelib.platform import outbox, table
from tests.support.survey_world import SurveyWorld


def paused(world: SurveyWorld, days: int = 7) -> str:
    """A contact whose marketing mail an answer has paused for so many days."""
    survey = world.survey(channels=["widget"], actions={"detractor": {"pause_marketing_days": days}})
    ada = world.contact("ada")
    world.answer(survey, ada, 2)
    return ada


def test_a_step_in_the_pause_is_skipped_and_one_at_its_very_end_is_sent(surveying: SurveyWorld) -> None:
    ada = paused(surveying)
    campaign = surveying.lifecycle({}, {"delay": "7d"})
    assert surveying.get(f"/v1/contacts/{ada}")["marketing_paused_until"] == iso(surveying.now + 7 * DAY)
    surveying.track("ada", "signed_up")
    assert surveying.stats(campaign)["skipped"] == {"paused_marketing": 1}
    surveying.advance(7 * DAY - 1)
    assert surveying.mailbox() == []
    surveying.advance(1)
    assert [mail["step_index"] for mail in surveying.mailbox()] == [1]


def test_a_broadcast_passes_over_whoever_is_in_a_pause(surveying: SurveyWorld) -> None:
    paused(surveying)
    surveying.contact("bob")
    everybody = surveying.segment()
    body = {
        "name": "News",
        "type": "broadcast",
        "segment_id": everybody,
        "steps": [{"template_id": surveying.template()}],
    }
    draft = surveying.ok(surveying.client.post("/v1/campaigns", body))["id"]
    seen = surveying.get(f"/v1/campaigns/{draft}/preview")
    assert (seen["recipients"], seen["excluded"]) == (1, {"paused_marketing": 1})
    surveying.move(draft, "activate")
    assert [mail["to"] for mail in surveying.mailbox()] == ["bob@example.com"]


def test_a_simulation_judges_the_pause_at_the_moment_of_each_mail(surveying: SurveyWorld) -> None:
    paused(surveying)
    campaign = surveying.lifecycle({"delay": "6d"}, {"delay": "1d"})
    surveying.track("ada", "signed_up")
    played = surveying.ok(surveying.client.post(f"/v1/campaigns/{campaign}/simulate", {"until": "30d"}))
    assert [(each["step_index"], each["reason"]) for each in played["skipped"]] == [(0, "paused_marketing")]
    assert [each["step_index"] for each in played["mails"]] == [1]


def test_a_longer_pause_stands_against_a_shorter_one_that_comes_later(surveying: SurveyWorld) -> None:
    ada = paused(surveying, 30)
    until = surveying.get(f"/v1/contacts/{ada}")["marketing_paused_until"]
    short = surveying.survey(channels=["widget"], actions={"detractor": {"pause_marketing_days": 1}})
    surveying.answer(short, ada, 0)
    assert surveying.get(f"/v1/contacts/{ada}")["marketing_paused_until"] == until
    assert [note["outcome"] for note in surveying.notes(ada)] == ["paused", "was_paused_longer"]


@pytest.mark.parametrize("into", ["paused", "other"])
def test_a_merge_keeps_the_pause_and_the_last_score(surveying: SurveyWorld, into: str) -> None:
    ada = paused(surveying)
    ida = surveying.contact("ida")
    until = surveying.get(f"/v1/contacts/{ada}")["marketing_paused_until"]
    target, source = (ada, ida) if into == "paused" else (ida, ada)
    surveying.ok(surveying.client.post(f"/v1/contacts/{target}/merge", {"source_contact_id": source}))
    profile = surveying.get(f"/v1/contacts/{target}")
    assert (profile["marketing_paused_until"], profile["last_nps_score"]) == (until, 2)


@pytest.mark.parametrize("is_first", [True, False])
def test_of_two_that_are_merged_the_later_score_is_the_last(surveying: SurveyWorld, is_first: bool) -> None:
    survey = surveying.survey(channels=["widget"])
    ada, ida = surveying.contact("ada"), surveying.contact("ida")
    surveying.answer(survey, ada, 3)
    surveying.advance(DAY)
    surveying.answer(survey, ida, 8)
    target, source = (ada, ida) if is_first else (ida, ada)
    surveying.ok(surveying.client.post(f"/v1/contacts/{target}/merge", {"source_contact_id": source}))
    assert surveying.get(f"/v1/contacts/{target}")["last_nps_score"] == 8


def ask_to_start(world: SurveyWorld, contact: str, campaign: str) -> None:
    """Ask for a run by name, as an action of a survey does, and let all act that this causes."""
    data: dict[str, Any] = {
        "contact_id": contact,
        "campaign_id": campaign,
        "event": events.SURVEY_ANSWERED,
        "moment": world.now,
        "properties": {"score": 3, "category": "detractor"},
    }
    table.transact([outbox.emit(world.tenant, events.CAMPAIGN_START_ASKED, data, world.now)])
    world.settle()


def test_a_run_that_is_asked_for_passes_over_trigger_and_pause_and_reads_the_answer(surveying: SurveyWorld) -> None:
    ada = paused(surveying)
    rules = {"operator": "AND", "conditions": [{"field": "traits.plan", "op": "eq", "value": "never"}]}
    campaign = surveying.lifecycle(
        {"subject": "You gave {{ event.score }}"}, trigger={"event": "never", "filters": rules}
    )
    for _ in range(2):
        ask_to_start(surveying, ada, campaign)
    assert [mail["subject"] for mail in surveying.mailbox()] == ["You gave 3"]


def test_a_campaign_that_is_paused_is_not_started_by_name(surveying: SurveyWorld) -> None:
    ada = surveying.contact("ada")
    campaign = surveying.lifecycle()
    surveying.move(campaign, "pause")
    ask_to_start(surveying, ada, campaign)
    surveying.move(campaign, "activate")
    assert surveying.mailbox() == []


def test_an_event_of_that_name_is_no_way_around_the_pause(surveying: SurveyWorld) -> None:
    paused(surveying)
    campaign = surveying.lifecycle(trigger={"event": events.SURVEY_ANSWERED})
    surveying.track("ada", events.SURVEY_ANSWERED)
    assert surveying.stats(campaign)["skipped"] == {"paused_marketing": 1}


def test_an_action_names_why_a_campaign_was_not_started(surveying: SurveyWorld) -> None:
    campaign = surveying.lifecycle()
    survey = surveying.survey(channels=["widget"], actions={"detractor": {"start_campaign_id": campaign}})
    ada = surveying.contact("ada")
    surveying.move(campaign, "pause")
    surveying.answer(survey, ada, 1)
    assert [(note["effect"], note["outcome"]) for note in surveying.notes(ada)] == [
        ("start_campaign", "campaign_not_active")
    ]
