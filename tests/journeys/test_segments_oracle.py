"""Segments through worker, store, bus and clock are what a slow and obvious reading of the contract says."""

from collections.abc import Callable
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.core import clock
from chalicelib.core.clock import iso
from chalicelib.core.ids import new_project_id, new_ulid
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.model import Project
from chalicelib.features.segments import service as segments
from chalicelib.flows import merge_contacts
from chalicelib.flows.segments import define, explain
from chalicelib.platform import keys, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from tests.support import identities, identity_oracle, pipeline
from tests.support.identity_oracle import Fact, Seen
from tests.support.memory_world import World
from tests.unit.rules import oracle
from tests.unit.rules.oracle import Happened, Person

pytestmark = pytest.mark.usefixtures("impatient")

START = clock.parse_instant("2026-02-23T10:00:00Z")
USERS = ("ann", "ben")
SECONDS = st.sampled_from((-7200, -120, -61, -60, -59, -3, 0, 1, 60, 600))
VALUES = st.sampled_from(("a", "Ab", 1, 2, True, None, iso(START), iso(START - 61_000), ["a", 1]))

WHO = st.one_of(
    st.fixed_dictionaries({"user": st.sampled_from(USERS)}, optional={"anonymous": st.just("v")}),
    st.just({"anonymous": "v"}),
)
EVENTS = st.fixed_dictionaries(
    {
        "type": st.just("track"),
        "event": st.sampled_from(("login", "paid")),
        "seconds": SECONDS,
        "properties": st.fixed_dictionaries({}, optional={"p": VALUES.filter(lambda value: value is not None)}),
    }
)
IDENTIFIES = st.fixed_dictionaries(
    {
        "type": st.just("identify"),
        "seconds": SECONDS,
        "traits": st.dictionaries(st.sampled_from(("x", "y")), VALUES, min_size=1) | st.just({"email": "a@x.io"}),
    }
)
JOINS = st.one_of(
    st.fixed_dictionaries(
        {
            "type": st.just("alias"),
            "seconds": SECONDS,
            "user": st.sampled_from(USERS),
            "previous": st.sampled_from((*USERS, "v")),
        }
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("merge"),
            "user": st.sampled_from(USERS),
            "source": st.sampled_from(USERS),
            "preference": st.sampled_from(("prefer_target", "prefer_source", "newest")),
        }
    ),
)
SAID = st.tuples(EVENTS | EVENTS | IDENTIFIES, WHO).map(lambda both: both[0] | both[1])
AGAIN = st.fixed_dictionaries({"type": st.just("again"), "which": st.integers(0, 5)})
ADVANCES = st.fixed_dictionaries({"type": st.just("advance"), "seconds": st.sampled_from((1, 59, 60, 61, 3600, 7000))})
STEPS = st.lists(SAID | SAID | SAID | JOINS | ADVANCES | AGAIN, min_size=2, max_size=6)

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
FUNNELS = st.fixed_dictionaries(
    {
        "field": st.just("funnel"),
        "op": st.sampled_from(("converted", "dropped")),
        "value": st.fixed_dictionaries(
            {
                "steps": st.sampled_from(
                    (
                        [{"event": "login"}, {"event": "paid"}],
                        [{"event": "login", "filters": {"traits.x": ["a", 1]}}, {"event": "login"}],
                        [{"event": "paid"}, {"event": "login", "filters": {"properties.p": "a"}}, {"event": "paid"}],
                    )
                ),
                "window": st.sampled_from(("1m", "2m")),
                "step": st.just(1),
                "within": st.sampled_from(("2m", "2h")),
            }
        ),
    }
)
LEAVES = st.one_of(
    COUNTS,
    COUNTS,
    FUNNELS,
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(("traits.x", "traits.y")),
            "op": st.sampled_from(("eq", "neq")),
            "value": VALUES.filter(lambda value: value is not None),
        }
    ),
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(("traits.x", "last_seen_at")),
            "op": st.sampled_from(("gt", "gte", "lt", "lte")),
            "value": st.sampled_from(("now-1m", "now-2h", "now+1m")),
        }
    ),
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(("traits.y", "events.login", "email", "external_id")),
            "op": st.sampled_from(("exists", "not_exists")),
        }
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
    """What was said, as it was said, by message id."""

    def __init__(self) -> None:
        self.facts: dict[str, Fact] = {}
        self.steps: dict[str, dict[str, Any]] = {}

    def people(self, defined: dict[str, dict[str, Any]]) -> list[tuple[Seen, Person]]:
        """Everybody, as the two oracles tell it: who is who, and what rules see of them."""
        return [(seen, self._person(seen, defined)) for seen in identity_oracle.contacts(self.facts.values())]

    def _person(self, seen: Seen, defined: dict[str, dict[str, Any]]) -> Person:
        tracked = [ident for ident in seen.events if self.facts[ident].kind == "track"]
        fields = {"external_id": seen.external_id, "email": seen.email, "last_seen_at": iso(_ms(seen.last_seen_at))}
        return Person(
            fields=fields | {"tags": []},
            traits=seen.traits,
            events=[self._happened(ident) for ident in tracked],
            campaigns={},
            segments=defined,
        )

    def _happened(self, ident: str) -> Happened:
        said = self.steps[ident]
        received = int(ident.removeprefix("m"))
        return Happened(ident, said["event"], _ms(self.facts[ident].at), said["properties"], received)


def _ms(seconds: int) -> int:
    return START + clock.SECOND * seconds


def project(is_test: bool = True) -> Tenant:
    tenant = Tenant(new_project_id(is_test=is_test))
    table.transact(projects.creation(Project(tenant.project_id, "P", "test", "scale", created_at=START)))
    return tenant


def define_segment(tenant: Tenant, rules: dict[str, Any]) -> str:
    now = projects.now(tenant)
    return define.create(tenant, "S", "dynamic", rules, [], now, Receipt(tenant, now))[0].id


class Workers(Protocol):
    """All workers: on the AWS mock (`pipeline`), or on a table in memory, which is some times as fast."""

    def drain(self) -> object: ...
    def advance(self, tenant: Tenant, target: int, /) -> object: ...


class MemoryWorkers(World):
    """As `pipeline` has them."""

    drain = World.settle

    def advance(self, tenant: Tenant, target: int, /) -> None:
        pipeline.ask_to_advance(tenant, target)
        self.settle()
        stands = projects.test_clock(tenant)
        assert (stands.now, stands.status) == (target, "ready")


def take(workers: Workers, tenant: Tenant, model: Model, n: int, step: dict[str, Any]) -> None:
    """One step, worked through until nothing is left to do."""
    now = projects.now(tenant)
    if step["type"] == "advance":
        workers.advance(tenant, now + 1000 * step["seconds"])
        return
    if step["type"] == "merge":
        merge(tenant, model, f"m{n}", step, now)
        workers.drain()
        return
    ident = f"m{n}"
    if step["type"] == "again":
        ident = f"m{step['which']}"
        if ident not in model.steps:
            return
        step = model.steps[ident]
    at = now + 1000 * step["seconds"]
    if ident not in model.facts:
        who: dict[str, Any] = {name: step.get(name) for name in ("user", "anonymous", "previous")}
        model.facts[ident] = Fact(ident, step["type"], (at - START) // 1000, traits=step.get("traits", {}), **who)
        model.steps[ident] = step
    ids = {"userId": step.get("user"), "anonymousId": step.get("anonymous"), "previousId": step.get("previous")}
    raw = ids | {"messageId": ident, "timestamp": iso(at)}
    raw |= {key: step[key] for key in ("event", "properties", "traits") if key in step}
    pipeline.record(tenant, [pipeline.accepted(raw, step["type"], now)])
    workers.drain()


def merge(tenant: Tenant, model: Model, ident: str, step: dict[str, Any], now: int) -> None:
    """Merge two contacts where both are there."""
    target, source = (identities.contact_of(tenant, step[side]) for side in ("user", "source"))
    if target is None or source is None or target == source:
        return
    received = contacts.Received(now, f"req_{new_ulid()}")
    merge_contacts.run(tenant, target, source, step["preference"], received, Receipt(tenant, now))
    sides = {side: step[side] for side in ("user", "source", "preference")}
    model.facts[ident] = Fact(ident, "merge", (now - START) // 1000, **sides)


def compare(tenant: Tenant, model: Model, defined: dict[str, dict[str, Any]], *, deeply: bool) -> None:
    now = projects.now(tenant)
    rows, _ = contacts.listing(tenant, contacts.Filter(), 10, None)
    told = {frozenset(events_of(tenant, row.id)): row for row in rows}
    people = model.people(defined)
    assert told.keys() == {seen.events for seen, _ in people}
    for seen, _ in people:
        row = told[seen.events]
        assert (row.external_id, row.email, row.traits) == (seen.external_id, seen.email, seen.traits)
    assert contacts.count(tenant) == len(people)
    for segment_id, rules in defined.items():
        expected = {told[seen.events].id for seen, person in people if oracle.holds(rules, person, now)}
        inside, _ = contacts.listing(tenant, contacts.Filter(segment_id=segment_id), 10, None)
        assert {row.id for row in inside} == expected
        assert segments.counts(tenant, [segments.get(tenant, segment_id)]) == {segment_id: len(expected)}
        for seen, person in people if deeply else []:
            explained = explain.run(tenant, segment_id, told[seen.events].id, now)
            changes = [
                moment
                for moment in oracle.moments_of_change(rules, person, now)
                if oracle.holds(rules, person, moment) != explained.is_member
            ]
            assert explained.is_member == (told[seen.events].id in expected)
            assert explained.flips_at == min(changes, default=None)


def events_of(tenant: Tenant, contact_id: str) -> list[str]:
    """Message ids of a contact's events, but for what the server noted itself."""
    rows, _ = activity.listing(tenant, "test", activity.Filter(contact_id=contact_id), 100, None)
    found = [row.message_id for row in rows if row.message_id is not None]
    assert len(found) == len(set(found))
    return found


def play(workers: Workers, first: Any, second: Any, steps: list[dict[str, Any]], late: int) -> None:
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
            workers.drain()
        take(workers, tenant, model, n, step)
        compare(tenant, model, defined, deeply=n == len(steps) - 1)


@pytest.fixture(autouse=True)
def one_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few contacts need no eight Queries for each list."""
    monkeypatch.setattr(keys, "CONTACT_SHARDS", 1)


WORLDS = {"first": RULES, "second": RULES, "steps": STEPS, "late": st.integers(0, 3)}
FIXTURE = HealthCheck.function_scoped_fixture


@given(**WORLDS)
@settings(max_examples=20, deadline=None, suppress_health_check=[FIXTURE, HealthCheck.too_slow])
def test_members_counts_and_explanations_are_the_oracles(
    fresh_table: Callable[[], None], first: Any, second: Any, steps: list[dict[str, Any]], late: int
) -> None:
    fresh_table()
    play(pipeline, first, second, steps, late)


@given(**WORLDS)
@settings(max_examples=100, deadline=None, suppress_health_check=[FIXTURE, HealthCheck.too_slow])
def test_members_counts_and_explanations_are_the_oracles_in_a_hundred_worlds(
    monkeypatch: pytest.MonkeyPatch, first: Any, second: Any, steps: list[dict[str, Any]], late: int
) -> None:
    play(MemoryWorkers(monkeypatch), first, second, steps, late)


@pytest.mark.prove
@pytest.mark.timeout(3000)
@given(**WORLDS)
@settings(max_examples=1_000, deadline=None, suppress_health_check=[FIXTURE, HealthCheck.too_slow])
def test_members_counts_and_explanations_are_the_oracles_in_many_worlds(
    monkeypatch: pytest.MonkeyPatch, first: Any, second: Any, steps: list[dict[str, Any]], late: int
) -> None:
    play(MemoryWorkers(monkeypatch), first, second, steps, late)
