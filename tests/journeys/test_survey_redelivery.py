"""Surveys of a project while all that is delivered comes twice, in any order, and whoever works dies now and then."""

import random
from collections import Counter
from functools import cache
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.core.clock import DAY, HOUR
from chalicelib.features.campaigns import service as campaigns
from chalicelib.workers import jobs
from tests.support import pipeline
from tests.support.survey_state import state
from tests.support.survey_story import actions, fire, merge, pass_time, post
from tests.support.survey_world import SurveyWorld

SEEDS = [pytest.param(seed, marks=[pytest.mark.prove] if seed > 1 else []) for seed in range(8)]
CROWD = 8


class Turmoil:
    """What is delivered in a world comes again and in any order; with a `share`, so many calls are the last ones."""

    def __init__(self, world: SurveyWorld, seed: int, share: float = 0.0) -> None:
        self.world, self.chance, self.share = world, random.Random(seed), share
        self.killed = self.pages = 0
        self.records: list[dict[str, Any]] = []
        self.bodies: list[str] = []
        world.receives = 100_000
        world.hears = self._hears
        world.queued = self._queued
        world.redelivering = self._comes_again

    def _hears(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        mixed = [*records, *self.chance.sample(self.records, min(len(self.records), len(records) // 3))]
        self.records += records
        self.chance.shuffle(mixed)
        return mixed

    def _queued(self, bodies: list[str]) -> list[str]:
        mixed = [*bodies, *self.chance.sample(self.bodies, min(len(self.bodies), len(bodies)))]
        self.bodies += bodies
        self.chance.shuffle(mixed)
        return mixed

    def _comes_again(self, handle: pipeline.Handler) -> bool:
        """A page that comes again walks on beside itself: only some of the first do."""
        self.pages += handle is jobs.handle
        return self.chance.random() < (0.5 if handle is not jobs.handle or self.pages < 20 else 0.0)

    def _die(self, _name: object) -> None:
        if self.chance.random() < self.share:
            self.killed += 1
            raise pipeline.Killed

    def settle(self) -> None:
        """Let all act; whoever calls the API does not die."""
        table, office = self.world.table, self.world.office
        table.on_call = table.after_call = self._die
        office.before = office.after = self._die
        self.world.settle()
        table.on_call = table.after_call = lambda _name: None
        office.before = office.after = lambda _call: None


def life(world: SurveyWorld, settle: Any) -> dict[str, Any]:
    """All that happens with surveys: they ask, remind, recur and pause; people answer, correct, are merged and go."""
    everybody = world.segment()
    repeated = {"repeat": "30d", "channels": ["widget"], "frequency_cap": {"max_surveys_per_contact": None}}
    survey = world.survey(trigger={"event": "trial_expired", "delay": "1h"}, remind_after="2d", actions=actions(world))
    people = [world.contact(f"u{n}") for n in range(CROWD)]
    settle()
    recurring = world.survey(name="recurring", trigger={"segment_id": everybody}, **repeated)
    paused = world.survey(name="paused", trigger={"event": "trial_expired", "delay": "1h"}, channels=["email"])
    for n in range(CROWD):
        for _ in range(2):
            world.receive({"user_id": f"u{n}", "event": "trial_expired"}, "track")
    settle()
    world.ok(world.client.post(f"/v1/surveys/{paused}/pause", {}))
    pass_time(world, HOUR)
    fire(world)
    settle()
    for n, contact in enumerate(people[:-2]):
        assert post(world, survey, contact_id=contact, score=10 - n, comment="So") == 201
        assert post(world, recurring, contact_id=contact, score=n) == 201
    settle()
    for n, contact in enumerate(people[:3]):
        assert post(world, survey, contact_id=contact, score=2 + 4 * n) == 200
    merge(world, people[1], people[4])
    world.client.delete(f"/v1/contacts/{people[5]}")
    settle()
    merge(world, people[6], people[0])
    world.ok(world.client.post(f"/v1/surveys/{paused}/activate", {}))
    settle()
    pass_time(world, 3 * DAY)
    fire(world)
    world.fire(campaigns.STEP, clock.system_ms())
    settle()
    (campaign,) = world.get("/v1/campaigns")["data"]
    return state(world) | {"started": world.get(f"/v1/campaigns/{campaign['id']}/stats")["stats"]}


@cache
def undisturbed() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        world = SurveyWorld(patch, is_test=False)
        return life(world, world.settle)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_comes_twice_and_in_another_order_ends_as_what_comes_once(live_surveys: SurveyWorld, seed: int) -> None:
    expected = undisturbed()
    assert life(live_surveys, Turmoil(live_surveys, seed).settle) == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_that_die_at_random_leave_no_more_than_mails_in_doubt(live_surveys: SurveyWorld, seed: int) -> None:
    turmoil = Turmoil(live_surveys, seed, 0.02)
    found, expected = life(live_surveys, turmoil.settle), dict(undisturbed())
    assert turmoil.killed > 20
    left, due = Counter(found.pop("mails")), Counter(expected.pop("mails"))
    assert left <= due
    messages, all_messages = found.pop("messages"), expected.pop("messages")
    assert [kind for kind, _ in messages] == [kind for kind, _ in all_messages]
    started, all_started = found.pop("started"), expected.pop("started")
    assert started["sent"] + started["unconfirmed"] == all_started["sent"] > 0
    in_doubt = sum(status == "unconfirmed" for _, status in messages) + started["unconfirmed"]
    assert (due - left).total() <= in_doubt
    assert found == expected
