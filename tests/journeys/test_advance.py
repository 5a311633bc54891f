"""A test project's clock: all that falls due runs at its own moment and in order, once, whatever dies on the way."""

import contextlib
import itertools
import random
from collections.abc import Iterable
from typing import Any

import pytest

from chalicelib.core import clock, strict_json
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Timer
from chalicelib.flows import accept_events
from chalicelib.platform import jobs, outbox, pending, table
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import ConditionFailed, Put, attr
from chalicelib.workers import bus
from chalicelib.workers import jobs as worker
from chalicelib.workers import timers as timers_worker
from tests.support import aws as support
from tests.support import pipeline
from tests.support.hook_world import HookWorld
from tests.support.live_time import KIND, live_time
from tests.support.pipeline import accepted

_order = itertools.count()
SPAN = 30 * clock.DAY
CHAIN = (clock.HOUR, 2 * clock.HOUR, 2 * clock.HOUR + 1)


class Diary:
    """The flow of the timers here: acts once, notes when in the act's transaction, and sets the timer's next link.

    `data` of a timer is the list of milliseconds from each link to the next.
    """

    def run(self, tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
        note = Put(
            tenant.message(f"{timer.name} {timer.moment}"),
            {"now": now, "name": timer.name, "moment": timer.moment, "order": next(_order)},
            attr("PK").not_exists(),
        )
        rest = timer.data or []
        following = (
            timers.set_ops(
                tenant, owner_pk, timer.name, KIND, timer.moment + rest[0], data=rest[1:], before=timer.moment
            )
            if rest
            else timers.clear_ops(tenant, owner_pk, timer.name, before=timer.moment)
        )
        # What the act causes is the bus's to handle before the clock may move.
        told = outbox.emit(tenant, "diary.noted", {"name": timer.name, "now": now}, now)
        with contextlib.suppress(ConditionFailed):
            table.transact([note, *following, told])


@pytest.fixture
def start(test_tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> int:
    """Where the clock stands. While a job waits the other workers work."""
    monkeypatch.setitem(timers_worker.TIMER_FLOWS, KIND, Diary().run)
    monkeypatch.setattr(clock, "sleep", lambda _seconds: work())
    return projects.now(test_tenant)


def work() -> None:
    pipeline.run_ingest()
    pipeline.run_bus(pipeline.fresh_records())


def put(tenant: Tenant, name: str, moment: int, *links: int) -> None:
    table.transact(timers.set_ops(tenant, tenant.contact("cntct_1").pk, name, KIND, moment, data=list(links)))


def noted(tenant: Tenant) -> list[tuple[str, int, int]]:
    """Name, moment and `now` of each act, in the order in which they came."""
    return acts(pipeline.rows(tenant, "MSG"))


def acts(rows: Iterable[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """What the diary noted, among any rows."""
    notes = sorted((row for row in rows if "order" in row), key=lambda row: row["order"])
    return [(row["name"], row["moment"], row["now"]) for row in notes]


@pytest.mark.parametrize("many", [40, pytest.param(200, marks=pytest.mark.prove)])
def test_many_timers_fire_in_order_each_once_and_at_its_moment(many: int, test_tenant: Tenant, start: int) -> None:
    rng = random.Random(4)
    expected = []
    for n in range(many // 4):
        moment = start + rng.randrange(SPAN // 2)
        put(test_tenant, f"t{n}", moment, *CHAIN)
        links = [moment + sum(CHAIN[:k]) for k in range(len(CHAIN) + 1)]
        expected += [(link, f"t{n}") for link in links]
    pipeline.advance(test_tenant, start + SPAN)
    assert [(moment, name) for name, moment, _ in noted(test_tenant)] == sorted(expected)
    assert len(expected) == many
    assert all(moment == now for _, moment, now in noted(test_tenant))
    assert pipeline.rows(test_tenant, "TIMER#") == []
    assert table.query(test_tenant.due_partition()).items == []


def test_what_is_due_at_the_target_runs_and_what_is_due_after_it_waits(test_tenant: Tenant, start: int) -> None:
    for name, ahead in (("at", clock.DAY), ("after", clock.DAY + 1), ("past", -1)):
        put(test_tenant, name, start + ahead)
    pipeline.advance(test_tenant, start + clock.DAY)
    assert noted(test_tenant) == [("past", start - 1, start), ("at", start + clock.DAY, start + clock.DAY)]
    pipeline.advance(test_tenant, start + 2 * clock.DAY)
    assert noted(test_tenant)[2:] == [("after", start + clock.DAY + 1, start + clock.DAY + 1)]


def test_the_clock_moves_only_while_nothing_is_in_flight(
    test_tenant: Tenant, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    move = projects.move_clock

    def moved(tenant: Tenant, before: Any, now: int) -> Any:
        assert pending.is_settled(tenant)
        return move(tenant, before, now)

    def look(tenant: Tenant, told: Any) -> None:
        seen.extend((event.data["now"], projects.now(tenant)) for event in told)

    monkeypatch.setattr(projects, "move_clock", moved)
    monkeypatch.setitem(bus.EVENT_FLOWS, "diary.noted", (look,))
    for n in range(5):
        put(test_tenant, f"t{n}", start + n * clock.DAY, clock.HOUR)
    pipeline.advance(test_tenant, start + SPAN)
    assert len(seen) == 10
    assert all(caused == handled for caused, handled in seen)


def test_what_was_accepted_before_is_settled_at_the_old_now(
    test_tenant: Tenant, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setitem(bus.EVENT_FLOWS, "contact.created", (lambda tenant, _told: seen.append(projects.now(tenant)),))
    events = [accepted({"userId": f"u{n}", "event": "x"}, "track", start) for n in range(5)]
    assert all(accept_events.run(test_tenant, events))
    pipeline.advance(test_tenant, start + clock.DAY)
    assert set(seen) == {start}
    assert len(contacts.listing(test_tenant, contacts.Filter(), 10, None)[0]) == 5


def test_the_clock_waits_for_jobs(test_tenant: Tenant, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def walk(tenant: Tenant, data: Any, _has_time: Any) -> dict[str, int] | None:
        seen.append(projects.now(tenant))
        return {"page": data["page"] + 1} if data["page"] < 4 else None

    monkeypatch.setitem(worker.JOBS, "walk", walk)
    jobs.send(test_tenant, "walk", {"page": 1})
    pipeline.advance(test_tenant, start + clock.DAY)
    assert seen == [start] * 4


def test_a_page_does_not_wait_for_ever(test_tenant: Tenant, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(clock, "sleep", pauses.append)
    pending.put(pending.mark(test_tenant, "INGEST", "stuck"))
    pipeline.ask_to_advance(test_tenant, start + clock.DAY)
    pipeline.run_bus()
    pipeline.run_job_pages()
    assert sum(pauses) <= 3
    (message,) = support.waiting(settings().jobs_queue_url)
    assert message.delay_s == 1
    assert projects.now(test_tenant) == start


def test_a_page_whose_time_ends_goes_on_in_the_next(
    test_tenant: Tenant, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(6):
        put(test_tenant, f"t{n}", start + n)
    looks = iter([60_000, 60_000, 60_000, 1_000] * 100)
    monkeypatch.setattr(pipeline.Context, "get_remaining_time_in_millis", lambda _self: next(looks))
    monkeypatch.setattr(bus, "_has_time", lambda _context: True)
    pipeline.advance(test_tenant, start + clock.DAY)
    assert [name for name, _, _ in noted(test_tenant)] == [f"t{n}" for n in range(6)]


def test_a_timer_that_keeps_failing_is_set_aside_and_the_clock_goes_on(
    test_tenant: Tenant, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary, calls = Diary(), []

    def fail(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
        calls.append(timer.name)
        if timer.name == "bad":
            raise RuntimeError("injected")
        diary.run(tenant, owner_pk, timer, now)

    monkeypatch.setitem(timers_worker.TIMER_FLOWS, KIND, fail)
    put(test_tenant, "bad", start + 1)
    put(test_tenant, "good", start + 2)
    pipeline.advance(test_tenant, start + clock.DAY)
    assert calls == ["bad"] * 5 + ["good"]
    assert [name for name, _, _ in noted(test_tenant)] == ["good"]


def test_a_stale_pointer_is_harmless_and_removed_when_met(test_tenant: Tenant, start: int) -> None:
    put(test_tenant, "moved", start + clock.HOUR)
    put(test_tenant, "moved", start + 2 * clock.HOUR)
    put(test_tenant, "cleared", start + clock.HOUR)
    table.transact(timers.clear_ops(test_tenant, test_tenant.contact("cntct_1").pk, "cleared"))
    assert len(table.query(test_tenant.due_partition()).items) == 3
    pipeline.advance(test_tenant, start + clock.DAY)
    assert [(name, now) for name, _, now in noted(test_tenant)] == [("moved", start + 2 * clock.HOUR)]
    assert table.query(test_tenant.due_partition()).items == []


def test_a_pointer_whose_moment_is_known_goes_with_the_timer(test_tenant: Tenant, start: int) -> None:
    owner = test_tenant.contact("cntct_1").pk
    put(test_tenant, "t", start + 1)
    table.transact(timers.set_ops(test_tenant, owner, "t", KIND, start + 2, before=start + 1))
    assert [item["moment"] for item in table.query(test_tenant.due_partition()).items] == [start + 2]
    table.transact(timers.set_ops(test_tenant, owner, "t", KIND, start + 2, before=start + 2))
    assert [item["moment"] for item in table.query(test_tenant.due_partition()).items] == [start + 2]
    table.transact(timers.clear_ops(test_tenant, owner, "t", before=start + 2))
    assert table.query(test_tenant.due_partition()).items == []


def test_a_pointer_that_was_set_anew_while_it_was_met_stays(test_tenant: Tenant, start: int) -> None:
    put(test_tenant, "t", start + 1)
    met = timers.next_due(test_tenant, start + 1)
    assert met is not None
    put(test_tenant, "t", start + 1, 5)
    timers.drop_pointer(test_tenant, met)
    assert timers.next_due(test_tenant, start + 1) is not None


def test_live_timers_are_no_concern_of_the_clock(
    test_tenant: Tenant, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = live_time(monkeypatch)
    table.transact(timers.set_ops(tenant, tenant.contact("cntct_1").pk, "live", KIND, time.now + clock.HOUR))
    pipeline.advance(test_tenant, projects.now(test_tenant) + SPAN)
    assert time.calls == []
    assert len(pipeline.rows(tenant, "TIMER#")) == 1


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("after", [False, True])
def test_whatever_dies_at_any_call_the_clock_arrives_and_each_timer_acted_once_and_in_order(
    after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a table in memory: there are a hundred calls at which a worker may die."""
    monkeypatch.setitem(timers_worker.TIMER_FLOWS, KIND, Diary().run)
    monkeypatch.setattr(clock, "sleep", lambda _seconds: None)
    step, died = 0, [""]
    while died:
        world = HookWorld(monkeypatch, is_test=True)
        start = world.now
        put(world.tenant, "a", start + 1, clock.HOUR)
        put(world.tenant, "b", start + clock.HOUR)
        world.ask_to_advance(clock.DAY)
        with world.dying_at(step, after=after) as died:
            world.settle()
        stands = projects.test_clock(world.tenant)
        assert (stands.now, stands.status) == (start + clock.DAY, "ready"), step
        assert [(name, now - start) for name, _, now in acts(world.table.rows.values())] == [
            ("a", 1),
            ("b", clock.HOUR),
            ("a", clock.HOUR + 1),
        ], step
        step += 1
    assert step > 20


def test_two_runners_of_one_advance_move_the_clock_once_for_each_moment(
    test_tenant: Tenant, start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        put(test_tenant, f"t{n}", start + n * clock.HOUR, clock.DAY)
    pipeline.ask_to_advance(test_tenant, start + SPAN)
    work()
    (message,) = support.waiting(settings().jobs_queue_url)
    data = strict_json.loads(message.body.encode())["data"]
    moments: list[int] = []
    move = projects.move_clock
    raced: dict[int, bool] = {}

    def moved(tenant: Tenant, before: Any, now: int) -> Any:
        # The other runner overtakes between this one's reads and its write.
        if not raced.setdefault(before.version, False):
            raced[before.version] = True
            run_page(data)
        after = move(tenant, before, now)
        moments.append(now)
        return after

    def run_page(page: Any) -> Any:
        return worker.JOBS["advance"](test_tenant, page, lambda: True)

    monkeypatch.setattr(projects, "move_clock", moved)
    pipeline.drain()
    assert moments == sorted(moments)
    assert [moment for _, moment, _ in noted(test_tenant)] == sorted(moment for _, moment, _ in noted(test_tenant))
    assert len(noted(test_tenant)) == 8
    assert projects.now(test_tenant) == start + SPAN


def test_a_job_that_is_delivered_after_its_advance_has_ended_does_nothing(test_tenant: Tenant, start: int) -> None:
    pipeline.ask_to_advance(test_tenant, start + clock.DAY)
    work()
    (message,) = support.waiting(settings().jobs_queue_url)
    pipeline.drain()
    pipeline.ask_to_advance(test_tenant, start + SPAN)
    data = strict_json.loads(message.body.encode())["data"]
    assert worker.JOBS["advance"](test_tenant, data, lambda: True) is None
    assert projects.now(test_tenant) == start + clock.DAY
