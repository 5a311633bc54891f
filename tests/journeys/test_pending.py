"""A test project's work in flight: marked from its acceptance until the last handler is done, whatever dies."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from chalicelib.core import clock
from chalicelib.features.contacts import service as contacts
from chalicelib.flows import accept_events, record_activity
from chalicelib.platform import aws, pending, table
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.workers import bus
from tests.support import aws as support
from tests.support import pipeline
from tests.support.pipeline import Killed, accepted

NOW = 1_770_000_000_000
PEOPLE = 3
NOTED = 18


def tracked(n: int) -> Any:
    return accepted({"userId": f"u{n}", "event": "x", "messageId": f"m{n}"}, "track", NOW + n)


def send_all(tenant: Tenant) -> None:
    assert all(accept_events.run(tenant, [tracked(n) for n in range(PEOPLE)]))


def is_marked(tenant: Tenant) -> bool:
    """Whether any mark stands, looked up without a call to the mock's service."""
    tables: Any = dynamodb_backends[support.ACCOUNT][support.REGION].tables
    return bool(tables[settings().table].items.get(DynamoType({"S": tenant.pending_partition()})))


@contextlib.contextmanager
def watched(tenant: Tenant) -> Iterator[list[bool]]:
    """Whether a mark stands after each call that is made to the table or to the queues."""
    seen: list[bool] = []

    def look(**_: Any) -> None:
        seen.append(is_marked(tenant))

    clients = (aws.dynamodb(), aws.sqs())
    for client in clients:
        client.meta.events.register_last("after-call", look, unique_id="tests.watch")
    try:
        yield seen
    finally:
        for client in clients:
            client.meta.events.unregister("after-call", unique_id="tests.watch")


def test_events_are_marked_without_a_gap_from_before_they_are_queued_until_all_is_done(test_tenant: Tenant) -> None:
    with watched(test_tenant) as seen:
        send_all(test_tenant)
        pipeline.drain()
    first, end = seen.index(True), len(seen) - seen[::-1].index(True)
    assert all(seen[first:end])
    assert first == 0
    assert contacts.count(test_tenant) == PEOPLE
    assert pending.is_settled(test_tenant)


@pytest.mark.parametrize("moment", ["before-call", "after-call"])
def test_whatever_worker_dies_no_mark_is_lost_and_none_is_left(
    moment: str, test_tenant: Tenant, fresh_table: Callable[[], None]
) -> None:
    send_all(test_tenant)
    with pipeline.counted() as calls:
        pipeline.drain()
    for step in range(len(calls)):
        fresh_table()
        send_all(test_tenant)

        def die(number: int, _operation: str, step: int = step) -> None:
            if number == step:
                raise Killed

        with pipeline.on_call(moment, die):
            drain_through_deaths(test_tenant)
        assert pending.is_settled(test_tenant)
        assert contacts.count(test_tenant) == PEOPLE


def drain_through_deaths(tenant: Tenant) -> None:
    """As `drain`, with the bus called again where it dies; once all is done a mark may not come back."""
    for _ in range(20):
        worked = pipeline.run_ingest()
        records = pipeline.stream_records()
        with contextlib.suppress(Killed):
            pipeline.run_bus(records)
        if not worked and not is_marked(tenant):
            return
    raise AssertionError("a mark is left")


def test_a_domain_event_is_its_own_mark_until_the_bus_has_handled_it(test_tenant: Tenant) -> None:
    send_all(test_tenant)
    pipeline.drain()
    contact_id = contacts.listing(test_tenant, contacts.Filter(), 1, None)[0][0].id
    contacts.delete(test_tenant, contact_id, NOW)
    assert [row["outbox"] for row in pipeline.rows(test_tenant, "OUT#")] == ["contact.deleted"]
    assert not pending.is_settled(test_tenant)
    pipeline.drain()
    assert pending.is_settled(test_tenant)
    assert contacts.count(test_tenant) == PEOPLE - 1


def test_what_the_bus_set_aside_stays_marked_until_its_own_queue_is_done(
    test_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring = dict(bus.EVENT_FLOWS)

    def fail(*_: Any) -> None:
        raise RuntimeError("injected")

    monkeypatch.setattr(clock, "sleep", lambda _seconds: None)
    monkeypatch.setitem(bus.EVENT_FLOWS, "contact.created", (fail,))
    send_all(test_tenant)
    pipeline.drain()
    assert not pending.is_settled(test_tenant)
    monkeypatch.setitem(bus.EVENT_FLOWS, "contact.created", wiring["contact.created"])
    records = [
        {"messageId": str(n), "body": kept.body} for n, kept in enumerate(support.take(settings().bus_queue_url))
    ]
    assert bus.handle_retry({"Records": records}, pipeline.Context()) == {"batchItemFailures": []}
    assert pending.is_settled(test_tenant)
    assert contacts.count(test_tenant) == PEOPLE


def test_a_message_that_could_not_be_queued_leaves_no_mark(
    test_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.platform.queues.send_fifo", lambda _url, messages: [False] * len(messages))
    assert accept_events.run(test_tenant, [tracked(n) for n in range(PEOPLE)]) == [False] * PEOPLE
    assert pending.is_settled(test_tenant)


def test_a_mark_whose_work_is_lost_is_passed_over_after_an_hour(
    test_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = clock.system_ms()
    monkeypatch.setattr(clock, "system_ms", lambda: start)
    pending.put(pending.mark(test_tenant, "INGEST", "lost"))
    monkeypatch.setattr(clock, "system_ms", lambda: start + clock.HOUR - 1)
    assert not pending.is_settled(test_tenant)
    monkeypatch.setattr(clock, "system_ms", lambda: start + clock.HOUR + clock.MINUTE)
    assert pending.is_settled(test_tenant)
    assert not is_marked(test_tenant)


def test_the_marks_of_a_message_full_of_notes_fit_into_its_transactions(
    test_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[list[str]] = []
    pipeline.record(test_tenant, [claim(f"a{n}", n, NOW) for n in range(NOTED)])
    monkeypatch.setattr(table, "transact", lambda ops: written.append([op.key.sk.partition("#")[0] for op in ops]))
    record_activity.run(test_tenant, [claim("b", n, NOW + 1 + n) for n in range(NOTED)])
    assert 80 < max(map(len, written)) <= table.MAX_TRANSACTION
    # Of each event two rows, and the mark of each.
    assert [sum(each.count("EVT") for each in written)] == [4 * NOTED]


def claim(user: str, n: int, moment: int) -> Any:
    """Somebody says that an address is theirs, and has a new anonymous id."""
    raw = {"userId": user, "anonymousId": f"{user} {n}", "traits": {"email": f"a{n}@x.io"}}
    return accepted(raw, "identify", moment)


def test_live_projects_have_no_marks(tenant: Tenant) -> None:
    with pipeline.counted() as calls:
        send_all(tenant)
    assert calls == []
    pipeline.drain()
    assert not is_marked(tenant)
    (message, *_) = pipeline.rows(tenant, "EVT#")
    assert message["event"] == "x"


def test_a_message_id_is_remembered_while_a_test_projects_time_stands(test_tenant: Tenant, tenant: Tenant) -> None:
    for one in (test_tenant, tenant):
        pipeline.record(one, [pipeline.accepted({"userId": "u", "event": "x", "messageId": "m"}, "track", NOW)])
    standing, live = (pipeline.rows(one, "MSG")[0]["ttl"] for one in (test_tenant, tenant))
    assert standing - live > 365 * 86_400
