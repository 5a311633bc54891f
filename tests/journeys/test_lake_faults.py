"""Who dies between the table and the answers: nothing is lost, doubled, or seen half."""

import copy
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest

from chalicelib.core import clock
from chalicelib.core.clock import DAY, iso
from chalicelib.core.errors import Unavailable
from chalicelib.features.analytics.model import Filter, Path, Series, Span
from chalicelib.features.lake import service as lakes
from chalicelib.features.lake import store
from chalicelib.features.lake.model import Hot
from chalicelib.flows import create_project
from chalicelib.flows.analytics import answer, ask, compact, rebuild
from chalicelib.platform import aws, duck, objects, table
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import ConditionFailed
from chalicelib.readings.lake import disk, embedded
from chalicelib.workers import projector
from tests.support import aws as support
from tests.support import lake, pipeline
from tests.support.client import Client
from tests.support.dying import calls_of, counted, dying_at
from tests.support.pipeline import Context, Killed

DAYS = 3
SECRET = "nobody-else-says-this"


class World(NamedTuple):
    """Two projects; what the first one's answers have to be, and the stream's records of both."""

    client: Client
    tenant: Tenant
    other: Tenant
    records: list[dict[str, Any]]


@pytest.fixture
def made(engine: str) -> Iterator[World]:
    """Five events of three people on three days, of whom two are one; one trait; another project with an event."""
    support.clear_table(engine)
    support.clear_queues()
    lake.forget()
    own, other = (create_project.run(name, "live", "scale", now=clock.system_ms()) for name in ("Acme", "Globex"))
    client = Client(own.secret_key)
    tenant = Tenant(own.project_id)
    happened(tenant, "ann", "seen", 0)
    happened(tenant, "ann", "seen", 1)
    happened(tenant, "ben", "seen", 1, note=SECRET)
    happened(tenant, "cyd", "seen", 2)
    happened(tenant, "cyd", "paid", 2)
    happened(Tenant(other.project_id), "ann", "seen", 0)
    pipeline.drain()
    ids = {row["external_id"]: row["id"] for row in client.get("/v1/contacts").json["data"]}
    client.patch(f"/v1/contacts/{ids['ann']}", {"traits": {"plan": "pro"}})
    assert client.post(f"/v1/contacts/{ids['ann']}/merge", {"source_contact_id": ids["cyd"]}).status == 200
    pipeline.drain()
    yield World(client, tenant, Tenant(other.project_id), pipeline.stream_records())
    lake.forget()


def happened(tenant: Tenant, user: str, event: str, ago: int, **properties: Any) -> None:
    now = clock.system_ms()
    raw = {"userId": user, "event": event, "timestamp": iso(now - ago * DAY), "properties": properties}
    pipeline.record(tenant, [pipeline.accepted(raw, "track", now)])


TRUTH = (5, 2, 4)
"""Events, contacts, and the events of who has the plan."""


def told(tenant: Tenant) -> tuple[int, int, int]:
    """What the answers tell."""
    answer.forget()
    now = clock.system_ms()
    span = Span(now - 10 * DAY, now + DAY, "UTC")
    pro = (Filter(Path("traits", "plan"), ("pro",)),)
    asked = (
        Series("event_count", None, "day", span),
        Series("unique_contacts", None, "day", span),
        Series("event_count", None, "day", span, pro),
    )
    counts = [ask.run(tenant, each, now)["total"] for each in asked]
    return counts[0], counts[1], counts[2]


def project_all(world: World, size: int = 1_000) -> None:
    for start in range(0, len(world.records), size):
        records = world.records[start : start + size]
        assert projector.handle({"Records": records}, Context()) == {"batchItemFailures": []}


def compacted(tenant: Tenant, *, sweeps: bool = False) -> None:
    while compact.run(tenant, clock.system_ms(), lambda: True, sweeps=sweeps):
        pass


def keys() -> set[str]:
    """The objects of the bucket."""
    found = aws.s3().list_objects_v2(Bucket=settings().bucket)
    return {each["Key"] for each in found.get("Contents", [])}


def needed(*tenants: Tenant) -> set[str]:
    """The objects that some manifest names."""
    found: set[str] = set()
    for tenant in tenants:
        manifest = lakes.manifest(tenant)
        stored = (*manifest.days.values(), manifest.people, manifest.edges)
        found |= {each.key for each in stored if each is not None}
    return found


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


def clear(rows: Any, made: World) -> None:
    """As before anything was projected."""
    support.put_back(settings().table, rows)
    for tenant in (made.tenant, made.other):
        for pk in (tenant.manifest().pk,):
            for row in table.query(pk).items:
                aws.dynamodb().delete_item(
                    TableName=settings().table, Key={"PK": {"S": row["PK"]}, "SK": {"S": row["SK"]}}
                )
    support.clear_bucket()
    embedded.forget()


class Projected(NamedTuple):
    """A state of table and bucket to begin from again."""

    rows: Any
    bucket: dict[str, bytes]


def kept() -> Projected:
    bodies = {key: aws.s3().get_object(Bucket=settings().bucket, Key=key)["Body"].read() for key in keys()}
    return Projected(support.rows_of(settings().table), bodies)


def put_back(state: Projected) -> None:
    support.put_back(settings().table, state.rows)
    support.clear_bucket()
    for key, body in state.bucket.items():
        aws.s3().put_object(Bucket=settings().bucket, Key=key, Body=body)
    embedded.forget()


def numbers(calls: int, every: int) -> list[tuple[int, bool]]:
    return [(n, after) for n in range(calls) for after in (False, True)][::every]


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=pytest.mark.prove)])
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


@pytest.mark.parametrize("every", [21, pytest.param(1, marks=pytest.mark.prove)])
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


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.prove)])
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
    for number in range(0, calls, 8):
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


def texts_of(tenant: Tenant) -> list[str]:
    """All that the bucket's objects say of the project's people: events and traits."""
    found: list[str] = []
    for key in sorted(keys()):
        local = disk.folder() / "looked-at"
        local.unlink(missing_ok=True)
        objects.fetch({key: local})
        column = "traits" if "people" in key or "edges" in key else "properties || event"
        with duck.connected(200) as engine:
            rows = engine.execute(
                f"SELECT {column} FROM {duck.from_parquet([local])} WHERE project_id = ?", [tenant.project_id]
            ).fetchall()
        found += [text for (text,) in rows if text is not None]
    return found


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
