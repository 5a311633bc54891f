"""An answer to a survey, judged against its questions. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.core import strict_json
from chalicelib.core.errors import Detail, ValidationFailed, detail
from chalicelib.features.surveys.model import MAX_ANSWERS_BYTES, MAX_COMMENT, RATINGS, Question, QuestionType, Survey

_UNANSWERED: tuple[Any, ...] = ("", [])


def checked(
    survey: Survey, score: int | None, answers: Mapping[str, Any], stands: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The answers by question, those left out that say nothing.

    `stands` has those that were given before, which stay as they are where nothing else is said, whatever the questions
    are by now; None for a first answer, which must have a score, or an answer to each question that wants one. Raises
    ValidationFailed with every fault.
    """
    faults = [*_of_score(survey, score, is_first=stands is None)]
    faults += [
        detail(f"answers.{each}", "unknown", "There is no such question.")
        for each in answers
        if survey.question_of(each) is None
    ]
    given = {each: answer for each, answer in (stands or {}).items() if each not in answers}
    for question in survey.questions:
        if question.id in given:
            continue
        answer = answers.get(question.id)
        if isinstance(answer, str):
            answer = answer.strip()
        if answer is None or answer in _UNANSWERED:
            if question.required:
                faults.append(detail(f"answers.{question.id}", "missing", "This question wants an answer."))
        elif fault := _FAULTS[question.type](question, answer):
            faults.append(detail(f"answers.{question.id}", "invalid", fault))
        else:
            given[question.id] = answer
    if len(strict_json.dumps(given).encode()) > MAX_ANSWERS_BYTES:
        message = f"The answers together have at most {MAX_ANSWERS_BYTES:,} bytes of JSON."
        faults.append(detail("answers", "too_large", message))
    if survey.type == "custom" and not given and not faults:
        faults.append(detail("answers", "missing", "Answer at least one question."))
    if faults:
        raise ValidationFailed("The answer does not fit the survey.", details=faults)
    return given


def _of_score(survey: Survey, score: int | None, *, is_first: bool) -> list[Detail]:
    scale = survey.scale
    if not scale:
        return [] if score is None else [detail("score", "unknown", "A custom survey has answers, and no score.")]
    if score is None:
        return [detail("score", "missing", "Give a score.")] if is_first else []
    return [] if score in scale else [detail("score", "range", f"A score is {scale[0]} to {scale[-1]}.")]


def _rating(_question: Question, answer: Any) -> str | None:
    is_whole = isinstance(answer, int) and not isinstance(answer, bool)
    return None if is_whole and answer in RATINGS else f"A rating is {RATINGS[0]} to {RATINGS[-1]}."


def _text(_question: Question, answer: Any) -> str | None:
    is_short = isinstance(answer, str) and len(answer) <= MAX_COMMENT
    return None if is_short else f"Text of at most {MAX_COMMENT:,} characters."


def _single(question: Question, answer: Any) -> str | None:
    return None if isinstance(answer, str) and answer in question.options else "One of the question's options."


def _multiple(question: Question, answer: Any) -> str | None:
    is_list = isinstance(answer, list) and all(isinstance(each, str) for each in answer)
    if is_list and len(set(answer)) == len(answer) and set(answer) <= set(question.options):
        return None
    return "A list of the question's options, none twice."


_FAULTS: Mapping[QuestionType, Callable[[Question, Any], str | None]] = {
    "rating": _rating,
    "text": _text,
    "single_choice": _single,
    "multiple_choice": _multiple,
}
