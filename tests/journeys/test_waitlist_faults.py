"""What dies while somebody joins, refers or is merged, and what comes twice: all are in, each referral counts once."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest

from chalicelib.core import clock, ids
from chalicelib.core.errors import NotFound
from chalicelib.features.codes import service as codes
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.service import Received
from chalicelib.flows import merge_contacts
from chalicelib.flows.waitlists import follow_merge, refer
from chalicelib.platform import outbox
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Key
from chalicelib.platform.marshal import Item
from chalicelib.workers import bus
from tests.support import pipeline
from tests.support.wait_world import WaitWorld, at_once

CALLS_OF_A_JOIN = 8
CALLS_WITH_A_NEW_LEAF = 10
CALLS_OF_A_REFERRAL = 10
CALLS_OF_A_MERGE = 11


def at_each(calls: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("number", "after"), [(number, after) for number in range(calls) for after in (False, True)]
    )


def counted(world: WaitWorld, act: Callable[[], object]) -> int:
    """How many calls of the table it takes."""
    calls: list[str] = []
    world.table.on_call = calls.append
    act()
    world.table.on_call = lambda _name: None
    return len(calls)


def test_somebody_new_joins_by_so_many_calls(live_wait: WaitWorld) -> None:
    """The tests at each call rest on it, and it is the same at any length of the queue."""
    waitlist = live_wait.waitlist()
    live_wait.added(waitlist, 1)  # from now on the definitions are known here
    few = counted(live_wait, lambda: live_wait.join_now(waitlist, "ann@x.io"))
    live_wait.added(waitlist, 300)
    many = counted(live_wait, lambda: live_wait.join_now(waitlist, "bob@x.io"))
    assert (few, many) == (CALLS_OF_A_JOIN, CALLS_OF_A_JOIN)


@at_each(CALLS_WITH_A_NEW_LEAF)
def test_whoever_dies_while_somebody_joins_leaves_it_in_or_out(
    live_wait: WaitWorld, number: int, *, after: bool
) -> None:
    waitlist = live_wait.waitlist(auto_approve=False)
    live_wait.added(waitlist, 64)  # the leaf is full: another one is opened
    with live_wait.dying_at(number, after=after) as died, suppress(pipeline.Killed):
        live_wait.join_now(waitlist, "ann@x.io")
    assert died
    assert len(live_wait.queue(waitlist)) in (64, 65)
    assert live_wait.join_now(waitlist, "ann@x.io").position == 65
    live_wait.settle()
    assert live_wait.emails(waitlist)[-1] == "ann"
    codes = [row for row in live_wait.table.rows.values() if row.get("parent_id") == waitlist]
    assert len(codes) == 65
    created = [row for row in live_wait.table.rows.values() if row.get("outbox") == "waitlist.entry.created"]
    assert len(created) == 65


@at_each(CALLS_OF_A_JOIN)
def test_of_two_who_join_with_one_email_at_once_one_is_in(live_wait: WaitWorld, number: int, *, after: bool) -> None:
    waitlist = live_wait.waitlist()
    live_wait.added(waitlist, 3)
    answers = []
    with live_wait.halted_at(number, lambda: answers.append(live_wait.join_now(waitlist, "ann@x.io")), after=after):
        answers.append(live_wait.join_now(waitlist, "ann@x.io"))
    live_wait.settle()
    assert {each.id for each in answers} == {answers[0].id}
    assert live_wait.emails(waitlist) == ["u0", "u1", "u2", "ann"]


@pytest.mark.parametrize("auto_approve", [False, True])
@pytest.mark.parametrize("number", range(CALLS_OF_A_JOIN))
def test_who_joins_while_the_waitlist_is_deleted_is_in_nowhere_and_told_so(
    live_wait: WaitWorld, number: int, *, auto_approve: bool
) -> None:
    waitlist = live_wait.waitlist(auto_approve=auto_approve)
    live_wait.add(waitlist, "first@x.io")
    path = f"/v1/waitlists/{waitlist}"
    with live_wait.halted_at(number, lambda: live_wait.client.delete(path), after=False) as halted, suppress(NotFound):
        live_wait.join_now(waitlist, "ann@x.io")
    if not halted:  # who waits nowhere joins by fewer calls
        assert auto_approve
        live_wait.client.delete(path)
    live_wait.settle()
    assert live_wait.client.get(path).status == 404
    assert [key for key in live_wait.table.rows if key.pk.endswith(("#WAITING", "#APPROVED", "#ORDER"))] == []


def test_of_two_who_draw_the_same_code_the_second_gets_a_longer_one(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    live_wait.patch.setattr(codes, "draft", lambda _name, _company, length: f"ANN-ACME-{'7' * length}")
    made = [live_wait.join_now(waitlist, f"a{n}@x.io").referral_code for n in range(3)]
    assert made == ["ANN-ACME-777", "ANN-ACME-7777", "ANN-ACME-77777"]


@pytest.mark.parametrize("auto_approve", [False, True])
@pytest.mark.parametrize("number", range(CALLS_OF_A_JOIN - 2))
def test_who_joins_a_waitlist_that_is_deleted_meanwhile_is_told_so_at_once(
    live_wait: WaitWorld, number: int, *, auto_approve: bool
) -> None:
    waitlist = live_wait.waitlist(auto_approve=auto_approve)
    live_wait.added(waitlist, 1)
    pauses: list[float] = []
    live_wait.patch.setattr(clock, "sleep", pauses.append)
    with live_wait.halted_at(number, lambda: live_wait.client.delete(f"/v1/waitlists/{waitlist}"), after=False):
        answer = live_wait.client.post(f"/v1/waitlists/{waitlist}/entries", {"email": "new@x.io"})
    assert answer.status in (201, 404), answer.text
    assert len(pauses) <= 2


def referral(world: WaitWorld) -> tuple[str, list[str], dict[str, Any]]:
    """A waitlist, who is in it, and the record that tells of somebody who has come by the code of the sixth."""
    waitlist = world.waitlist(referral_boost=4)
    made = world.added(waitlist, 7)
    new = world.join_now(waitlist, "new@x.io", made[5]["referral_code"])
    records = world.table.records[world.done :]
    (record,) = [
        each for each in records if each["dynamodb"]["NewImage"].get("outbox", {}).get("S") == "waitlist.entry.created"
    ]
    return waitlist, [*(each["id"] for each in made), new.id], record


def moved_once(made: list[str]) -> list[str]:
    return [made[0], made[5], *made[1:5], *made[6:]]


def test_a_referral_is_judged_by_so_many_calls(live_wait: WaitWorld) -> None:
    _, _, record = referral(live_wait)
    (event,) = outbox.told_by(record)
    assert counted(live_wait, lambda: refer.run(live_wait.tenant, [event])) == CALLS_OF_A_REFERRAL


@at_each(CALLS_OF_A_REFERRAL)
def test_a_bus_that_dies_while_it_judges_a_referral_counts_it_once(
    live_wait: WaitWorld, number: int, *, after: bool
) -> None:
    waitlist, made, record = referral(live_wait)
    (event,) = outbox.told_by(record)
    with live_wait.dying_at(number, after=after) as died, suppress(pipeline.Killed):
        refer.run(live_wait.tenant, [event])
    assert died
    for _ in range(2):
        live_wait.deliver(bus.handle, {"Records": [record]})
    live_wait.settle()
    assert live_wait.queue(waitlist) == moved_once(made)
    rows = {row["id"]: row for row in live_wait.entries(waitlist)}
    assert (rows[made[5]]["referral_count"], rows[made[7]]["referral_status"]) == (1, "counted")
    told = [row for row in live_wait.table.rows.values() if row.get("outbox") == "waitlist.position.changed"]
    assert len(told) == 1


@at_each(CALLS_OF_A_REFERRAL)
def test_two_of_the_bus_with_one_referral_count_it_once(live_wait: WaitWorld, number: int, *, after: bool) -> None:
    waitlist, made, record = referral(live_wait)
    (event,) = outbox.told_by(record)
    with live_wait.halted_at(number, lambda: refer.run(live_wait.tenant, [event]), after=after) as halted:
        refer.run(live_wait.tenant, [event])
    assert halted
    live_wait.settle()
    assert live_wait.queue(waitlist) == moved_once(made)
    assert {row["id"]: row["referral_count"] for row in live_wait.entries(waitlist)}[made[5]] == 1


@pytest.mark.parametrize("act", ["approve", "leave", "referred leaves"])
@pytest.mark.parametrize("number", range(CALLS_OF_A_REFERRAL))
def test_whoever_goes_while_its_referral_is_judged_is_where_it_went(
    live_wait: WaitWorld, act: str, number: int
) -> None:
    waitlist, made, record = referral(live_wait)
    (event,) = outbox.told_by(record)

    def go() -> None:
        if act == "approve":
            live_wait.approve_now(waitlist, made[5])
        else:
            live_wait.client.delete(f"/v1/waitlists/{waitlist}/entries/{made[5 if act == 'leave' else 7]}")

    with live_wait.halted_at(number, go, after=False):
        refer.run(live_wait.tenant, [event])
    live_wait.settle()
    gone = made[7] if act == "referred leaves" else made[5]
    left = [each for each in made if each != gone]
    queue = live_wait.queue(waitlist)
    assert queue == left or (act == "referred leaves" and queue == [each for each in moved_once(made) if each != gone])
    if act == "approve":
        (row,) = live_wait.entries(waitlist, status="approved")
        assert (row["id"], row["referral_count"]) == (made[5], 1)


def merge(world: WaitWorld, target: str, source: str) -> None:
    received = Received(clock.system_ms(), ids.new_id("req"))
    merge_contacts.run(world.tenant, target, source, "prefer_target", received, Receipt(world.tenant, world.now))


@pytest.mark.parametrize(("target", "source", "left"), [(1, 3, "u0 u1 u2 u4"), (3, 1, "u0 u3 u2 u4")])
def test_of_two_who_wait_and_are_one_the_better_place_stays(
    live_wait: WaitWorld, target: int, source: int, left: str
) -> None:
    waitlist = live_wait.waitlist(referral_boost=0)
    made = live_wait.added(waitlist, 5)
    for n in (1, 3, 3):
        live_wait.add(waitlist, f"f{n}{len(live_wait.entries(waitlist))}@x.io", referral_code=made[n]["referral_code"])
    live_wait.settle()
    merge(live_wait, made[target]["contact_id"], made[source]["contact_id"])
    live_wait.settle()
    rows = live_wait.entries(waitlist)
    names = [row["email"].partition("@")[0] for row in rows]
    assert " ".join(names[:4]) == left
    assert (rows[1]["id"], rows[1]["contact_id"]) == (made[1]["id"], made[target]["contact_id"])
    assert rows[1]["referral_count"] == 3


def test_the_codes_of_both_lead_to_the_one_that_stays(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist(referral_boost=2)
    made = live_wait.added(waitlist, 6)
    merge(live_wait, made[5]["contact_id"], made[4]["contact_id"])
    live_wait.settle()
    for n in (4, 5):
        live_wait.add(waitlist, f"f{n}@x.io", referral_code=made[n]["referral_code"])
        live_wait.settle()
    assert live_wait.queue(waitlist)[0] == made[4]["id"]
    assert live_wait.entries(waitlist)[0]["referral_count"] == 2
    live_wait.ok(live_wait.client.delete(f"/v1/waitlists/{waitlist}/entries/{made[4]['id']}"))
    kept = [row for row in live_wait.table.rows.values() if row.get("parent_id") == waitlist]
    assert len(kept) == 6


@pytest.mark.parametrize("approved", [1, 3])
@pytest.mark.parametrize(("target", "source"), [(1, 3), (3, 1)])
def test_who_was_approved_stays_before_who_waits(live_wait: WaitWorld, approved: int, target: int, source: int) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 4)
    live_wait.approve(waitlist, made[approved]["id"])
    merge(live_wait, made[target]["contact_id"], made[source]["contact_id"])
    live_wait.settle()
    (row,) = live_wait.entries(waitlist, status="approved")
    assert (row["id"], row["contact_id"]) == (made[approved]["id"], made[target]["contact_id"])
    assert live_wait.queue(waitlist) == [made[0]["id"], made[2]["id"]]
    assert live_wait.stats(waitlist) == {"waiting": 2, "approved": 1, "total": 3}


def test_an_entry_goes_with_its_contact_where_the_other_has_none(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 3)
    target = live_wait.contact("bob")
    merge(live_wait, target, made[1]["contact_id"])
    live_wait.settle()
    rows = live_wait.entries(waitlist)
    assert [row["id"] for row in rows] == [each["id"] for each in made]
    assert rows[1]["contact_id"] == target
    assert live_wait.add(waitlist, rows[1]["email"])["id"] == made[1]["id"]


def test_a_code_of_a_contact_that_was_merged_is_no_way_to_refer_oneself(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 3)
    target = live_wait.contact("bob")
    merge(live_wait, target, made[2]["contact_id"])
    live_wait.join_now(waitlist, "bob@example.com", made[2]["referral_code"])
    live_wait.settle()
    assert max(row["referral_count"] for row in live_wait.entries(waitlist)) == 0


def merging(world: WaitWorld) -> tuple[str, list[Any], Callable[[], None]]:
    waitlist = world.waitlist()
    made = world.added(waitlist, 5)
    merge(world, made[3]["contact_id"], made[1]["contact_id"])
    records = world.table.records[world.done :]
    told = [event for record in records for event in outbox.told_by(record) if event.name == "contact.merged"]
    return waitlist, made, lambda: follow_merge.run(world.tenant, told)


def test_the_entries_of_a_merge_move_by_so_many_calls(live_wait: WaitWorld) -> None:
    _, _, act = merging(live_wait)
    assert counted(live_wait, act) == CALLS_OF_A_MERGE


@at_each(CALLS_OF_A_MERGE)
def test_a_bus_that_dies_while_entries_move_moves_them_once(live_wait: WaitWorld, number: int, *, after: bool) -> None:
    waitlist, made, act = merging(live_wait)
    with live_wait.dying_at(number, after=after) as died, suppress(pipeline.Killed):
        act()
    assert died
    act()
    act()
    live_wait.settle()
    rows = live_wait.entries(waitlist)
    assert [row["id"] for row in rows] == [made[n]["id"] for n in (0, 1, 2, 4)]
    assert rows[1]["contact_id"] == made[3]["contact_id"]
    assert live_wait.tell_alike(waitlist)


@pytest.mark.parametrize("number", range(16))
def test_who_joins_while_its_contact_is_merged_is_in_with_the_one_that_stays(live_wait: WaitWorld, number: int) -> None:
    waitlist = live_wait.waitlist()
    live_wait.contact("ann")
    source = live_wait.get("/v1/contacts", external_id="ann")["data"][0]["id"]
    target = live_wait.contact("bob")
    with live_wait.halted_at(number, lambda: merge(live_wait, target, source), after=False):
        live_wait.join_now(waitlist, "ann@example.com")
    live_wait.settle()
    if number < 14:
        (row,) = live_wait.entries(waitlist)
        heir = contacts.heir(live_wait.tenant, row["contact_id"])
        assert heir is not None
        assert row["contact_id"] == heir.id


def test_60_who_join_at_once_are_all_in_with_a_place_each(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    live_wait.added(waitlist, 30)
    acts = [lambda n=n: live_wait.join_now(waitlist, f"n{n}@x.io") for n in range(60)]
    answers = at_once(acts, threads=20)
    assert len({each.id for each in answers}) == 60
    assert len(live_wait.queue(waitlist)) == 90
    joined = [clock.parse_instant(row["joined_at"]) for row in live_wait.entries(waitlist)]
    assert joined == sorted(joined)


@pytest.mark.parametrize("act", ["delete", "merge", "refer"])
def test_who_is_approved_between_two_rows_of_one_read_is_found(live_wait: WaitWorld, act: str) -> None:
    """A read of many rows is not one of one moment: it may find an entry neither among those who wait nor among those
    who were approved."""
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 3)
    other = live_wait.contact("other")
    live_wait.settle()
    if act == "delete":
        live_wait.ok(live_wait.client.delete(f"/v1/contacts/{made[1]['contact_id']}"))
    elif act == "merge":
        merge(live_wait, other, made[1]["contact_id"])
    else:
        live_wait.join_now(waitlist, "new@x.io", made[1]["referral_code"])
    approved_between(live_wait, waitlist, made[1]["id"])
    live_wait.settle()
    rows = live_wait.entries(waitlist, status="approved")
    told = [(row["contact_id"], row["referral_count"]) for row in rows]
    expected = {"delete": [], "merge": [(other, 0)], "refer": [(made[1]["contact_id"], 1)]}
    assert told == expected[act]


def approved_between(world: WaitWorld, waitlist_id: str, entry_id: str) -> None:
    """The next read that looks for the entry in both places looks among those who were approved first, and has to look
    among those who wait after it was approved."""
    read, asked = world.table.batch_get, [entry_id]

    def batch_get(keys: Iterable[Key], **consistent: bool) -> dict[Key, Item]:
        wanted = list(keys)
        places = [key for key in wanted if asked and key.sk == asked[0]]
        if len(places) < len(("waiting", "approved")):
            return read(wanted, **consistent)
        asked.clear()
        found = read([key for key in wanted if key not in places[:1]], **consistent)
        world.approve_now(waitlist_id, entry_id)
        return found | read(places[:1], **consistent)

    world.table.batch_get = batch_get  # type: ignore[method-assign]
    world.table.install(world.patch)
