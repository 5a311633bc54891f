"""What lists, explanations and figures must say of an oracle's world: each recounted from its sends."""

from collections import Counter
from typing import Any

from tests.support.survey_oracle import DAY, Oracle, Person, Send, Survey, category

PLURALS = {"promoter": "promoters", "passive": "passives", "detractor": "detractors"}
_CATEGORIES = {
    "nps": ("promoter", "passive", "detractor"),
    "csat": ("satisfied", "neutral", "dissatisfied"),
    "custom": (),
}


def sends(oracle: Oracle, survey: Survey) -> list[tuple[Person, Send]]:
    """All sends of those who are there, each with whose it is."""
    return [(person, each) for person in oracle.living() for each in person.of(survey)]


def line(oracle: Oracle, person: Person, send: Send) -> dict[str, Any]:
    """A send as lists show it; moments in ms."""
    return {
        "contact": person.name,
        "state": send.shown(oracle.now),
        "reason": send.reason,
        "cause": send.cause,
        "due_at": send.due if send.state == "waiting" else None,
        "channels": list(send.by),
        "sent_at": send.sent_at,
        "answered_at": send.answered_at,
        "reminded_at": send.reminded_at,
        "not_reminded": send.not_reminded,
    }


def responses(oracle: Oracle, survey: Survey) -> Counter[tuple[str, int | None, str | None, int | None]]:
    """Whose, score (of a custom survey: its rating), category and moment of each response."""
    return Counter(
        (person.name, each.score, category(survey.kind, each.score or 0), each.answered_at)
        for person, each in sends(oracle, survey)
        if each.answered_at is not None
    )


def explained(oracle: Oracle, survey: Survey, person: Person) -> dict[str, Any]:
    """What `explain` says of somebody."""
    reason, waiting, last = oracle.why_not(survey, person), person.waiting(survey), person.last_sent()
    cools = None if last is None else last + survey.cooldown * DAY
    until = {"cooldown": cools, "paused_marketing": person.paused_until}.get(reason or "")
    may_be_asked = reason is None
    if reason is None and waiting is not None:
        reason, until = "waiting", waiting.due
    return {
        "may_be_asked": may_be_asked,
        "reason": reason,
        "until": until,
        "in_segment": None if survey.segment is None else oracle.inside(person, survey.segment),
        "sends_counted": person.count(survey),
        "max_surveys_per_contact": survey.most,
        "last_sent_at": last,
        "cooldown_until": None if cools is None or cools <= oracle.now else cools,
    }


def last_scores(person: Person) -> dict[str, int | None]:
    """The scores that a contact shows: of each kind that of the response which was given last."""
    found: dict[str, int | None] = {}
    for kind in ("nps", "csat"):
        given = [each for each in person.sends if each.answered_at is not None and each.survey.kind == kind]
        newest = max(given, key=lambda each: each.answered_at or 0, default=None)
        found[f"last_{kind}_score"] = None if newest is None else newest.score
    return found


def figures(oracle: Oracle, survey: Survey) -> dict[str, Any]:
    """The stats, in all and of each day (UTC) that has any."""
    found = [each for _, each in sends(oracle, survey)]
    asked = [each.sent_at for each in found if each.sent_at is not None]
    given = [(each.answered_at, each.score or 0) for each in found if each.answered_at is not None]
    days = sorted({moment // DAY for moment in asked} | {moment // DAY for moment, _ in given})
    by_day = []
    for day in days:
        scores = [score for moment, score in given if moment // DAY == day]
        told = _of_scores(survey.kind, scores)
        if not scores:
            told |= {"nps_score": None, "csat_score": None}
        by_day.append({"day": day, "sent": sum(at // DAY == day for at in asked), "responses": len(scores), **told})
    return {
        "total_sent": len(asked),
        "total_responses": len(given),
        "response_rate": round(len(given) / len(asked), 3) if asked else 0.0,
        **_of_scores(survey.kind, [score for _, score in given]),
        "ease": None if survey.kind != "custom" else _of_ratings([score for _, score in given]),
        "by_day": by_day,
    }


def _of_ratings(ratings: list[int]) -> tuple[int, float | None]:
    return len(ratings), round(sum(ratings) / len(ratings), 1) if ratings else None


def _of_scores(kind: str, scores: list[int]) -> dict[str, Any]:
    said = [category(kind, each) for each in scores]
    best, worst = said.count("promoter") + said.count("satisfied"), said.count("detractor")
    share = round(100 * (best - worst) / len(scores)) if scores else 0
    is_scored = kind != "custom"
    return {
        "nps_score": share if kind == "nps" else None,
        "csat_score": share if kind == "csat" else None,
        "breakdown": {PLURALS.get(each, each): said.count(each) for each in _CATEGORIES[kind]},
        "average_score": round(sum(scores) / len(scores), 1) if scores and is_scored else None,
    }
