"""What surveys refuse, each with the field that is wrong; nothing of it is written, and nothing fails."""

from copy import deepcopy
from typing import Any

import pytest

from tests.support.survey_world import NPS, SurveyWorld

PATH = "/v1/surveys"
BY_SEGMENT: dict[str, Any] = {"segment_id": "seg_1"}
BY_EVENT: dict[str, Any] = {"event": "x"}
CHOICE = {"type": "single_choice", "text": "?", "options": ["a", "b"]}
TEXT = {"type": "text", "text": "?"}
CUSTOM: dict[str, Any] = {"name": "C", "type": "custom", "questions": [TEXT]}
RULES = {"operator": "AND", "conditions": [{"field": "traits.plan", "op": "eq", "value": 1}]}
NO_RULES = {"operator": "AND", "conditions": [{"field": "nowhere", "op": "eq", "value": 1}]}


def rows(world: SurveyWorld) -> Any:
    """All that is in the table."""
    return deepcopy({key: dict(row) for key, row in world.table.rows.items()})


NO_DELAYS: tuple[Any, ...] = ("-1d", "366d", "1.5h", "90x", "1", "", 5, "1 d", "1D", "1d2h", "9999999s", True)

BODIES: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": " \t"}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"name": "x" * 129}, "name"),
    ({"name": 5}, "name"),
    ({"name": None}, "name"),
    ({"type": "ces"}, "type"),
    ({"type": None}, "type"),
    ({"type": ["nps"]}, "type"),
    ({"question": ""}, "question"),
    ({"question": None}, "question"),
    ({"question": "x" * 501}, "question"),
    ({"question": {"text": "?"}}, "question"),
    ({"follow_up": " "}, "follow_up"),
    ({"follow_up": "x" * 501}, "follow_up"),
    ({"follow_up": True}, "follow_up"),
    ({"questions": [TEXT]}, "questions"),
    ({"questions": None}, "questions"),
    ({"questions": TEXT}, "questions"),
    ({"trigger": None}, "trigger"),
    ({"trigger": "signed_up"}, "trigger"),
    ({"trigger": {"event": ""}}, "trigger.event"),
    ({"trigger": {"event": "a\0b"}}, "trigger.event"),
    ({"trigger": {"event": "é" * 300}}, "trigger.event"),
    ({"trigger": {"event": ["x"]}}, "trigger.event"),
    ({"trigger": {"segment_id": ""}}, "trigger.segment_id"),
    ({"trigger": {"segment_id": "x" * 65}}, "trigger.segment_id"),
    ({"trigger": {"segment_id": 7}}, "trigger.segment_id"),
    ({"trigger": {"when": "now"}}, "trigger.when"),
    ({"trigger": BY_EVENT | {"filters": "all"}}, "trigger.filters"),
    ({"trigger": BY_EVENT | {"filters": NO_RULES}}, "trigger.filters.conditions.0.field"),
    ({"trigger": {"filters": RULES}}, "trigger.filters"),
    *[
        ({"trigger": BY_EVENT | {"delay": text}}, "trigger.delay")
        for text in ("-1d", "366d", "1.5h", "90x", "1", "", 5)
    ],
    ({"trigger": BY_SEGMENT | {"include_existing": "yes"}}, "trigger.include_existing"),
    ({"trigger": BY_EVENT | {"include_existing": True}}, "trigger.include_existing"),
    ({"frequency_cap": None}, "frequency_cap"),
    ({"frequency_cap": 1}, "frequency_cap"),
    ({"frequency_cap": {"max": 1}}, "frequency_cap.max"),
    *[
        ({"frequency_cap": {"max_surveys_per_contact": value}}, "frequency_cap.max_surveys_per_contact")
        for value in (0, -1, 1_001, 1.5, "1", True, 10**30)
    ],
    *[
        ({"frequency_cap": {"cooldown_days": value}}, "frequency_cap.cooldown_days")
        for value in (-1, 3_651, 0.5, "90", False)
    ],
    ({"channels": []}, "channels"),
    ({"channels": None}, "channels"),
    ({"channels": "email"}, "channels"),
    ({"channels": ["sms"]}, "channels.0"),
    ({"channels": ["email", None]}, "channels.1"),
    ({"channels": ["email", "widget", "email"]}, "channels"),
    *[({"remind_after": text}, "remind_after") for text in ("0m", "59s", "-1d", "61d", "1.5h", "90x", 3)],
    ({"remind_after": "3d", "channels": ["widget"]}, "remind_after"),
    *[({"repeat": text, "trigger": BY_SEGMENT}, "repeat") for text in ("0m", "23h", "3651d", "1y", 90)],
    ({"repeat": "90d", "trigger": BY_SEGMENT | BY_EVENT}, "repeat"),
    ({"repeat": "90d", "trigger": BY_EVENT}, "repeat"),
    ({"repeat": "90d"}, "repeat"),
    ({"email_template_id": ""}, "email_template_id"),
    ({"email_template_id": "x" * 65}, "email_template_id"),
    ({"email_template_id": 1}, "email_template_id"),
    ({"subject": ""}, "subject"),
    ({"subject": "a\r\nBcc: x@x.io"}, "subject"),
    ({"subject": "x" * 501}, "subject"),
    ({"subject": "Hi {{ contact.name"}, "subject"),
    ({"subject": "{% if %}"}, "subject"),
    ({"actions": None}, "actions"),
    ({"actions": []}, "actions"),
    ({"actions": {"satisfied": {}}}, "actions.satisfied"),
    ({"actions": {"promoter": []}}, "actions.promoter"),
    ({"actions": {"promoter": {"mail": "x"}}}, "actions.promoter.mail"),
    ({"actions": {"promoter": {"add_tags": "fan"}}}, "actions.promoter.add_tags"),
    ({"actions": {"promoter": {"add_tags": [""]}}}, "actions.promoter.add_tags.0"),
    ({"actions": {"promoter": {"add_tags": ["a", "é" * 65]}}}, "actions.promoter.add_tags.1"),
    ({"actions": {"promoter": {"add_tags": ["x"] * 21}}}, "actions.promoter.add_tags"),
    ({"actions": {"passive": {"start_campaign_id": ""}}}, "actions.passive.start_campaign_id"),
    ({"actions": {"passive": {"referral_program_id": "x" * 65}}}, "actions.passive.referral_program_id"),
    *[
        ({"actions": {"detractor": {"pause_marketing_days": days}}}, "actions.detractor.pause_marketing_days")
        for days in (0, -1, 366, 1.5, "30", True)
    ],
    ({"status": "active"}, "status"),
    ({"id": "srvy_mine"}, "id"),
    ({"Name": "x"}, "Name"),
]


@pytest.mark.parametrize(("body", "field"), BODIES)
def test_a_definition_that_breaks_a_rule_is_refused_when_it_is_made_and_when_it_is_changed(
    surveying: SurveyWorld, body: dict[str, Any], field: str
) -> None:
    survey = surveying.ok(surveying.client.post(PATH, NPS))["id"]
    before = rows(surveying)
    for answer in (surveying.client.post(PATH, NPS | body), surveying.client.patch(f"{PATH}/{survey}", body)):
        assert (answer.status, answer.code) == (422, "validation_error"), answer.text
        assert [each for each in answer.fields if each.startswith(field)], answer.fields
        assert len(answer.fields) == 1
    assert rows(surveying) == before


QUESTIONS: list[tuple[Any, str]] = [
    ([], "questions"),
    ([TEXT] * 21, "questions"),
    ([None], "questions.0"),
    ([{"type": "text"}], "questions.0.text"),
    ([{"text": "?"}], "questions.0.type"),
    ([TEXT | {"type": "date"}], "questions.0.type"),
    ([TEXT, TEXT | {"text": ""}], "questions.1.text"),
    ([TEXT | {"text": "x" * 501}], "questions.0.text"),
    ([TEXT | {"id": ""}], "questions.0.id"),
    ([TEXT | {"id": "a b"}], "questions.0.id"),
    ([TEXT | {"id": "x" * 65}], "questions.0.id"),
    ([TEXT | {"id": 1}], "questions.0.id"),
    ([TEXT | {"id": "a"}, TEXT | {"id": "a"}], "questions.1.id"),
    ([TEXT | {"id": "q2"}, TEXT], "questions.1.id"),
    ([TEXT | {"options": ["a", "b"]}], "questions.0.options"),
    ([{"type": "rating", "text": "?", "options": ["1"]}], "questions.0.options"),
    ([CHOICE | {"options": []}], "questions.0.options"),
    ([CHOICE | {"options": ["a"]}], "questions.0.options"),
    ([CHOICE | {"options": ["a", "a"]}], "questions.0.options"),
    ([CHOICE | {"options": [f"o{n}" for n in range(21)]}], "questions.0.options"),
    ([CHOICE | {"options": ["a", ""]}], "questions.0.options.1"),
    ([CHOICE | {"options": ["a", "x" * 201]}], "questions.0.options.1"),
    ([CHOICE | {"options": ["a", 2]}], "questions.0.options.1"),
    ([CHOICE | {"type": "multiple_choice", "options": None}], "questions.0.options"),
    ([TEXT | {"required": "yes"}], "questions.0.required"),
    ([TEXT | {"score": 1}], "questions.0.score"),
]


@pytest.mark.parametrize(("questions", "field"), QUESTIONS)
def test_questions_that_nobody_can_ask_are_refused(surveying: SurveyWorld, questions: Any, field: str) -> None:
    survey = surveying.ok(surveying.client.post(PATH, CUSTOM))["id"]
    before, body = rows(surveying), {"questions": questions}
    for answer in (surveying.client.post(PATH, CUSTOM | body), surveying.client.patch(f"{PATH}/{survey}", body)):
        assert (answer.status, answer.fields) == (422, [field]), answer.text
    assert rows(surveying) == before


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["name", "type"]),
        ({"name": "x", "type": "nps"}, ["question"]),
        ({"name": "x", "type": "csat"}, ["question"]),
        ({"name": "x", "type": "custom"}, ["questions"]),
        (CUSTOM | {"question": "?", "follow_up": "?"}, ["follow_up"]),
        (CUSTOM | {"actions": {"promoter": {"add_tags": ["x"]}}}, ["actions"]),
        (NPS | {"channels": [], "remind_after": "1d", "repeat": "1d"}, ["repeat", "channels", "remind_after"]),
    ],
)
def test_every_fault_of_a_definition_is_told(surveying: SurveyWorld, body: dict[str, Any], fields: list[str]) -> None:
    answer = surveying.client.post(PATH, body)
    assert (answer.status, sorted(answer.fields)) == (422, sorted(fields))


RAW: list[tuple[bytes, int]] = [
    (b"", 400),
    (b"{", 400),
    (b"\xff\xfe", 400),
    (b"[]", 422),
    (b"null", 422),
    (b'"x"', 422),
    (b'{"name": NaN}', 400),
    (b'{"name": "x", "frequency_cap": {"cooldown_days": Infinity}}', 400),
    (b"[" * 100_000, 400),
    (b'{"name": "\\ud800"}', 400),
    (b'{"name": "' + b"x" * 1_100_000 + b'"}', 413),
]


@pytest.mark.parametrize(("raw", "status"), RAW, ids=[str(raw[:40]) for raw, _ in RAW])
@pytest.mark.parametrize("path", ["", "/{}", "/{}/responses", "/{}/activate"])
def test_what_is_no_json_is_refused(surveying: SurveyWorld, path: str, raw: bytes, status: int) -> None:
    survey = surveying.ok(surveying.client.post(PATH, NPS))["id"]
    before = rows(surveying)
    method = "PATCH" if path == "/{}" else "POST"
    if path.endswith("activate"):
        raw = raw or b" {"
    answer = surveying.client.request(method, f"{PATH}{path.format(survey)}", raw)
    # Ingest reads text that is no Unicode, to judge its events one by one.
    assert answer.status in ({status, 422} if path.endswith("responses") else {status}), answer.text
    assert rows(surveying) == before


@pytest.mark.parametrize("levels", [40, 400, 4_000])
def test_rules_that_are_nested_beyond_sense_are_refused(surveying: SurveyWorld, levels: int) -> None:
    raw = b'{"name":"x","type":"nps","question":"?","trigger":{"event":"x","filters":'
    rules = b'{"operator":"AND","conditions":[' * levels + b"]}" * levels
    answer = surveying.client.post(PATH, raw + rules + b"}}")
    assert answer.status in (400, 422)
    assert surveying.get(PATH)["data"] == []
