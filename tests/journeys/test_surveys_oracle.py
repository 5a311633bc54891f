"""Surveys with everything that may happen to those who are asked, against a model that knows nothing of the product.

Compared are all sends, responses, mails, figures, profiles, and explanations of each survey to each contact.
"""

from collections import Counter

import pytest

from tests.support import survey_recount
from tests.support.survey_chance import Chance
from tests.support.survey_oracle import HOUR
from tests.support.survey_world import SurveyWorld


@pytest.mark.parametrize("seed", [pytest.param(n, marks=[pytest.mark.prove] if n > 1 else []) for n in range(8)])
def test_who_is_asked_when_and_by_what_and_who_not_and_why_is_what_the_model_says(
    surveying: SurveyWorld, seed: int
) -> None:
    Chance(seed, surveying, 12).run(150, 50)


@pytest.mark.parametrize("seed", [pytest.param(n, marks=[pytest.mark.prove] if n > 10 else []) for n in range(10, 14)])
def test_so_it_is_with_quiet_hours(surveying: SurveyWorld, seed: int) -> None:
    Chance(seed, surveying, 10, quiet=True).run(120, 60)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(200, 208))
def test_so_it_is_in_long_histories(surveying: SurveyWorld, seed: int) -> None:
    Chance(seed, surveying, 40, quiet=seed % 4 == 3).run(2_000, 250)


OBSTACLES = ("unsubscribed", "no_email", "bounced", "complained", "paused_marketing")
WANTED = {
    *(("explain", each) for each in ("draft", "paused", "archived", "left_segment", "max_surveys", "cooldown")),
    *(("explain", each) for each in (*OBSTACLES, "waiting", "None")),
    *(("seen", each) for each in ("waiting", "sent", "answered", "expired", "skipped")),
    *(("send", "skipped", each) for each in ("archived", "merged", "left_segment", "max_surveys", "cooldown")),
    *(("send", "skipped", each) for each in OBSTACLES),
    *(("not reminded", each) for each in ("archived", "unsubscribed", "bounced", "complained", "paused_marketing")),
    *(("cause", each, "email") for each in ("event", "segment", "sweep")),
    *(("cause", "event", each) for each in ("widget", "email+widget")),
    ("cause", "api", ""),
    *(("answer", each) for each in ("200", "201", "404", "409")),
    *(("mail", each) for each in ("ask", "reminder")),
}


@pytest.mark.prove
@pytest.mark.parametrize("seed", [301])
def test_so_it_is_with_300_contacts(surveying: SurveyWorld, seed: int) -> None:
    chance = Chance(seed, surveying, 300, pace=10 * HOUR)
    chance.run(6_000, 1_000)
    # That they agree says something only where everything happened.
    assert sorted(WANTED - counted(chance).keys()) == []


def counted(chance: Chance) -> Counter[tuple[str, ...]]:
    """How often each thing came about, so that none of them was left out."""
    model = chance.model
    found: Counter[tuple[str, ...]] = Counter({("explain", reason): n for reason, n in chance.play.reasons.items()})
    found.update(("answer", str(status)) for status in chance.play.statuses.elements())
    found.update(("seen", state) for state in chance.play.states.elements())
    found.update(("mail", kind) for _, _, kind, _ in model.mails)
    for survey in model.surveys:
        for _, send in survey_recount.sends(model, survey):
            found["send", send.shown(model.now), str(send.reason)] += 1
            found["cause", send.cause, "+".join(send.by)] += 1
            if send.not_reminded is not None:
                found["not reminded", send.not_reminded] += 1
    return found
