"""Exact places, against a plain list in which a referral moves one element: one after the other, and all at once."""

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core import strict_json
from chalicelib.core.errors import NotFound
from chalicelib.features.waitlists import order
from chalicelib.features.waitlists import service as waitlists
from chalicelib.flows.waitlists import leave, read
from chalicelib.workers import bus
from tests.support.wait_world import WaitWorld, at_once

STEPS = 2_000


def make_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """With small parts all that happens at a million happens at a hundred."""
    for name, value in (("LEAF_MAX", 6), ("_HALF_LEAF", 3), ("NODE_MAX", 4), ("_HALF_NODE", 2)):
        monkeypatch.setattr(order, name, value)


def positions(world: WaitWorld, waitlist_id: str, queue: list[str]) -> list[int | None]:
    """The position of each by a read of its own."""
    return [
        waitlists.position(world.tenant, waitlists.entry(world.tenant, waitlist_id, entry_id)) for entry_id in queue
    ]


@pytest.mark.parametrize("seed", range(3))
def test_after_2_000_random_steps_all_positions_are_those_of_the_plain_list(
    live_wait: WaitWorld, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng, boost = random.Random(seed), 50 if seed == 0 else 3
    if seed == 2:
        make_small(monkeypatch)
    waitlist = live_wait.waitlist(referral_boost=boost)
    queue: list[str] = []
    codes: dict[str, str] = {}
    for n in range(STEPS):
        step = rng.random()
        if not queue or step < 0.45:
            entry = live_wait.join_now(waitlist, f"u{n}@x.io")
            codes[entry.id] = entry.referral_code
            queue.append(entry.id)
        elif step < 0.75:
            referrer = rng.choice(queue)
            entry = live_wait.join_now(waitlist, f"u{n}@x.io", codes[referrer])
            codes[entry.id] = entry.referral_code
            queue.append(entry.id)
            live_wait.run_bus()
            place = queue.index(referrer)
            queue.insert(max(0, place - boost), queue.pop(place))
        elif step < 0.9:
            live_wait.approve_now(waitlist, queue.pop(rng.randrange(len(queue))))
        else:
            leave.one(live_wait.tenant, live_wait.definition(waitlist), queue.pop(rng.randrange(len(queue))))
    assert live_wait.queue(waitlist) == queue
    assert positions(live_wait, waitlist, queue) == list(range(1, len(queue) + 1))


@pytest.mark.parametrize("small", [False, True])
def test_when_all_happens_at_once_nobody_is_lost_and_each_place_is_one_persons(
    live_wait: WaitWorld, monkeypatch: pytest.MonkeyPatch, *, small: bool
) -> None:
    """The moves that were written are those that were told of: on the plain list, in the order in which they were
    written, they lead to the places that are read."""
    if small:
        make_small(monkeypatch)
    waitlist = live_wait.waitlist(referral_boost=5)
    first = live_wait.added(waitlist, 150)
    written: list[tuple[str, Any]] = []
    watch(live_wait, waitlist, written)
    rng = random.Random(3)
    referrers = [rng.choice(first[60:]) for _ in range(60)]
    acts: list[Callable[[], object]] = [
        *(joining(live_wait, waitlist, f"n{n}@x.io", each["referral_code"]) for n, each in enumerate(referrers)),
        *(approving(live_wait, waitlist, each["id"]) for each in first[:20]),
        *(leaving(live_wait, waitlist, each["id"]) for each in first[20:40]),
    ]
    rng.shuffle(acts)
    at_once(acts)
    records = live_wait.table.records[live_wait.done :]
    batches = [records[n::8] for n in range(8)]
    at_once([lambda some=some: live_wait.deliver(bus.handle, {"Records": some}) for some in batches], threads=8)  # type: ignore[misc]
    live_wait.settle()
    queue = [each["id"] for each in first]
    for act, what in written:
        apply(queue, act, what)
    assert live_wait.queue(waitlist) == queue
    assert positions(live_wait, waitlist, queue) == list(range(1, len(queue) + 1))
    assert live_wait.stats(waitlist) == {"waiting": 170, "approved": 20, "total": 190}
    assert sum(row["referral_count"] for row in live_wait.entries(waitlist)) == 60


def apply(queue: list[str], act: str, what: Any) -> None:
    """One change of the plain list."""
    if act == "join":
        queue.append(what)
    elif act == "leave":
        queue.remove(what)
    else:
        entry, start, to = what
        assert queue.index(entry) + 1 == start
        queue.insert(to - 1, queue.pop(start - 1))


def watch(world: WaitWorld, waitlist_id: str, written: list[tuple[str, Any]]) -> None:
    """Note what each transaction does to the queue, in the order in which they are written."""
    act = world.table.transact
    lock = threading.RLock()

    def transact(ops: Any) -> None:
        with lock:
            act(ops)
            for op in ops:
                attrs = getattr(op, "attrs", {})
                if attrs.get("outbox") == "waitlist.entry.created":
                    written.append(("join", fields(attrs)["entry_id"]))
                if attrs.get("outbox") == "waitlist.position.changed":
                    told = fields(attrs)
                    written.append(("move", (told["entry_id"], told["from"], told["to"])))
                if type(op).__name__ == "Delete" and op.key.pk.endswith(f"{waitlist_id}#WAITING"):
                    written.append(("leave", op.key.sk))

    world.table.transact = transact  # type: ignore[method-assign]
    world.table.install(world.patch)


def fields(attrs: Any) -> Any:
    return strict_json.stored(attrs["data"])


def joining(world: WaitWorld, waitlist_id: str, email: str, code: str) -> Callable[[], object]:
    return lambda: world.join_now(waitlist_id, email, code)


def approving(world: WaitWorld, waitlist_id: str, entry_id: str) -> Callable[[], object]:
    return lambda: world.approve_now(waitlist_id, entry_id)


def leaving(world: WaitWorld, waitlist_id: str, entry_id: str) -> Callable[[], object]:
    return lambda: leave.one(world.tenant, world.definition(waitlist_id), entry_id)


@pytest.mark.parametrize("number", range(12))
@pytest.mark.parametrize("act", ["approve", "refer", "leave", "join"])
def test_a_position_that_is_read_while_the_queue_changes_is_one_that_it_had(
    live_wait: WaitWorld, number: int, act: str
) -> None:
    """Whatever is written between any two reads: what is answered is a place at one moment, with the rest of it."""
    waitlist = live_wait.waitlist(referral_boost=2)
    made = live_wait.added(waitlist, 130)
    who = made[100]
    changes: dict[str, Callable[[], object]] = {
        "approve": lambda: live_wait.approve_now(waitlist, made[3]["id"]),
        "refer": lambda: (live_wait.join_now(waitlist, "new@x.io", who["referral_code"]), live_wait.run_bus()),
        "leave": lambda: leave.one(live_wait.tenant, live_wait.definition(waitlist), who["id"]),
        "join": lambda: live_wait.join_now(waitlist, "new@x.io"),
    }
    known = waitlists.entry(live_wait.tenant, waitlist, who["id"])
    after: dict[str, tuple[int | None, int]] = {
        "approve": (100, 129),
        "refer": (99, 131),
        "leave": (None, 129),
        "join": (101, 131),
    }
    with live_wait.halted_at(number, changes[act], after=False):
        seen = waitlists.standing(live_wait.tenant, known)
    between = {(101, 131)} if act == "refer" else set()  # joined, and not moved yet
    assert seen in {(101, 130), after[act]} | between


def test_a_walk_meets_everybody_once_who_was_not_overtaken_while_the_first_are_approved(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = [each["id"] for each in live_wait.added(waitlist, 100)]
    met: list[str] = []
    cursor = None
    while True:
        page = read.page(live_wait.tenant, live_wait.definition(waitlist), "waiting", 10, cursor)
        met += [row.id for row in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
        live_wait.approve_many(waitlist, 4)
    assert met == made


def test_a_walk_passes_over_nobody_where_all_of_its_page_have_gone(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = [each["id"] for each in live_wait.added(waitlist, 60)]
    page = read.page(live_wait.tenant, live_wait.definition(waitlist), "waiting", 20, None)
    live_wait.approve_many(waitlist, 30)
    rest = read.page(live_wait.tenant, live_wait.definition(waitlist), "waiting", 100, page.next_cursor)
    assert [row.id for row in rest.data] == made[30:]


@pytest.mark.parametrize("limit", [1, 5, 9])
def test_a_walk_in_small_pages_doubles_nobody_where_a_page_has_gone_and_others_too(
    live_wait: WaitWorld, limit: int
) -> None:
    waitlist = live_wait.waitlist()
    made = [each["id"] for each in live_wait.added(waitlist, 60)]
    definition = live_wait.definition(waitlist)
    met: list[str] = []
    cursor = None
    gone: set[str] = set()
    for n in range(100):
        page = read.page(live_wait.tenant, definition, "waiting", limit, cursor)
        met += [row.id for row in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
        if n in (2, 4):
            gone |= {*(row.id for row in page.data), *made[-2 * n : -n]}
            for each in [*(row.id for row in page.data), *made[-2 * n : -n]]:
                if each in live_wait.queue(waitlist):
                    leave.one(live_wait.tenant, definition, each)
    assert len(met) == len(set(met))
    assert set(made) - gone <= set(met)


@pytest.mark.parametrize("seed", range(6))
def test_a_walk_meets_all_that_stayed_where_they_were_once_whatever_happens(live_wait: WaitWorld, seed: int) -> None:
    rng = random.Random(seed)
    waitlist = live_wait.waitlist(referral_boost=rng.choice([1, 4]))
    made = live_wait.added(waitlist, 90)
    definition = live_wait.definition(waitlist)
    moved: set[str] = set()
    met: list[str] = []
    cursor = None
    for n in range(200):
        page = read.page(live_wait.tenant, definition, "waiting", rng.choice([1, 3, 7]), cursor)
        met += [row.id for row in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
        for k in range(3):
            queue = live_wait.queue(waitlist)
            near = rng.choice(queue[max(0, len(met) - 5) : len(met) + 5] or queue)
            if rng.random() < 0.5:
                leave.one(live_wait.tenant, definition, near)
                continue
            code = next((each["referral_code"] for each in made if each["id"] == near), None)
            live_wait.join_now(waitlist, f"n{n}-{k}@x.io", code)
            live_wait.settle()
            moved.add(near)
    left = {row["id"] for row in live_wait.entries(waitlist)}
    first = {each["id"] for each in made}
    assert [each for each in met if each not in moved] == list(dict.fromkeys(each for each in met if each not in moved))
    assert (left & first) - moved <= set(met)


def test_a_walk_goes_on_behind_its_last_one_who_has_moved_up_meanwhile(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist(referral_boost=15)
    made = live_wait.added(waitlist, 60)
    page = read.page(live_wait.tenant, live_wait.definition(waitlist), "waiting", 20, None)
    live_wait.join_now(waitlist, "new@x.io", made[19]["referral_code"])
    live_wait.settle()
    rest = read.page(live_wait.tenant, live_wait.definition(waitlist), "waiting", 100, page.next_cursor)
    assert [row.id for row in rest.data][:40] == [each["id"] for each in made[20:]]


def test_of_a_waitlist_that_is_deleted_no_position_is_read(live_wait: WaitWorld) -> None:
    waitlist = live_wait.waitlist()
    made = live_wait.added(waitlist, 1)
    known = waitlists.entry(live_wait.tenant, waitlist, made[0]["id"])
    live_wait.ok(live_wait.client.delete(f"/v1/waitlists/{waitlist}"))
    with pytest.raises(NotFound):
        waitlists.position(live_wait.tenant, known)
