"""Who may answer a survey over the API, and by which key."""

import pytest

from chalicelib.flows import create_project
from tests.support.client import Client, Response
from tests.support.survey_world import SurveyWorld


@pytest.fixture
def asked(surveying: SurveyWorld) -> tuple[str, str, str]:
    """A survey, a contact that was asked, and its token."""
    survey = surveying.survey()
    ada = surveying.contact("ada")
    surveying.track("ada", "trial_expired")
    return f"/v1/surveys/{survey}/responses", ada, surveying.token(surveying.mailbox()[-1])


def scored(world: SurveyWorld, path: str) -> list[int]:
    world.settle()
    return [each["score"] for each in world.get(path)["data"]]


def test_a_write_key_answers_by_a_token_and_does_not_learn_whose_it_is(
    surveying: SurveyWorld, asked: tuple[str, str, str]
) -> None:
    path, ada, token = asked
    answer = surveying.client.post(path, {"token": token, "score": 9}, key=surveying.write_key)
    assert (answer.status, answer.json["contact_id"], answer.json["category"]) == (201, None, "promoter")
    assert ada not in answer.text
    assert answer.headers["access-control-allow-origin"] == "*"
    (response,) = surveying.get(path)["data"]
    assert response | answer.json | {"contact_id": ada} == response
    again = surveying.client.post(path, {"token": token, "score": 3}, key=surveying.write_key)
    assert (again.status, again.json["id"], scored(surveying, path)) == (200, response["id"], [3])


@pytest.mark.parametrize("more", [{}, {"token": "{token}"}])
def test_a_write_key_answers_for_no_contact(
    surveying: SurveyWorld, asked: tuple[str, str, str], more: dict[str, str]
) -> None:
    path, ada, token = asked
    who = {name: each.format(token=token) for name, each in more.items()} | {"contact_id": ada}
    answer = surveying.client.post(path, who | {"score": 9}, key=surveying.write_key)
    assert (answer.status, answer.fields) == (422, ["token" if more else "contact_id"])
    assert answer.headers["access-control-allow-origin"] == "*"
    assert scored(surveying, path) == []


def test_a_secret_key_shows_whose_answer_it_is_where_it_answers_for_a_contact(
    surveying: SurveyWorld, asked: tuple[str, str, str]
) -> None:
    path, ada, token = asked
    by_contact = surveying.client.post(path, {"contact_id": ada, "score": 9})
    by_token = surveying.client.post(path, {"token": token, "score": 8})
    assert (by_contact.status, by_contact.json["contact_id"]) == (201, ada)
    assert (by_token.status, by_token.json["contact_id"], by_token.json["id"]) == (200, None, by_contact.json["id"])


@pytest.mark.parametrize("scopes", [["surveys:read"], ["contacts:write"], ["contacts:write", "surveys:read"]])
def test_a_secret_key_needs_the_scope(surveying: SurveyWorld, asked: tuple[str, str, str], scopes: list[str]) -> None:
    path, ada, token = asked
    narrow = surveying.ok(surveying.client.post("/v1/settings/keys", {"name": "n", "scopes": scopes}))["key"]
    for who in ({"contact_id": ada}, {"token": token}):
        answer = surveying.client.post(path, who | {"score": 9}, key=narrow)
        assert (answer.status, answer.code) == (403, "insufficient_scope")
        assert answer.json["error"]["details"][0]["required_scope"] == "surveys:write"
    assert scored(surveying, path) == []


def test_the_keys_of_another_project_answer_nothing(surveying: SurveyWorld, asked: tuple[str, str, str]) -> None:
    path, ada, token = asked
    other = create_project.run("Globex", "live", "scale", now=surveying.now)
    for key, who in (
        (other.write_key, {"token": token}),
        (other.secret_key, {"token": token}),
        (other.secret_key, {"contact_id": ada}),
    ):
        assert Client(key).post(path, who | {"score": 9}).status == 404
    assert Client("gos_wk_unknown").post(path, {"token": token, "score": 9}).status == 401
    assert surveying.client.post(path, {"token": token, "score": 9}, key="").status == 401
    assert scored(surveying, path) == []


@pytest.mark.parametrize("by", ["token", "contact_id"])
def test_the_same_idempotency_key_is_one_response(surveying: SurveyWorld, asked: tuple[str, str, str], by: str) -> None:
    path, ada, token = asked
    key = surveying.write_key if by == "token" else None
    who = {by: token if by == "token" else ada}

    def post(score: int) -> Response:
        return surveying.client.post(path, who | {"score": score}, key=key, headers={"Idempotency-Key": "k"})

    first = post(9)
    surveying.settle()
    again = post(9)
    assert (first.status, again.status, again.json) == (201, 201, first.json)
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert post(3).status == 409
    assert scored(surveying, path) == [9]


def test_answers_for_contacts_are_taken_of_surveys_that_go_on(surveying: SurveyWorld) -> None:
    made = surveying.ok(surveying.client.post("/v1/surveys", {"name": "N", "type": "csat", "question": "?"}))["id"]
    path, ada = f"/v1/surveys/{made}/responses", surveying.contact("ada")
    statuses = [surveying.client.post(path, {"contact_id": ada, "score": 5}).status]
    for verb in ("activate", "pause", "archive"):
        surveying.do(made, verb)
        statuses.append(surveying.client.post(path, {"contact_id": ada, "score": 5}).status)
    assert statuses == [409, 201, 200, 409]
    assert surveying.client.post(path, {"contact_id": "cntct_01j00000000000000000000000", "score": 5}).status == 404


def test_a_correction_clears_a_comment_that_it_says_is_none(
    surveying: SurveyWorld, asked: tuple[str, str, str]
) -> None:
    path, ada, _ = asked
    for body, comment in (({"score": 9, "comment": "Fine"}, "Fine"), ({"score": 8}, "Fine"), ({"comment": None}, None)):
        assert surveying.client.post(path, {"contact_id": ada} | body).json["comment"] == comment
    assert scored(surveying, path) == [8]
