"""The history of one event name: consistent, newest first, and read no further than somebody asks."""

from itertools import islice
from typing import Any

from chalicelib.core.lineage import Lineage
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts import service as contacts
from chalicelib.platform import outbox
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.pipeline import accepted

NOW = 1_770_000_000_000


def lineage_of(tenant: Tenant, user: str) -> Lineage:
    (person,), _ = contacts.listing(tenant, contacts.Filter(external_id=user), 2, None)
    return contacts.get(tenant, person.id).lineage


def record(tenant: Tenant, moments: list[int], name: str = "opened", **extra: Any) -> None:
    raws = [{"userId": "u", "event": name, "properties": {"n": n}} | extra for n in moments]
    pipeline.record(tenant, [accepted(raw, "track", NOW + raw["properties"]["n"]) for raw in raws])


def places(pages: Any) -> list[int]:
    return [event.properties["n"] for page in pages for event in page]


def test_the_history_of_a_name_has_its_events_only_newest_first(tenant: Tenant) -> None:
    record(tenant, [2, 0, 1])
    record(tenant, [3], name="opened#")
    record(tenant, [4], name="open")
    found = activity.history(tenant, lineage_of(tenant, "u"), "opened", page_size=2)
    assert places(found) == [2, 1, 0]


def test_bounds_of_the_history_include_the_first_moment_and_exclude_the_last(tenant: Tenant) -> None:
    record(tenant, list(range(5)))
    found = activity.history(tenant, lineage_of(tenant, "u"), "opened", since=NOW + 1, until=NOW + 3)
    assert places(found) == [2, 1]


def test_pages_that_nobody_asks_for_are_not_read(tenant: Tenant) -> None:
    record(tenant, list(range(6)))
    of = lineage_of(tenant, "u")
    with pipeline.counted() as calls:
        assert places(islice(activity.history(tenant, of, "opened", page_size=2), 1)) == [5, 4]
    assert calls == ["Query"]


def test_an_event_tells_which_fields_of_the_contact_it_changed(tenant: Tenant) -> None:
    said = {"userId": "u", "traits": {"plan": "pro", "email": "a@x.io"}}
    pipeline.record(tenant, [accepted(said, "identify", NOW), accepted(said, "identify", NOW + 1)])
    first, second = sorted(pipeline.rows(tenant, "EVT#"), key=lambda row: row["timestamp"])
    assert first["changed"] == ["email", "external_id", "traits.email", "traits.plan"]
    assert "changed" not in second


def test_a_row_that_was_moved_tells_the_bus_nothing(tenant: Tenant) -> None:
    record(tenant, [1])
    (row,) = [each for each in pipeline.stream_records() if each["dynamodb"]["Keys"]["SK"]["S"].startswith("EVT#")]
    assert len(outbox.told_by(row)) == 2
    row["dynamodb"]["NewImage"]["moved_from"] = {"S": "cntct_other"}
    assert outbox.told_by(row) == []
