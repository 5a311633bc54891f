"""Whatever order facts arrive in, doubled or late, the contacts are those of the oracle."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.platform.keys import Tenant
from tests.support import identities, identity_oracle
from tests.support.identities import Feed
from tests.support.identity_oracle import Fact, Seen
from tests.support.memory_world import World

TENANT = Tenant("proj_0")
USERS = ["u1", "u2", "u3", "u4"]
VISITORS = ["a", "b", "u2"]
"""One visitor's id is a user id too: an alias's previous id may be either."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, engine: str) -> Iterator[Callable[[], World]]:
    with monkeypatch.context() as patched:
        yield lambda: World(patched)


def facts_of(kinds: list[str], most: int) -> st.SearchStrategy[list[Fact]]:
    return st.lists(fact_of(kinds), min_size=2, max_size=most).map(named)


def named(facts: list[Fact]) -> list[Fact]:
    """Each with a message id of its own, which is not its place in time."""
    return [Fact(**(vars(fact) | {"ident": f"m{(n * 7) % 23:02d}"})) for n, fact in enumerate(facts)]


@st.composite
def fact_of(draw: st.DrawFn, kinds: list[str]) -> Fact:
    kind = draw(st.sampled_from(kinds))
    at = draw(st.integers(0, 20))
    user, other = draw(st.sampled_from(USERS)), draw(st.sampled_from(USERS))
    if kind == "merge":
        how = draw(st.sampled_from(["prefer_target", "prefer_source", "newest"]))
        return Fact("", kind, at, user=user, source=other, preference=how)
    if kind == "alias":
        return Fact("", kind, at, user=user, previous=draw(st.sampled_from([*USERS, *VISITORS])))
    who = draw(st.sampled_from(["user", "anonymous", "both"]))
    visitor = draw(st.sampled_from(VISITORS))
    ids: dict[str, Any] = {
        "user": user if who != "anonymous" else None,
        "anonymous": visitor if who != "user" else None,
    }
    if kind == "identify":
        value = st.none() | st.integers(1, 3)
        address = st.none() | st.sampled_from(["x@x.io", "y@x.io"])
        traits = draw(st.fixed_dictionaries({}, optional={"plan": value, "name": value, "email": address}))
        return Fact("", kind, at, traits=traits, **ids)
    if kind == "group":
        return Fact("", kind, at, group=draw(st.sampled_from("gh")), **ids)
    return Fact("", kind, at, campaign=draw(st.sampled_from([None, "s1", "s2"])), **ids)


def key(seen: Seen) -> list[str]:
    return sorted(seen.events)


def check(world: World, facts: list[Fact], order: list[Fact], *, in_between: bool) -> None:
    """Arrive in that order; with `in_between` the bus and the jobs run after each fact, else at the end."""
    feed = Feed(TENANT, facts, world.settle)
    for fact in order:
        feed.arrive(fact)
        if in_between:
            world.settle()
    world.settle()
    assert sorted(identities.seen(TENANT, world.active), key=key) == sorted(identity_oracle.contacts(facts), key=key)


def in_any_order(world: World, facts: list[Fact], data: st.DataObject) -> None:
    order = data.draw(st.permutations(facts))
    again = data.draw(st.lists(st.sampled_from(facts), max_size=3))
    check(world, facts, [*order, *again], in_between=data.draw(st.booleans()))


def with_merges(world: World, facts: list[Fact], data: st.DataObject) -> None:
    known = [Fact(f"k{user}", "track", 0, user=user) for user in USERS]
    merges = iter([fact for fact in facts if fact.kind == "merge"])
    # Merges act on what there is, so among themselves they keep their order.
    order = [next(merges) if fact.kind == "merge" else fact for fact in data.draw(st.permutations(facts))]
    check(world, [*known, *facts], [*known, *order], in_between=data.draw(st.booleans()))


def several_in_a_message(world: World, facts: list[Fact], data: st.DataObject) -> None:
    order = data.draw(st.permutations([*facts, *facts[:3]]))
    feed = Feed(TENANT, facts, world.settle)
    while order:
        size = data.draw(st.integers(1, 6))
        feed.arrive_together(order[:size])
        order = order[size:]
    check(world, facts, [], in_between=False)


def overtaking(world: World, facts: list[Fact], data: st.DataObject) -> None:
    """An event arrives, and is worked through, at some call of the writing of another one."""
    feed = Feed(TENANT, facts, world.settle)
    order = data.draw(st.permutations(facts))
    while order:
        fact, *order = order
        waiting = order[:1] if data.draw(st.booleans()) else []
        order = order[len(waiting) :]
        calls = iter(range(data.draw(st.integers(0, 5))))

        def overtake(_name: str, waiting: list[Fact] = waiting, left: Iterator[int] = calls) -> None:
            if next(left, None) is None and waiting:
                other = waiting.pop()
                world.table.on_call = lambda _name: None
                feed.arrive(other)
                world.settle()

        world.table.on_call = overtake
        feed.arrive(fact)
        world.settle()
        world.table.on_call = lambda _name: None
        for late in waiting:
            feed.arrive(late)
    check(world, facts, [], in_between=False)


TAKEN = Fact("m21", "identify", 5, user="u2", anonymous="a")
EARLIER = Fact("m10", "alias", 0, user="u1", previous="a")
ALONE = Fact("m01", "identify", 7, anonymous="a", traits={"plan": 1})
MAIL = {"email": "x@x.io"}
OVERTAKEN = {
    "a visitor leaves": ([TAKEN], ALONE, EARLIER),
    "a visitor leaves with what it did": ([TAKEN, Fact("m02", "track", 6, anonymous="a")], ALONE, EARLIER),
    "a visitor leaves a merged contact": (
        [Fact("m02", "track", 6, anonymous="a"), TAKEN, Fact("m03", "alias", 8, user="u3", previous="u2")],
        ALONE,
        EARLIER,
    ),
    "an address is awarded": (
        [Fact("m21", "identify", 5, user="u1", traits=MAIL)],
        Fact("m01", "identify", 7, user="u1", traits=MAIL),
        Fact("m10", "identify", 3, user="u2", traits=MAIL),
    ),
    "an address is given up": (
        [Fact("m21", "identify", 1, user="u2", traits=MAIL)],
        Fact("m01", "identify", 5, user="u1", traits=MAIL),
        Fact("m10", "identify", 9, user="u2", traits={"email": None}),
    ),
    "an address is given up that was said again": (
        [
            Fact("m21", "identify", 1, user="u2", traits=MAIL),
            Fact("m02", "identify", 2, user="u1", traits=MAIL),
            Fact("m03", "identify", 3, user="u1", traits={"email": None}),
        ],
        Fact("m01", "identify", 5, user="u1", traits=MAIL),
        Fact("m10", "identify", 9, user="u2", traits={"email": None}),
    ),
}


@pytest.mark.parametrize("call", range(3))
@pytest.mark.parametrize("what", OVERTAKEN)
def test_contacts_are_the_oracles_where_an_identity_moves_while_an_event_is_written(
    world: Callable[[], World], what: str, call: int
) -> None:
    here = world()
    before, fact, other = OVERTAKEN[what]
    facts = [*before, fact, other]
    feed = Feed(TENANT, facts, here.settle)
    for each in before:
        feed.arrive(each)
        here.settle()
    calls = iter(range(call))

    def overtake(_name: str) -> None:
        if next(calls, None) is None:
            here.table.on_call = lambda _name: None
            feed.arrive(other)
            here.settle()
            overtaken.append(other)

    overtaken: list[Fact] = []
    here.table.on_call = overtake
    feed.arrive(fact)
    assert overtaken == [other]
    check(here, facts, [], in_between=False)


Property = Callable[[World, list[Fact], st.DataObject], None]
SAID = ["identify", "track", "group", "alias"]
PROPERTIES: list[tuple[Property, list[str]]] = [
    (in_any_order, SAID),
    (with_merges, ["identify", "track", "alias", "merge", "merge"]),
    (several_in_a_message, SAID),
    (overtaking, SAID),
]
each_property = pytest.mark.parametrize(("holds", "kinds"), PROPERTIES, ids=lambda it: getattr(it, "__name__", ""))
FIXTURE = HealthCheck.function_scoped_fixture


@each_property
@settings(max_examples=150, deadline=None, suppress_health_check=[FIXTURE])
@given(data=st.data())
def test_contacts_are_the_oracles_however_facts_arrive(
    world: Callable[[], World], holds: Property, kinds: list[str], data: st.DataObject
) -> None:
    holds(world(), data.draw(facts_of(kinds, 11)), data)


@pytest.mark.prove
@pytest.mark.timeout(1800)
@each_property
@settings(max_examples=3_000, deadline=None, suppress_health_check=[FIXTURE])
@given(data=st.data())
def test_contacts_are_the_oracles_however_facts_arrive_in_many_histories(
    world: Callable[[], World], holds: Property, kinds: list[str], data: st.DataObject
) -> None:
    holds(world(), data.draw(facts_of(kinds, 11)), data)
