"""The surveys and segments of a random history."""

import random
from typing import Any

from chalicelib.core.clock import SECOND
from tests.support.survey_people import DAY, HOUR, WINDOW, Action, Form

QUESTIONS = [
    {"id": "q1", "type": "rating", "text": "How was it?"},
    {"id": "q2", "type": "single_choice", "text": "Which one?", "options": ["red", "blue"]},
]
LOGIN = {"field": "events.login", "op": "count_gte", "value": 1}
RULES: dict[str, list[dict[str, Any]]] = {
    "active": [LOGIN | {"window": "7d"}],
    "lapsed": [LOGIN, {"field": "events.login", "op": "count_lte", "value": 0, "window": "7d"}],
    "fans": [{"field": "tags", "op": "contains", "value": "fan"}],
    "unhappy": [{"field": "last_nps_score", "op": "lte", "value": 6}],
}
PLANS = ({"trial"}, {"trial", "basic"})
DELAYS = (0, 2_821, 11_102, 87_064, 119_948, 172_876, 259_651, 431_003)
"""Seconds, each of one survey, and no sum of some the sum of others: what is due for one person in one moment is in no
order. For the same reason nothing recurs in whole days."""


def drawn(rng: random.Random, *, quiet: bool, by_campaign: bool) -> list[Form]:
    """The surveys of a world. In quiet hours much falls due in one moment, in no order: there nobody cools down."""
    cooldowns = (0,) if quiet else (0, 0, DAY, 3 * DAY, 7 * DAY)
    delays = [each * SECOND for each in rng.sample(DELAYS, len(DELAYS))]
    promoter, detractor = Action(tag="fan", campaign=by_campaign), Action(pause=rng.choice((2, 5)) * DAY)
    acts = {"promoter": promoter, "detractor": detractor}
    forms = [
        Form("event", "nps", "closed", tier=rng.choice((None, "pro")), actions=acts),
        Form("both", "csat", "closed", "active", actions={"detractor": Action(pause=3 * DAY)}),
        Form("active", "nps", segment="active", country=rng.choice((None, "de")), actions=acts),
        Form("lapsed", "csat", segment="lapsed", channels=("email",)),
        Form("recurring", "nps", segment="trial", repeat=rng.choice((337, 721)) * HOUR, most=None, actions=acts),
        Form("existing", "csat", segment="trial", existing=True),
        Form("fans", "nps", segment="fans", channels=("widget",)),
        Form("unhappy", "csat", segment="unhappy", channels=("email",)),
        Form("unasked", "custom"),
    ]
    together = [0, 0] if rng.random() < 0.3 else delays[:2]
    for form, delay in zip(forms, [*together, *delays[2:], 0], strict=True):
        # Who is asked just when the window runs out has left the segment by then.
        form.delay = WINDOW if form.name == "active" and rng.random() < 0.4 else delay
        form.cooldown = rng.choice(cooldowns)
        if form.repeat is None:
            form.most = rng.choice((1, 1, 2, 3, None))
        if len(form.channels) == 2:
            form.channels = rng.choice((("email", "widget"), ("email", "widget"), ("email",)))
        if "email" in form.channels:
            form.remind = rng.choice((None, DAY, 3 * DAY))
    return forms
