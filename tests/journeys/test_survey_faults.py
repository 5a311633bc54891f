"""What dies, fails or comes twice in surveys: all that is there in the end is what one undisturbed run gives."""

from contextlib import suppress
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.workers import mails
from tests.support import pipeline
from tests.support.post_office import not_answered, not_reached, refused
from tests.support.survey_story import CALLS, STORIES, Story, fire, pass_time, undisturbed
from tests.support.survey_world import SurveyWorld

CALLS_OF_A_RELEASE = 2
"""Those by which a mail is released that was surely not sent."""

MAILS = {"asking": "ask", "reminding": "reminder", "thanking": "referral"}
"""Stories of one mail, and how it is called."""

AT_EACH_CALL = pytest.mark.parametrize(
    ("name", "number", "after"),
    [(name, number, after) for name, calls in CALLS.items() for number in range(calls) for after in (False, True)],
)


def but_mails(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in ("mails", "messages")}


def assert_sent_once_or_in_doubt(name: str, state: dict[str, Any]) -> None:
    """All but the mail is as in an undisturbed run; the mail left once at most, and is sent or known to be in doubt."""
    expected = undisturbed(name)
    assert but_mails(state) == but_mails(expected)
    lacking = list(expected["mails"])
    for each in state["mails"]:
        lacking.remove(each)
    assert len(lacking) <= 1
    (status,) = [status for mail, status in state["messages"] if mail == MAILS[name]]
    assert status in (("unconfirmed",) if lacking else ("sent", "unconfirmed"))


@pytest.mark.parametrize("name", STORIES)
def test_each_is_done_by_so_many_calls(live_surveys: SurveyWorld, name: str) -> None:
    """The tests at each call rest on it."""
    story = STORIES[name](live_surveys)
    calls: list[str] = []
    live_surveys.table.on_call = calls.append
    story.act()
    live_surveys.table.on_call = lambda _name: None
    assert len(calls) == CALLS[name]
    assert story.end() == undisturbed(name)


@AT_EACH_CALL
def test_who_dies_at_a_call_leaves_what_an_undisturbed_run_does(
    live_surveys: SurveyWorld, name: str, number: int, *, after: bool
) -> None:
    story = STORIES[name](live_surveys)
    with live_surveys.dying_at(number, after=after) as died, suppress(pipeline.Killed):
        story.act()
    assert died
    story.act()
    state = story.end()
    if name in MAILS:
        assert_sent_once_or_in_doubt(name, state)
    else:
        assert state == undisturbed(name)


@pytest.mark.parametrize("name", MAILS)
@pytest.mark.parametrize("moment", ["before", "after"])
def test_who_dies_beside_the_mail_service_sends_no_mail_twice(
    live_surveys: SurveyWorld, name: str, moment: str
) -> None:
    story = STORIES[name](live_surveys)
    before = len(live_surveys.office.taken)

    def die(_call: dict[str, Any]) -> None:
        setattr(live_surveys.office, moment, lambda _call: None)
        raise pipeline.Killed

    setattr(live_surveys.office, moment, die)
    with suppress(pipeline.Killed):
        story.act()
    state = story.end()
    assert_sent_once_or_in_doubt(name, state)
    assert len(live_surveys.office.taken) - before == (moment == "after")
    if moment == "after":
        live_surveys.tell(live_surveys.office.taken[-1], "Delivery")
        assert (MAILS[name], "delivered") in story.end()["messages"]


@pytest.mark.parametrize("name", MAILS)
@pytest.mark.parametrize(
    ("fault", "statuses"),
    [
        (refused("MessageRejected"), {"failed"}),
        (refused("MailFromDomainNotVerifiedException"), {"failed"}),
        (not_answered(), {"unconfirmed"}),
        (refused("InternalFailure", 500), {"unconfirmed"}),
    ],
)
def test_what_the_mail_service_does_with_a_mail_for_good_is_recorded_and_not_tried_again(
    live_surveys: SurveyWorld, name: str, fault: Exception, statuses: set[str]
) -> None:
    story = STORIES[name](live_surveys)
    before = len(live_surveys.office.taken)
    live_surveys.office.before = lambda _call: raising(fault)
    story.act()
    live_surveys.office.before = lambda _call: None
    state = story.end()
    assert but_mails(state) == but_mails(undisturbed(name))
    assert {status for mail, status in state["messages"] if mail == MAILS[name]} == statuses
    assert len(live_surveys.office.taken) == before


def raising(fault: Exception) -> None:
    raise fault


def throttled(world: SurveyWorld, story: Story, fault: Exception | None = None) -> list[str]:
    """The mail service does not take the story's mail for the time being; what is queued to try it again."""
    world.office.before = lambda _call: raising(fault or refused("Throttling"))
    story.act()
    world.office.before = lambda _call: None
    return list(world.mails)


AGAIN = [refused("Throttling"), refused("AccountSendingPausedException"), not_reached()]


@pytest.mark.parametrize("name", MAILS)
@pytest.mark.parametrize("fault", AGAIN)
def test_what_the_mail_service_did_not_take_for_the_time_being_is_sent_later_once(
    live_surveys: SurveyWorld, name: str, fault: Exception
) -> None:
    story = STORIES[name](live_surveys)
    before = len(live_surveys.office.taken)
    assert len(throttled(live_surveys, story, fault)) == 1
    assert len(live_surveys.office.taken) == before
    assert story.end() == undisturbed(name)


@pytest.mark.parametrize("name", MAILS)
def test_what_is_not_taken_three_times_is_told_of_once(live_surveys: SurveyWorld, name: str) -> None:
    story = STORIES[name](live_surveys)
    for _ in range(3):
        throttled(live_surveys, story)
    assert story.end() == undisturbed(name)


@pytest.mark.parametrize(
    ("name", "number", "after"),
    [(name, number, after) for name in MAILS for number in range(CALLS_OF_A_RELEASE) for after in (False, True)],
)
def test_who_dies_while_a_mail_that_was_not_taken_is_released_sends_it_once_or_leaves_it_in_doubt(
    live_surveys: SurveyWorld, name: str, number: int, *, after: bool
) -> None:
    story = STORIES[name](live_surveys)
    dying = live_surveys.dying_at(number, after=after)
    died: list[list[str]] = []

    def refuse(_call: dict[str, Any]) -> None:
        died.append(dying.__enter__())
        raise refused("Throttling")

    live_surveys.office.before = refuse
    with suppress(pipeline.Killed):
        story.act()
    dying.__exit__(None, None, None)
    live_surveys.office.before = lambda _call: None
    assert died[0]
    state = story.end()
    assert but_mails(state) == but_mails(undisturbed(name))
    (status,) = [status for mail, status in state["messages"] if mail == MAILS[name]]
    assert state["mails"] == undisturbed(name)["mails"] if status == "sent" else status == "unconfirmed"


@pytest.mark.parametrize("name", MAILS)
def test_what_was_not_taken_and_told_in_doubt_by_a_second_delivery_fails_at_once(
    live_surveys: SurveyWorld, name: str
) -> None:
    story = STORIES[name](live_surveys)
    before = len(live_surveys.office.taken)

    def fail(_call: dict[str, Any]) -> None:
        live_surveys.office.before = lambda _call: None
        story.act()
        raise refused("Throttling")

    live_surveys.office.before = fail
    story.act()
    state = story.end()
    assert but_mails(state) == but_mails(undisturbed(name))
    assert [status for mail, status in state["messages"] if mail == MAILS[name]] == ["failed"]
    assert len(live_surveys.office.taken) == before


@pytest.mark.parametrize("name", ["asking", "reminding"])
def test_what_was_not_taken_is_held_by_a_pause_that_began_since(live_surveys: SurveyWorld, name: str) -> None:
    story = STORIES[name](live_surveys)
    before = len(live_surveys.office.taken)
    throttled(live_surveys, story)
    live_surveys.do(story.survey, "pause")
    assert len(live_surveys.office.taken) == before
    live_surveys.do(story.survey, "activate")
    assert story.end() == undisturbed(name)


@pytest.mark.parametrize("name", ["asking", "reminding"])
def test_what_was_not_taken_is_not_sent_of_a_survey_that_has_ended_since(live_surveys: SurveyWorld, name: str) -> None:
    story = STORIES[name](live_surveys)
    before = len(live_surveys.office.taken)
    throttled(live_surveys, story)
    live_surveys.do(story.survey, "archive")
    assert len(live_surveys.office.taken) == before
    assert story.end()["held"] == 0


@pytest.mark.parametrize("name", ["asking", "reminding"])
def test_what_was_not_taken_waits_for_the_end_of_quiet_hours_that_began_since(
    live_surveys: SurveyWorld, name: str
) -> None:
    story = STORIES[name](live_surveys)
    before = len(live_surveys.office.taken)
    throttled(live_surveys, story)
    hour = clock.system_ms() // clock.HOUR % 24
    quiet = {"start": f"{hour:02d}:00", "end": f"{(hour + 2) % 24:02d}:00"}
    live_surveys.ok(live_surveys.client.patch("/v1/settings", {"quiet_hours": quiet}))
    waiting, live_surveys.mails = live_surveys.mails, []
    for body in waiting:
        live_surveys.deliver(mails.handle, {"Records": [{"messageId": "m", "body": body}]})
    assert len(live_surveys.office.taken) == before
    pass_time(live_surveys, 2 * clock.HOUR)
    fire(live_surveys)
    assert story.end() == undisturbed(name)
