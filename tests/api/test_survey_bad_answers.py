"""Answers that surveys refuse, over the API and on the page; nothing of them is recorded, and nothing fails."""

from typing import Any

import pytest

from tests.support.client import Response
from tests.support.survey_world import PERSON, SurveyWorld

CUSTOM = {
    "name": "Churn",
    "type": "custom",
    "trigger": {"event": "trial_expired"},
    "questions": [
        {"id": "ease", "type": "rating", "text": "How easy?", "required": True},
        {"id": "why", "type": "text", "text": "Why?"},
        {"id": "role", "type": "single_choice", "text": "Role?", "options": ["Dev", "Ops"]},
        {"id": "used", "type": "multiple_choice", "text": "Used?", "options": ["A", "B"]},
    ],
}


def asked(world: SurveyWorld, kind: str = "nps") -> tuple[str, str, str]:
    """A survey, a contact that was asked, and its token."""
    made = world.begun(CUSTOM) if kind == "custom" else world.survey(type=kind)
    ada = world.contact("ada")
    world.track("ada", "trial_expired")
    world.settle()
    world.client.get("/s/nothing", key="")
    world.client.post(f"/v1/surveys/{made}/responses", {}, key=world.write_key)
    return made, ada, world.token(world.mailbox()[-1])


def rows(world: SurveyWorld) -> Any:
    return {key: dict(row) for key, row in world.table.rows.items()}


NO_RATINGS: tuple[Any, ...] = (0, 6, "5", 4.5, True, [], {}, None, "")
NO_CHOICES: tuple[Any, ...] = ("PM", ["Dev"], 1, {})

ANSWERS: list[tuple[str, dict[str, Any], str]] = [
    *[("nps", {"score": score}, "score") for score in ("9", 9.5, 9.0, True, 11, -1, 10**30, None, [9], {"is": 9})],
    ("nps", {}, "score"),
    ("nps", {"comment": "Only this"}, "score"),
    *[("csat", {"score": score}, "score") for score in (0, 6)],
    ("nps", {"score": 9, "comment": "x" * 5_001}, "comment"),
    ("nps", {"score": 9, "comment": 5}, "comment"),
    ("nps", {"score": 9, "answers": {"ease": 5}}, "answers.ease"),
    ("nps", {"score": 9, "answers": []}, "answers"),
    ("nps", {"score": 9, "answers": None}, "answers"),
    ("custom", {}, "answers.ease"),
    ("custom", {"score": 5, "answers": {"ease": 5}}, "score"),
    *[("custom", {"answers": {"ease": value}}, "answers.ease") for value in NO_RATINGS],
    ("custom", {"answers": {"ease": 5, "other": 1}}, "answers.other"),
    ("custom", {"answers": {"ease": 5, "x" * 65: 1}}, "answers"),
    ("custom", {"answers": {"ease": 5} | {f"a{n}": 1 for n in range(20)}}, "answers"),
    *[("custom", {"answers": {"ease": 5, "why": value}}, "answers.why") for value in ("x" * 5_001, 7, ["x"], {"x": 1})],
    *[("custom", {"answers": {"ease": 5, "role": value}}, "answers.role") for value in NO_CHOICES],
    *[
        ("custom", {"answers": {"ease": 5, "used": value}}, "answers.used")
        for value in ("A", ["C"], ["A", "A"], [1], [["A"]], {"A": 1})
    ],
]


@pytest.mark.parametrize("by", ["token", "contact_id"])
@pytest.mark.parametrize(("kind", "body", "field"), ANSWERS)
def test_an_answer_that_does_not_fit_is_refused_with_its_field(
    surveying: SurveyWorld, kind: str, body: dict[str, Any], field: str, by: str
) -> None:
    survey, ada, token = asked(surveying, kind)
    before = rows(surveying)
    who, key = ({"token": token}, surveying.write_key) if by == "token" else ({"contact_id": ada}, None)
    answer = surveying.client.post(f"/v1/surveys/{survey}/responses", who | body, key=key)
    assert answer.status == 422, answer.text
    assert all(each.startswith(field) for each in answer.fields), answer.fields
    assert answer.fields
    assert rows(surveying) == before


WHO: list[tuple[dict[str, Any], str]] = [
    ({}, "token"),
    ({"token": "{token}", "contact_id": "{ada}"}, "token"),
    ({"token": ""}, "token"),
    ({"token": "x" * 1_025}, "token"),
    ({"token": 5}, "token"),
    ({"contact_id": ""}, "contact_id"),
    ({"contact_id": "x" * 65}, "contact_id"),
    ({"contact_id": ["{ada}"]}, "contact_id"),
    ({"token": "{token}", "email": "ada@example.com"}, "email"),
    ({"token": "{token}", "survey_id": "x"}, "survey_id"),
]


@pytest.mark.parametrize(("who", "field"), WHO)
def test_who_answers_is_said_in_one_way(surveying: SurveyWorld, who: dict[str, Any], field: str) -> None:
    survey, ada, token = asked(surveying)
    before = rows(surveying)
    body = {name: each.format(token=token, ada=ada) if isinstance(each, str) else each for name, each in who.items()}
    answer = surveying.client.post(f"/v1/surveys/{survey}/responses", {"score": 9} | body)
    assert (answer.status, answer.fields) == (422, [field])
    assert rows(surveying) == before


FORM = "application/x-www-form-urlencoded"
FORMS: list[tuple[str, bytes, int]] = [
    ("nps", b"score=99", 422),
    ("nps", b"score=11", 422),
    ("nps", b"score=-1", 422),
    ("nps", b"score=1e1", 422),
    ("nps", b"score=9.0", 422),
    ("nps", b"score=%D9%A9", 422),
    ("nps", b"score=%zz", 422),
    ("nps", b"score=9&comment=" + b"x" * 5_001, 422),
    ("nps", b"score=9&comment=\xff\xfe", 400),
    ("nps", b"&".join(b"a%d=1" % n for n in range(2_000)), 400),
    ("nps", b"score=9&comment=" + b"x" * 2_000_000, 413),
    ("nps", b"score=9&comment=" + b"x" * 300_000, 413),
    ("csat", b"score=0", 422),
    ("custom", b"", 422),
    ("custom", b"answers.ease=6", 422),
    ("custom", b"answers.ease=12", 422),
    ("custom", b"answers.ease=x", 422),
    ("custom", b"answers.ease=5&answers.role=PM", 422),
    ("custom", b"answers.ease=5&answers.used=A&answers.used=C", 422),
    ("custom", b"answers.ease=5&answers.used=A&answers.used=A", 422),
    ("custom", b"answers.ease=5&answers.why=" + b"x" * 5_001, 422),
]

NOTHING = [
    b"",
    b"score=",
    b"%",
    b"&&&===",
    b"comment=Only",
    b'{"score": 9}',
    b"--x\r\nContent-Disposition: form-data; name=score\r\n\r\n9\r\n--x--",
]
"""Forms that say nothing of the score."""


def post(world: SurveyWorld, token: str, form: bytes) -> Response:
    return world.client.post(f"/s/{token}", form, key="", content_type=FORM, headers={"User-Agent": PERSON})


@pytest.mark.parametrize(("kind", "form", "status"), FORMS, ids=lambda each: str(each)[:40])
@pytest.mark.parametrize("is_first", [True, False])
def test_a_form_that_is_none_is_answered_with_a_page(
    surveying: SurveyWorld, kind: str, form: bytes, status: int, *, is_first: bool
) -> None:
    survey, _, token = asked(surveying, kind)
    if not is_first:
        good = b"answers.ease=5&answers.role=Dev" if kind == "custom" else b"score=3"
        assert post(surveying, token, good).status == 200
        surveying.settle()
    before = rows(surveying)
    answer = post(surveying, token, form)
    assert answer.status == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "<form" in answer.text or status != 422
    assert rows(surveying) == before
    assert len(surveying.rows(survey, "responses")) == (0 if is_first else 1)


@pytest.mark.parametrize("form", NOTHING, ids=str)
def test_a_form_without_a_score_answers_nothing_and_leaves_the_score_that_stands(
    surveying: SurveyWorld, form: bytes
) -> None:
    survey, _, token = asked(surveying)
    before = rows(surveying)
    assert post(surveying, token, form).status == 422
    assert rows(surveying) == before
    assert post(surveying, token, b"score=3").status == 200
    assert post(surveying, token, form).status == 200
    assert [each["score"] for each in surveying.rows(survey, "responses")] == [3]


def test_what_was_filled_in_is_there_again_and_is_text(surveying: SurveyWorld) -> None:
    _, _, token = asked(surveying)
    page = post(surveying, token, b"score=99&comment=%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "A score is 0 to 10." in page.text


def test_the_line_breaks_of_a_comment_count_once(surveying: SurveyWorld) -> None:
    survey, _, token = asked(surveying)
    assert post(surveying, token, b"score=9&comment=" + b"%0D%0A" * 2_500 + b"x" * 2_500).status == 200
    assert surveying.rows(survey, "responses")[0]["comment"] == "\n" * 2_500 + "x" * 2_500


@pytest.mark.parametrize(
    "query", ["score=99", "score=-1", "score=", "score=x&score=9", "score=%ff", "x=1", "score[]=9"]
)
def test_a_link_with_another_query_shows_the_page_and_records_nothing(surveying: SurveyWorld, query: str) -> None:
    _, _, token = asked(surveying)
    before = rows(surveying)
    assert surveying.page(f"/s/{token}?{query}").status == 200
    assert rows(surveying) == before
