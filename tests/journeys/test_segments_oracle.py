"""Segments through worker, store, bus and clock are what a slow and obvious reading of the contract says."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.core import clock
from chalicelib.core.clock import iso
from chalicelib.core.ids import new_project_id
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.model import Project
from chalicelib.features.segments import service as segments
from chalicelib.flows.segments import define, explain
from chalicelib.platform import keys, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.unit.rules import oracle
from tests.unit.rules.oracle import Happened, Person

START = clock.parse_instant("2026-02-23T10:00:00Z")
USERS = ("ann", "ben")
SECONDS = st.sampled_from((-7200, -120, -61, -60, -59, -3, 0, 1, 60, 600))
VALUES = st.sampled_from(("a", "Ab", 1, 2, True, None, iso(START), iso(START - 61_000), ["a", 1]))

EVENTS = st.fixed_dictionaries(
    {
        "user": st.sampled_from(USERS),
        "type": st.just("track"),
        "event": st.sampled_from(("login", "paid")),
        "seconds": SECONDS,
        "properties": st.fixed_dictionaries({}, optional={"p": VALUES.filter(lambda value: value is not None)}),
    }
)
IDENTIFIES = st.fixed_dictionaries(
    {
        "user": st.sampled_from(USERS),
        "type": st.just("identify"),
        "seconds": SECONDS,
        "traits": st.dictionaries(st.sampled_from(("x", "y")), VALUES, min_size=1),
    }
)
AGAIN = st.fixed_dictionaries({"type": st.just("again"), "which": st.integers(0, 5)})
ADVANCES = st.fixed_dictionaries({"type": st.just("advance"), "seconds": st.sampled_from((1, 59, 60, 61, 3600, 7000))})
STEPS = st.lists(EVENTS | EVENTS | IDENTIFIES | ADVANCES | AGAIN, min_size=2, max_size=5)

COUNTS = st.fixed_dictionaries(
    {
        "field": st.sampled_from(("events.login", "events.paid")),
        "op": st.sampled_from(("count_gte", "count_lte")),
        "value": st.sampled_from((0, 1, 2)),
    },
    optional={
        "window": st.sampled_from(("1m", "2m", "2h")),
        "where": st.just([{"field": "properties.p", "op": "eq", "value": "a"}]),
    },
)
LEAVES = st.one_of(
    COUNTS,
    COUNTS,
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(("traits.x", "traits.y")),
            "op": st.sampled_from(("eq", "neq")),
            "value": VALUES.filter(lambda value: value is not None),
        }
    ),
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(("traits.x", "last_seen_at", "created_at")),
            "op": st.sampled_from(("gt", "gte", "lt", "lte")),
            "value": st.sampled_from(("now-1m", "now-2h", "now+1m")),
        }
    ),
    st.fixed_dictionaries(
        {"field": st.sampled_from(("traits.y", "events.login")), "op": st.sampled_from(("exists", "not_exists"))}
    ),
)


def groups(leaves: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.fixed_dictionaries(
        {"operator": st.sampled_from(("AND", "OR")), "conditions": st.lists(leaves, min_size=1, max_size=3)}
    )
    return several | st.fixed_dictionaries(
        {"operator": st.just("NOT"), "conditions": st.lists(leaves, min_size=1, max_size=1)}
    )


RULES = groups(LEAVES | groups(LEAVES))


class Model:
    """What was said, as it was said."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, Any]] = {}
        self.said: list[tuple[str, dict[str, Any], int, int]] = []

    def say(self, message_id: str, step: dict[str, Any], now: int) -> None:
        if message_id in self.seen:
            return
        self.seen[message_id] = step
        at = now + 1000 * step["seconds"]
        self.said.append((message_id, step, at, now))

    def person(self, user: str, others: dict[str, Any]) -> Person | None:
        mine = [each for each in self.said if each[1]["user"] == user]
        if not mine:
            return None
        traits: dict[str, tuple[tuple[int, str], Any]] = {}
        for message_id, step, at, _ in mine:
            for key, value in step.get("traits", {}).items():
                if key not in traits or traits[key][0] < (at, message_id):
                    traits[key] = ((at, message_id), value)
        return Person(
            fields={"created_at": iso(mine[0][3]), "last_seen_at": iso(max(at for _, _, at, _ in mine)), "tags": []},
            traits={key: value for key, (_, value) in traits.items() if value is not None},
            events=[
                Happened(message_id, step["event"], at, step["properties"])
                for message_id, step, at, _ in mine
                if step["type"] == "track"
            ],
            campaigns={},
            segments=others,
        )


def project(is_test: bool = True) -> Tenant:
    tenant = Tenant(new_project_id(is_test=is_test))
    table.transact(projects.creation(Project(tenant.project_id, "P", "test", "scale", created_at=START)))
    return tenant


def define_segment(tenant: Tenant, rules: dict[str, Any]) -> str:
    now = projects.now(tenant)
    return define.create(tenant, "S", "dynamic", rules, [], now, Receipt(tenant, now))[0].id


def take(tenant: Tenant, model: Model, n: int, step: dict[str, Any]) -> None:
    """One step, worked through until nothing is left to do."""
    now = projects.now(tenant)
    if step["type"] == "advance":
        pipeline.advance(tenant, now + 1000 * step["seconds"])
        return
    message_id = f"m{n}"
    if step["type"] == "again":
        message_id = f"m{step['which']}"
        if message_id not in model.seen:
            return
        step = model.seen[message_id]
    model.say(message_id, step, now)
    raw = {"userId": step["user"], "messageId": message_id, "timestamp": iso(now + 1000 * step["seconds"])}
    raw |= {key: step[key] for key in ("event", "properties", "traits") if key in step}
    pipeline.record(tenant, [pipeline.accepted(raw, step["type"], now)])
    pipeline.drain()


def compare(tenant: Tenant, model: Model, defined: dict[str, dict[str, Any]], *, deeply: bool) -> None:
    now = projects.now(tenant)
    people = {user: model.person(user, defined) for user in USERS}
    for segment_id, rules in defined.items():
        expected = {user for user, person in people.items() if person is not None and oracle.holds(rules, person, now)}
        rows, _ = contacts.listing(tenant, contacts.Filter(segment_id=segment_id), 10, None)
        assert {row.external_id for row in rows} == expected
        if not deeply:
            continue
        assert segments.counts(tenant, [segments.get(tenant, segment_id)]) == {segment_id: len(expected)}
        for row in contacts.listing(tenant, contacts.Filter(), 10, None)[0]:
            person = people[str(row.external_id)]
            assert person is not None
            told = explain.run(tenant, segment_id, row.id, now)
            changes = [
                moment
                for moment in oracle.moments_of_change(rules, person, now)
                if oracle.holds(rules, person, moment) != told.is_member
            ]
            assert told.is_member == (row.external_id in expected)
            assert told.flips_at == min(changes, default=None)


def play(fresh_table: Callable[[], None], first: Any, second: Any, steps: list[dict[str, Any]], late: int) -> None:
    fresh_table()
    tenant, model = project(), Model()
    defined = {define_segment(tenant, first): first}
    (first_id,) = defined
    for n, step in enumerate(steps):
        if n == late:
            naming = {
                "operator": "OR",
                "conditions": [{"field": "segments", "op": "contains", "value": first_id}, second],
            }
            defined[define_segment(tenant, naming)] = naming
            pipeline.drain()
        take(tenant, model, n, step)
        compare(tenant, model, defined, deeply=n == len(steps) - 1)


@pytest.fixture(autouse=True)
def one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few contacts need no eight Queries for each list."""
    monkeypatch.setattr(keys, "CONTACT_SHARDS", 1)


WORLDS = {"first": RULES, "second": RULES, "steps": STEPS, "late": st.integers(0, 3)}
FIXTURE = HealthCheck.function_scoped_fixture


@given(**WORLDS)
@settings(max_examples=100, deadline=None, suppress_health_check=[FIXTURE, HealthCheck.too_slow])
def test_members_counts_and_explanations_are_the_oracles(
    fresh_table: Callable[[], None], first: Any, second: Any, steps: list[dict[str, Any]], late: int
) -> None:
    play(fresh_table, first, second, steps, late)


@pytest.mark.prove
@pytest.mark.timeout(3000)
@given(**WORLDS)
@settings(max_examples=1_000, deadline=None, suppress_health_check=[FIXTURE, HealthCheck.too_slow])
def test_members_counts_and_explanations_are_the_oracles_in_many_worlds(
    fresh_table: Callable[[], None], first: Any, second: Any, steps: list[dict[str, Any]], late: int
) -> None:
    play(fresh_table, first, second, steps, late)
