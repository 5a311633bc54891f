"""Live segments of a funnel, with the clock under the caller's hand: who converts enters, who drops out too."""

from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.core.clock import DAY, HOUR
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.segments import service as segments
from chalicelib.flows.segments import define, explain
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from tests.support import identities, pipeline

pytestmark = pytest.mark.usefixtures("impatient")

STEPS = [{"event": "visit"}, {"event": "signup", "filters": {"properties.plan": ["growth", "scale"]}}]


def defined(tenant: Tenant, op: str, step: int, steps: list[dict[str, Any]] | None = None) -> str:
    value = {"steps": steps or STEPS, "window": "7d", "step": step, "within": "30d"}
    rules = {"operator": "AND", "conditions": [{"field": "funnel", "op": op, "value": value}]}
    now = projects.now(tenant)
    return define.create(tenant, "S", "dynamic", rules, [], now, Receipt(tenant, now))[0].id


def send(tenant: Tenant, kind: str, ago: int = 0, user: str = "u", **raw: Any) -> int:
    """Record an event of so many ms ago; the moment at which it happened."""
    now = projects.now(tenant)
    raw |= {"userId": user, "timestamp": clock.iso(now - ago)}
    pipeline.record(tenant, [pipeline.accepted(raw, kind, now)])
    pipeline.drain()
    return now - ago


def signup(tenant: Tenant, plan: str = "growth", **more: Any) -> int:
    return send(tenant, "track", event="signup", properties={"plan": plan}, **more)


def is_member(tenant: Tenant, segment_id: str) -> bool:
    rows, _ = contacts.listing(tenant, contacts.Filter(segment_id=segment_id), 10, None)
    assert segments.counts(tenant, [segments.get(tenant, segment_id)])[segment_id] == len(rows)
    return len(rows) == 1


def test_who_converts_enters_and_leaves_when_the_attempt_is_too_long_ago(test_tenant: Tenant) -> None:
    segment = defined(test_tenant, "converted", 2)
    begun = send(test_tenant, "track", event="visit")
    pipeline.advance(test_tenant, begun + DAY)
    signup(test_tenant, plan="free")
    assert not is_member(test_tenant, segment)
    signup(test_tenant)
    assert is_member(test_tenant, segment)
    pipeline.advance(test_tenant, begun + 30 * DAY - 1)
    assert is_member(test_tenant, segment)
    pipeline.advance(test_tenant, begun + 30 * DAY)
    assert not is_member(test_tenant, segment)


def test_who_drops_out_enters_in_the_millisecond_after_the_window_and_leaves_in_time(test_tenant: Tenant) -> None:
    segment = defined(test_tenant, "dropped", 1)
    begun = send(test_tenant, "track", event="visit")
    pipeline.advance(test_tenant, begun + 7 * DAY)
    assert not is_member(test_tenant, segment)
    pipeline.advance(test_tenant, begun + 7 * DAY + 1)
    assert is_member(test_tenant, segment)
    pipeline.advance(test_tenant, begun + 30 * DAY - 1)
    assert is_member(test_tenant, segment)
    pipeline.advance(test_tenant, begun + 30 * DAY)
    assert not is_member(test_tenant, segment)


def test_who_tries_again_has_not_dropped_out(test_tenant: Tenant) -> None:
    segment = defined(test_tenant, "dropped", 1)
    pipeline.advance(test_tenant, send(test_tenant, "track", event="visit") + 8 * DAY)
    assert is_member(test_tenant, segment)
    again = send(test_tenant, "track", event="visit")
    assert not is_member(test_tenant, segment)
    pipeline.advance(test_tenant, again + HOUR)
    signup(test_tenant)
    pipeline.advance(test_tenant, again + 7 * DAY + 1)
    assert not is_member(test_tenant, segment)


def test_a_step_that_is_told_late_takes_who_had_dropped_out_back(test_tenant: Tenant) -> None:
    dropped, converted = defined(test_tenant, "dropped", 1), defined(test_tenant, "converted", 2)
    pipeline.advance(test_tenant, send(test_tenant, "track", event="visit") + 8 * DAY)
    signup(test_tenant, ago=DAY - 1)
    assert (is_member(test_tenant, dropped), is_member(test_tenant, converted)) == (True, False)
    signup(test_tenant, ago=DAY)
    assert (is_member(test_tenant, dropped), is_member(test_tenant, converted)) == (False, True)


def test_the_traits_of_now_decide(test_tenant: Tenant) -> None:
    steps: list[dict[str, Any]] = [{"event": "visit", "filters": {"traits.address.country": ["DE", "AT"]}}]
    segment = defined(test_tenant, "converted", 1, steps)
    send(test_tenant, "track", event="visit")
    assert not is_member(test_tenant, segment)
    send(test_tenant, "identify", traits={"address": {"country": "AT"}})
    assert is_member(test_tenant, segment)
    send(test_tenant, "identify", traits={"address": {"country": "CH"}})
    assert not is_member(test_tenant, segment)


def test_the_steps_of_contacts_that_are_joined_count_together(test_tenant: Tenant) -> None:
    segment = defined(test_tenant, "converted", 2)
    send(test_tenant, "track", event="visit", user="before")
    signup(test_tenant)
    assert not is_member(test_tenant, segment)
    send(test_tenant, "alias", previousId="before")
    assert is_member(test_tenant, segment)


def test_a_segment_is_built_of_what_has_happened(test_tenant: Tenant) -> None:
    pipeline.advance(test_tenant, send(test_tenant, "track", event="visit") + 8 * DAY)
    segment = defined(test_tenant, "dropped", 1)
    pipeline.drain()
    assert is_member(test_tenant, segment)


def test_a_long_history_is_read_as_far_as_attempts_reach(test_tenant: Tenant) -> None:
    segment = defined(test_tenant, "converted", 2)
    now = projects.now(test_tenant)
    told = [
        {"userId": "u", "event": "visit", "timestamp": clock.iso(now - 40 * DAY + minute * clock.MINUTE)}
        for minute in range(450)
    ]
    visit = {"userId": "u", "event": "visit", "timestamp": clock.iso(now - 6 * DAY)}
    more = [visit | {"timestamp": clock.iso(now - second * clock.SECOND)} for second in range(1, 250)]
    pipeline.record(test_tenant, [pipeline.accepted(raw, "track", now) for raw in [*told, visit, *more]])
    pipeline.drain()
    signup(test_tenant, ago=2 * DAY)
    assert is_member(test_tenant, segment)


def test_explain_tells_how_far_the_best_attempt_got(test_tenant: Tenant) -> None:
    segment = defined(test_tenant, "dropped", 1)
    begun = send(test_tenant, "track", event="visit")
    pipeline.advance(test_tenant, begun + DAY)
    contact = identities.contact_of(test_tenant, "u")
    assert contact is not None
    told = explain.run(test_tenant, segment, contact, begun + DAY)
    assert (told.is_member, told.flips_at) == (False, begun + 7 * DAY + 1)
    assert told.rules is not None
    (condition,) = told.rules["conditions"]
    assert (condition["actual"], len(condition["evidence"])) == (
        {"reached": 1, "started_at": clock.iso(begun)},
        1,
    )
    signup(test_tenant)
    told = explain.run(test_tenant, segment, contact, begun + DAY)
    assert (told.is_member, told.flips_at) == (False, None)
    assert told.rules is not None
    (condition,) = told.rules["conditions"]
    assert (condition["actual"]["reached"], len(condition["evidence"])) == (2, 2)
