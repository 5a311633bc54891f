"""Rules that are refused, with the exact path of each fault, and rules that are taken."""

from typing import Any

import pytest

from chalicelib.core.errors import ValidationFailed
from chalicelib.core.rules.model import Condition, Group
from chalicelib.core.rules.parse import parse, parse_condition

SEGMENT = "seg_01j00000000000000000000000"
OTHER = "seg_01j00000000000000000000001"
CAMPAIGN = "campaigns.cmpgn_01j00000000000000000000000"

SOUND: dict[str, Any] = {"field": "traits.plan", "op": "eq", "value": "trial"}
LOGIN: dict[str, Any] = {"field": "events.login", "op": "count_gte", "value": 3}
HERE = "rules.conditions.0"


def group(*conditions: Any, operator: str = "AND") -> dict[str, Any]:
    return {"operator": operator, "conditions": list(conditions)}


def nested(depth: int) -> dict[str, Any]:
    return group(SOUND if depth == 1 else nested(depth - 1))


def boxed(levels: int) -> Any:
    return [boxed(levels - 1)] if levels > 1 else []


def faults(raw: Any, segments: set[str] | None = None) -> list[str]:
    with pytest.raises(ValidationFailed) as caught:
        parse(raw, segments=segments)
    assert all(set(one) == {"field", "reason", "message"} for one in caught.value.details)
    return [one["field"] for one in caught.value.details]


def condition(field: Any, op: Any, value: Any = ..., **more: Any) -> dict[str, Any]:
    return {"field": field, "op": op, **({} if value is ... else {"value": value}), **more}


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ([], "rules"),
        (None, "rules"),
        ({"operator": "AND"}, "rules.conditions"),
        ({"operator": "AND", "conditions": {}}, "rules.conditions"),
        ({"conditions": [SOUND]}, "rules.operator"),
        ({"operator": "and", "conditions": [SOUND]}, "rules.operator"),
        ({"operator": ["AND"], "conditions": [SOUND]}, "rules.operator"),
        ({**group(SOUND), "name": "x"}, "rules.name"),
        (group(), "rules.conditions"),
        (group(operator="NOT"), "rules.conditions"),
        (group(SOUND, SOUND, operator="NOT"), "rules.conditions"),
        (group(SOUND, group()), "rules.conditions.1.conditions"),
        (group(SOUND, group(SOUND, operator="XOR")), "rules.conditions.1.operator"),
        (nested(9), "rules" + ".conditions.0" * 8),
        (group(*[SOUND] * 101), "rules.conditions.100"),
        (group(group(*[SOUND] * 60), group(*[SOUND] * 60)), "rules.conditions.1.conditions.40"),
        (group("x" * 70_000), "rules"),
    ],
)
def test_a_bad_group_is_refused_at_its_path(raw: Any, path: str) -> None:
    assert faults(raw) == [path]


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ("text", ""),
        ({"op": "eq", "value": 1}, ".field"),
        ({"field": "traits.plan", "value": 1}, ".op"),
        (condition("plan", "eq", 1), ".field"),
        (condition("traits.", "eq", 1), ".field"),
        (condition("events", "exists"), ".field"),
        (condition("scores.other", "gt", 1), ".field"),
        (condition("referral_stats.clicks", "gt", 1), ".field"),
        (condition("properties.x", "eq", 1), ".field"),
        (condition("campaigns.cmpgn_x", "in", ["sent"]), ".field"),
        (condition(7, "eq", 1), ".field"),
        (condition("traits." + "x" * 1_024, "exists"), ".field"),
        (condition("traits.plan", "like", "x"), ".op"),
        (condition("traits.plan", ["eq"], "x"), ".op"),
        (condition("traits.plan", "count_gte", 1), ".op"),
        (condition("email", "gt", 1), ".op"),
        (condition("external_id", "count_gte", 1), ".op"),
        (condition("created_at", "contains", "2026"), ".op"),
        (condition("created_at", "in", ["2026-01-01"]), ".op"),
        (condition("tags", "gt", 1), ".op"),
        (condition("events.login", "eq", 1), ".op"),
        (condition("scores.lead", "contains", 1), ".op"),
        (condition("segments", "eq", SEGMENT), ".op"),
        (condition("segments", "exists"), ".op"),
        (condition(CAMPAIGN, "contains", "sent"), ".op"),
        ({**SOUND, "values": 1}, ".values"),
        (condition("traits.plan", "eq"), ".value"),
        (condition("traits.plan", "exists", None), ".value"),
        (condition("traits.plan", "not_exists", True), ".value"),
        (condition("events.login", "exists", 1), ".value"),
        (condition("traits.plan", "eq", None), ".value"),
        (condition("traits.plan", "eq", "x" * 1_025), ".value"),
        (condition("traits.plan", "neq", ["x", {"y": "x" * 1_025}]), ".value"),
        (condition("traits.plan", "eq", boxed(9)), ".value"),
        (condition("traits.mrr", "gt", "many"), ".value"),
        (condition("traits.mrr", "gt", "5"), ".value"),
        (condition("traits.mrr", "gte", True), ".value"),
        (condition("traits.mrr", "lt", [1]), ".value"),
        (condition("traits.mrr", "lte", None), ".value"),
        (condition("traits.mrr", "lte", "now-7"), ".value"),
        (condition("traits.mrr", "lte", "now-3651d"), ".value"),
        (condition("traits.mrr", "lte", "now - 7d"), ".value"),
        (condition("traits.mrr", "lte", "now-9999999d"), ".value"),
        (condition("created_at", "gt", 5), ".value"),
        (condition("created_at", "eq", "now-7d"), ".value"),
        (condition("created_at", "eq", 5), ".value"),
        (condition("scores.lead", "gt", "now"), ".value"),
        (condition("scores.lead", "eq", "5"), ".value"),
        (condition("last_nps_score", "in", [1, "2"]), ".value.1"),
        (condition("traits.plan", "contains", ["x"]), ".value"),
        (condition("traits.plan", "contains", None), ".value"),
        (condition("email", "contains", "x" * 1_025), ".value"),
        (condition("traits.plan", "in", "trial"), ".value"),
        (condition("traits.plan", "in", []), ".value"),
        (condition("traits.plan", "in", [1] * 501), ".value"),
        (condition("traits.plan", "in", ["a", None]), ".value.1"),
        (condition("traits.plan", "in", ["a", "b", ["c"]]), ".value.2"),
        (condition("traits.plan", "in", ["x" * 1_025]), ".value.0"),
        (condition("events.login", "count_gte", True), ".value"),
        (condition("events.login", "count_gte", 1.0), ".value"),
        (condition("events.login", "count_gte", -1), ".value"),
        (condition("events.login", "count_lte", 1_001), ".value"),
        (condition("events.login", "count_lte"), ".value"),
        ({**SOUND, "window": "7d"}, ".window"),
        (condition("events.login", "exists", window="7d"), ".window"),
        ({**LOGIN, "window": "0d"}, ".window"),
        ({**LOGIN, "window": "7"}, ".window"),
        ({**LOGIN, "window": "1.5h"}, ".window"),
        ({**LOGIN, "window": 7}, ".window"),
        ({**LOGIN, "window": None}, ".window"),
        ({**LOGIN, "window": "3651d"}, ".window"),
        ({**SOUND, "where": [condition("properties.x", "eq", 1)]}, ".where"),
        (condition("events.login", "exists", where=[condition("properties.x", "eq", 1)]), ".where"),
        ({**LOGIN, "where": []}, ".where"),
        ({**LOGIN, "where": {}}, ".where"),
        ({**LOGIN, "where": [condition("properties.x", "exists")] * 11}, ".where"),
        ({**LOGIN, "where": ["x"]}, ".where.0"),
        ({**LOGIN, "where": [condition("traits.x", "eq", 1)]}, ".where.0.field"),
        ({**LOGIN, "where": [condition("properties.", "eq", 1)]}, ".where.0.field"),
        ({**LOGIN, "where": [condition("properties.x", "count_gte", 1)]}, ".where.0.op"),
        ({**LOGIN, "where": [condition("properties.x", "gt", "x")]}, ".where.0.value"),
        ({**LOGIN, "where": [condition("properties.x", "exists", window="7d")]}, ".where.0.window"),
        (condition("segments", "contains", "seg_abc"), ".value"),
        (condition("segments", "contains", [SEGMENT]), ".value"),
        (condition("segments", "contains", OTHER), ".value"),
        (condition("segments", "in", [SEGMENT, OTHER]), ".value.1"),
        (condition("segments", "in", [7]), ".value.0"),
        (condition(CAMPAIGN, "in", ["sent", "bounced"]), ".value.1"),
        (condition(CAMPAIGN, "in", "sent"), ".value"),
    ],
)
def test_a_bad_condition_is_refused_at_its_path(raw: Any, place: str) -> None:
    assert faults(group(raw), segments={SEGMENT}) == [HERE + place]


def test_all_faults_are_told_at_once() -> None:
    raw = group(
        {"field": "plan", "op": "like", "colour": 1},
        group(condition("traits.x", "gt", "x"), condition("traits.x", "in", [None, 1, None]), operator="NOT"),
        {
            **LOGIN,
            "value": "3",
            "window": 7,
            "where": [condition("traits.x", "gt", 1), condition("properties.x", "eq")],
        },
    )
    assert sorted(faults(raw)) == [
        "rules.conditions.0.colour",
        "rules.conditions.0.field",
        "rules.conditions.0.op",
        "rules.conditions.1.conditions",
        "rules.conditions.1.conditions.0.value",
        "rules.conditions.1.conditions.1.value.0",
        "rules.conditions.1.conditions.1.value.2",
        "rules.conditions.2.value",
        "rules.conditions.2.where.0.field",
        "rules.conditions.2.where.1.value",
        "rules.conditions.2.window",
    ]


def test_the_eleventh_condition_with_where_is_refused() -> None:
    counted = {**LOGIN, "where": [condition("properties.x", "exists")]}
    assert faults(group(*[counted] * 11)) == ["rules.conditions.10.where"]


def test_paths_begin_where_the_rules_stand() -> None:
    with pytest.raises(ValidationFailed) as caught:
        parse(group(condition("traits.x", "like")), path="trigger.filters")
    assert caught.value.details[0]["field"] == "trigger.filters.conditions.0.op"


@pytest.mark.parametrize(
    "raw",
    [
        condition("email", "contains", "@acme.com"),
        condition("external_id", "in", ["u1", 7, True]),
        condition("created_at", "gte", "now-7d"),
        condition("created_at", "neq", "2026-02-23"),
        condition("last_seen_at", "lt", "2026-02-23T10:00:00+02:00"),
        condition("tags", "eq", ["vip"]),
        condition("traits.a.b", "eq", {"deep": boxed(7)}),
        condition("traits.trial_ends_at", "lte", "now+3d"),
        condition("traits.due", "gt", "now"),
        condition("traits.mrr", "gte", 100.5),
        condition("events.$page_view", "exists"),
        condition("events.Order Completed", "count_lte", 0, window="4w"),
        condition(
            "events.a.b", "count_gte", 1_000, window="3650d", where=[condition("properties.a.b", "gt", "now-1d")]
        ),
        condition("scores.engagement", "in", [1, 2.5]),
        condition("referral_stats.conversions", "gte", 1),
        condition("last_csat_score", "not_exists"),
        condition("segments", "contains", SEGMENT),
        condition("segments", "in", [SEGMENT]),
        condition(CAMPAIGN, "in", ["opened", "clicked"]),
        nested(7),
    ],
)
def test_sound_rules_are_taken(raw: dict[str, Any]) -> None:
    assert len(parse(group(raw), segments={SEGMENT}).conditions) == 1


def test_a_hundred_conditions_ten_of_them_with_where_are_taken() -> None:
    counted = {**LOGIN, "where": [condition("properties.x", "exists")] * 10}
    assert len(parse(group(*[counted] * 10, *[SOUND] * 90)).conditions) == 100


def test_the_tree_keeps_what_was_written() -> None:
    raw = group({**LOGIN, "window": "7d", "where": [condition("properties.x", "exists")]}, operator="NOT")
    counted = Condition("events.login", "count_gte", 3, "7d", (Condition("properties.x", "exists"),))
    assert parse(raw) == Group("NOT", (counted,))


def test_a_condition_outside_of_a_tree_is_held_to_the_same_rules() -> None:
    assert parse_condition(SOUND, path="traits.0") == Condition("traits.plan", "eq", "trial")
    with pytest.raises(ValidationFailed) as caught:
        parse_condition(condition("traits.plan", "gt", "x"), path="traits.0")
    assert caught.value.details[0]["field"] == "traits.0.value"
