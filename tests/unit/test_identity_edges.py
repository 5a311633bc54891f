"""Joining at its edges: what once broke it, what bounds it, and what comes in between."""

from itertools import pairwise
from typing import Any

import pytest

from chalicelib.core import clock, ids
from chalicelib.core.errors import NotFound, ValidationFailed
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import MAX_ALIASES, MAX_USERS, Contact
from chalicelib.features.contacts.names import Names
from chalicelib.features.segments import service as segments
from chalicelib.flows import merge_contacts, record_activity, relocate_events
from chalicelib.flows.segments import define, purge
from chalicelib.platform.idempotency import Receipt, Replay, StoredAnswer
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.identities import EPOCH, RECEIVED, Feed, accepted, contact_of
from tests.support.identity_oracle import Fact
from tests.support.memory_world import World

TENANT = Tenant("proj_0")
PHONE = Fact("p", "track", 1, anonymous="phone")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, engine: str) -> World:
    monkeypatch.setattr(clock, "sleep", lambda _seconds: None)
    return World(monkeypatch)


def tell(world: World, *facts: Fact, settles: bool = True) -> None:
    feed = Feed(TENANT, list(facts))
    for fact in facts:
        feed.arrive(fact)
        if settles:
            world.settle()


def person(user: str) -> Contact:
    found = contact_of(TENANT, user)
    assert found is not None
    return contacts.get(TENANT, found)


def put(user: str | None = None, email: str | None = None, at: int = 0, **change: Any) -> str:
    traits = change.pop("traits", {}) | ({"email": email} if email else {})
    received = contacts.Received(EPOCH + at, f"req_{ids.new_ulid()}")
    change_asked = contacts.Change(traits, **change)
    return contacts.put(TENANT, Names(user=user, email=email), change_asked, received, Receipt(TENANT, EPOCH))[0].id


def merge(target: str, source: str, receipt: Receipt | None = None) -> None:
    received = contacts.Received(EPOCH + clock.DAY, f"req_{ids.new_ulid()}")
    merge_contacts.run(TENANT, target, source, "prefer_target", received, receipt or Receipt(TENANT, EPOCH))


def listed(contact_id: str | None = None) -> list[str]:
    rows, following = activity.listing(TENANT, "test", activity.Filter(contact_id=contact_id), 100, None)
    assert following is None
    return sorted(row.message_id or row.name for row in rows)


def left(world: World, *told: str) -> list[str]:
    """Keys of rows that tell of these, but for what ends by itself, counters' markers and merged contacts."""
    rows = [
        row
        for row in world.table.rows.values()
        if not row["SK"].startswith(("COUNTED#", "MSG")) and row.get("status") != "merged"
        if row["PK"] != TENANT.gone_partition()
    ]
    return [f"{row['PK']} {row['SK']}" for row in rows if any(each in str(row) for each in told)]


def test_one_message_may_say_a_taken_address_twice(world: World) -> None:
    said: list[Fact] = [Fact(f"e{n}", "identify", n, user="u2", traits={"email": "a@x.io", "n": n}) for n in (2, 3)]
    first = Fact("e1", "identify", 1, user="u1", traits={"email": "a@x.io"})
    tell(world, first)
    Feed(TENANT, said).arrive_together(said)
    world.settle()
    assert listed(person("u2").id) == ["$identity_conflict", "e2", "e3"]


@pytest.mark.parametrize("purges", [False, True])
def test_who_reclaims_a_device_from_a_deleted_contact_gets_what_it_does_then_and_nothing_before(
    world: World, purges: bool
) -> None:
    late = Fact("late", "track", 50, user="ben", anonymous="phone")
    early = Fact("early", "track", 40, user="ann", anonymous="phone")
    tell(world, Fact("o", "track", 1, user="ann"), PHONE, late)
    tell(world, early, settles=False)
    purge.delete(TENANT, person("ann").id, EPOCH + clock.DAY, purges=purges)
    again = [Fact("again", "track", 60, user="ben", anonymous="phone"), Fact("new", "track", 61, anonymous="phone")]
    feed = Feed(TENANT, again)
    with pytest.raises(AssertionError, match="messages left"):  # the queue gives it again later
        feed.arrive(again[0])
    world.settle()
    for fact in again:
        feed.arrive(fact)
    assert listed(person("ben").id) == ["again", "late", "new"]
    world.settle()
    assert listed(person("ben").id) == listed() == ["again", "late", "new"]
    assert person("ben").ceding == {}


def test_a_static_segment_passes_on_although_the_bus_judges_the_source_again_first(world: World) -> None:
    tell(world, Fact("a", "track", 1, user="t"), Fact("b", "track", 1, user="s"))
    target, source = person("t").id, person("s").id
    listed_in, _ = define.create(TENANT, "S", "static", None, [source], EPOCH, Receipt(TENANT, EPOCH))
    condition = {"field": "events.did", "op": "exists"}
    define.create(
        TENANT, "D", "dynamic", {"operator": "AND", "conditions": [condition]}, [], EPOCH, Receipt(TENANT, EPOCH)
    )
    world.settle()
    tell(world, Fact("c", "track", 2, user="s"), settles=False)
    before = len(world.table.records)
    merge(target, source)
    world.run_bus(until=before)
    world.settle()
    found, _ = contacts.listing(TENANT, contacts.Filter(segment_id=listed_in.id), 10, None)
    assert [row.id for row in found] == [target]
    assert segments.counts(TENANT, [segments.get(TENANT, listed_in.id)]) == {listed_in.id: 1}


def test_a_purge_takes_along_the_names_that_an_alias_left_behind(world: World) -> None:
    tell(world, Fact("a", "alias", 1, user="newname", previous="oldname"))
    contact_id = person("newname").id
    purge.delete(TENANT, contact_id, EPOCH + clock.DAY, purges=True)
    world.settle()
    assert [row for row in left(world, "newname", "oldname", contact_id) if "OUT" not in row] == []


def test_a_purge_takes_along_the_claim_of_a_merged_contact_and_tells_no_address(world: World) -> None:
    tell(world, Fact("e1", "identify", 1, user="u1", traits={"email": "secret@x.io"}))
    tell(world, Fact("e2", "identify", 2, user="u2", traits={"email": "secret@x.io"}), Fact("t", "track", 1, user="u3"))
    merge(person("u3").id, person("u2").id)
    world.settle()
    for user in ("u3", "u1"):
        purge.delete(TENANT, person(user).id, EPOCH + clock.DAY, purges=True)
        world.settle()
    assert left(world, "secret@x.io") == []


def test_a_device_that_moves_twice_leaves_no_trace_with_those_who_lost_it(world: World) -> None:
    tell(world, PHONE, Fact("b", "track", 50, user="ben", anonymous="phone"))
    tell(world, Fact("x", "track", 1, user="ann"), Fact("y", "track", 1, user="cat"))
    moves = [
        Fact("e1", "track", 40, user="ann", anonymous="phone"),
        Fact("e2", "track", 30, user="cat", anonymous="phone"),
    ]
    tell(world, *moves, settles=False)
    assert listed(person("cat").id) == ["e2", "p", "y"]
    world.settle()
    assert listed(person("cat").id) == ["e2", "p", "y"]
    assert [person(user).ceding for user in ("ben", "ann", "cat")] == [{}, {}, {}]


def test_a_chain_of_sixty_merges_leads_to_its_end_in_one_step_once_it_was_walked(world: World) -> None:
    chain = [put(user=f"u{n}") for n in range(60)]
    world.settle()
    for source, target in pairwise(chain):
        merge(target, source)
    with pytest.raises(NotFound) as gone:
        contacts.get(TENANT, chain[0])
    assert gone.value.details == [{"merged_into": chain[-1]}]
    tell(world, Fact("z", "track", 1, user="u0"))
    assert world.active() == [chain[-1]]
    reads: list[str] = []
    world.table.on_call = reads.append
    tell(world, Fact("zz", "track", 2, user="u0"), settles=False)
    assert reads == ["batch_get", "batch_get", "transact"]


def test_only_the_first_event_of_a_visitor_alone_writes_whose_it_is(world: World) -> None:
    visitors = [f"v{n}" for n in range(40)]
    tell(world, *(Fact(f"c{each}", "track", 1, user="ann", anonymous=each) for each in visitors), settles=False)
    written = []
    for moment in (2, 3):
        before = len(world.table.records)
        record_activity.run(
            TENANT, [accepted(Fact(f"{each}-{moment}", "track", moment, anonymous=each)) for each in visitors]
        )
        keys = [record["dynamodb"]["Keys"]["SK"]["S"] for record in world.table.records[before:]]
        written.append((keys.count("ID"), keys.count("CONTACT")))
    assert written == [(40, 2), (0, 1)]


def test_a_contact_has_a_bounded_number_of_ids_and_tells_what_it_refused(world: World) -> None:
    aliases = [Fact(f"a{n:03d}", "alias", n, user=f"user{n}", previous="undefined") for n in range(MAX_USERS + 5)]
    tell(world, *aliases, settles=False)
    joined = person("user1")
    assert (len(joined.users), len(joined.aliases)) == (MAX_USERS, MAX_ALIASES - 1)
    world.settle()
    assert listed(person(f"user{MAX_USERS + 4}").id) == ["$identity_conflict", f"a{MAX_USERS + 4}"]


def test_a_contact_with_many_visitors_and_long_campaigns_still_fits_into_its_row(world: World) -> None:
    tell(world, Fact("u", "track", 0, user="u"))
    for n in range(60):
        raws: list[dict[str, Any]] = [{"userId": "u", "anonymousId": f"device {n}"}]
        for m in (0, 1):
            campaign = {key: "é" * 499 + str(m) for key in ("id", "name", "source", "medium", "term", "content")}
            raws.append({"anonymousId": f"device {n}", "context": {"campaign": campaign}})
        for m, raw in enumerate(raws):
            told = raw | {"event": "x", "messageId": f"m{n}.{m}", "timestamp": clock.iso(RECEIVED - 10_000 + m)}
            pipeline.record(TENANT, [pipeline.accepted(told, "track", RECEIVED)])
    world.settle()
    assert len(world.active()) == 1
    assert person("u").traits["$first_touch"]["source"] == "é" * 499 + "0"


def test_a_contact_of_many_merges_keeps_what_it_shows(world: World) -> None:
    target = put(user="t", traits={"own": 1})
    for n in range(60):
        merge(target, put(user=f"s{n}", at=n, traits={f"k{n}": n, "own": n}))
        world.settle()
    shown = contacts.get(TENANT, target).traits
    assert shown == {"own": 1} | {f"k{n}": n for n in range(60)}


@pytest.mark.parametrize("names_itself_first", [True, False])
def test_an_imported_address_joins_who_says_it_whether_known_or_not(world: World, names_itself_first: bool) -> None:
    put(email="e@x.io", traits={"city": "Rome"})
    facts = [Fact("i", "identify", 10, user="u1", traits={"email": "e@x.io"}), Fact("t", "track", 11, user="u1")]
    tell(world, *(facts if names_itself_first else facts[::-1]))
    assert len(world.active()) == contacts.count(TENANT) == 1
    assert (person("u1").email, person("u1").traits["city"]) == ("e@x.io", "Rome")


def test_a_visitor_who_is_there_already_takes_in_the_import_of_his_address(world: World) -> None:
    put(email="e@x.io", traits={"city": "Rome"})
    tell(world, PHONE, Fact("i", "identify", 10, anonymous="phone", traits={"email": "e@x.io"}))
    (only,) = world.active()
    contact = contacts.get(TENANT, only)
    assert (contact.email, contact.traits["city"], listed(only)) == ("e@x.io", "Rome", ["i", "p"])


def test_what_does_not_fit_into_a_merge_is_told_and_the_preferred_sides_stays(world: World) -> None:
    target = put(user="t", at=100_000, traits={f"t{n}": n for n in range(400)})
    source = put(user="s", traits={f"s{n}": n for n in range(400)})
    merge(target, source)
    world.settle()
    shown = contacts.get(TENANT, target).traits
    assert {f"t{n}" for n in range(400)} < shown.keys()
    (note,) = activity.listing(TENANT, "test", activity.Filter(contact_id=target), 10, None)[0]
    assert note.name == "$traits_overflow"
    assert set(note.properties["dropped"]) == {f"s{n}" for n in range(400)} - shown.keys()


def test_a_merge_that_would_lose_tags_is_refused(world: World) -> None:
    target, source = put(user="t", tags=[f"t{n}" for n in range(40)]), put(user="s", tags=["vip"])
    with pytest.raises(ValidationFailed):
        merge(target, source)
    assert contacts.get(TENANT, source).tags == ["vip"]


def test_the_second_of_two_equal_merges_at_once_gets_the_answer_of_the_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, source = put(user="t"), put(user="s")
    receipt = Receipt(TENANT, EPOCH)
    merge(target, source)
    answer = StoredAnswer(200, {"id": target})
    monkeypatch.setattr(Receipt, "recall", lambda _receipt: answer)
    with pytest.raises(Replay) as replayed:
        merge(target, source, receipt)
    assert replayed.value.answer == answer


@pytest.mark.parametrize("is_late", [True, False])
def test_a_change_by_the_api_does_not_erase_what_a_visitor_takes_along_later(world: World, is_late: bool) -> None:
    said = Fact("said", "identify", 45, anonymous="phone", traits={"plan": 1})
    claim = Fact("claim", "track", 40, user="ann", anonymous="phone")
    first = [Fact("b", "track", 50, user="ben", anonymous="phone"), Fact("x", "track", 1, user="ann")]
    feed = Feed(TENANT, [*first, said, claim])
    for fact in first if is_late else [*first, said]:
        feed.arrive(fact)
    received = contacts.Received(RECEIVED + clock.DAY, f"req_{ids.new_ulid()}")
    contacts.update(TENANT, person("ben").id, contacts.Change({"plan": 9}), received)
    if is_late:
        feed.arrive(said)
    assert person("ben").traits == {"plan": 9}
    feed.arrive(claim)
    world.settle()
    assert (person("ann").traits, person("ben").traits) == ({"plan": 1}, {"plan": 9})


def test_what_is_held_on_a_contact_has_all_its_names_and_what_does_not_stand(world: World) -> None:
    put(user="t", traits={"plan": "target"})
    source = put(user="s", email="s@x.io", traits={"plan": "source"})
    merge(person("t").id, source)
    tell(world, Fact("i", "identify", 1, user="t", anonymous="phone"), PHONE)
    held = contacts.held(TENANT, person("t").id)
    assert (held.external_ids, held.anonymous_ids, held.emails) == (["s", "t"], ["phone"], ["s@x.io"])
    assert [(key, said.value) for key, said in held.overruled] == [("plan", "source")]


@pytest.mark.parametrize("step", range(4))
def test_a_removal_that_is_overtaken_leaves_what_was_done_after_it(world: World, step: int) -> None:
    late = Fact("late", "track", 50, user="ben", anonymous="phone")
    tell(world, Fact("o", "track", 1, user="ann"), PHONE, late)
    tell(world, Fact("early", "track", 40, user="ann", anonymous="phone"), settles=False)
    ann = person("ann")
    purge.delete(TENANT, ann.id, EPOCH + clock.DAY, purges=False)
    again = [Fact("again", "track", 60, user="ben", anonymous="phone"), Fact("new", "track", 61, anonymous="phone")]
    calls = iter(range(step))

    def overtake(_name: str) -> None:
        if next(calls, None) is None:
            world.table.on_call = lambda _name: None
            world.settle()
            tell(world, *again)

    world.table.on_call = overtake
    (source,) = ann.absorbing
    relocate_events.run(TENANT, {"contact": ann.id, "move": source.id}, lambda: True)
    world.table.on_call = lambda _name: None
    world.settle()
    if not listed(person("ben").id).count("new"):
        tell(world, *again)
    assert listed(person("ben").id) == listed() == ["again", "late", "new"]


@pytest.mark.parametrize("step", range(12))
def test_a_move_that_ends_in_the_middle_of_a_purge_ends_nothing_else(world: World, step: int) -> None:
    own = [Fact(f"b{n}", "track", n, user="ben", traits={}) for n in range(3)]
    mail = Fact("mail", "identify", 4, user="ben", traits={"email": "ben@x.io"})
    late = Fact("late", "track", 50, user="ben", anonymous="phone")
    tell(world, Fact("o", "track", 1, user="ann"), PHONE, *own, mail, late)
    tell(world, Fact("early", "track", 40, user="ann", anonymous="phone"), settles=False)
    ben, ann = person("ben"), person("ann")
    (source,) = ann.absorbing
    purge.delete(TENANT, ben.id, EPOCH + clock.DAY, purges=False)
    calls = iter(range(step))

    def overtake(_name: str) -> None:
        if next(calls, None) is None:
            world.table.on_call = lambda _name: None
            for phase in ("copy", "remove"):
                relocate_events.run(TENANT, {"contact": ann.id, "move": source.id, "phase": phase}, lambda: True)

    world.table.on_call = overtake
    purge.run(TENANT, {"contact_id": ben.id}, lambda: True)
    world.table.on_call = lambda _name: None
    world.settle()
    purge.run(TENANT, {"contact_id": ben.id}, lambda: True)
    world.settle()
    assert [key for key in left(world, ben.id, "ben@x.io") if ben.id in key or "ben@x.io" in key] == []
    assert listed(ann.id) == listed() == ["early", "o", "p"]


@pytest.mark.parametrize("joins_first", [True, False])
def test_a_change_by_the_api_stands_whether_an_alias_comes_before_or_after_it(world: World, joins_first: bool) -> None:
    ahead = RECEIVED + clock.HOUR // 2 - EPOCH
    said = Fact("a", "identify", ahead // clock.SECOND, user="u1", traits={"plan": "x"})
    alias = Fact("j", "alias", 1, user="u2", previous="u1")
    feed = Feed(TENANT, [said, Fact("b", "track", 1, user="u2"), alias])
    for fact in feed.facts if joins_first else feed.facts[:2]:
        feed.arrive(fact)
    received = contacts.Received(RECEIVED, f"req_{ids.new_ulid()}")
    contacts.update(TENANT, person("u2").id, contacts.Change({"plan": "y"}), received)
    feed.arrive(alias)
    world.settle()
    assert person("u1").traits == {"plan": "y"}


def test_a_claim_to_a_taken_address_is_judged_once_however_often_it_is_said(world: World) -> None:
    said = [Fact(f"e{n}", "identify", n, user=user, traits={"email": "a@x.io"}) for n, user in enumerate(["u", *"vvv"])]
    told = []
    for fact in said:
        before = len(world.table.records)
        tell(world, fact)
        told.append(sum("email.contested" in str(record) for record in world.table.records[before:]))
    assert told == [0, 1, 0, 0]


def test_an_address_is_handed_on_however_many_were_said_before(world: World) -> None:
    said = [Fact(f"e{n:02d}", "identify", n, user="u1", traits={"email": f"{n}@x.io"}) for n in range(24)]
    tell(world, *said[:-1])
    tell(world, Fact("w", "identify", 99, user="u2", traits={"email": "22@x.io"}))
    assert person("u2").email is None
    tell(world, said[-1])
    assert (person("u1").email, person("u2").email) == ("23@x.io", "22@x.io")


def test_a_refused_alias_joins_no_visitor_either(world: World) -> None:
    tell(
        world,
        *(Fact(f"a{n:03d}", "alias", n, user="u", previous=f"old{n}") for n in range(MAX_USERS - 1)),
        settles=False,
    )
    tell(world, Fact("v", "track", 1, anonymous="visitor"))
    tell(world, Fact("x", "alias", 999, user="u", previous="visitor"))
    assert len(world.active()) == 2
    rows, _ = activity.listing(TENANT, "test", activity.Filter(contact_id=person("u").id), 2, None)
    assert "$identity_conflict" in {row.name for row in rows}
