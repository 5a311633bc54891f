"""Random histories of surveys against an independent model: who is asked, when and by what, and who not and why.

Nine surveys run at once, and all is compared: sends with their states, reasons, channels and moments, the mails in the
test mailbox, responses, figures as a recount of them, explanations, last scores, and what widgets show.
In `plain` ones answers start a campaign, in `senders` the project's address goes and comes back, in `quiet` there are
quiet hours.
"""

import pytest

from tests.support.survey_compare import agrees, tally
from tests.support.survey_history import Play
from tests.support.survey_world import SurveyWorld

FLAVOURS = ("plain", "senders", "quiet")
MAIL = {"unsubscribed", "no_email", "bounced", "complained", "paused_marketing"}
REASONS = MAIL | {"archived", "merged", "left_segment", "max_surveys", "cooldown"}
"""Why somebody is not asked; without a sender there is one more, and nobody cools down in quiet hours."""


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("seed", range(3))
def test_who_is_asked_and_who_not_and_why_is_what_the_model_says(
    surveying: SurveyWorld, flavour: str, seed: int
) -> None:
    play = Play(surveying, seed, 12, flavour)
    for _ in range(3):
        for _ in range(30):
            play.act()
        agrees(play)
    assert play.model.mails


@pytest.mark.prove
@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("seed", range(100, 116))
def test_so_it_is_in_long_histories(surveying: SurveyWorld, flavour: str, seed: int) -> None:
    play = Play(surveying, seed, 25, flavour)
    for _ in range(8):
        for _ in range(60):
            play.act()
        agrees(play)
    print(seed, flavour, tally(play))  # noqa: T201 - what it has compared


@pytest.mark.prove
@pytest.mark.parametrize(("seed", "flavour"), [(200, "plain"), (201, "senders"), (202, "quiet")])
def test_of_300_contacts_each_is_asked_or_not_for_the_reason_that_the_model_gives(
    surveying: SurveyWorld, seed: int, flavour: str
) -> None:
    play = Play(surveying, seed, 300, flavour)
    for _ in range(3):
        for _ in range(500):
            play.act()
        agrees(play)
    told = tally(play)
    print(seed, flavour, told)  # noqa: T201 - what it has compared
    # That they agree says something only where everything happened.
    more = {"plain": set[str](), "senders": {"no_sender"}, "quiet": set[str]()}[flavour]
    reasons = REASONS - {"cooldown"} if flavour == "quiet" else REASONS
    assert told["sends"].keys() >= {"sent", "answered", "expired"} | reasons | more
    assert told["causes"].keys() == {"event", "segment", "sweep", "api"}
    assert told["channels"].keys() == {"email", "widget", "email+widget", ""}
    assert told["reminders"].keys() >= {"sent", "unsubscribed", "complained"}
    assert told["happened"].keys() >= {"answer 200", "answer 201", "answer 409", "merges", "is deleted", "imported"}
