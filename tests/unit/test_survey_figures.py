"""Figures of surveys: what answers add, and that figures equal a recount of the answers."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.core.errors import ValidationFailed
from chalicelib.features.surveys import intake, ledger
from chalicelib.features.surveys.model import Question, Survey, Type, category_of

BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""On a busy machine time says nothing of the code."""

NPS = Survey("srvy_1", "NPS", "nps", "active", 0, 0, question="?")
CSAT = Survey("srvy_2", "CSAT", "csat", "active", 0, 0, question="?")
CUSTOM = Survey(
    "srvy_3",
    "Custom",
    "custom",
    "active",
    0,
    0,
    questions=(
        Question("ease", "rating", "How easy?", required=True),
        Question("why", "text", "Why?"),
        Question("role", "single_choice", "Your role?", ("Dev", "Ops")),
        Question("used", "multiple_choice", "What did you use?", ("A", "B", "C")),
    ),
)


@pytest.mark.parametrize(
    ("kind", "by_score"),
    [
        ("nps", ["detractor"] * 7 + ["passive"] * 2 + ["promoter"] * 2),
        ("csat", [None, "dissatisfied", "dissatisfied", "neutral", "satisfied", "satisfied"]),
    ],
)
def test_each_score_has_its_category(kind: Type, by_score: list[str | None]) -> None:
    found = [category_of(kind, score) for score in range(len(by_score))]
    assert found[1:] == by_score[1:]
    assert kind == "csat" or found[0] == "detractor"


@BUSY
@given(st.lists(st.tuples(st.integers(0, 10), st.one_of(st.none(), st.integers(0, 10)))), st.integers(0, 40))
def test_nps_figures_equal_a_recount_whatever_is_corrected(answers: list[tuple[int, int | None]], unasked: int) -> None:
    counts: Counter[str] = Counter()
    for first, second in answers:
        before = ledger.adds(NPS, first, {})
        counts.update(ledger.SENT)
        counts.update(before)
        if second is not None:
            counts.update(ledger.changes(before, ledger.adds(NPS, second, {})))
    counts["sent"] += unasked
    final = [first if second is None else second for first, second in answers]
    promoters, detractors = sum(each >= 9 for each in final), sum(each <= 6 for each in final)
    passives = len(final) - promoters - detractors
    figures = ledger.figures("nps", counts)
    assert figures.sent == len(final) + unasked
    assert figures.responses == len(final)
    assert figures.rate == (round(len(final) / figures.sent, 3) if figures.sent else 0)
    assert figures.score == (round(100 * (promoters - detractors) / len(final)) if final else 0)
    assert figures.average == (round(sum(final) / len(final), 1) if final else None)
    assert figures.breakdown == {"promoter": promoters, "passive": passives, "detractor": detractors}


@BUSY
@given(st.lists(st.integers(1, 5)))
def test_csat_figures_equal_a_recount(scores: list[int]) -> None:
    counts: Counter[str] = Counter()
    for score in scores:
        counts.update(ledger.adds(CSAT, score, {}))
    figures = ledger.figures("csat", counts)
    satisfied = sum(each >= 4 for each in scores)
    assert figures.score == (round(100 * satisfied / len(scores)) if scores else 0)
    assert figures.breakdown == {
        "satisfied": satisfied,
        "neutral": scores.count(3),
        "dissatisfied": sum(each <= 2 for each in scores),
    }


GIVEN = st.fixed_dictionaries(
    {"ease": st.integers(1, 5)},
    optional={
        "why": st.text(min_size=1, max_size=20),
        "role": st.sampled_from(["Dev", "Ops"]),
        "used": st.lists(st.sampled_from("ABC"), unique=True, min_size=1),
    },
)


@BUSY
@given(st.lists(GIVEN, max_size=30))
def test_figures_of_questions_equal_a_recount(answers: list[dict[str, Any]]) -> None:
    counts: Counter[str] = Counter()
    checked = [intake.checked(CUSTOM, None, each) for each in answers]
    for each in checked:
        counts.update(ledger.adds(CUSTOM, None, each))
    by_id = {each.id: each for each in ledger.of_questions(CUSTOM, counts)}
    assert list(by_id) == ["ease", "why", "role", "used"]
    eases = [each["ease"] for each in checked]
    assert by_id["ease"].average == (round(sum(eases) / len(eases), 1) if eases else None)
    for question in by_id:
        assert by_id[question].responses == sum(question in each for each in checked)
    assert by_id["role"].options == {each: sum(one.get("role") == each for one in checked) for each in ("Dev", "Ops")}
    assert by_id["used"].options == {each: sum(each in one.get("used", ()) for one in checked) for each in "ABC"}


def test_a_question_that_was_removed_still_tells_how_it_was_answered() -> None:
    counts = ledger.adds(CUSTOM, None, {"ease": 4, "role": "Ops"})
    (first, *others) = ledger.of_questions(Survey("s", "x", "custom", "active", 0, 0), counts)
    assert (first.id, first.responses, first.average) == ("ease", 1, 4.0)
    assert [(each.id, dict(each.options)) for each in others] == [("role", {"Ops": 1})]


def test_figures_of_a_month_are_told_by_day() -> None:
    first = ledger.parts("2026-03-09", {"sent": 2, "s/9": 1, "q/why/n": 1, "q/why/o/A": 1})
    counts = first.month | ledger.parts("2026-03-10", {"sent": 1}).month
    assert ledger.days(counts, "2026-03") == {"2026-03-09": {"sent": 2, "s/9": 1}, "2026-03-10": {"sent": 1}}
    assert (first.whole, first.questions) == ({"sent": 2, "s/9": 1, "q/why/n": 1}, {"why": {"o/A": 1}})


@pytest.mark.parametrize(
    ("survey", "score", "answers", "fields"),
    [
        (NPS, None, {}, ["score"]),
        (NPS, 11, {}, ["score"]),
        (NPS, -1, {}, ["score"]),
        (CSAT, 0, {}, ["score"]),
        (CSAT, 6, {}, ["score"]),
        (NPS, 9, {"q": "x"}, ["answers.q"]),
        (CUSTOM, 5, {"ease": 3}, ["score"]),
        (CUSTOM, None, {}, ["answers.ease"]),
        (CUSTOM, None, {"ease": "3"}, ["answers.ease"]),
        (CUSTOM, None, {"ease": True}, ["answers.ease"]),
        (CUSTOM, None, {"ease": 6}, ["answers.ease"]),
        (CUSTOM, None, {"ease": 3, "why": 1}, ["answers.why"]),
        (CUSTOM, None, {"ease": 3, "why": "x" * 5_001}, ["answers.why"]),
        (CUSTOM, None, {"ease": 3, "role": "Boss"}, ["answers.role"]),
        (CUSTOM, None, {"ease": 3, "role": ["Dev"]}, ["answers.role"]),
        (CUSTOM, None, {"ease": 3, "used": "A"}, ["answers.used"]),
        (CUSTOM, None, {"ease": 3, "used": ["A", "A"]}, ["answers.used"]),
        (CUSTOM, None, {"ease": 3, "used": ["A", 1]}, ["answers.used"]),
        (CUSTOM, None, {"used": ["D"], "who": 1}, ["answers.who", "answers.ease", "answers.used"]),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_with_each_fault(
    survey: Survey, score: int | None, answers: dict[str, Any], fields: list[str]
) -> None:
    with pytest.raises(ValidationFailed) as refused:
        intake.checked(survey, score, answers)
    assert [each["field"] for each in refused.value.details] == fields


def test_what_a_correction_does_not_say_stays() -> None:
    stands = {"ease": 2, "role": "Dev"}
    assert intake.checked(CUSTOM, None, {"ease": 5}, stands) == {"ease": 5, "role": "Dev"}
    assert intake.checked(NPS, None, {}, {}) == {}


def test_an_answer_of_spaces_says_nothing() -> None:
    assert intake.checked(CUSTOM, None, {"ease": 1, "why": "  "}) == {"ease": 1}


def test_all_answers_together_have_a_bound() -> None:
    questions = tuple(Question(f"q{n}", "text", "?") for n in range(20))
    survey = Survey("s", "Long", "custom", "active", 0, 0, questions=questions)
    assert len(intake.checked(survey, None, {"q1": "€" * 5_000, "q2": "€" * 5_000})) == 2
    with pytest.raises(ValidationFailed) as refused:
        intake.checked(survey, None, {f"q{n}": "€" * 5_000 for n in range(4)})
    assert [each["field"] for each in refused.value.details] == ["answers"]
