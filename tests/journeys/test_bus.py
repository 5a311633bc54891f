"""The bus: each event counts once, however the stream's batches are cut, and one bad record stops nobody."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.core import clock, events
from chalicelib.features.contacts import service as contacts
from chalicelib.platform import aws, config, queues
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.workers import bus
from tests.support import pipeline
from tests.support.pipeline import accepted

NOW = 1_770_000_000_000
PEOPLE = 6


def make_people(tenant: Tenant, deleted: int = 0) -> list[dict[str, Any]]:
    pipeline.record(tenant, [accepted({"userId": f"u{n}", "event": "x"}, "track", NOW + n) for n in range(PEOPLE)])
    rows, _ = contacts.listing(tenant, contacts.Filter(), 100, None)
    for row in rows[:deleted]:
        contacts.delete(tenant, row.id, NOW + 100)
    return pipeline.stream_records()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 60)), min_size=1, max_size=5))
def test_the_count_is_exact_however_often_and_however_cut_records_come(
    tenant: Tenant, fresh_table: Any, cuts: list[tuple[int, int]]
) -> None:
    fresh_table()
    records = make_people(tenant, deleted=2)
    for start, length in cuts:
        pipeline.run_bus(records[start : start + length])
    pipeline.run_bus(records)
    assert contacts.count(tenant) == PEOPLE - 2


def failing_for(contact_ids: set[str], calls: list[str]) -> bus.Flow:
    def flow(_tenant: Tenant, told: Sequence[DomainEvent]) -> None:
        for event in told:
            calls.append(event.id)
            if event.data["contact_id"] in contact_ids:
                raise RuntimeError("injected")

    return flow


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "sleep", lambda _seconds: None)


@pytest.mark.usefixtures("no_pauses")
def test_a_record_that_fails_five_times_is_set_aside_whole_and_the_rest_goes_on(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = make_people(tenant)
    bad = contacts.listing(tenant, contacts.Filter(external_id="u3"), 1, None)[0][0].id
    calls: list[str] = []
    monkeypatch.setitem(bus.EVENT_FLOWS, events.CONTACT_CREATED, (failing_for({bad}, calls),))
    assert bus.handle({"Records": records}, pipeline.Context()) == {"batchItemFailures": []}
    told = {record["dynamodb"]["Keys"]["PK"]["S"]: record for record in records if "told" in str(record)}
    kept = aws.sqs().receive_message(QueueUrl=config.settings().bus_queue_url, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"])["dynamodb"]["Keys"]["PK"]["S"] for message in kept] == [
        pk for pk in told if pk.endswith(bad)
    ]
    alone = [call for call in calls if calls.count(call) >= 5]
    assert len(set(alone)) == 1


@pytest.mark.usefixtures("no_pauses")
def test_a_record_that_cannot_be_kept_is_delivered_again_and_no_other_is_lost(
    tenant: Tenant, other_tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = make_people(tenant)
    pipeline.record(other_tenant, [accepted({"userId": "v", "event": "x"}, "track", NOW)])
    records = pipeline.stream_records()
    bad = contacts.listing(tenant, contacts.Filter(external_id="u3"), 1, None)[0][0].id
    wiring = bus.EVENT_FLOWS[events.CONTACT_CREATED]
    monkeypatch.setitem(bus.EVENT_FLOWS, events.CONTACT_CREATED, (failing_for({bad}, []), *wiring))
    monkeypatch.setattr(queues, "send", _refuse)
    answer = bus.handle({"Records": records}, pipeline.Context())
    position = next(
        n
        for n, record in enumerate(records)
        if record["dynamodb"]["Keys"]["PK"]["S"].endswith(bad)
        and record["dynamodb"]["Keys"]["SK"]["S"].startswith("EVT#")
    )
    assert answer == {"batchItemFailures": [{"itemIdentifier": records[position]["dynamodb"]["SequenceNumber"]}]}
    assert contacts.count(other_tenant) == 1
    assert contacts.count(tenant) == PEOPLE - 1


def _refuse(_url: str, _body: str) -> None:
    raise RuntimeError("injected")


def test_the_retry_queue_finishes_what_the_stream_set_aside(tenant: Tenant) -> None:
    records = make_people(tenant)
    messages = [{"messageId": str(n), "body": json.dumps(record)} for n, record in enumerate(records)]
    assert bus.handle_retry({"Records": messages}, pipeline.Context()) == {"batchItemFailures": []}
    assert contacts.count(tenant) == PEOPLE
