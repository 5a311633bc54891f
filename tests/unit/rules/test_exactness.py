"""The words of the contract, one example each. Moments in ms."""

from itertools import pairwise
from typing import Any

import pytest

from chalicelib.core.clock import DAY, HOUR, MINUTE, SECOND, iso, parse_instant
from chalicelib.core.rules.compiled import Rules, compile_rules
from chalicelib.core.rules.evaluate import Verdict, evaluate, explain
from chalicelib.core.rules.facts import Event, Facts, History
from chalicelib.core.rules.needs import Reads, needs, reads
from chalicelib.core.rules.parse import parse

NOW = parse_instant("2026-02-23T10:00:00Z")
SEGMENTS = [f"seg_01j0000000000000000000{n:04d}" for n in range(1_200)]


def rules(*conditions: dict[str, Any], operator: str = "AND") -> Rules:
    return compile_rules(parse({"operator": operator, "conditions": list(conditions)}))


def one(field: str, op: str, value: Any = ..., **more: Any) -> Rules:
    return rules({"field": field, "op": op, **({} if value is ... else {"value": value}), **more})


def happened(*moments: int, properties: dict[str, Any] | None = None) -> Facts:
    return Facts(events={"login": History(Event(f"evt_{n}", at, properties or {}) for n, at in enumerate(moments))})


def traits(**values: Any) -> Facts:
    return Facts(traits=values)


@pytest.mark.parametrize(
    ("window", "length"),
    [
        ("30s", 30 * SECOND),
        ("30m", 30 * MINUTE),
        ("24h", 24 * HOUR),
        ("7d", 7 * DAY),
        ("4w", 28 * DAY),
    ],
)
def test_an_event_counts_until_just_before_its_window_has_run_out(window: str, length: int) -> None:
    counted = one("events.login", "count_gte", 1, window=window)
    assert evaluate(counted, happened(NOW), NOW) == Verdict(True, NOW + length)
    assert evaluate(counted, happened(NOW), NOW + length - 1) == Verdict(True, NOW + length)
    assert evaluate(counted, happened(NOW), NOW + length) == Verdict(False, None)


def test_an_event_in_the_future_counts_from_its_timestamp_on() -> None:
    counted = one("events.login", "count_gte", 1, window="30s")
    assert evaluate(counted, happened(NOW + 5), NOW) == Verdict(False, NOW + 5)
    assert evaluate(one("events.login", "exists"), happened(NOW + 5), NOW) == Verdict(False, NOW + 5)
    assert evaluate(one("events.login", "not_exists"), happened(NOW + 5), NOW) == Verdict(True, NOW + 5)


def test_a_count_that_is_lost_and_regained_in_one_millisecond_does_not_flip() -> None:
    counted = one("events.login", "count_gte", 1, window="30s")
    assert evaluate(counted, happened(NOW, NOW + 30 * SECOND), NOW) == Verdict(True, NOW + 60 * SECOND)


def test_at_most_n_holds_again_when_the_oldest_of_too_many_stops_to_count() -> None:
    counted = one("events.login", "count_lte", 1, window="30s")
    assert evaluate(counted, happened(NOW - 10, NOW - 7), NOW) == Verdict(False, NOW - 10 + 30 * SECOND)


def test_at_most_n_holds_for_a_contact_without_events() -> None:
    assert evaluate(one("events.login", "count_lte", 0, window="4w"), Facts(), NOW) == Verdict(True, None)


def test_zero_or_more_events_hold_for_ever() -> None:
    assert evaluate(one("events.login", "count_gte", 0, window="30s"), happened(NOW), NOW) == Verdict(True, None)


def test_a_where_that_moves_with_now_ends_an_events_counting() -> None:
    due = {"field": "properties.due", "op": "gt", "value": "now"}
    counted = one("events.login", "count_gte", 1, window="24h", where=[due])
    facts = happened(NOW, properties={"due": iso(NOW + HOUR)})
    assert evaluate(counted, facts, NOW) == Verdict(True, NOW + HOUR)


@pytest.mark.parametrize(
    ("op", "before", "flips_at"),
    [
        ("gt", True, NOW + 7 * DAY),
        ("gte", True, NOW + 7 * DAY + 1),
        ("lt", False, NOW + 7 * DAY + 1),
        ("lte", False, NOW + 7 * DAY),
    ],
)
def test_a_relative_bound_passes_the_moment_of_creation(op: str, before: bool, flips_at: int) -> None:
    passing = one("created_at", op, "now-7d")
    facts = Facts(created_at=NOW)
    assert evaluate(passing, facts, NOW) == Verdict(before, flips_at)
    assert evaluate(passing, facts, flips_at - 1) == Verdict(before, flips_at)
    assert evaluate(passing, facts, flips_at) == Verdict(not before, None)


def test_a_bound_in_the_future_passes_a_date_in_a_trait() -> None:
    ends = one("traits.trial_ends_at", "lte", "now+3d")
    assert evaluate(ends, traits(trial_ends_at="2026-03-01"), NOW) == Verdict(False, parse_instant("2026-02-26"))


def test_a_moment_that_is_missing_passes_no_bound() -> None:
    for op in ("gt", "gte", "lt", "lte"):
        assert evaluate(one("last_seen_at", op, "now-7d"), Facts(), NOW) == Verdict(False, None)


def test_what_changes_after_the_last_year_never_changes() -> None:
    facts = traits(ends="9999-12-31T23:59:59Z")
    assert evaluate(one("traits.ends", "gt", "now-1d"), facts, NOW) == Verdict(True, None)
    assert evaluate(one("traits.ends", "gt", "now"), facts, NOW).flips_at == parse_instant("9999-12-31T23:59:59Z")


@pytest.mark.parametrize(
    ("op", "value", "found", "holds"),
    [
        ("eq", 1, 1.0, True),
        ("eq", 1, True, False),
        ("eq", True, 1, False),
        ("eq", 0, False, False),
        ("eq", "1", 1, False),
        ("eq", [1, "a"], [1.0, "a"], True),
        ("eq", [1], [True], False),
        ("eq", ["a", "b"], ["b", "a"], False),
        ("eq", {"a": [1]}, {"a": [1.0]}, True),
        ("eq", {"a": 1}, {"a": 1, "b": 2}, False),
        ("eq", "2026-02-23", "2026-02-23T00:00:00Z", False),
        ("neq", 1, True, True),
        ("neq", 1, 1.0, False),
        ("neq", "a", None, True),
        ("gt", 1, 1.5, True),
        ("gt", 1, "2", False),
        ("gt", 0, True, False),
        ("gt", 1, [2], False),
        ("lt", "2026-02-23", "2026-02-22T23:59:59.999Z", True),
        ("gte", "2026-02-23", "2026-02-23T02:00:00+02:00", True),
        ("gte", "2026-02-23", 1_900_000_000_000, False),
        ("lte", "2026-02-23", "soon", False),
        ("lt", 5, None, False),
        ("contains", "ACME", "sales@acme.com", True),
        ("contains", "acme", ["ACME"], False),
        ("contains", 1, [True, "1"], False),
        ("contains", 1, [1.0], True),
        ("contains", 5, "555", False),
        ("contains", "a", {"a": 1}, False),
        ("contains", "a", None, False),
        ("in", ["growth", "scale"], "scale", True),
        ("in", ["growth", "scale"], ["free", "scale"], True),
        ("in", ["growth"], "Growth", False),
        ("in", [1], True, False),
        ("in", [1], [1.0], True),
        ("in", [True], 1, False),
        ("in", [1], [[1]], False),
        ("in", ["a"], None, False),
        ("exists", ..., "", True),
        ("exists", ..., [], True),
        ("exists", ..., None, False),
        ("not_exists", ..., None, True),
        ("not_exists", ..., 0, False),
    ],
)
def test_a_trait_is_compared_with_its_type(op: str, value: Any, found: Any, holds: bool) -> None:
    facts = traits(x=found) if found is not None else Facts()
    assert evaluate(one("traits.x", op, value), facts, NOW) == Verdict(holds, None)


def test_a_trait_is_found_by_its_literal_key_before_the_nested_one() -> None:
    nested = {"a": {"b": 2, "b.c": 3}}
    assert evaluate(one("traits.a.b", "eq", 2), Facts(traits=nested), NOW).holds
    assert evaluate(one("traits.a.b.c", "eq", 3), Facts(traits=nested), NOW).holds
    assert evaluate(one("traits.a.b", "eq", 1), Facts(traits={**nested, "a.b": 1}), NOW).holds


def test_a_contact_without_tags_has_none_that_exist() -> None:
    assert evaluate(one("tags", "not_exists"), Facts(), NOW).holds
    assert evaluate(one("tags", "exists"), Facts(tags=["vip"]), NOW).holds
    assert evaluate(one("tags", "in", ["new", "vip"]), Facts(tags=["vip"]), NOW).holds


def test_moments_equal_each_other_in_whatever_zone_they_are_written() -> None:
    facts = Facts(created_at=parse_instant("2026-02-23"))
    assert evaluate(one("created_at", "eq", "2026-02-23T02:00:00+02:00"), facts, NOW).holds
    assert evaluate(one("last_seen_at", "neq", "2026-02-23"), facts, NOW).holds


def test_a_chain_of_a_thousand_segments_is_followed_to_its_end() -> None:
    links = {here: one("segments", "contains", there) for here, there in pairwise(SEGMENTS)}
    events = happened(NOW).events
    facts = Facts(events=events, segments={**links, SEGMENTS[-1]: one("events.login", "count_gte", 1, window="30s")})
    assert evaluate(links[SEGMENTS[0]], facts, NOW) == Verdict(True, NOW + 30 * SECOND)


def test_segments_that_name_each_other_end_somewhere() -> None:
    first, second = one("segments", "contains", SEGMENTS[1]), one("segments", "contains", SEGMENTS[0])
    facts = Facts(segments={SEGMENTS[0]: first, SEGMENTS[1]: second})
    assert evaluate(first, facts, NOW) == Verdict(False, None)


def test_evidence_is_the_newest_hundred() -> None:
    counted = one("events.login", "count_gte", 1)
    told = explain(counted, happened(*range(NOW - 150, NOW)), NOW)["conditions"][0]
    assert told["actual"] == 150
    assert told["evidence"] == [f"evt_{n}" for n in range(149, 49, -1)]


def test_a_condition_is_explained_as_it_was_written() -> None:
    raw = {"field": "events.login", "op": "count_gte", "value": 2, "window": "30m"}
    raw["where"] = [{"field": "properties.plan", "op": "exists"}]
    told = explain(rules(raw), happened(NOW - 2, NOW - 1, properties={"plan": "x"}), NOW)
    flips_at = iso(NOW - 2 + 30 * MINUTE)
    assert told == {
        "operator": "AND",
        "holds": True,
        "flips_at": flips_at,
        "conditions": [{**raw, "holds": True, "flips_at": flips_at, "actual": 2, "evidence": ["evt_1", "evt_0"]}],
    }


def test_a_campaigns_steps_are_told_in_their_order() -> None:
    campaign = "cmpgn_01j00000000000000000000000"
    facts = Facts(campaigns={campaign: {"opened", "sent"}})
    told = explain(one(f"campaigns.{campaign}", "in", ["clicked", "opened"]), facts, NOW)["conditions"][0]
    assert (told["holds"], told["actual"]) == (True, ["sent", "opened"])


def test_rules_read_what_they_name() -> None:
    campaign = "cmpgn_01j00000000000000000000000"
    raw = [
        {"field": "traits.a.b", "op": "exists"},
        {"field": "traits.plan", "op": "exists"},
        {"field": "last_seen_at", "op": "gt", "value": "now-7d"},
        {"field": "scores.lead", "op": "gt", "value": 1},
        {"field": "referral_stats.conversions", "op": "gt", "value": 1},
        {"operator": "NOT", "conditions": [{"field": "events.a.b", "op": "exists"}]},
        {"field": "segments", "op": "in", "value": SEGMENTS[:2]},
        {"field": "segments", "op": "contains", "value": SEGMENTS[2]},
        {"field": f"campaigns.{campaign}", "op": "in", "value": ["sent"]},
    ]
    fields = ("traits.a", "traits.a.b", "traits.plan", "last_seen_at", "scores.lead", "referral_stats.conversions")
    expected = Reads(frozenset(fields), frozenset({"a.b"}), frozenset(SEGMENTS[:3]), frozenset({campaign}))
    assert reads(parse({"operator": "AND", "conditions": raw})) == expected


def test_a_count_of_n_is_decided_by_the_newest_n() -> None:
    need = needs([one("events.login", "count_gte", 3), one("events.login", "exists")])["login"]
    newest_first = [Event(f"evt_{n}", NOW - n, {}) for n in range(5)]
    assert need.at_least == 3
    assert [need.is_satisfied(newest_first[:n], NOW) for n in range(5)] == [False, False, False, True, True]


def test_a_count_of_at_most_n_is_decided_by_one_more() -> None:
    need = needs([one("events.login", "count_lte", 1)])["login"]
    newest_first = [Event(f"evt_{n}", NOW - n, {}) for n in range(3)]
    assert [need.is_satisfied(newest_first[:n], NOW) for n in range(4)] == [False, False, True, True]


def test_events_in_the_future_decide_nothing_yet() -> None:
    need = needs([one("events.login", "count_gte", 1)])["login"]
    assert not need.is_satisfied([Event("evt_1", NOW + 1, {})], NOW)


def test_a_history_that_reaches_back_past_the_window_is_enough() -> None:
    need = needs([one("events.login", "count_gte", 3, window="30s")])["login"]
    newest = Event("evt_1", NOW, {})
    assert not need.is_satisfied([newest, Event("evt_0", NOW - 30 * SECOND + 1, {})], NOW)
    assert need.is_satisfied([newest, Event("evt_0", NOW - 30 * SECOND, {})], NOW)
