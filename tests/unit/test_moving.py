"""While a history moves to another contact no read loses an event or sees it twice, whatever dies on the way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from chalicelib.core import clock
from chalicelib.core.errors import NotFound
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts import service as contacts
from chalicelib.flows import merge_contacts
from chalicelib.flows.segments import purge
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from tests.support.identities import EPOCH, Feed, contact_of
from tests.support.identity_oracle import Fact
from tests.support.memory_world import World
from tests.support.pipeline import Killed

TENANT = Tenant("proj_0")
OWN = [Fact(f"own{n}", "track", 2 * n, user="ann") for n in range(3)]
OTHER = [Fact(f"other{n:03d}", "track", 2 * n + 1, user="ben") for n in range(130)]
ALONE = [Fact(f"alone{n}", "track", n, anonymous="phone") for n in range(5)]
LATE_CLAIM = Fact("claim", "track", 50, user="ben", anonymous="phone")
EARLY_CLAIM = Fact("claimed", "track", 40, user="ann", anonymous="phone")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, engine: str) -> World:
    return World(monkeypatch)


def tell(world: World, facts: list[Fact]) -> None:
    feed = Feed(TENANT, facts)
    for fact in facts:
        feed.arrive(fact)
    world.settle()


def person(user: str) -> str:
    found = contact_of(TENANT, user)
    assert found is not None
    return found


def merge(target: str, source: str) -> None:
    received = contacts.Received(EPOCH + clock.DAY, "req_01j00000000000000000000000")
    merge_contacts.run(TENANT, target, source, "prefer_target", received, Receipt(TENANT, EPOCH))


def listed(only: activity.Filter) -> list[str]:
    """Message ids of all events in all pages."""
    found: list[str] = []
    following = None
    while True:
        rows, following = activity.listing(TENANT, "test", only, 40, following)
        found += [row.message_id or "" for row in rows]
        if following is None:
            return found


@contextmanager
def watched(world: World, look: Callable[[], None]) -> Iterator[None]:
    """`look` after each call to the table, but for its own."""
    looks = False

    def after(_name: str) -> None:
        nonlocal looks
        if not looks:
            looks = True
            look()
            looks = False

    world.table.after_call = after
    yield
    world.table.after_call = lambda _name: None


def test_every_read_between_a_merge_and_its_end_tells_each_event_once(world: World) -> None:
    tell(world, [*OWN, *OTHER])
    ann, ben = person("ann"), person("ben")
    everything = sorted(fact.ident for fact in [*OWN, *OTHER])
    looked: list[int] = []

    def look() -> None:
        assert sorted(listed(activity.Filter())) == everything
        looked.append(1)
        if (contact := contacts.heir(TENANT, ben)) is not None and contact.id == ann:
            assert sorted(listed(activity.Filter(contact_id=ann))) == everything
            assert listed(activity.Filter(contact_id=ben)) == []
            pages = activity.history(TENANT, contact.lineage, "did", page_size=20)
            moments = [event.timestamp for page in pages for event in page]
            assert moments == sorted(moments, reverse=True)
            assert len(moments) == len(everything)

    with watched(world, look):
        merge(ann, ben)
        world.settle()
    assert len(looked) > 20
    assert not [row for row in world.table.rows.values() if "event" in row and ben in row["PK"]]
    assert contacts.get(TENANT, ann).absorbing == ()


def test_an_anonymous_id_that_goes_to_its_first_user_takes_along_what_it_did_alone(world: World) -> None:
    tell(world, [*OWN, *ALONE, LATE_CLAIM])
    ann, ben = person("ann"), person("ben")
    alone = {fact.ident for fact in ALONE}
    assert set(listed(activity.Filter(contact_id=ben))) == alone | {"claim"}
    feed = Feed(TENANT, [EARLY_CLAIM])

    def look() -> None:
        ids = listed(activity.Filter())
        assert len(ids) == len(set(ids))
        assert alone <= set(ids)
        if "claimed" in ids:
            assert set(listed(activity.Filter(contact_id=ben))) == {"claim"}
            assert alone | {"claimed"} < set(listed(activity.Filter(contact_id=ann)))

    with watched(world, look):
        feed.arrive(EARLY_CLAIM)
        world.settle()
    assert contacts.get(TENANT, ben).ceding == {}
    assert contacts.get(TENANT, ann).absorbing == ()


def die_at(world: World, step: int, *, before: bool) -> None:
    count = 0

    def strike(_name: str) -> None:
        nonlocal count
        count += 1
        if count - 1 == step:
            raise Killed

    if before:
        world.table.on_call = strike
    else:
        world.table.after_call = strike


def live_on(world: World) -> None:
    world.table.on_call = world.table.after_call = lambda _name: None


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_merge_whose_workers_die_at_any_call_ends_the_same(
    monkeypatch: pytest.MonkeyPatch, before: bool, engine: str
) -> None:
    facts = [*OWN, *OTHER[:45]]
    step, dies = 0, True
    while dies:
        world = World(monkeypatch)
        tell(world, facts)
        ann, ben = person("ann"), person("ben")
        die_at(world, step, before=before)
        dies = False
        for _ in range(2):
            told, waiting = world.mark()
            try:
                with suppress(NotFound):  # the first call has merged them
                    merge(ann, ben)
                world.settle()
            except Killed:
                dies = True
                live_on(world)
                world.redeliver(told, waiting)
        live_on(world)
        world.settle()
        assert sorted(listed(activity.Filter(contact_id=ann))) == sorted(fact.ident for fact in facts)
        assert contacts.get(TENANT, ann).absorbing == ()
        assert contacts.count(TENANT) == 1
        assert not [row for row in world.table.rows.values() if "event" in row and ben in row["PK"]]
        step += 1
    assert step > 25


def test_chains_of_merges_lead_to_the_last_with_all_events(world: World) -> None:
    people = ["ann", "ben", "cat", "dan"]
    facts = [Fact(f"{name}{n}", "track", n, user=name) for name in people for n in range(3)]
    tell(world, facts)
    ann, ben, cat, dan = (person(name) for name in people)
    merge(cat, dan)
    merge(ben, cat)
    merge(ann, ben)
    with pytest.raises(NotFound) as refused:
        contacts.get(TENANT, dan)
    assert refused.value.details == [{"merged_into": ann}]
    world.settle()
    assert sorted(listed(activity.Filter(contact_id=ann))) == sorted(fact.ident for fact in facts)
    assert {person(name) for name in people} == {ann}
    assert contacts.count(TENANT) == 1


def rows_of(world: World, *told: str) -> list[str]:
    """Keys of the rows that tell of these ids or names, but for what ends by itself, markers and merged contacts."""
    rows = [
        row
        for row in world.table.rows.values()
        if not row["SK"].startswith(("COUNTED#", "MSG", "OUT")) and row.get("status") != "merged"
        if row["PK"] != TENANT.gone_partition()
    ]
    return [f"{row['PK']} {row['SK']}" for row in rows if any(each in str(row) for each in told)]


@pytest.mark.parametrize("moved", [True, False], ids=["moved", "not yet moved"])
def test_a_purge_takes_along_what_was_merged(world: World, moved: bool) -> None:
    email = Fact("mail", "identify", 3, user="ben", anonymous="tablet", traits={"email": "ben@x.io"})
    tell(world, [*OWN, *OTHER, email, *ALONE])
    ann, ben = person("ann"), person("ben")
    merge(ann, ben)
    if moved:
        world.settle()
    purge.delete(TENANT, ann, EPOCH + clock.DAY, purges=True)
    world.settle()
    assert rows_of(world, ann, ben, "tablet", "ben@x.io", "u#ann", "u#ben") == []
    assert sorted(listed(activity.Filter())) == sorted(fact.ident for fact in ALONE)
    assert contacts.count(TENANT) == 1


def test_a_purge_leaves_the_events_that_another_one_is_taking_over(world: World) -> None:
    tell(world, [*OWN, *ALONE, LATE_CLAIM])
    ann, ben = person("ann"), person("ben")
    Feed(TENANT, [EARLY_CLAIM]).arrive(EARLY_CLAIM)
    purge.delete(TENANT, ben, EPOCH + clock.DAY, purges=True)
    world.run_bus()
    purge.run(TENANT, {"contact_id": ben}, lambda: True)
    expected = sorted(fact.ident for fact in [*OWN, *ALONE, EARLY_CLAIM])
    assert sorted(listed(activity.Filter(contact_id=ann))) == expected
    assert sorted(listed(activity.Filter())) == expected
    world.settle()
    assert sorted(listed(activity.Filter(contact_id=ann))) == expected
    assert [key for key in rows_of(world, ben) if ben in key] == []


def test_a_purge_of_who_was_taking_events_over_takes_them_from_where_they_lie(world: World) -> None:
    tell(world, [*OWN, *ALONE, LATE_CLAIM])
    ann, ben = person("ann"), person("ben")
    Feed(TENANT, [EARLY_CLAIM]).arrive(EARLY_CLAIM)
    purge.delete(TENANT, ann, EPOCH + clock.DAY, purges=True)
    purge.run(TENANT, {"contact_id": ann}, lambda: True)
    world.settle()
    assert listed(activity.Filter()) == ["claim"]
    assert rows_of(world, ann, "alone") == []
    assert contacts.get(TENANT, ben).ceding == {}
