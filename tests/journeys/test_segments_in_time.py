"""With the clock under the caller's hand: members leave and enter at the very moment that their rules name."""

from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.core.durations import parse_duration
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.segments import service as segments
from chalicelib.flows.segments import define
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from tests.support import pipeline

pytestmark = pytest.mark.usefixtures("impatient")

SECOND = clock.SECOND


def defined(tenant: Tenant, *conditions: dict[str, Any]) -> str:
    rules = {"operator": "AND", "conditions": list(conditions)}
    now = projects.now(tenant)
    return define.create(tenant, "S", "dynamic", rules, [], now, Receipt(tenant, now))[0].id


def send(tenant: Tenant, kind: str, ago: int = 0, **raw: Any) -> int:
    """Record an event of so many ms ago; the moment at which it happened."""
    now = projects.now(tenant)
    raw |= {"userId": "u", "timestamp": clock.iso(now - ago)}
    pipeline.record(tenant, [pipeline.accepted(raw, kind, now)])
    pipeline.drain()
    return now - ago


def is_member(tenant: Tenant, segment_id: str) -> bool:
    rows, _ = contacts.listing(tenant, contacts.Filter(segment_id=segment_id), 10, None)
    counted = segments.counts(tenant, [segments.get(tenant, segment_id)])[segment_id]
    assert counted == len(rows)
    return len(rows) == 1


@pytest.mark.parametrize("window", ["30m", "24h", "7d", "4w"])
def test_an_event_counts_until_its_window_has_passed_and_no_longer(test_tenant: Tenant, window: str) -> None:
    segment = defined(test_tenant, {"field": "events.x", "op": "count_gte", "value": 1, "window": window})
    end = send(test_tenant, "track", ago=5 * SECOND, event="x") + parse_duration(window)
    pipeline.advance(test_tenant, end - SECOND)
    assert is_member(test_tenant, segment)
    pipeline.advance(test_tenant, end)
    assert not is_member(test_tenant, segment)


def test_an_upper_bound_lets_in_when_the_window_has_passed(test_tenant: Tenant) -> None:
    segment = defined(test_tenant, {"field": "events.x", "op": "count_lte", "value": 0, "window": "7d"})
    end = send(test_tenant, "track", event="x") + parse_duration("7d")
    assert not is_member(test_tenant, segment)
    pipeline.advance(test_tenant, end - SECOND)
    assert not is_member(test_tenant, segment)
    pipeline.advance(test_tenant, end)
    assert is_member(test_tenant, segment)


@pytest.mark.parametrize(("op", "last"), [("gte", 0), ("gt", -1)])
def test_a_moving_date_passes_to_the_millisecond(test_tenant: Tenant, op: str, last: int) -> None:
    segment = defined(test_tenant, {"field": "traits.since", "op": op, "value": "now-7d"})
    since = projects.now(test_tenant)
    send(test_tenant, "identify", traits={"since": clock.iso(since)})
    end = since + parse_duration("7d") + last
    pipeline.advance(test_tenant, end)
    assert is_member(test_tenant, segment)
    pipeline.advance(test_tenant, end + 1)
    assert not is_member(test_tenant, segment)


def test_a_score_decays_below_its_bound_to_the_second(test_tenant: Tenant) -> None:
    segment = defined(test_tenant, {"field": "scores.engagement", "op": "gte", "value": 2.5})
    end = send(test_tenant, "track", event="x") + parse_duration("14d")
    pipeline.advance(test_tenant, end - SECOND)
    assert is_member(test_tenant, segment)
    pipeline.advance(test_tenant, end + 1)
    assert not is_member(test_tenant, segment)


def test_an_event_of_the_future_begins_to_count_at_its_own_moment(test_tenant: Tenant) -> None:
    segment = defined(test_tenant, {"field": "events.x", "op": "count_gte", "value": 1, "window": "30m"})
    begin = send(test_tenant, "track", ago=-60 * SECOND, event="x")
    assert not is_member(test_tenant, segment)
    pipeline.advance(test_tenant, begin - 1)
    assert not is_member(test_tenant, segment)
    pipeline.advance(test_tenant, begin)
    assert is_member(test_tenant, segment)


def test_who_enters_and_leaves_is_told_with_the_reason(test_tenant: Tenant) -> None:
    defined(test_tenant, {"field": "events.x", "op": "count_gte", "value": 1, "window": "30m"})
    records = pipeline.stream_records
    pipeline.advance(test_tenant, send(test_tenant, "track", event="x") + parse_duration("30m"))
    told = [
        (image["outbox"]["S"], image["data"]["S"])
        for record in records()
        if ("outbox" in (image := record["dynamodb"].get("NewImage", {})) and "segment.e" in image["outbox"]["S"])
        or "segment.l" in image.get("outbox", {}).get("S", "")
    ]
    assert [name for name, _ in told] == ["segment.entered", "segment.left"]
    assert ['"reason":"event"' in told[0][1], '"reason":"window"' in told[1][1]] == [True, True]
