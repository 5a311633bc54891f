"""What happens in one moment to surveys: the end is one that the two could have had one after the other."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.core.errors import Unavailable
from chalicelib.features.messaging import service as messaging
from tests.support.survey_state import state
from tests.support.survey_story import (
    CALLS,
    STORIES,
    Story,
    delivery,
    fire,
    merge,
    pass_time,
    post,
    tells,
    undisturbed,
)
from tests.support.survey_world import SurveyWorld
from tests.support.wait_world import at_once

CALLS_OF_A_HOLD = 3
_ONE_IN = 8


def some(cases: list[tuple[Any, ...]]) -> list[Any]:
    """All of these; of each eight one runs always, and the others where all is to be proven."""
    return [pytest.param(*each, marks=[pytest.mark.prove] if n % _ONE_IN else []) for n, each in enumerate(cases)]


"""Those by which what is due is held back while its survey is paused."""

Other = Callable[[SurveyWorld, Story], object]
CALLERS = ("answering", "unasked", "correcting")
"""Stories of a call of the API, which is not told again by itself."""

AMONG = {
    "event": 3,
    "asking": 4,
    "widget": 3,
    "reminding": 6,
    "answering": 5,
    "unasked": 4,
    "correcting": 2,
    "following": 13,
    "thanking": 7,
}
"""By how many calls each is done where others were done before."""


class Accompanied(SurveyWorld):
    """Bob was asked before whomever the story is of; he has answered, unless his send waits."""

    def begun(self, body: dict[str, Any]) -> str:
        survey = super().begun(body)
        bob = self.contact("bob")
        self.track("bob", "trial_expired")
        if self.states(survey) == [("sent", None)]:
            self.answer(survey, bob, 8)
        return survey

    @property
    def bob(self) -> str:
        return str(self.get("/v1/contacts", external_id="bob")["data"][0]["id"])


def again(_world: SurveyWorld, story: Story) -> None:
    story.act()


def answers(world: SurveyWorld, story: Story) -> None:
    """A first answer, or one that corrects."""
    assert post(world, story.survey, contact_id=story.people["ada"], score=2) < 500


def goes(world: SurveyWorld, story: Story) -> None:
    merge(world, Accompanied.bob.fget(world), story.people["ada"])  # type: ignore[attr-defined]


def absorbs(world: SurveyWorld, story: Story) -> None:
    merge(world, story.people["ada"], Accompanied.bob.fget(world))  # type: ignore[attr-defined]


def is_deleted(world: SurveyWorld, story: Story) -> None:
    assert world.client.delete(f"/v1/contacts/{story.people['ada']}").status == 200


def unsubscribes(world: SurveyWorld, story: Story) -> None:
    world.ok(world.client.patch(f"/v1/contacts/{story.people['ada']}", {"unsubscribed": True}))


def is_archived(world: SurveyWorld, story: Story) -> None:
    world.ok(world.client.post(f"/v1/surveys/{story.survey}/archive", {}))


OTHERS: dict[str, Other] = {
    each.__name__: each for each in (again, answers, goes, absorbs, is_deleted, unsubscribes, is_archived)
}


def ended(story: Story, name: str) -> dict[str, Any]:
    return story.end(0 if name in CALLERS else 2)


@cache
def one_after_the_other(name: str, other: str) -> list[dict[str, Any]]:
    """The ends of a story and something else, whichever is first, and whether or not the bus hears of that between."""
    ends = []
    for is_first in (False, True):
        for is_heard in (False, True):
            with pytest.MonkeyPatch.context() as patch:
                world = Accompanied(patch, is_test=False)
                story = STORIES[name](world)
                acts: list[Callable[[], object]] = [story.act, lambda: OTHERS[other](world, story)]  # noqa: B023
                for act in reversed(acts) if is_first else acts:
                    act()
                    if is_heard:
                        world.settle()
                ends.append(ended(story, name))
    return ends


@pytest.mark.parametrize("settled", [False, True], ids=["unheard", "heard"])
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize(("name", "number"), some([(name, n) for name, calls in AMONG.items() for n in range(calls)]))
def test_two_at_once_end_as_one_after_the_other(
    engine: str, monkeypatch: pytest.MonkeyPatch, name: str, number: int, other: str, *, settled: bool
) -> None:
    expected = one_after_the_other(name, other)
    world = Accompanied(monkeypatch, is_test=False)
    story = STORIES[name](world)

    def meanwhile() -> None:
        OTHERS[other](world, story)
        if settled:
            world.settle()

    done: object = None
    with world.halted_at(number, meanwhile, after=False) as halted, suppress(Unavailable):  # it comes again
        done = story.act()
    assert halted
    if name in CALLERS:
        assert done in (200, 201, 404, 409)
    assert ended(story, name) in expected


def has_no_address(world: SurveyWorld, story: Story) -> None:
    world.ok(world.client.patch(f"/v1/contacts/{story.people['ada']}", {"traits": {"email": None}}))


def bounces(world: SurveyWorld, _story: Story) -> None:
    messaging.suppress(world.tenant, "ada@example.com", "bounced", clock.system_ms())


FORBIDDING = (unsubscribes, has_no_address, bounces, is_deleted)


@pytest.mark.parametrize(
    ("name", "happening"),
    [("asking", goes), *((name, each) for name in ("asking", "reminding", "thanking") for each in FORBIDDING)],
)
def test_what_forbids_a_mail_while_it_is_being_made_still_stops_it(
    engine: str, monkeypatch: pytest.MonkeyPatch, name: str, happening: Other
) -> None:
    """All has been read, and the mail is about to be claimed; bob, of whom ada is a part then, was asked before."""
    world = Accompanied(monkeypatch, is_test=False)
    story = STORIES[name](world)
    before = len(world.office.taken)

    def interfere(call: str) -> None:
        if call == "transact":
            world.table.on_call = lambda _name: None
            happening(world, story)

    world.table.on_call = interfere
    story.act()
    story.end()
    assert len(world.office.taken) == before


def due_together(world: SurveyWorld) -> list[Callable[[], object]]:
    """What is due of two surveys that ask one contact, each at most once in a day."""
    for name in ("one", "two"):
        world.survey(name=name, frequency_cap={"cooldown_days": 1})
    world.contact("ada")
    world.settle()
    tells(world, "ada")
    while len(world.mails) < 2:
        assert world.run_bus()
    waiting, world.mails = world.mails, []
    return [delivery(each) for each in waiting]


@pytest.mark.parametrize("number", range(6))
def test_of_two_surveys_that_are_due_at_once_one_passes_the_cooldown(live_surveys: SurveyWorld, number: int) -> None:
    first, second = due_together(live_surveys)
    with live_surveys.halted_at(number, second, after=False) as halted:
        first()
    assert halted
    live_surveys.settle()
    found = state(live_surveys)
    assert [each[2:4] for each in found["sends"]].count(("sent", None)) == 1
    assert [each[2:4] for each in found["sends"]].count(("skipped", "cooldown")) == 1
    assert len(found["mails"]) == 1


MAILED = ("asking", "widget", "reminding")


def pause(world: SurveyWorld, survey: str) -> None:
    world.ok(world.client.post(f"/v1/surveys/{survey}/pause", {}))


def go_on(world: SurveyWorld, survey: str) -> None:
    world.ok(world.client.post(f"/v1/surveys/{survey}/activate", {}))


@pytest.mark.parametrize(("name", "number"), [(name, n) for name in MAILED for n in range(CALLS[name])])
def test_what_falls_due_in_the_moment_of_a_pause_leaves_then_or_when_the_survey_goes_on(
    live_surveys: SurveyWorld, name: str, number: int
) -> None:
    story = STORIES[name](live_surveys)
    with live_surveys.halted_at(number, lambda: pause(live_surveys, story.survey), after=False) as halted:
        story.act()
    assert halted
    left = story.end(0)
    pass_time(live_surveys, 5 * clock.SECOND)
    assert story.end() == left
    go_on(live_surveys, story.survey)
    assert story.end() == undisturbed(name)


@pytest.mark.parametrize("settled", [False, True], ids=["unheard", "heard"])
@pytest.mark.parametrize(("name", "number"), [(name, n) for name in MAILED for n in range(CALLS_OF_A_HOLD)])
def test_what_is_held_in_the_moment_of_a_resume_is_neither_lost_nor_doubled(
    live_surveys: SurveyWorld, name: str, number: int, *, settled: bool
) -> None:
    story = STORIES[name](live_surveys)
    pause(live_surveys, story.survey)

    def resume() -> None:
        go_on(live_surveys, story.survey)
        if settled:
            live_surveys.settle()

    with live_surveys.halted_at(number, resume, after=False) as halted:
        story.act()
    assert halted
    assert story.end() == undisturbed(name)


@pytest.mark.parametrize("settled", [False, True], ids=["unheard", "heard"])
@pytest.mark.parametrize("number", range(CALLS["resuming"]))
def test_what_is_released_in_the_moment_of_another_pause_is_neither_lost_nor_doubled(
    live_surveys: SurveyWorld, number: int, *, settled: bool
) -> None:
    story = STORIES["resuming"](live_surveys)

    def interrupt() -> None:
        pause(live_surveys, story.survey)
        if settled:
            live_surveys.settle()

    with live_surveys.halted_at(number, interrupt, after=False) as halted:
        story.act()
    assert halted
    live_surveys.settle()
    assert state(live_surveys)["mails"] == []
    assert state(live_surveys)["held"] == 2
    go_on(live_surveys, story.survey)
    assert story.end() == undisturbed("resuming")


def bob_answers(world: SurveyWorld, story: Story) -> None:
    """The one that is to be reminded of."""
    assert post(world, story.survey, contact_id=story.people["bob"], score=4) in (200, 201, 404)


def by_token_of_ada(world: SurveyWorld, story: Story) -> None:
    assert post(world, story.survey, world.write_key, token=story.tokens["ada"], score=5) in (200, 201, 404)


def is_asked(world: SurveyWorld, story: Story) -> None:
    """What waits for either falls due."""
    pass_time(world, 2 * clock.HOUR)
    fire(world)


def bob_is_deleted(world: SurveyWorld, story: Story) -> None:
    world.ok(world.client.delete(f"/v1/contacts/{story.people['bob']}"))


def bob_goes_too(world: SurveyWorld, story: Story) -> None:
    merge(world, world.contact("eve"), story.people["bob"])


MEANWHILE: dict[str, Other] = {
    each.__name__: each
    for each in (again, bob_answers, by_token_of_ada, is_asked, bob_is_deleted, bob_goes_too, is_archived)
}


@cache
def after_a_merge(other: str) -> list[dict[str, Any]]:
    """What is there in the end where something happens before or after the sends of the one who went are moved."""
    ends = []
    for is_first in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            story = STORIES["merging"](SurveyWorld(patch, is_test=False))
            acts: list[Callable[[], object]] = [story.act, lambda: MEANWHILE[other](story.world, story)]  # noqa: B023
            for act in reversed(acts) if is_first else acts:
                act()
            ends.append(story.end())
    return ends


@pytest.mark.parametrize("settled", [False, True], ids=["unheard", "heard"])
@pytest.mark.parametrize("other", MEANWHILE)
@pytest.mark.parametrize("number", some([(n,) for n in range(CALLS["merging"])]))
def test_what_happens_while_sends_move_ends_as_before_or_after_that(
    live_surveys: SurveyWorld, number: int, other: str, *, settled: bool
) -> None:
    story = STORIES["merging"](live_surveys)

    def meanwhile() -> None:
        MEANWHILE[other](live_surveys, story)
        if settled:
            live_surveys.settle()

    with live_surveys.halted_at(number, meanwhile, after=False) as halted, suppress(Unavailable):  # it comes again
        story.act()
    assert halted
    assert story.end() in after_a_merge(other)


def test_20_who_answer_one_send_by_its_token_and_for_its_contact_at_once_make_one_response(
    live_surveys: SurveyWorld,
) -> None:
    story = STORIES["answering"](live_surveys)
    calls = [{"token": story.tokens["ada"]}, {"contact_id": story.people["ada"]}]
    acts = [lambda n=n: post(live_surveys, story.survey, score=n % 11, **calls[n % 2]) for n in range(20)]
    assert sorted(at_once(acts, threads=20)) == [200] * 19 + [201]
    found = story.end(0)
    assert len(found["responses"]) == 1
    assert [each[2] for each in found["sends"]] == ["answered"]


def test_20_who_answer_for_somebody_who_was_not_asked_make_one_response(live_surveys: SurveyWorld) -> None:
    story = STORIES["unasked"](live_surveys)
    acts = [
        lambda n=n: post(live_surveys, story.survey, contact_id=story.people["ada"], score=n % 11) for n in range(20)
    ]
    assert sorted(at_once(acts, threads=20)) == [200] * 19 + [201]
    found = story.end(0)
    assert (len(found["responses"]), len(found["sends"])) == (1, 1)


def test_an_answer_for_whoever_has_just_absorbed_another_is_to_the_send_that_the_other_has_open(
    live_surveys: SurveyWorld,
) -> None:
    story = STORIES["answering"](live_surveys)
    bob = live_surveys.contact("bob")
    merge(live_surveys, bob, story.people["ada"])
    assert post(live_surveys, story.survey, contact_id=bob, score=9) == 201
    assert [each[1:5] for each in story.end()["sends"]] == [("bob", "answered", None, "event")]


def test_effects_of_an_answer_that_was_corrected_before_the_bus_came_to_it_tell_its_own_score(
    live_surveys: SurveyWorld,
) -> None:
    story = STORIES["following"](live_surveys)
    answers(live_surveys, story)
    live_surveys.settle()
    notes = live_surveys.notes(story.people["ada"])
    assert {(note["category"], note.get("score")) for note in notes} == {
        ("promoter", 9),
        ("promoter", None),
        ("detractor", 2),
    }
    assert [note["effect"] for note in notes if "score" not in note] == ["referral_mail"]


def test_all_that_an_answer_causes_is_there_once(live_surveys: SurveyWorld) -> None:
    story = STORIES["following"](live_surveys)
    story.act()
    ((*_, followed),) = story.end()["responses"]
    assert followed == [
        ("add_tags", "added", "promoter"),
        ("pause_marketing", "paused", "promoter"),
        ("referral_link", "issued", "promoter"),
        ("referral_mail", "sent", "promoter"),
        ("start_campaign", "started", "promoter"),
    ]
