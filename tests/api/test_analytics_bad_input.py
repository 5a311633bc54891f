"""What analytics refuses, each with its field."""

from typing import Any

import pytest

from tests.support.client import Client

COUNT = {"type": "event_count", "event": "e", "interval": "day"}
FUNNEL = {"name": "F", "steps": [{"event": "a"}, {"event": "b"}], "window": "7d"}
COHORT = {"name": "C", "entry_event": "a", "return_event": "b", "interval": "week"}
DEEP: Any = {"traits.x": [["a"]]}

QUERIES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["type"]),
    ({"type": "median"}, ["type"]),
    ({"type": None}, ["type"]),
    (COUNT | {"interval": "minute"}, ["interval"]),
    (COUNT | {"interval": None}, ["interval"]),
    (COUNT | {"event": ""}, ["event"]),
    (COUNT | {"event": "x" * 257}, ["event"]),
    (COUNT | {"event": "a\nb"}, ["event"]),
    (COUNT | {"event": 5}, ["event"]),
    (COUNT | {"from": "2026-02-30"}, ["from"]),
    (COUNT | {"from": "yesterday"}, ["from"]),
    (COUNT | {"from": 5}, ["from"]),
    (COUNT | {"to": "2026-13-01T00:00:00Z"}, ["to"]),
    (COUNT | {"from": "2026-02-02", "to": "2026-02-01"}, ["from"]),
    (COUNT | {"from": "2026-02-02T00:00:00Z", "to": "2026-02-02T00:00:00Z"}, ["from"]),
    (COUNT | {"from": "1969-12-31", "to": "2026-01-01"}, ["from"]),
    (COUNT | {"from": "2026-01-01", "to": "2500-01-01"}, ["to"]),
    (COUNT | {"from": "0001-01-01"}, ["from"]),
    (COUNT | {"interval": "hour", "from": "2025-01-01", "to": "2026-02-05"}, ["interval"]),
    (COUNT | {"from": "1970-01-02", "to": "2026-01-01"}, ["interval"]),
    (COUNT | {"interval": "month", "from": "1970-01-02", "to": "2026-01-01"}, ["interval"]),
    (COUNT | {"timezone": "Mars/Olympus"}, ["timezone"]),
    (COUNT | {"filters": {"plan": "x"}}, ["filters.plan"]),
    (COUNT | {"filters": {"traits.": "x"}}, ["filters.traits."]),
    (COUNT | {"filters": {"context.ip": "x"}}, ["filters.context.ip"]),
    (COUNT | {"filters": {"traits." + "x" * 257: "x"}}, ["filters.traits." + "x" * 257]),
    (COUNT | {"filters": {"traits.x": None}}, ["filters.traits.x"]),
    (COUNT | {"filters": {"traits.x": {}}}, ["filters.traits.x"]),
    (COUNT | {"filters": {"traits.x": []}}, ["filters.traits.x"]),
    (COUNT | {"filters": DEEP}, ["filters.traits.x"]),
    (COUNT | {"filters": {"traits.x": ["a"] * 101}}, ["filters.traits.x"]),
    (COUNT | {"filters": {"traits.x": "x" * 1_025}}, ["filters.traits.x"]),
    (COUNT | {"filters": {f"traits.x{n}": 1 for n in range(11)}}, ["filters"]),
    (COUNT | {"filters": ["traits.x"]}, ["filters"]),
    (COUNT | {"group_by": "plan"}, ["group_by"]),
    (COUNT | {"group_by": ["traits.plan"]}, ["group_by"]),
    (COUNT | {"group_by": "properties.a\tb"}, ["group_by"]),
    (COUNT | {"steps": [{"event": "a"}]}, ["steps"]),
    (COUNT | {"window": "7d"}, ["window"]),
    (COUNT | {"nonsense": 1}, ["nonsense"]),
    ({"type": "funnel", "window": "7d"}, ["steps"]),
    ({"type": "funnel", "steps": [{"event": "a"}]}, ["window"]),
    ({"type": "funnel", "steps": [], "window": "7d"}, ["steps"]),
    ({"type": "funnel", "steps": [{"event": f"e{n}"} for n in range(20)], "window": "7d"}, ["steps"]),
    ({"type": "funnel", "steps": [{"event": "a"}, {}], "window": "7d"}, ["steps.1.event"]),
    ({"type": "funnel", "steps": [{"event": "a", "filters": {"x": 1}}], "window": "7d"}, ["steps.0.filters.x"]),
    ({"type": "funnel", "steps": [{"event": "a", "window": "7d"}], "window": "7d"}, ["steps.0.window"]),
    ({"type": "funnel", "steps": [{"event": "a"}], "window": "0d"}, ["window"]),
    ({"type": "funnel", "steps": [{"event": "a"}], "window": "366d"}, ["window"]),
    ({"type": "funnel", "steps": [{"event": "a"}], "window": "a week"}, ["window"]),
    ({"type": "funnel", "steps": [{"event": "a"}], "window": 7}, ["window"]),
    ({"type": "funnel", "steps": [{"event": "a"}], "window": "7d", "group_by": "traits.x"}, ["group_by"]),
    ({"type": "cohort_retention", "entry_event": "a", "interval": "week"}, ["return_event"]),
    ({"type": "cohort_retention", "entry_event": "a", "return_event": "b", "interval": "day"}, ["interval"]),
    ({"type": "cohort_retention", "entry_event": "a", "return_event": "b"}, ["interval"]),
    (
        {"type": "cohort_retention", "entry_event": "a", "return_event": "b", "interval": "week", "periods": 53},
        ["periods"],
    ),
    (
        {"type": "cohort_retention", "entry_event": "a", "return_event": "b", "interval": "week", "periods": 0},
        ["periods"],
    ),
]
DEFINITIONS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("funnels", {}, ["name", "steps", "window"]),
    ("funnels", FUNNEL | {"name": " "}, ["name"]),
    ("funnels", FUNNEL | {"name": "x" * 129}, ["name"]),
    ("funnels", FUNNEL | {"steps": []}, ["steps"]),
    ("funnels", FUNNEL | {"steps": [{"event": "a"}] * 11}, ["steps"]),
    ("funnels", FUNNEL | {"window": "-7d"}, ["window"]),
    ("funnels", FUNNEL | {"status": "x"}, ["status"]),
    ("cohorts", {}, ["entry_event", "interval", "name", "return_event"]),
    ("cohorts", COHORT | {"interval": "day"}, ["interval"]),
    ("cohorts", COHORT | {"periods": "8"}, ["periods"]),
    ("cohorts", COHORT | {"entry_event": None}, ["entry_event"]),
]


@pytest.mark.parametrize(("body", "fields"), QUERIES)
def test_a_question_that_is_none_is_refused_with_its_field(
    client: Client, body: dict[str, Any], fields: list[str]
) -> None:
    answer = client.post("/v1/analytics/query", body)
    assert (answer.status, sorted(answer.fields)) == (422, fields), answer.text


@pytest.mark.parametrize(("path", "body", "fields"), DEFINITIONS)
def test_a_definition_that_is_none_is_refused_with_its_field(
    client: Client, path: str, body: dict[str, Any], fields: list[str]
) -> None:
    answer = client.post(f"/v1/analytics/{path}", body)
    assert (answer.status, sorted(answer.fields)) == (422, fields), answer.text


@pytest.mark.parametrize("value", ["xml", "", "CSV"])
def test_another_format_is_a_bad_parameter(client: Client, value: str) -> None:
    assert client.post("/v1/analytics/query", COUNT, query={"format": value}).status == 400


def test_what_is_just_allowed_is(client: Client) -> None:
    for body in (
        COUNT | {"interval": "hour", "from": "2025-01-01", "to": "2026-02-04"},
        COUNT | {"from": "2001-01-01", "to": "2026-01-01"},
        COUNT | {"event": "x" * 256, "filters": {f"traits.x{n}": ["a"] * 100 for n in range(10)}},
        {"type": "funnel", "steps": [{"event": f"e{n}"} for n in range(10)], "window": "365d"},
    ):
        assert client.post("/v1/analytics/query", body).status == 200, body
