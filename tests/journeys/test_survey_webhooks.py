"""Every webhook of surveys, after the answer that causes it, with the payload of its model, once."""

from typing import Any

import pytest

from chalicelib.core import events
from chalicelib.flows.webhooks import payloads, survey_kinds
from tests.support.hooks import hook
from tests.support.receiver import Delivered, Receiver
from tests.support.survey_world import SurveyWorld

CREATED, PROMOTER, DETRACTOR = events.SURVEY_ANSWERED, events.SURVEY_PROMOTER, events.SURVEY_DETRACTOR


def asked(world: SurveyWorld, **fields: Any) -> tuple[str, str, str]:
    """A survey, a contact that was asked, and its token."""
    survey = world.survey(**fields)
    ada = world.contact("ada")
    world.track("ada", "trial_expired")
    return survey, ada, world.token(world.mailbox()[-1])


def expected(survey: str, response: dict[str, Any], **more: Any) -> dict[str, Any]:
    told = {name: response[name] for name in ("score", "category", "comment", "answers", "responded_at")}
    about = {"survey_id": survey, "survey_name": "NPS", "response_id": response["id"], "type": "nps"}
    return about | told | {"contact_id": response["contact_id"]} | more


def data_of(told: Delivered) -> dict[str, Any]:
    """What a webhook says, which is as its model has it."""
    assert payloads.model(told.type).model_validate_json(told.body).model_dump(mode="json") == told.json
    data: dict[str, Any] = told.json["data"]
    return data


@pytest.mark.parametrize(
    ("score", "event"), [(10, PROMOTER), (9, PROMOTER), (6, DETRACTOR), (0, DETRACTOR), (8, CREATED), (3, CREATED)]
)
def test_an_answer_is_told_once_with_what_it_says(
    surveying: SurveyWorld, receiver: Receiver, score: int, event: str
) -> None:
    hook(surveying.client, receiver.url(), event)
    survey, ada, token = asked(surveying)
    surveying.press(token, score=str(score), comment="So")
    surveying.press(token, score=str(score), comment="So")
    surveying.settle()
    (response,) = surveying.rows(survey, "responses")
    (told,) = receiver.got
    data = data_of(told)
    assert (told.type, data.pop("contact")["id"]) == (event, ada)
    assert data == expected(survey, response)


@pytest.mark.parametrize("score", [7, 8])
def test_a_passive_is_neither(surveying: SurveyWorld, receiver: Receiver, score: int) -> None:
    hook(surveying.client, receiver.url(), "survey.*")
    _, _, token = asked(surveying)
    surveying.press(token, score=str(score))
    surveying.settle()
    assert [told.type for told in receiver.got] == [CREATED]


def test_a_correction_is_told_where_it_makes_a_promoter_or_a_detractor_of_somebody_each_once(
    surveying: SurveyWorld, receiver: Receiver
) -> None:
    hook(surveying.client, receiver.url(), "survey.*")
    survey, _, token = asked(surveying)
    for score in ("8", "7", "9", "10", "2", "9", "1", "8"):
        surveying.press(token, score=score)
        surveying.settle()
    (response,) = surveying.rows(survey, "responses")
    told = [(each.type, each.json["data"]["score"]) for each in receiver.got]
    assert told == [(CREATED, 8), (PROMOTER, 9), (DETRACTOR, 2)]
    assert {each.json["data"]["response_id"] for each in receiver.got} == {response["id"]}
    assert {data_of(each)["responded_at"] for each in receiver.got} == {response["responded_at"]}


def test_each_response_is_told_by_itself(surveying: SurveyWorld, receiver: Receiver) -> None:
    hook(surveying.client, receiver.url(), "survey.*")
    survey = surveying.survey(channels=["widget"])
    for n in range(3):
        surveying.answer(survey, surveying.contact(f"u{n}"), 10)
    assert sorted(told.type for told in receiver.got) == [PROMOTER] * 3 + [CREATED] * 3
    assert len({told.id for told in receiver.got}) == 6
    assert len({told.json["data"]["response_id"] for told in receiver.got}) == 3


@pytest.mark.parametrize("score", [1, 5])
def test_satisfaction_makes_no_promoter(surveying: SurveyWorld, receiver: Receiver, score: int) -> None:
    hook(surveying.client, receiver.url(), "*")
    survey, _, token = asked(surveying, type="csat")
    surveying.press(token, score=str(score))
    surveying.settle()
    (told,) = [each for each in receiver.got if each.type.startswith("survey.")]
    data = data_of(told)
    assert (told.type, data["type"], data["survey_id"]) == (CREATED, "csat", survey)
    assert data["category"] == ("satisfied" if score == 5 else "dissatisfied")


def test_the_answers_to_questions_of_ones_own_are_told(surveying: SurveyWorld, receiver: Receiver) -> None:
    hook(surveying.client, receiver.url(), "survey.*")
    questions = [{"id": "why", "type": "text", "text": "Why?"}]
    survey = surveying.begun({"name": "C", "type": "custom", "questions": questions})
    surveying.answer(survey, surveying.contact("ada"), answers={"why": "So"})
    (told,) = receiver.got
    data = data_of(told)
    assert (told.type, data["score"], data["category"], data["answers"]) == (CREATED, None, None, {"why": "So"})


def test_of_somebody_who_was_deleted_meanwhile_nothing_is_told_but_that_somebody_answered(
    surveying: SurveyWorld, receiver: Receiver
) -> None:
    hook(surveying.client, receiver.url(), "survey.*")
    _, ada, token = asked(surveying)
    surveying.press(token, score="9", comment="I am Ada of Acme")
    surveying.ok(surveying.client.delete(f"/v1/contacts/{ada}"))
    surveying.settle()
    assert sorted(told.type for told in receiver.got) == [PROMOTER, CREATED]
    for told in receiver.got:
        data = data_of(told)
        assert (data["contact"], data["comment"], data["answers"], data["score"]) == (None, None, {}, 9)
        assert "Ada" not in told.body.decode()


def test_all_webhooks_of_surveys_have_a_cause_here() -> None:
    assert survey_kinds.KINDS.keys() == {CREATED, PROMOTER, DETRACTOR}
