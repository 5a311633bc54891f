"""Building a segment in pages: nobody is missed and nobody doubled, whatever happens meanwhile."""

import contextvars
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core.errors import ValidationFailed
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.segments import service as segments
from chalicelib.features.segments.model import Occasion
from chalicelib.features.timers import service as timers
from chalicelib.flows.segments import build, change_members, define, rescore, settle
from chalicelib.platform import keys, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.pipeline import Killed

NOW = 1_770_000_000_000
FIRST: dict[str, Any] = {"operator": "AND", "conditions": [{"field": "events.x", "op": "count_gte", "value": 1}]}
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

    def race(which: Tenant, at_least: int = 0) -> Any:
        read = real(which, at_least)
        if not raced["done"]:
            raced["done"] = True
            define.change(tenant, segment_id, None, {"operator": "NOT", "conditions": [FIRST]}, NOW)
            # Other workers, which have read nothing yet.
            contextvars.Context().run(pipeline.drain)
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


def test_first_members_that_a_dead_api_left_out_are_put_in_by_the_job(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    happen(tenant, "a")
    (person,) = contacts.listing(tenant, contacts.Filter(), 2, None)[0]

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as dead:
        dead.setattr(change_members, "put", die)
        with pytest.raises(Killed):
            define.create(tenant, "S", "static", None, [person.id], NOW, Receipt(tenant, NOW))
    pipeline.drain()
    (segment,) = segments.listing(tenant, 2, None)[0]
    assert_is_built(tenant, segment.id, "a")


def test_two_changes_at_once_make_no_circle(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = defined(tenant), defined(tenant)
    raced = {"done": False}
    real = segments.changed

    def naming(segment_id: str) -> dict[str, Any]:
        return {"operator": "AND", "conditions": [{"field": "segments", "op": "contains", "value": segment_id}]}

    def race(*arguments: Any) -> Any:
        made = real(*arguments)
        if not raced["done"]:
            raced["done"] = True
            define.change(tenant, two, None, naming(one), NOW)
        return made

    monkeypatch.setattr(segments, "changed", race)
    with pytest.raises(ValidationFailed):
        define.change(tenant, one, None, naming(two), NOW)


def test_a_late_judge_does_not_let_in_again_who_has_left(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever read the clock before another one judged judges by the later moment."""
    rules = {"operator": "AND", "conditions": [FIRST["conditions"][0] | {"window": "30m"}]}
    segment, _ = define.create(tenant, "S", "dynamic", rules, [], NOW, Receipt(tenant, NOW))
    happen(tenant, "a")
    (person,) = contacts.listing(tenant, contacts.Filter(), 2, None)[0]
    for moment, expected in ((NOW + 1, True), (NOW + 30 * 60_000, False), (NOW + 2, False)):
        monkeypatch.setattr(projects, "now", lambda _tenant, moment=moment: moment)
        after = settle.run(tenant, person.id, {segment.id: Occasion("event")}, segments.catalog(tenant))
        assert after is not None
        assert after.of(segment.id).is_member is expected


def test_a_timer_that_was_set_anew_while_it_fired_stays(tenant: Tenant) -> None:
    owner = tenant.contact("cntct_1").pk
    fired = timers.Timer(segments.TIMER, segments.TIMER, NOW)
    table.transact(timers.set_ops(tenant, owner, segments.TIMER, segments.TIMER, NOW + 1))
    timers.drop(tenant, owner, fired)
    assert timers.find(tenant, owner, segments.TIMER) is not None


def test_scores_by_older_settings_do_not_replace_newer_ones(tenant: Tenant) -> None:
    happen(tenant, "a")
    (person,) = contacts.listing(tenant, contacts.Filter(), 2, None)[0]
    contact = contacts.get(tenant, person.id)
    table.transact(contacts.rescore(tenant, contact, {"lead": {"1": 7}}, 3, NOW))
    rescore.run(tenant, {"scoring_version": 1}, lambda: True)
    assert contacts.get(tenant, person.id).scored_by == 3


def test_a_contact_of_many_segments_that_are_no_more_is_judged_on(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left in silence counts towards what a transaction holds."""
    monkeypatch.setattr(settle, "_MOVES_AT_ONCE", 2)
    monkeypatch.setattr(table, "MAX_TRANSACTION", 9)
    happen(tenant, "a")
    (person,) = contacts.listing(tenant, contacts.Filter(), 2, None)[0]
    for _ in range(8):
        made, _ = define.create(tenant, "S", "static", None, [person.id], NOW, Receipt(tenant, NOW))
        define.remove(tenant, made.id, NOW)
    pipeline.drain()
    left = [row for row in pipeline.rows(tenant, "MEMBERSHIPS") if "standings" in row]
    assert left == []
    assert [row for row in pipeline.rows(tenant, "SEG#") if "#C#" in row["PK"]] == []


def test_where_that_rarely_matches_reads_whole_pages(tenant: Tenant) -> None:
    happen(tenant, *["a"] * 30)
    (person,) = contacts.listing(tenant, contacts.Filter(), 2, None)[0]
    where = [{"field": "properties.plan", "op": "eq", "value": "pro"}]
    rules = {"operator": "AND", "conditions": [FIRST["conditions"][0] | {"where": where}]}
    segment, _ = define.create(tenant, "S", "dynamic", rules, [], NOW, Receipt(tenant, NOW))
    catalog = segments.catalog(tenant)
    with pipeline.counted() as calls:
        settle.run(tenant, person.id, {segment.id: Occasion("event")}, catalog)
    assert calls.count("Query") == 1
