"""Bodies that the segment endpoints refuse, each at the dotted path of its fault, and without a trace."""

from typing import Any

import pytest

from tests.support.client import Client

PLAN = {"field": "traits.plan", "op": "eq", "value": "trial"}
LOGIN = {"field": "events.login", "op": "count_gte", "value": 1}
DROPPED: dict[str, Any] = {
    "field": "funnel",
    "op": "dropped",
    "value": {"steps": [{"event": "a"}, {"event": "b"}], "window": "7d", "step": 1, "within": "30d"},
}
UNKNOWN = "seg_01j00000000000000000000000"
HERE = "rules.conditions.0"


def rules(*conditions: Any, operator: str = "AND") -> dict[str, Any]:
    return {"operator": operator, "conditions": list(conditions)}


def deep(levels: int) -> dict[str, Any]:
    return rules(PLAN if levels == 1 else deep(levels - 1))


BAD_RULES: dict[str, tuple[Any, str]] = {
    "a list": ([], "rules"),
    "no operator": ({"conditions": [PLAN]}, "rules.operator"),
    "an unknown operator": (rules(PLAN, operator="XOR"), "rules.operator"),
    "an operator in small letters": (rules(PLAN, operator="and"), "rules.operator"),
    "no conditions": ({"operator": "AND"}, "rules.conditions"),
    "an empty group": (rules(), "rules.conditions"),
    "an empty group within": (rules(PLAN, rules()), "rules.conditions.1.conditions"),
    "NOT over two": (rules(PLAN, PLAN, operator="NOT"), "rules.conditions"),
    "nine levels": (deep(9), "rules" + ".conditions.0" * 8),
    "101 conditions": (rules(*[PLAN] * 101), "rules.conditions.100"),
    "11 with where": (
        rules(*[LOGIN | {"where": [{"field": "properties.a", "op": "exists"}]}] * 11),
        "rules.conditions.10.where",
    ),
    "an unknown field": (rules(PLAN | {"field": "plan"}), f"{HERE}.field"),
    "an event's name of 258 bytes": (rules(LOGIN | {"field": "events." + "é" * 129}), f"{HERE}.field"),
    "a trait without a name": (rules(PLAN | {"field": "traits."}), f"{HERE}.field"),
    "no op": (rules({"field": "email"}), f"{HERE}.op"),
    "an unknown op": (rules(PLAN | {"op": "like"}), f"{HERE}.op"),
    "an op that does not fit": (rules({"field": "email", "op": "gte", "value": 1}), f"{HERE}.op"),
    "a count of a trait": (rules({"field": "traits.a", "op": "count_gte", "value": 1}), f"{HERE}.op"),
    "no value": (rules({"field": "traits.plan", "op": "eq"}), f"{HERE}.value"),
    "a value of exists": (rules({"field": "traits.plan", "op": "exists", "value": 1}), f"{HERE}.value"),
    "null": (rules(PLAN | {"value": None}), f"{HERE}.value"),
    "text that is no moment": (rules({"field": "traits.a", "op": "gt", "value": "soon"}), f"{HERE}.value"),
    "a bad relative moment": (rules({"field": "created_at", "op": "gt", "value": "now-7y"}), f"{HERE}.value"),
    "true as a bound": (rules({"field": "traits.a", "op": "lt", "value": True}), f"{HERE}.value"),
    "in without a list": (rules({"field": "traits.a", "op": "in", "value": "a"}), f"{HERE}.value"),
    "an empty list": (rules({"field": "traits.a", "op": "in", "value": []}), f"{HERE}.value"),
    "a count below zero": (rules(LOGIN | {"value": -1}), f"{HERE}.value"),
    "a count of 1001": (rules(LOGIN | {"value": 1_001}), f"{HERE}.value"),
    "half a count": (rules(LOGIN | {"value": 1.5}), f"{HERE}.value"),
    "true as a count": (rules(LOGIN | {"value": True}), f"{HERE}.value"),
    "a window without a count": (rules(PLAN | {"window": "7d"}), f"{HERE}.window"),
    "a window of months": (rules(LOGIN | {"window": "7M"}), f"{HERE}.window"),
    "a window of nothing": (rules(LOGIN | {"window": "0d"}), f"{HERE}.window"),
    "where without a count": (rules(PLAN | {"where": []}), f"{HERE}.where"),
    "an empty where": (rules(LOGIN | {"where": []}), f"{HERE}.where"),
    "where on a trait": (rules(LOGIN | {"where": [PLAN]}), f"{HERE}.where.0.field"),
    "where with a bad value": (
        rules(LOGIN | {"where": [{"field": "properties.a", "op": "gt", "value": "x"}]}),
        f"{HERE}.where.0.value",
    ),
    "a funnel's step without an event": (
        rules(DROPPED | {"value": DROPPED["value"] | {"steps": [{"event": "a"}, {"event": " "}, {"event": "b"}]}}),
        f"{HERE}.value.steps.1.event",
    ),
    "dropped at the last step": (rules(DROPPED | {"value": DROPPED["value"] | {"step": 2}}), f"{HERE}.value.step"),
    "an unknown key": (rules(PLAN | {"because": 1}), f"{HERE}.because"),
    "an unknown segment": (rules({"field": "segments", "op": "contains", "value": UNKNOWN}), f"{HERE}.value"),
    "a campaign's step": (rules({"field": "campaigns.x", "op": "in", "value": ["sent"]}), f"{HERE}.field"),
    "a score that is text": (rules({"field": "scores.lead", "op": "gte", "value": "high"}), f"{HERE}.value"),
    "rules of over 64 KB": (rules(*[{"field": "traits.a", "op": "eq", "value": "x" * 1_000}] * 80), "rules"),
}


@pytest.mark.parametrize("case", BAD_RULES)
def test_bad_rules_are_refused_at_their_path_and_leave_nothing(client: Client, case: str) -> None:
    raw, path = BAD_RULES[case]
    answer = client.post("/v1/segments", {"name": "S", "rules": raw})
    assert (answer.status, answer.code) == (422, "validation_error")
    assert path in answer.fields
    assert client.get("/v1/segments").json["data"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"rules": rules(PLAN)}, "name"),
        ({"name": " ", "rules": rules(PLAN)}, "name"),
        ({"name": "x" * 129, "rules": rules(PLAN)}, "name"),
        ({"name": "S", "rules": rules(PLAN), "color": "red"}, "color"),
        ({"name": "S", "type": "dynamic"}, ""),
        ({"name": "S", "type": "static", "rules": rules(PLAN)}, ""),
        ({"name": "S", "type": "other", "rules": rules(PLAN)}, "type"),
        ({"name": "S", "type": "static", "contact_ids": ["cntct_none"]}, "contact_ids.0"),
        ({"name": "S", "type": "static", "contact_ids": ["c"] * 101}, "contact_ids"),
    ],
)
def test_a_segment_that_can_not_be_is_refused(client: Client, body: dict[str, Any], field: str) -> None:
    answer = client.post("/v1/segments", body)
    assert (answer.status, answer.fields) == (422, [field])


def test_a_change_and_an_estimate_are_held_to_the_same_rules(client: Client) -> None:
    segment_id = client.post("/v1/segments", {"name": "S", "rules": rules(PLAN)}).json["id"]
    bad = {"rules": rules(PLAN | {"op": "like"})}
    for answer in (
        client.patch(f"/v1/segments/{segment_id}", bad),
        client.post(f"/v1/segments/{segment_id}/estimate", bad),
    ):
        assert (answer.status, answer.fields) == (422, [f"{HERE}.op"])
    assert client.patch(f"/v1/segments/{segment_id}", {"name": None}).status == 422
    assert client.get(f"/v1/segments/{segment_id}").json["rules"] == rules(PLAN)


def test_members_of_a_dynamic_segment_can_not_be_put_in(client: Client) -> None:
    segment_id = client.post("/v1/segments", {"name": "S", "rules": rules(PLAN)}).json["id"]
    contact_id = client.post("/v1/contacts", {"external_id": "u"}).json["id"]
    answer = client.post(f"/v1/segments/{segment_id}/contacts", {"contact_ids": [contact_id]})
    assert (answer.status, answer.fields) == (422, ["contact_ids"])
