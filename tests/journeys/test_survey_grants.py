"""Surveys with what the workers' policies grant (infra/policies): bus, jobs and timers never read the deployment's
secret, and neither the bus nor the worker that mails reads an index."""

from typing import Any

import pytest

from chalicelib.core.clock import DAY, HOUR
from chalicelib.features.surveys import service as surveys
from chalicelib.platform import secrets, table
from chalicelib.workers import bus, jobs, mails
from tests.support import pipeline
from tests.support.referral_world import PROGRAM
from tests.support.survey_story import pass_time
from tests.support.survey_world import SurveyWorld

NO_SECRET = (bus.handle, jobs.handle)
NO_INDEX = (bus.handle, mails.handle)


def _denied(*_args: Any, **_named: Any) -> Any:
    raise PermissionError


def deny_secret(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(secrets, "_deployment_secret", _denied)
    secrets.derive.cache_clear()


@pytest.fixture
def granted(surveying: SurveyWorld, monkeypatch: pytest.MonkeyPatch) -> SurveyWorld:
    """A world whose workers are denied what their policies do not grant."""
    deliver, query = surveying.deliver, table.query

    def without_index(pk: str, *, index: str | None = None, **named: Any) -> Any:
        return _denied() if index else query(pk, **named)

    def with_grants(handle: pipeline.Handler, event: dict[str, Any], time_left: int = pipeline.MINUTE) -> None:
        with monkeypatch.context() as patch:
            if handle in NO_SECRET:
                deny_secret(patch)
            if handle in NO_INDEX:
                patch.setattr(table, "query_index", _denied)
                patch.setattr(table, "query", without_index)
            deliver(handle, event, time_left)

    monkeypatch.setattr(surveying, "deliver", with_grants)
    return surveying


def effects_of(world: SurveyWorld) -> dict[str, Any]:
    """All that may follow an answer of a promoter."""
    program = world.ok(world.client.post("/v1/referrals/programs", PROGRAM))["id"]
    campaign = world.lifecycle({"delay": "0m"}, trigger={"event": "nobody does this"})
    action = {"add_tags": ["fan"], "start_campaign_id": campaign, "referral_program_id": program}
    return {"promoter": action | {"pause_marketing_days": 3}}


def test_asking_reminding_answering_and_all_that_follows(granted: SurveyWorld) -> None:
    survey = granted.survey(
        trigger={"event": "trial_expired", "delay": "1h"}, remind_after="1d", actions=effects_of(granted)
    )
    ada = granted.contact("ada")
    granted.track("ada", "trial_expired")
    granted.advance(HOUR + DAY)
    asked, reminded = granted.mailbox()
    assert reminded["subject"] == f"Reminder: {asked['subject']}"
    for mail in (asked, reminded):
        assert granted.press(granted.token(mail), score="9").status == 200
        granted.settle()
    subjects = [mail["subject"] for mail in granted.mailbox()[2:]]
    assert sorted(subjects) == ["Hello", "Thank you! Here is your link to share"]
    assert granted.get(f"/v1/contacts/{ada}")["tags"] == ["fan"]
    assert granted.figures(survey)["total_responses"] == 1


def test_entering_filters_sweeps_pauses_and_resumes(granted: SurveyWorld) -> None:
    trial = granted.segment({"field": "traits.plan", "op": "eq", "value": "trial"})
    opened = {"field": "events.opened", "op": "count_lte", "value": 0, "window": "7d"}
    trigger = {"segment_id": trial, "filters": {"operator": "AND", "conditions": [opened]}}
    for n in range(25):
        granted.contact(f"u{n}", plan="trial")
    granted.settle()
    entering = granted.survey(name="entering", trigger=trigger | {"delay": "1h"})
    recurring = granted.survey(name="recurring", trigger={"segment_id": trial}, repeat="1d")
    assert len(granted.states(recurring)) == 25
    granted.contact("late", plan="trial")
    granted.settle()
    granted.do(entering, "pause")
    granted.advance(DAY)
    assert granted.states(entering) == [("waiting", None)]
    granted.do(entering, "activate")
    assert granted.states(entering) == [("sent", None)]
    assert len(granted.states(recurring)) == 51


def test_merges_and_deletions(granted: SurveyWorld) -> None:
    survey = granted.survey(
        trigger={"event": "trial_expired", "delay": "1h"}, frequency_cap={"max_surveys_per_contact": None}
    )
    ada, ida = granted.contact("ada"), granted.contact("ida")
    for each in (ada, ida):
        granted.answer(survey, each, 9)
    for user in ("ada", "ida"):
        granted.track(user, "trial_expired")
    granted.ok(granted.client.post(f"/v1/contacts/{ada}/merge", {"source_contact_id": ida}))
    granted.settle()
    assert granted.figures(survey)["total_responses"] == 2
    granted.advance(HOUR)
    assert len(granted.mailbox()) == 1
    granted.client.delete(f"/v1/contacts/{ada}")
    granted.settle()
    figures = granted.figures(survey)
    assert (figures["total_sent"], figures["total_responses"]) == (0, 0)


def test_timers_of_sends_reminders_and_sweeps_of_a_live_project(
    live_surveys: SurveyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = live_surveys.segment()
    survey = live_surveys.survey(trigger={"event": "trial_expired", "delay": "1h"}, remind_after="1d")
    live_surveys.survey(name="recurring", trigger={"segment_id": everybody}, repeat="1d")
    live_surveys.contact("ada")
    live_surveys.track("ada", "trial_expired")
    for kind, passed in ((surveys.DUE, HOUR), (surveys.DUE, DAY), (surveys.SWEEP, 0)):
        pass_time(live_surveys, passed)
        with monkeypatch.context() as patch:
            deny_secret(patch)
            live_surveys.fire(kind)
        live_surveys.settle()
    assert len(live_surveys.office.taken) == 3
    assert live_surveys.rows(survey)[0]["reminded_at"] is not None
