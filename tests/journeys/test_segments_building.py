"""Building a segment in pages: nobody is missed and nobody doubled, whatever happens meanwhile."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.features.contacts import service as contacts
from chalicelib.features.segments import service as segments
from chalicelib.flows.segments import build, define
from chalicelib.platform import keys
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.pipeline import Killed

NOW = 1_770_000_000_000
FIRST = {"operator": "AND", "conditions": [{"field": "events.x", "op": "count_gte", "value": 1}]}
OTHER = {"operator": "AND", "conditions": [{"field": "events.x", "op": "count_gte", "value": 2}]}


@pytest.fixture(autouse=True)
def in_small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two contacts, none of them within the answer."""
    monkeypatch.setattr(build, "_AT_ONCE", 2)
    monkeypatch.setattr(define, "_SMALL", -1)
    monkeypatch.setattr(keys, "CONTACT_SHARDS", 1)


def happen(tenant: Tenant, *users: str) -> None:
    events = [pipeline.accepted({"userId": user, "event": "x"}, "track", NOW) for user in users]
    pipeline.record(tenant, events)


def defined(tenant: Tenant) -> str:
    segment, _ = define.create(tenant, "S", "dynamic", FIRST, [], NOW, Receipt(tenant, NOW))
    assert segment.status == "building"
    return segment.id


def members(tenant: Tenant, segment_id: str) -> Counter[str]:
    rows, _ = contacts.listing(tenant, contacts.Filter(segment_id=segment_id), 100, None)
    return Counter(str(row.external_id) for row in rows)


def assert_is_built(tenant: Tenant, segment_id: str, *users: str) -> None:
    segment = segments.get(tenant, segment_id)
    assert segment.status == "ready"
    assert members(tenant, segment_id) == dict.fromkeys(users, 1)
    assert segments.counts(tenant, [segment]) == {segment_id: len(users)}


def test_what_happens_before_and_behind_the_builder_and_to_new_contacts_is_not_missed(tenant: Tenant) -> None:
    happen(tenant, *(f"u{n}" for n in range(6)))
    pipeline.drain()
    segment_id = defined(tenant)
    for n in range(6):
        happen(tenant, f"new{n}", f"u{n}")
        pipeline.run_bus(pipeline.fresh_records())
        _one_page_of(tenant, segment_id)
    pipeline.drain()
    assert_is_built(tenant, segment_id, *(f"u{n}" for n in range(6)), *(f"new{n}" for n in range(6)))


_progress: dict[str, Any] = {}


def _one_page_of(tenant: Tenant, segment_id: str) -> None:
    """One page of a builder of the test's own, beside the job's."""
    data = _progress.get(segment_id, build.first_page(segment_id, 1))
    if data is not None:
        _progress[segment_id] = build.run(tenant, data, lambda: False)


@pytest.mark.parametrize("moment", ["before-call", "after-call"])
def test_a_builder_that_dies_at_any_call_misses_and_doubles_nobody(
    moment: str, tenant: Tenant, fresh_table: Callable[[], None]
) -> None:
    def prepared() -> str:
        fresh_table()
        happen(tenant, "a", "b", "c")
        pipeline.drain()
        return defined(tenant)

    prepared()
    with pipeline.counted() as calls:
        pipeline.drain()
    for step in range(0, len(calls), 5):
        segment_id = prepared()

        def die(number: int, _operation: str, step: int = step) -> None:
            if number == step:
                raise Killed

        try:
            with pipeline.on_call(moment, die):
                pipeline.drain()
        except Killed:
            pipeline.run_bus(pipeline.stream_records())
        pipeline.drain()
        assert_is_built(tenant, segment_id, "a", "b", "c")


def test_rules_that_change_while_the_segment_is_built_are_the_ones_that_count(tenant: Tenant) -> None:
    happen(tenant, "a", "b", "b", "c", "c")
    pipeline.drain()
    segment_id = defined(tenant)
    pipeline.run_bus(pipeline.fresh_records())
    _one_page_of(tenant, segment_id)
    define.change(tenant, segment_id, None, OTHER, NOW)
    pipeline.drain()
    assert_is_built(tenant, segment_id, "b", "c")


def test_a_bus_that_read_older_definitions_does_not_undo_the_builder(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bus has read the definitions; then the rules change and are built; only then it judges."""
    happen(tenant, "a")
    pipeline.drain()
    segment_id = defined(tenant)
    pipeline.drain()
    happen(tenant, "a")
    records, real = pipeline.fresh_records(), segments.catalog
    raced = {"done": False}

    def race(which: Tenant) -> Any:
        read = real(which)
        if not raced["done"]:
            raced["done"] = True
            define.change(tenant, segment_id, None, {"operator": "NOT", "conditions": [FIRST]}, NOW)
            pipeline.drain()
        return read

    monkeypatch.setattr(segments, "catalog", race)
    pipeline.run_bus(records)
    pipeline.drain()
    assert_is_built(tenant, segment_id)


def test_behind_a_segment_that_is_deleted_no_row_is_left(tenant: Tenant) -> None:
    happen(tenant, "a", "b", "c")
    pipeline.drain()
    segment_id = defined(tenant)
    pipeline.drain()
    define.remove(tenant, segment_id, NOW)
    pipeline.drain()
    assert [row for row in pipeline.rows(tenant, f"SEG#{segment_id}") if "#C#" in row["PK"]] == []
    assert [row["standings"] for row in pipeline.rows(tenant, "MEMBERSHIPS") if "standings" in row] == []
