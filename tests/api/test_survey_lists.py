"""Lists of surveys, sends and responses, and what a survey tells of itself."""

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.flows import create_project
from tests.support.client import Client
from tests.support.survey_world import NPS, SurveyWorld

PATH = "/v1/surveys"
PEOPLE = 5


@pytest.fixture
def survey(surveying: SurveyWorld) -> str:
    """One that five were asked, of whom each has answered, by widgets alone."""
    made = surveying.survey(channels=["widget"], frequency_cap={"max_surveys_per_contact": None})
    for n in range(PEOPLE):
        surveying.answer(made, surveying.contact(f"u{n}"), 10 if n % 2 else 0)
    return made


def pages(world: SurveyWorld, path: str, **query: str) -> Iterator[list[Any]]:
    """The pages of a list, from the first to the last."""
    more: dict[str, str] = {}
    while True:
        page = world.get(path, **query, **more)
        assert page["has_more"] == (page["next_cursor"] is not None)
        yield page["data"]
        if not page["has_more"]:
            return
        more = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("limit", ["1", "2", "5", "100"])
@pytest.mark.parametrize("what", ["sends", "responses"])
def test_a_list_is_the_same_in_pages_of_any_size(surveying: SurveyWorld, survey: str, what: str, limit: str) -> None:
    whole = surveying.get(f"{PATH}/{survey}/{what}")["data"]
    found = list(pages(surveying, f"{PATH}/{survey}/{what}", limit=limit))
    assert [each["id"] for page in found for each in page] == [each["id"] for each in whole]
    assert [len(page) for page in found[:-1]] == [int(limit)] * (len(found) - 1)
    contacts = [surveying.get(f"/v1/contacts/{each['contact_id']}")["external_id"] for each in whole]
    assert contacts == [f"u{n}" for n in reversed(range(PEOPLE))]


def test_responses_are_listed_by_what_they_say(surveying: SurveyWorld, survey: str) -> None:
    path = f"{PATH}/{survey}/responses"
    for category, scores in (("promoter", [10, 10]), ("detractor", [0, 0, 0]), ("passive", []), ("satisfied", [])):
        found = [each["score"] for page in pages(surveying, path, category=category, limit="1") for each in page]
        assert found == scores


def test_sends_are_listed_by_their_state(surveying: SurveyWorld, survey: str) -> None:
    surveying.track("u0", "trial_expired")
    path = f"{PATH}/{survey}/sends"
    for state, count in (("answered", PEOPLE), ("sent", 1), ("waiting", 0), ("skipped", 0), ("expired", 0)):
        assert sum(len(page) for page in pages(surveying, path, state=state, limit="2")) == count


def test_surveys_are_listed_newest_first_by_type_and_status(surveying: SurveyWorld, survey: str) -> None:
    drafts = [surveying.ok(surveying.client.post(PATH, NPS | {"type": "csat"}))["id"] for _ in range(3)]

    def listed(**query: str) -> list[str]:
        return [each["id"] for page in pages(surveying, PATH, limit="1", **query) for each in page]

    assert listed() == [*reversed(drafts), survey]
    assert listed(type="nps") == listed(status="active") == listed(type="nps", status="active") == [survey]
    assert listed(type="csat") == listed(status="draft") == drafts[::-1]
    assert listed(type="custom") == listed(type="nps", status="draft") == []


LISTS = [
    ("", {}, {"type": "nps"}),
    ("", {"type": "nps"}, {}),
    ("", {"type": "nps"}, {"type": "nps", "status": "active"}),
    ("/{}/sends", {}, {"state": "answered"}),
    ("/{}/sends", {"state": "answered"}, {"state": "sent"}),
    ("/{}/responses", {}, {"category": "detractor"}),
    ("/{}/responses", {"category": "detractor"}, {}),
]


@pytest.mark.parametrize(("path", "first", "then"), LISTS)
def test_a_cursor_is_bound_to_the_filters_of_its_list(
    surveying: SurveyWorld, survey: str, path: str, first: dict[str, str], then: dict[str, str]
) -> None:
    surveying.survey()
    whole = f"{PATH}{path.format(survey)}"
    cursor = surveying.get(whole, limit="1", **first)["next_cursor"]
    assert cursor is not None
    surveying.get(whole, cursor=cursor, **first)
    refused = surveying.client.get(whole, query={"cursor": cursor} | then)
    assert (refused.status, refused.fields) == (400, ["cursor"])


@pytest.mark.parametrize("path", ["", "/{}/sends", "/{}/responses"])
def test_a_cursor_of_another_list_or_one_that_was_edited_is_refused(
    surveying: SurveyWorld, survey: str, path: str
) -> None:
    other = surveying.survey(channels=["widget"])
    paths = [PATH, *(f"{PATH}/{one}/{what}" for one in (survey, other) for what in ("sends", "responses"))]
    whole = f"{PATH}{path.format(survey)}"
    cursor = surveying.get(whole, limit="1")["next_cursor"]
    spoiled = [cursor[:-1], cursor + "A", cursor[::-1], f"{cursor}=", "x", "", "é"]
    spoiled.append(("A" if cursor[0] != "A" else "B") + cursor[1:])
    for text in spoiled:
        refused = surveying.client.get(whole, query={"cursor": text})
        assert (refused.status, refused.fields) == (400, ["cursor"]), text
    for foreign in paths:
        if foreign != whole:
            assert surveying.client.get(foreign, query={"cursor": cursor}).status == 400, foreign
    stranger = Client(create_project.run("Globex", "live", "scale", now=surveying.now).secret_key)
    assert stranger.get(PATH, query={"cursor": cursor}).status == 400


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("", {"type": "ces"}, "type"),
        ("", {"status": "completed"}, "status"),
        ("", {"limit": "0"}, "limit"),
        ("", {"limit": "101"}, "limit"),
        ("", {"limit": "x"}, "limit"),
        ("", {"sort": "name"}, "sort"),
        ("/{}", {"expand": "x"}, "expand"),
        ("/{}/sends", {"state": "gone"}, "state"),
        ("/{}/sends", {"limit": "-1"}, "limit"),
        ("/{}/responses", {"category": "happy"}, "category"),
        ("/{}/responses", {"score": "9"}, "score"),
        ("/{}/responses", {"limit": "1.0"}, "limit"),
        ("/{}/stats", {"from": "yesterday"}, "from"),
        ("/{}/stats", {"from": "2026-1-1"}, "from"),
        ("/{}/stats", {"to": "2026-01-01T00:00:00Z"}, "to"),
        ("/{}/stats", {"interval": "day"}, "interval"),
        ("/{}/explain", {}, "contact_id"),
        ("/{}/explain", {"contact_id": ""}, "contact_id"),
        ("/{}/explain", {"contact_id": "x" * 65}, "contact_id"),
    ],
)
def test_a_query_that_breaks_a_rule_is_refused(
    surveying: SurveyWorld, path: str, query: dict[str, str], field: str
) -> None:
    made = surveying.survey()
    refused = surveying.client.get(f"{PATH}{path.format(made)}", query=query)
    assert (refused.status, refused.fields) == (400, [field])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "2026-02-30"}, "from"),
        ({"to": "2026-13-01"}, "to"),
        ({"to": "0000-01-01"}, "to"),
        ({"from": "2026-02-02", "to": "2026-02-01"}, "from"),
        ({"from": "9999-12-31"}, "from"),
        ({"from": "2024-01-01", "to": "2025-02-04"}, "from"),
        ({"from": "0001-01-01"}, "from"),
    ],
)
def test_days_that_are_none_or_too_many_are_refused(surveying: SurveyWorld, query: dict[str, str], field: str) -> None:
    made = surveying.survey()
    refused = surveying.client.get(f"{PATH}/{made}/stats", query=query)
    assert (refused.status, refused.fields) == (422, [field])


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2024-01-01", "to": "2025-02-03"},
        {"to": "0001-01-01"},
        {"from": "0001-01-01", "to": "0001-01-01"},
        {"to": "9999-12-31"},
        {"from": "9999-12-01", "to": "9999-12-31"},
    ],
)
def test_days_without_answers_are_days_of_which_nothing_is_told(
    surveying: SurveyWorld, survey: str, query: dict[str, str]
) -> None:
    assert surveying.get(f"{PATH}/{survey}/stats", **query)["by_day"] == []


def test_the_figures_of_nobody_are_none(surveying: SurveyWorld) -> None:
    made = surveying.survey()
    told = surveying.figures(made)
    assert {name: told[name] for name in told if name not in ("survey_id", "updated_at")} == {
        "status": "active",
        "total_sent": 0,
        "total_responses": 0,
        "response_rate": 0.0,
        "nps_score": 0,
        "csat_score": None,
        "breakdown": {"promoters": 0, "passives": 0, "detractors": 0},
        "average_score": None,
        "questions": [],
        "by_day": [],
    }


def test_figures_are_those_of_the_responses(surveying: SurveyWorld, survey: str) -> None:
    told = surveying.figures(survey)
    assert (told["total_sent"], told["total_responses"], told["response_rate"]) == (5, 5, 1.0)
    assert (told["nps_score"], told["average_score"]) == (-20, 4.0)
    (day,) = told["by_day"]
    assert (day["sent"], day["responses"], day["nps_score"]) == (5, 5, -20)


def test_why_somebody_is_asked_is_told_of_contacts_that_are_there(surveying: SurveyWorld, survey: str) -> None:
    ada = surveying.contact("ada")
    told = surveying.explain(survey, ada)
    assert (told["may_be_asked"], told["reason"], told["sends"], told["in_segment"]) == (True, None, [], None)
    surveying.ok(surveying.client.delete(f"/v1/contacts/{ada}"))
    for nobody in (ada, "cntct_01j00000000000000000000000", "nobody"):
        assert surveying.client.get(f"{PATH}/{survey}/explain", query={"contact_id": nobody}).status == 404


@pytest.mark.parametrize("status", ["draft", "paused", "archived"])
def test_a_survey_that_asks_nobody_says_so(surveying: SurveyWorld, status: str) -> None:
    made = surveying.ok(surveying.client.post(PATH, NPS))["id"]
    for verb in {"draft": (), "paused": ("activate", "pause"), "archived": ("archive",)}[status]:
        surveying.do(made, verb)
    told = surveying.explain(made, surveying.contact("ada"))
    assert (told["may_be_asked"], told["reason"]) == (False, status)
