"""What a worker is about to do in a project with surveys, which may be told again, and what is there in the end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from chalicelib.core import clock, events
from chalicelib.features.surveys import service as surveys
from chalicelib.flows.surveys import count, effects, follow_merge, leave, on_events
from chalicelib.platform import outbox, survey_tokens
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.survey_tokens import Token
from chalicelib.workers import jobs, mails, timers
from tests.support import pipeline
from tests.support.referral_world import PROGRAM
from tests.support.survey_state import state
from tests.support.survey_world import SurveyWorld

LATER = clock.HOUR


@dataclass
class Story:
    """`act` does it; nothing of it is done yet. `people` are the contacts by name, `tokens` answer what they got."""

    world: SurveyWorld
    survey: str
    act: Callable[[], object]
    people: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def end(self, times: int = 2) -> dict[str, Any]:
        """What is there once it was told so often more, and all that follows was done."""
        self.world.settle()
        for _ in range(times):
            self.act()
            self.world.settle()
        return state(self.world)


def told(world: SurveyWorld, *names: str) -> list[DomainEvent]:
    """What the bus has not heard of yet, of these names."""
    records = world.table.records[world.done :]
    return [event for record in records for event in outbox.told_by(record) if event.name in names]


def pass_time(world: SurveyWorld, by: int) -> None:
    """Let the real clock go on, in ms; no timer fires by that."""
    now = clock.system_ms
    world.patch.setattr(clock, "system_ms", lambda: now() + by)


def fire(world: SurveyWorld) -> None:
    """Let the timers of sends fire whose moment has come."""
    world.fire(surveys.DUE, clock.system_ms())


def token_of(world: SurveyWorld, survey: str, contact: str) -> str:
    """The token of the newest send of a survey to a contact that was asked."""
    send = next(row for row in world.rows(survey) if row["contact_id"] == contact and row["sent_at"] is not None)
    return survey_tokens.make(Token(world.tenant, contact, survey, send["id"]))


def post(world: SurveyWorld, survey: str, key: str | None = None, /, **body: Any) -> int:
    """The status of an answer by the API."""
    return world.client.post(f"/v1/surveys/{survey}/responses", body, key=key).status


def mail_of(world: SurveyWorld) -> Callable[[], object]:
    """The delivery of the one message that lies in the queue of mails once the bus has worked."""
    while not world.mails:
        assert world.run_bus() or world.run_jobs()
    (message,), world.mails = world.mails, []
    return delivery(message)


def delivery(message: str) -> Callable[[], object]:
    """The delivery of a message to the worker that mails, once."""
    return lambda: mails.handle({"Records": [{"messageId": "m", "body": message}]}, pipeline.Context())


def page_of(world: SurveyWorld) -> Callable[[], object]:
    """The same of the jobs."""
    while not world.jobs:
        assert world.run_bus()
    (body,), world.jobs = world.jobs, []
    return lambda: jobs.handle({"Records": [{"messageId": "m", "body": body}]}, pipeline.Context())


def tells(world: SurveyWorld, user: str) -> None:
    """The event that asks; nobody has heard of it."""
    world.receive({"user_id": user, "event": "trial_expired"}, "track")


def event(world: SurveyWorld) -> Story:
    survey, ada = world.survey(trigger={"event": "trial_expired", "delay": "1h"}), world.contact("ada")
    world.settle()
    tells(world, "ada")
    heard = told(world, events.ACTIVITY_RECORDED)
    return Story(world, survey, lambda: on_events.run(world.tenant, heard), {"ada": ada})


def entering(world: SurveyWorld) -> Story:
    trial = world.segment({"field": "traits.plan", "op": "eq", "value": "trial"})
    survey = world.survey(trigger={"segment_id": trial, "delay": "1h"})
    ada = world.contact("ada", plan="trial")
    while not (heard := told(world, events.SEGMENT_ENTERED)):
        assert world.run_bus()
    return Story(world, survey, lambda: on_events.run(world.tenant, heard), {"ada": ada})


def sweep(world: SurveyWorld) -> Story:
    trial = world.segment({"field": "traits.plan", "op": "eq", "value": "trial"})
    people = {each: world.contact(each, plan="trial") for each in ("ada", "bob")}
    world.settle()
    made = world.client.post(
        "/v1/surveys",
        {"name": "NPS", "type": "nps", "question": "?", "trigger": {"segment_id": trial}, "repeat": "90d"},
    ).json["id"]
    world.ok(world.client.post(f"/v1/surveys/{made}/activate", {}))
    while not any("survey_sweep" in each for each in world.jobs):
        assert world.run_bus()
    world.jobs = [each for each in world.jobs if "survey_sweep" in each]
    return Story(world, made, page_of(world), people)


def timer(world: SurveyWorld) -> Story:
    survey, ada = world.survey(trigger={"event": "trial_expired", "delay": "1h"}), world.contact("ada")
    world.track("ada", "trial_expired")
    pass_time(world, LATER)
    ((key, row),) = [each for each in world.table.rows.items() if each[1].get("kind") == surveys.DUE]
    name, moment = key.sk.removeprefix("TIMER#"), row["moment"]
    return Story(
        world, survey, lambda: timers.fire_due(world.tenant, key.pk, name, moment, clock.system_ms()), {"ada": ada}
    )


def asking(world: SurveyWorld, **fields: Any) -> Story:
    survey, ada = world.survey(**fields), world.contact("ada")
    world.settle()
    tells(world, "ada")
    return Story(world, survey, mail_of(world), {"ada": ada})


def by_widget(world: SurveyWorld) -> Story:
    return asking(world, channels=["widget"])


def answered(world: SurveyWorld, score: int | None = None, **fields: Any) -> Story:
    """Ada was asked, and has answered where there is a score; the bus has not heard of that. Nothing to be done yet."""
    survey, ada = world.survey(**fields), world.contact("ada")
    world.track("ada", "trial_expired")
    token = token_of(world, survey, ada)
    if score is not None:
        assert post(world, survey, world.write_key, token=token, score=score, comment="So") == 201
    return Story(world, survey, lambda: None, {"ada": ada}, {"ada": token})


def reminding(world: SurveyWorld) -> Story:
    story = answered(world, remind_after="1h")
    pass_time(world, LATER)
    fire(world)
    story.act = mail_of(world)
    return story


def resuming(world: SurveyWorld) -> Story:
    """Two sends fell due in a pause."""
    survey = world.survey()
    people = {each: world.contact(each) for each in ("ada", "bob")}
    world.settle()
    for each in people:
        tells(world, each)
    while len(world.mails) < len(people):
        assert world.run_bus()
    world.do(survey, "pause")
    assert world.states(survey) == [("waiting", None)] * 2
    world.ok(world.client.post(f"/v1/surveys/{survey}/activate", {}))
    return Story(world, survey, page_of(world), people)


def answering(world: SurveyWorld) -> Story:
    story = answered(world)
    story.act = lambda: post(world, story.survey, world.write_key, token=story.tokens["ada"], score=9, comment="So")
    return story


def answering_unasked(world: SurveyWorld) -> Story:
    survey, ada = world.survey(), world.contact("ada")
    world.settle()
    return Story(world, survey, lambda: post(world, survey, contact_id=ada, score=9, comment="So"), {"ada": ada})


def correcting(world: SurveyWorld) -> Story:
    story = answered(world, 3)
    world.settle()
    story.act = lambda: post(world, story.survey, world.write_key, token=story.tokens["ada"], score=9)
    return story


def actions(world: SurveyWorld) -> dict[str, Any]:
    """All that may follow the answer of a promoter, and tags of a detractor."""
    campaign = world.lifecycle({"delay": "1d"}, trigger={"event": "nobody does this"})
    program = world.ok(world.client.post("/v1/referrals/programs", PROGRAM))["id"]
    promoter = {"start_campaign_id": campaign, "referral_program_id": program, "pause_marketing_days": 3}
    return {"promoter": promoter | {"add_tags": ["fan"]}, "detractor": {"add_tags": ["unhappy"]}}


def following(world: SurveyWorld) -> Story:
    """All effects of an answer."""
    story = answered(world, 9, actions=actions(world))
    heard = told(world, events.SURVEY_ANSWERED)
    story.act = lambda: effects.run(world.tenant, heard)
    return story


def thanking(world: SurveyWorld) -> Story:
    """The mail with the referral link."""
    program = world.ok(world.client.post("/v1/referrals/programs", PROGRAM))["id"]
    story = answered(world, 9, actions={"promoter": {"referral_program_id": program}})
    story.act = mail_of(world)
    return story


def often_asked(world: SurveyWorld) -> Story:
    """Ada and bob were asked thrice: each has answered one, is to be reminded of one, and waits for one."""
    survey = world.survey(
        trigger={"event": "trial_expired", "delay": "1h"},
        frequency_cap={"max_surveys_per_contact": 5},
        remind_after="2d",
    )
    people = {each: world.contact(each) for each in ("ada", "bob")}
    world.settle()
    for n in range(3):
        for each in people:
            world.track(each, "trial_expired")
        if n < 2:
            pass_time(world, LATER)
            fire(world)
            world.settle()
        if n == 0:
            for each, score in zip(people.values(), (2, 9), strict=True):
                world.answer(survey, each, score)
    tokens = {each: token_of(world, survey, ident) for each, ident in people.items()}
    return Story(world, survey, lambda: None, people, tokens)


def merging(world: SurveyWorld) -> Story:
    """Ada is part of bob now."""
    story = often_asked(world)
    merge(world, story.people["bob"], story.people["ada"])
    heard = told(world, events.CONTACT_MERGED)
    story.act = lambda: follow_merge.run(world.tenant, heard)
    return story


def deleting(world: SurveyWorld) -> Story:
    story = often_asked(world)
    world.client.delete(f"/v1/contacts/{story.people['ada']}")
    heard = told(world, events.CONTACT_DELETED)
    story.act = lambda: leave.deleted(world.tenant, heard)
    return story


def counting(world: SurveyWorld) -> Story:
    """A send that was answered, and corrected."""
    story = answering_unasked(world)
    story.act()
    post(world, story.survey, contact_id=story.people["ada"], score=2)
    heard = told(world, events.SURVEY_SENT, events.SURVEY_ANSWERED, events.SURVEY_CORRECTED)
    assert len(heard) == 3
    story.act = lambda: count.run(world.tenant, heard)
    return story


STORIES: dict[str, Callable[[SurveyWorld], Story]] = {
    "event": event,
    "entering": entering,
    "sweep": sweep,
    "timer": timer,
    "asking": asking,
    "widget": by_widget,
    "reminding": reminding,
    "resuming": resuming,
    "answering": answering,
    "unasked": answering_unasked,
    "correcting": correcting,
    "following": following,
    "thanking": thanking,
    "merging": merging,
    "deleting": deleting,
    "counting": counting,
}


CALLS = {
    "event": 4,
    "entering": 4,
    "sweep": 27,
    "timer": 3,
    "asking": 6,
    "widget": 3,
    "reminding": 6,
    "resuming": 12,
    "answering": 5,
    "unasked": 5,
    "correcting": 2,
    "following": 14,
    "thanking": 7,
    "merging": 20,
    "deleting": 13,
    "counting": 6,
}
"""Calls of the table by which each is done."""


@cache
def undisturbed(name: str) -> dict[str, Any]:
    """What is there in the end of a story in a project of its own."""
    with pytest.MonkeyPatch.context() as patch:
        story = STORIES[name](SurveyWorld(patch, is_test=False))
        story.act()
        return story.end()


def merge(world: SurveyWorld, stays: str, goes: str) -> None:
    """Merge two contacts; nobody has heard of it yet."""
    world.ok(world.client.post(f"/v1/contacts/{stays}/merge", {"source_contact_id": goes}))
