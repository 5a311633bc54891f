"""What is deleted is gone at once, and after 30 days, or at once where asked for, nothing is held on it any more."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.segments import service as segments
from chalicelib.flows.segments import define, purge
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.pipeline import Killed

pytestmark = pytest.mark.usefixtures("impatient")

ANYBODY = {"operator": "AND", "conditions": [{"field": "events.x", "op": "count_gte", "value": 1, "window": "4w"}]}


def populate(tenant: Tenant) -> tuple[str, str]:
    """A segment, and a contact in it with identities of every kind."""
    now = projects.now(tenant)
    segment, _ = define.create(tenant, "S", "dynamic", ANYBODY, [], now, Receipt(tenant, now))
    known = {"userId": "secret-user", "anonymousId": "secret-device"}
    events = [pipeline.accepted(known | {"event": "x"}, "track", now) for _ in range(3)]
    events.append(pipeline.accepted(known | {"traits": {"email": "secret@x.io"}}, "identify", now))
    pipeline.record(tenant, events)
    pipeline.drain()
    (person,) = contacts.listing(tenant, contacts.Filter(external_id="secret-user"), 2, None)[0]
    return segment.id, person.id


def held(tenant: Tenant, contact_id: str) -> list[dict[str, Any]]:
    """Rows that tell of the person, but for what ends by itself: messages seen, events told, and that it is gone."""
    rows = [row for row in pipeline.rows(tenant, "") if not row["SK"].startswith(("COUNTED#", "MSG", "OUT"))]
    rows = [row for row in rows if row["PK"] != tenant.gone_partition()]
    return [row for row in rows if contact_id in str(row) or "secret" in str(row)]


def test_a_purge_now_leaves_nothing_and_the_counts_follow(test_tenant: Tenant) -> None:
    segment_id, contact_id = populate(test_tenant)
    purge.delete(test_tenant, contact_id, projects.now(test_tenant), purges=True)
    pipeline.drain()
    assert held(test_tenant, contact_id) == []
    assert segments.counts(test_tenant, [segments.get(test_tenant, segment_id)]) == {segment_id: 0}
    assert contacts.count(test_tenant) == 0


def test_a_deleted_contact_is_purged_after_30_days_and_not_before(test_tenant: Tenant) -> None:
    _, contact_id = populate(test_tenant)
    now = projects.now(test_tenant)
    purge.delete(test_tenant, contact_id, now, purges=False)
    pipeline.advance(test_tenant, now + 30 * clock.DAY - 1)
    assert held(test_tenant, contact_id) != []
    pipeline.advance(test_tenant, now + 30 * clock.DAY)
    pipeline.drain()
    assert held(test_tenant, contact_id) == []


def test_identities_that_another_contact_took_over_stay_with_it(test_tenant: Tenant) -> None:
    _, contact_id = populate(test_tenant)
    now = projects.now(test_tenant)
    purge.delete(test_tenant, contact_id, now, purges=False)
    pipeline.record(test_tenant, [pipeline.accepted({"userId": "secret-user", "event": "x"}, "track", now)])
    pipeline.advance(test_tenant, now + 31 * clock.DAY)
    (person,) = contacts.listing(test_tenant, contacts.Filter(external_id="secret-user"), 2, None)[0]
    assert person.id != contact_id


@pytest.mark.parametrize("moment", ["before-call", "after-call"])
def test_a_purge_that_dies_at_any_call_is_finished_by_the_next(
    moment: str, tenant: Tenant, fresh_table: Callable[[], None]
) -> None:
    def prepared() -> str:
        fresh_table()
        _, contact_id = populate(tenant)
        purge.delete(tenant, contact_id, projects.now(tenant), purges=False)
        pipeline.drain()
        return contact_id

    contact_id = prepared()
    with pipeline.counted() as calls:
        assert purge.run(tenant, {"contact_id": contact_id}, lambda: True) is None
    for step in range(1, len(calls), 2):
        contact_id = prepared()

        def die(number: int, _operation: str, step: int = step) -> None:
            if number == step:
                raise Killed

        with pipeline.on_call(moment, die):
            try:
                purge.run(tenant, {"contact_id": contact_id}, lambda: True)
            except Killed:
                purge.run(tenant, {"contact_id": contact_id}, lambda: True)
        assert held(tenant, contact_id) == []
