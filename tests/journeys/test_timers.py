"""Live timers: each acts once and at its moment, whatever is missed, lost, doubled or dies on the way."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.features.timers import service as timers
from chalicelib.features.timers import store
from chalicelib.features.timers.service import Timer
from chalicelib.platform import table
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.workers import timers as worker
from tests.support import aws as support
from tests.support import pipeline
from tests.support.live_time import KIND, START, LiveTime, live_time
from tests.support.pipeline import Killed

SECOND, MINUTE = clock.SECOND, clock.MINUTE
AHEAD = (0, 1, 999, 30_500, 90 * SECOND, 4 * MINUTE, 5 * MINUTE - 1, 5 * MINUTE, 7 * MINUTE + 250, 12 * MINUTE + 59_999)
THE_END = START + 16 * MINUTE


@pytest.fixture
def time(table: str, monkeypatch: pytest.MonkeyPatch) -> LiveTime:
    return live_time(monkeypatch)


def runs(every: int, first: int = 0) -> range:
    """Runs of the schedule, in ms from each to the next."""
    return range(START + first, THE_END, every)


def owner(tenant: Tenant, n: int = 0) -> str:
    return tenant.contact(f"cntct_{n}").pk


def put(tenant: Tenant, name: str, moment: int, **options: Any) -> None:
    table.transact(timers.set_ops(tenant, owner(tenant), name, KIND, moment, **options))


@pytest.mark.parametrize("every", [60 * SECOND, 119 * SECOND, 5 * MINUTE - SECOND])
@pytest.mark.parametrize("is_late", [False, True])
def test_each_timer_acts_once_and_at_its_very_moment(time: LiveTime, tenant: Tenant, every: int, is_late: bool) -> None:
    for ahead in AHEAD:
        put(tenant, str(ahead), START + ahead)
    time.run(THE_END, runs(every, first=every - 1 if is_late else 1))
    assert sorted(time.acted) == sorted((str(ahead), START + ahead) for ahead in AHEAD)
    assert (time.queued, time.given_up) == (len(AHEAD), [])


def test_a_schedule_that_was_away_for_ten_minutes_misses_nothing(time: LiveTime, tenant: Tenant) -> None:
    for ahead in AHEAD:
        put(tenant, str(ahead), START + ahead)
    time.run(START + clock.HOUR, [START + 10 * MINUTE, START + 20 * MINUTE])
    assert sorted(name for name, _ in time.acted) == sorted(map(str, AHEAD))
    assert all(now - START - int(name) <= 5 * MINUTE for name, now in time.acted)


def test_a_lost_message_is_found_again_two_minutes_after_its_moment(time: LiveTime, tenant: Tenant) -> None:
    lost: list[str] = []
    time.lose = lambda body: not lost and not lost.append(body)  # type: ignore[func-returns-value]
    put(tenant, "t", START + 90 * SECOND)
    time.run(THE_END, runs(MINUTE))
    assert len(lost) == 1
    assert time.acted == [("t", START + 4 * MINUTE)]


def test_what_keeps_failing_is_queued_again_ever_more_rarely(
    time: LiveTime, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("injected")

    monkeypatch.setitem(worker.TIMER_FLOWS, KIND, fail)
    monkeypatch.setattr(store, "SHARDS", 1)
    put(tenant, "t", START)
    time.run(START + 3 * clock.HOUR, range(START, START + 3 * clock.HOUR, 2 * MINUTE))
    assert 5 <= time.queued <= 8
    assert time.given_up


@pytest.mark.parametrize("copies", [2, 3])
def test_a_doubled_message_is_harmless(time: LiveTime, tenant: Tenant, copies: int) -> None:
    put(tenant, "t", START + SECOND)
    records = pipeline.stream_records()
    for _ in range(copies):
        pipeline.run_bus(records)
        item = {name: value for name, value in pipeline.rows(tenant, "TIMER#")[0].items() if name != "queued_until"}
        table.write(table.Put(table_key(item), item))  # as if it were not marked
    assert len(support.waiting(settings().timers_queue_url)) == copies
    time.run(START + MINUTE, [])
    assert time.acted == [("t", START + SECOND)]


def table_key(item: dict[str, Any]) -> Any:
    from chalicelib.platform.keys import Key

    return Key(item.pop("PK"), item.pop("SK"))


def test_the_stream_read_again_from_its_start_queues_nothing_twice(time: LiveTime, tenant: Tenant) -> None:
    put(tenant, "t", START + SECOND)
    pipeline.run_bus()
    pipeline.run_bus()
    assert len(support.waiting(settings().timers_queue_url)) == 1
    time.run(START + MINUTE, [])
    support.take(settings().timers_queue_url)
    pipeline.run_bus()
    assert support.waiting(settings().timers_queue_url) == []


def test_a_timer_that_was_moved_acts_at_its_new_moment_only(time: LiveTime, tenant: Tenant) -> None:
    put(tenant, "sooner", START + 10 * MINUTE)
    put(tenant, "later", START + MINUTE)
    time.run(START + SECOND, runs(MINUTE))
    put(tenant, "sooner", START + 2 * SECOND)
    put(tenant, "later", START + 9 * MINUTE)
    time.run(THE_END, runs(MINUTE))
    assert time.acted == [("sooner", START + 2 * SECOND), ("later", START + 9 * MINUTE)]


def test_a_timer_set_again_to_the_same_moment_acts_once(time: LiveTime, tenant: Tenant) -> None:
    for data in ("a", "b"):
        put(tenant, "t", START + MINUTE, data=data)
        time.settle()
    time.run(THE_END, runs(MINUTE))
    assert time.acted == [("t", START + MINUTE)]


def test_a_timer_that_was_cleared_does_not_act(time: LiveTime, tenant: Tenant) -> None:
    put(tenant, "t", START + MINUTE)
    time.run(START + SECOND, runs(MINUTE))
    table.transact(timers.clear_ops(tenant, owner(tenant), "t"))
    time.run(THE_END, runs(MINUTE))
    assert time.calls == []
    assert pipeline.rows(tenant, "TIMER#") == []


def test_what_comes_much_too_early_waits_on_the_queue_for_the_rest(time: LiveTime, tenant: Tenant) -> None:
    put(tenant, "t", START + 4 * MINUTE + 700)
    time.settle()
    record = {"messageId": "early", "body": message_of(tenant, "t", START + 4 * MINUTE + 700)}
    assert worker.handle({"Records": [record]}, pipeline.Context()) == {"batchItemFailures": []}
    (again,) = support.waiting(settings().timers_queue_url)
    assert (again.delay_s, time.calls) == (240, [])


def message_of(tenant: Tenant, name: str, moment: int) -> str:
    return f'{{"owner":"{owner(tenant)}","name":"{name}","moment":{moment}}}'


def test_a_flow_that_leaves_its_timer_as_it_was_is_an_error(
    time: LiveTime, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(worker.TIMER_FLOWS, KIND, lambda *_: None)
    put(tenant, "t", START)
    with pytest.raises(worker.TimerLeft):
        worker.fire_due(tenant, owner(tenant), "t", START, START)


def test_a_timer_of_an_unknown_kind_fails_and_the_others_of_its_batch_act(time: LiveTime, tenant: Tenant) -> None:
    table.transact(timers.set_ops(tenant, owner(tenant), "odd", "unheard of", START))
    put(tenant, "t", START)
    records = [{"messageId": name, "body": message_of(tenant, name, START)} for name in ("odd", "t")]
    assert worker.handle({"Records": records}, pipeline.Context()) == {"batchItemFailures": [{"itemIdentifier": "odd"}]}
    assert time.acted == [("t", START)]


def test_a_flow_gets_what_its_timer_was_set_with(
    time: LiveTime, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[Tenant, str, Timer, int]] = []

    def look(*arguments: Any) -> None:
        given.append(arguments)
        time.note(*arguments)

    monkeypatch.setitem(worker.TIMER_FLOWS, KIND, look)
    put(tenant, "t", START + SECOND, data={"step": 2})
    time.run(START + MINUTE, [])
    assert given == [(tenant, owner(tenant), Timer("t", KIND, START + SECOND, {"step": 2}), START + SECOND)]


def test_a_timer_belongs_into_a_partition_of_its_own_project(tenant: Tenant, other_tenant: Tenant) -> None:
    with pytest.raises(ValueError, match="its own project"):
        timers.set_ops(tenant, owner(other_tenant), "t", KIND, START)


def test_many_timers_are_queued_page_by_page(time: LiveTime, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PAGE", 2)
    for n in range(24):
        table.transact(timers.set_ops(tenant, owner(tenant, n), str(n), KIND, START + 6 * MINUTE + n))
    time.settle()
    time.run(THE_END, [START + 2 * MINUTE])
    assert sorted(int(name) for name, _ in time.acted) == list(range(24))
    assert all(0 <= now - START - 6 * MINUTE - int(name) < SECOND for name, now in time.acted)
    assert time.queued == 24


class Ending(pipeline.Context):
    """An invocation with time for so many more looks at the clock."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def get_remaining_time_in_millis(self) -> int:
        self.looks -= 1
        return 60_000 if self.looks >= 0 else 1_000


def test_runs_that_end_early_go_on_where_others_stopped(
    time: LiveTime, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "Context", lambda: Ending(looks=10))
    for n in range(40):
        table.transact(timers.set_ops(tenant, owner(tenant, n), str(n), KIND, START + 30 * MINUTE + n))
    time.settle()
    for n in range(store.SHARDS):
        time.now = START + 25 * MINUTE + n * MINUTE // 4
        pipeline.run_minute()
    assert len(support.waiting(settings().timers_queue_url)) < 40
    for n in range(store.SHARDS):
        time.now = START + 29 * MINUTE + n * MINUTE
        pipeline.run_minute()
    assert len({message.body for message in support.waiting(settings().timers_queue_url)}) == 40


def test_the_schedule_and_the_bus_pass_over_timers_of_test_projects(time: LiveTime, test_tenant: Tenant) -> None:
    put(test_tenant, "t", START + SECOND)
    time.run(THE_END, runs(MINUTE))
    assert (time.queued, time.calls) == (0, [])
    (row,) = pipeline.rows(test_tenant, "TIMER#")
    assert not {"due_pk", "due_sk"} & row.keys()


def calls_of_a_clean_run(time: LiveTime, tenant: Tenant) -> int:
    with pipeline.counted() as calls:
        set_two_and_run(time, tenant)
    return len(calls)


def set_two_and_run(time: LiveTime, tenant: Tenant) -> None:
    for name, ahead in (("soon", 40 * SECOND), ("later", 5 * MINUTE + 30 * SECOND)):
        try:
            put(tenant, name, START + ahead)
        except Killed:
            put(tenant, name, START + ahead)
    time.run(START + 9 * MINUTE, range(START, START + 9 * MINUTE, MINUTE))


@pytest.mark.parametrize("moment", ["before-call", "after-call"])
def test_whatever_dies_at_any_call_each_timer_acts_once(
    moment: str, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, fresh_table: Callable[[], None]
) -> None:
    monkeypatch.setattr(store, "SHARDS", 1)
    for step in range(calls_of_a_clean_run(live_time(monkeypatch), tenant)):
        fresh_table()
        support.clear_queues()
        time = live_time(monkeypatch)

        def die(number: int, _operation: str, step: int = step) -> None:
            if number == step:
                raise Killed

        with pipeline.on_call(moment, die):
            set_two_and_run(time, tenant)
        # One row for each act, written with it; who acted and then died could not tell us.
        assert sorted(row["SK"].split("#")[1].split()[0] for row in pipeline.rows(tenant, "COUNTED#")) == [
            "later",
            "soon",
        ]
        assert pipeline.rows(tenant, "TIMER#") == []
