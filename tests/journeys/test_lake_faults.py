"""Who dies between the table and the answers: nothing is lost, doubled, or seen half."""

import copy
from contextlib import suppress
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.core.clock import DAY
from chalicelib.core.errors import Unavailable
from chalicelib.features.lake import service as lakes
from chalicelib.features.lake import store
from chalicelib.features.lake.model import Hot
from chalicelib.flows.analytics import compact, rebuild
from chalicelib.platform import objects
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import ConditionFailed
from chalicelib.readings.lake import disk, embedded
from tests.support import aws as support
from tests.support import lake, pipeline
from tests.support.dying import calls_of, counted, dying_at
from tests.support.lake_state import (
    SECRET,
    TRUTH,
    World,
    clear,
    compacted,
    kept,
    keys,
    needed,
    project_all,
    put_back,
    texts_of,
    told,
)
from tests.support.pipeline import Killed

DAYS = 3


def test_what_is_projected_is_told(made: World) -> None:
    assert told(made.tenant) == (0, 0, 0)
    project_all(made)
    assert told(made.tenant) == TRUTH
    assert told(made.other) == (1, 1, 0)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_batches_that_come_again_and_cut_otherwise_count_once(made: World, size: int) -> None:
    project_all(made)
    project_all(made, size)
    assert told(made.tenant) == TRUTH
    compacted(made.tenant)
    assert told(made.tenant) == TRUTH
    project_all(made, size + 1)
    assert told(made.tenant) == TRUTH
    compacted(made.tenant)
    assert told(made.tenant) == TRUTH


def test_records_of_several_shards_may_come_in_any_order(made: World) -> None:
    made.records.reverse()
    project_all(made, size=3)
    assert told(made.tenant) == TRUTH


def test_a_projector_that_dies_anywhere_leaves_all_or_nothing_of_its_batch(made: World) -> None:
    calls = counted(lambda: project_all(made))
    rows = support.rows_of(settings().table)
    assert calls >= 7
    for number in range(calls):
        for after in (False, True):
            clear(rows, made)
            with dying_at(number, after=after), suppress(Killed):
                project_all(made)
            assert told(made.tenant) in ((0, 0, 0), TRUTH), (number, after)
            project_all(made, size=5)
            assert told(made.tenant) == TRUTH, (number, after)


def numbers(calls: int, every: int) -> list[tuple[int, bool]]:
    return [(n, after) for n in range(calls) for after in (False, True)][::every]


@pytest.mark.parametrize("every", [19, pytest.param(1, marks=pytest.mark.prove)])
def test_a_compaction_that_dies_anywhere_changes_no_answer_and_leaves_nothing(made: World, every: int) -> None:
    project_all(made, size=4)
    state = kept()
    calls = counted(lambda: compacted(made.tenant))
    assert calls > 20
    for number, after in numbers(calls, every):
        put_back(state)
        with dying_at(number, after=after), suppress(Killed):
            compacted(made.tenant)
        assert told(made.tenant) == TRUTH, (number, after)
        compacted(made.tenant)
        compacted(made.other)
        assert told(made.tenant) == TRUTH, (number, after)
        assert told(made.other) == (1, 1, 0)
        assert not lakes.live(made.tenant).hot
        # What was written and not published is an orphan, of which no reader knows; the sweep removes it.
        assert needed(made.tenant, made.other) <= keys(), (number, after)
        compact.run(made.tenant, clock.system_ms() + 2 * DAY, lambda: True, sweeps=True)
        assert keys() == needed(made.tenant, made.other), (number, after)
        assert told(made.tenant) == TRUTH, (number, after)


@pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.prove)])
def test_a_rebuild_that_dies_anywhere_changes_no_answer(made: World, every: int) -> None:
    project_all(made, size=4)
    compacted(made.tenant)
    state = kept()
    now = clock.system_ms()
    calls = counted(lambda: rebuild.run(made.tenant, None, now, lambda: True))
    for number, after in numbers(calls, every):
        put_back(state)
        with dying_at(number, after=after), suppress(Killed):
            rebuild.run(made.tenant, None, now, lambda: True)
        assert told(made.tenant) == TRUTH, (number, after)
        rebuild.run(made.tenant, None, now, lambda: True)
        assert told(made.tenant) == TRUTH, (number, after)


@pytest.mark.parametrize("every", [17, pytest.param(1, marks=pytest.mark.prove)])
def test_two_compactions_at_once(made: World, every: int) -> None:
    project_all(made, size=4)
    state = kept()
    calls = counted(lambda: compacted(made.tenant))
    for number in range(0, calls, every):
        put_back(state)
        seen: list[str] = []

        def meanwhile(operation: str, at: int = number, so_far: list[str] = seen) -> None:
            so_far.append(operation)
            if len(so_far) == at + 1:
                compacted(made.tenant)

        with calls_of(meanwhile, lambda _: None):
            compacted(made.tenant)
        assert told(made.tenant) == TRUTH, number
        assert not lakes.live(made.tenant).hot


def test_what_is_projected_while_a_compaction_runs_stays(made: World) -> None:
    half = len(made.records) // 2
    first, second = made._replace(records=made.records[:half]), made._replace(records=made.records[half:])
    project_all(first, size=3)
    state = kept()
    calls = counted(lambda: compacted(made.tenant))
    for number in range(0, calls, 20):
        put_back(state)
        seen: list[str] = []

        def meanwhile(operation: str, at: int = number, so_far: list[str] = seen) -> None:
            so_far.append(operation)
            if len(so_far) == at + 1:
                project_all(second)

        with calls_of(meanwhile, lambda _: None):
            compacted(made.tenant)
        if len(seen) <= number:
            break
        assert told(made.tenant) == TRUTH, number
        compacted(made.tenant)
        assert told(made.tenant) == TRUTH, number


def test_a_reader_whose_objects_are_compacted_meanwhile_asks_anew(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    project_all(made, size=4)
    plain = disk.local
    done: list[bool] = []

    def late(wanted: Any) -> Any:
        if not done:
            done.append(True)
            compacted(made.tenant)
            compacted(made.other)
            for path in disk.folder().iterdir():
                path.unlink()
        return plain(wanted)

    embedded.forget()
    monkeypatch.setattr(disk, "local", late)
    assert told(made.tenant) == TRUTH


def test_time_may_run_out_after_each_day(made: World) -> None:
    project_all(made)
    runs = 0
    while compact.run(made.tenant, clock.system_ms(), lambda: False):
        runs += 1
        assert told(made.tenant) == TRUTH
    assert runs == DAYS - 1
    assert not lakes.live(made.tenant).hot
    assert told(made.tenant) == TRUTH


def test_an_object_of_two_projects_is_removed_by_the_last_of_them(made: World) -> None:
    project_all(made)
    compacted(made.tenant)
    assert [key for key in keys() if key.startswith("hot/")]
    assert told(made.other) == (1, 1, 0)
    compacted(made.other)
    assert not [key for key in keys() if key.startswith("hot/")]
    assert (told(made.tenant), told(made.other)) == (TRUTH, (1, 1, 0))


def test_a_project_waits_for_compaction_as_long_as_something_is_left(made: World) -> None:
    project_all(made)
    assert set(lake.waiting()) == {made.tenant.project_id, made.other.project_id}
    compacted(made.other)
    assert lake.waiting() == [made.tenant.project_id]
    compacted(made.tenant)
    assert lake.waiting() == [made.tenant.project_id], (
        "the merged contact is still in older objects, as far as is known"
    )
    late = clock.system_ms() + 3 * DAY
    while compact.run(made.tenant, late, lambda: True):
        pass
    assert lake.waiting() == []
    assert told(made.tenant) == TRUTH


@pytest.mark.parametrize("is_compacted", [False, True])
def test_a_deleted_contact_is_in_no_answer_and_after_the_sweep_in_no_object(made: World, is_compacted: bool) -> None:
    project_all(made)
    if is_compacted:
        compacted(made.tenant)
    ids = {row["external_id"]: row["id"] for row in made.client.get("/v1/contacts").json["data"]}
    assert made.client.delete(f"/v1/contacts/{ids['ben']}").status == 200
    assert told(made.tenant) == (4, 1, 4)
    assert made.client.delete(f"/v1/contacts/{ids['ann']}").status == 200
    assert told(made.tenant) == (0, 0, 0), "whom it had absorbed is gone with it"
    pipeline.drain()
    lake.project_all(again=True)
    for tenant in (made.tenant, made.other):
        compacted(tenant, sweeps=True)
    assert told(made.tenant) == (0, 0, 0)
    assert texts_of(made.tenant) == []


def test_the_files_told_of_the_deleted_one_before(made: World) -> None:
    """The test above looks where something can be seen."""
    project_all(made)
    compacted(made.tenant)
    assert any(SECRET in text for text in texts_of(made.tenant))
    assert any("pro" in text for text in texts_of(made.tenant))


def test_the_manifest_has_one_writer_at_a_time(made: World) -> None:
    project_all(made)
    before = lakes.manifest(made.tenant)
    compacted(made.tenant)
    with pytest.raises(ConditionFailed):
        lakes.publish(made.tenant, before.__class__(version=before.version + 1))


def test_a_project_that_is_told_of_while_it_is_compacted_waits_on(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, done = store.tell, list[bool]()

    def tell(tenant: Tenant, what: Hot) -> None:
        if not done:
            done.append(True)
            compacted(made.tenant)
            compacted(made.other)
        plain(tenant, what)

    monkeypatch.setattr(store, "tell", tell)
    project_all(made)
    assert set(lake.waiting()) == {made.tenant.project_id, made.other.project_id}


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_backlog_that_takes_several_runs_gives_events_to_whose_they_are(
    made: World, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Whose they are is told by hot objects whose events are not taken yet, too."""
    monkeypatch.setattr(compact, "_HOT_AT_ONCE", at_once)
    project_all(made, size=2)
    while compact.run(made.tenant, clock.system_ms(), lambda: True):
        assert told(made.tenant) == TRUTH
    assert told(made.tenant) == TRUTH
    assert not lakes.live(made.tenant).hot


def test_a_record_of_which_no_row_can_be_made_holds_up_no_other(made: World) -> None:
    number = next(n for n, each in enumerate(made.records) if each["dynamodb"]["Keys"]["SK"]["S"].startswith("EVT#"))
    poisoned = copy.deepcopy(made.records[number])
    del poisoned["dynamodb"]["NewImage"]["timestamp"]
    made.records.insert(0, poisoned)
    project_all(made)
    assert told(made.tenant) == TRUTH


def test_a_batch_that_can_not_be_written_is_delivered_again(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patched:
        patched.setattr(objects, "put", fails)
        with pytest.raises(Unavailable):
            project_all(made)
    assert told(made.tenant) == (0, 0, 0)
    project_all(made)
    assert told(made.tenant) == TRUTH
