"""What happens in one moment to surveys: the end is one that the two could have had one after the other."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import pytest

from chalicelib.core.errors import Unavailable
from tests.support.survey_story import STORIES, Story, merge, post
from tests.support.survey_world import SurveyWorld

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
@pytest.mark.parametrize(("name", "number"), [(name, n) for name, calls in AMONG.items() for n in range(calls)])
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
