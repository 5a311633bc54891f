"""One history, told in two hundred orders, ends in the same contacts, scores, memberships and counts: the oracles'."""

import random
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.core.clock import iso
from chalicelib.core.ids import new_project_id
from chalicelib.core.scoring import shown
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.model import Project
from chalicelib.features.segments import service as segments
from chalicelib.flows.segments import define, read_profile
from chalicelib.platform import table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from tests.support import identities, identity_oracle
from tests.support.identities import EPOCH, RECEIVED, Feed
from tests.support.identity_oracle import Fact, Seen
from tests.support.memory_world import World
from tests.unit.rules import oracle
from tests.unit.rules.oracle import Happened, Person

ORDERS = 200
SCORING = {"engagement": {"half_life": "14d", "events": {"did": 5}, "traits": []}}

HISTORY = [
    Fact("k1", "identify", 1, user="ann", traits={"name": "Ann", "email": "ann@x.io"}),
    Fact("k2", "identify", 2, user="ben", traits={"name": "Ben", "plan": "free"}),
    Fact("k3", "identify", 3, user="cat", traits={"plan": "pro", "email": "cat@x.io"}),
    Fact("k4", "identify", 4, user="dan", traits={"name": "Dan"}),
    # A device that was first ann's, though ben's call may come first; and what it did alone.
    Fact("a1", "track", 0, anonymous="phone", campaign="ads"),
    Fact("a2", "identify", 5, anonymous="phone", traits={"theme": "dark", "plan": "trial"}),
    Fact("a3", "track", 9, user="ben", anonymous="phone"),
    Fact("a4", "track", 8, user="ann", anonymous="phone"),
    Fact("a5", "track", 12, anonymous="phone", campaign="mail"),
    # Two claims to one address, the earlier one given up later on.
    Fact("e1", "identify", 6, user="ben", traits={"email": "shared@x.io"}),
    Fact("e2", "identify", 7, user="dan", traits={"email": "shared@x.io"}),
    Fact("e3", "identify", 11, user="ben", traits={"email": None, "name": None}),
    # Aliases in a chain, of a user id and of a device.
    Fact("l1", "alias", 10, user="cat", previous="eve"),
    Fact("l2", "alias", 13, user="cat2", previous="cat"),
    Fact("l3", "alias", 14, user="eve", previous="tablet"),
    Fact("l4", "track", 15, user="eve", campaign="ads"),
    Fact("l5", "identify", 2, anonymous="tablet", traits={"theme": "light", "email": "tab@x.io"}),
    Fact("l6", "group", 3, anonymous="tablet", group="g"),
    Fact("l7", "group", 1, user="cat2", group="g"),
    Fact("g1", "group", 6, user="ann", group="h"),
    # What is said of both sides of a merge, before it and after it.
    Fact("m1", "merge", 16, user="ann", source="dan", preference="prefer_source"),
    Fact("m2", "identify", 15, user="dan", traits={"plan": "side", "name": "Daniel"}),
    Fact("m3", "identify", 17, user="ann", traits={"plan": "late"}),
    Fact("m4", "track", 18, user="dan"),
]

RULES: dict[str, dict[str, Any]] = {
    "busy": {"field": "events.did", "op": "count_gte", "value": 3},
    # Of the ten days, those at second 10 and later are in.
    "lately": {"field": "events.did", "op": "count_gte", "value": 2, "window": f"{10 * 24 * 3600 - 9}s"},
    "quiet": {"field": "events.did", "op": "count_lte", "value": 1},
    "dark": {"field": "traits.theme", "op": "eq", "value": "dark"},
    "reachable": {"field": "email", "op": "exists"},
    "shared": {"field": "email", "op": "eq", "value": "shared@x.io"},
    "known": {"field": "external_id", "op": "in", "value": ["ann", "cat2"]},
    "by ads": {"field": "traits.$first_touch.source", "op": "eq", "value": "ads"},
    "hot": {"field": "scores.engagement", "op": "gte", "value": 9},
}


def project() -> Tenant:
    tenant = Tenant(new_project_id(is_test=True))
    table.transact(projects.creation(Project(tenant.project_id, "P", "test", "scale", created_at=RECEIVED)))
    return tenant


def define_segments(tenant: Tenant) -> dict[str, dict[str, Any]]:
    """The segments by id, and one that is made of two others."""
    defined: dict[str, dict[str, Any]] = {}

    def add(rules: dict[str, Any]) -> str:
        segment, _ = define.create(tenant, "S", "dynamic", rules, [], RECEIVED, Receipt(tenant, RECEIVED))
        defined[segment.id] = rules
        return segment.id

    made = {name: add({"operator": "AND", "conditions": [rule]}) for name, rule in RULES.items()}
    of_others = [{"field": "segments", "op": "in", "value": [made["dark"], made["shared"]]}]
    add({"operator": "NOT", "conditions": of_others})
    return defined


def person(seen: Seen, defined: dict[str, Any]) -> Person:
    tracks = {fact.ident: fact for fact in HISTORY if fact.kind == "track"}
    return Person(
        fields={"email": seen.email, "external_id": seen.external_id, "tags": []},
        traits=seen.traits,
        events=[
            Happened(ident, "did", EPOCH + tracks[ident].at * clock.SECOND, {}) for ident in seen.events & tracks.keys()
        ],
        campaigns={},
        segments=defined,
        scoring=SCORING,
    )


def orders() -> list[list[Fact]]:
    """Every fact at any place, some of them again; a merge is only possible once both are known."""
    dice = random.Random(20261125)
    found = []
    for _ in range(ORDERS):
        order = dice.sample(HISTORY, len(HISTORY))
        order += dice.sample([fact for fact in HISTORY if fact.kind != "merge"], 4)
        merge = next(fact for fact in order if fact.kind == "merge")
        order.remove(merge)
        users = [next(n for n, fact in enumerate(order) if fact.user == user) for user in (merge.user, merge.source)]
        order.insert(dice.randint(max(users) + 1, len(order)), merge)
        found.append(order)
    return found


def members(tenant: Tenant, segment_id: str) -> set[str | None]:
    rows, _ = contacts.listing(tenant, contacts.Filter(segment_id=segment_id), 100, None)
    return {row.external_id for row in rows}


@pytest.mark.parametrize("part", range(4))
def test_two_hundred_orders_of_one_history_end_the_same(
    part: int, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    expected = sorted(identity_oracle.contacts(HISTORY), key=lambda seen: str(seen.external_id))
    assert [seen.external_id for seen in expected] == ["ann", "ben", "cat2"]
    assert [seen.email for seen in expected] == ["shared@x.io", None, "cat@x.io"]
    for n, order in enumerate(orders()[part::4]):
        world = World(monkeypatch)
        tenant = project()
        defined = define_segments(tenant)
        world.settle()
        feed = Feed(tenant, HISTORY)
        for fact in order:
            feed.arrive(fact)
            if n % 2:
                world.settle()
        world.settle()

        found = sorted(identities.seen(tenant, world.active), key=lambda seen: str(seen.external_id))
        assert found == expected, order
        assert contacts.count(tenant) == len(expected)
        people = {seen.external_id: person(seen, defined) for seen in expected}
        for segment_id, rules in defined.items():
            inside = {name for name, each in people.items() if oracle.holds(rules, each, RECEIVED)}
            assert members(tenant, segment_id) == inside, (rules, order)
            assert segments.counts(tenant, [segments.get(tenant, segment_id)]) == {segment_id: len(inside)}
        for contact_id in world.active():
            profile = read_profile.run(tenant, contact_id, RECEIVED)
            scored = oracle.score(people[profile.contact.external_id], "engagement", RECEIVED)
            assert profile.scores["engagement"] == shown(scored), (iso(RECEIVED), order)
