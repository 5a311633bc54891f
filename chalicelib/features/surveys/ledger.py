"""Figures of surveys: what each send and each response adds to them, and what they say. Pure.

A score is counted as it is, so that all figures follow from how often each was given: `sent`, `responses`, `s/<score>`,
and of a custom survey for each question `q/<id>/n`, and `q/<id>/s/<rating>` or `q/<id>/o/<option>`. Counts are kept for
all time, for each question, and for each month, whose fields begin with the day.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from chalicelib.features.surveys.model import Category, Survey, Type, category_of

SENT = {"sent": 1}

_CATEGORIES: Mapping[str, tuple[Category, Category, Category]] = {
    "nps": ("promoter", "passive", "detractor"),
    "csat": ("satisfied", "neutral", "dissatisfied"),
}


def adds(
    survey: Survey, score: int | None, answers: Mapping[str, Any], before: Mapping[str, int] | None = None
) -> dict[str, int]:
    """What a response with these answers adds to the figures; `before` is what it has added until now, which stays for
    answers to questions that the survey has no more."""
    found = {"responses": 1} if score is None else {"responses": 1, f"s/{score}": 1}
    found |= {
        name: n
        for name, n in (before or {}).items()
        if name.startswith("q/") and (of := name.split("/")[1]) in answers and survey.question_of(of) is None
    }
    for question in survey.questions:
        answer = answers.get(question.id)
        if answer is None:
            continue
        found[f"q/{question.id}/n"] = 1
        if question.type == "rating":
            found[f"q/{question.id}/s/{answer}"] = 1
        elif question.type != "text":
            found |= {f"q/{question.id}/o/{option}": 1 for option in _chosen(answer)}
    return found


def changes(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What a corrected response adds, and takes away, given what it added before and adds now."""
    deltas = {name: after.get(name, 0) - before.get(name, 0) for name in sorted({*before, *after})}
    return {name: delta for name, delta in deltas.items() if delta}


def negative(deltas: Mapping[str, int]) -> dict[str, int]:
    """What takes these away again."""
    return {name: -delta for name, delta in deltas.items()}


class Parts(NamedTuple):
    """What is added to each counter of a survey: that of all time, that of the month, and those of its questions."""

    whole: dict[str, int]
    month: dict[str, int]
    questions: dict[str, dict[str, int]]


def parts(day: str, deltas: Mapping[str, int]) -> Parts:
    """The counters that a change goes to; `day` is `YYYY-MM-DD`. What a question may be answered by is many fields, of
    which no row could hold those of all questions and days."""
    found = Parts({}, {}, {})
    for name, delta in deltas.items():
        kind, _, rest = name.partition("/")
        if kind != "q":
            found.whole[name] = delta
            found.month[f"{day[8:]}/{name}"] = delta
            continue
        question_id, _, how = rest.partition("/")
        if how == "n":
            found.whole[name] = delta
        else:
            found.questions.setdefault(question_id, {})[how] = delta
    return found


def question_ids(counts: Mapping[str, int]) -> list[str]:
    """The questions that the counts of all time tell of."""
    return sorted({name.split("/")[1] for name in counts if name.startswith("q/")})


def _chosen(answer: Any) -> list[str]:
    return answer if isinstance(answer, list) else [answer]


@dataclass(frozen=True, slots=True)
class Figures:
    """How a survey does: counts, and what follows from them (contract 7).

    `score` is the NPS, -100 to 100, or the share of the satisfied in percent. `average` has one decimal, `rate` three.
    """

    sent: int
    responses: int
    rate: float
    score: int | None = None
    average: float | None = None
    breakdown: Mapping[Category, int] = field(default_factory=dict)


def figures(kind: Type, counts: Mapping[str, int]) -> Figures:
    """The figures that follow from the counts: NPS = round(100 (promoters - detractors) / responses), CSAT = round(100
    satisfied / responses), 0 without a response."""
    sent, responses = counts.get("sent", 0), counts.get("responses", 0)
    rate = round(responses / sent, 3) if sent else 0.0
    if kind not in _CATEGORIES:
        return Figures(sent, responses, rate)
    given = {int(name[2:]): n for name, n in counts.items() if name.startswith("s/")}
    best, middle, worst = _CATEGORIES[kind]
    breakdown: dict[Category, int] = {best: 0, middle: 0, worst: 0}
    for score, n in given.items():
        category = category_of(kind, score)
        if category is not None:
            breakdown[category] += n
    total = sum(given.values())
    above = breakdown[best] - (breakdown[worst] if kind == "nps" else 0)
    average = round(sum(score * n for score, n in given.items()) / total, 1) if total else None
    return Figures(sent, responses, rate, round(100 * above / total) if total else 0, average, breakdown)


def days(counts: Mapping[str, int], month: str) -> dict[str, dict[str, int]]:
    """The counts of a month, `YYYY-MM`, by day."""
    found: dict[str, dict[str, int]] = {}
    for name, n in counts.items():
        day, _, what = name.partition("/")
        found.setdefault(f"{month}-{day}", {})[what] = n
    return found


@dataclass(frozen=True, slots=True)
class OfQuestion:
    """How a question of a custom survey was answered: how often, its ratings' average, and how often each option."""

    id: str
    responses: int
    average: float | None
    options: Mapping[str, int]


def of_questions(survey: Survey, counts: Mapping[str, int]) -> list[OfQuestion]:
    """The questions in their order, those behind that were removed since they were answered."""
    known = [each.id for each in survey.questions]
    removed = [each for each in question_ids(counts) if each not in known]
    return [_of_question(each, survey, counts) for each in [*known, *removed]]


def _of_question(question_id: str, survey: Survey, counts: Mapping[str, int]) -> OfQuestion:
    def counted(kind: str) -> dict[str, int]:
        prefix = f"q/{question_id}/{kind}/"
        return {name.removeprefix(prefix): n for name, n in counts.items() if name.startswith(prefix) and n}

    ratings, chosen = counted("s"), counted("o")
    total = sum(ratings.values())
    question = survey.question_of(question_id)
    options = _ordered(() if question is None else question.options, chosen)
    average = round(sum(int(rating) * n for rating, n in ratings.items()) / total, 1) if total else None
    return OfQuestion(question_id, counts.get(f"q/{question_id}/n", 0), average, options)


def _ordered(options: Iterable[str], chosen: Mapping[str, int]) -> dict[str, int]:
    return {each: chosen.get(each, 0) for each in options} | {
        k: n for k, n in sorted(chosen.items()) if k not in options
    }
