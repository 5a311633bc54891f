"""The project's stream of events."""

from typing import Any

import pytest

from chalicelib.features.activity import store
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import listing
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.client import Client

NOW = 1_770_000_000_000
"""2026-02-02T02:40:00Z"""

HOUR = 3_600_000


@pytest.fixture
def tenant(project: CreatedProject) -> Tenant:
    return Tenant(project.project_id)


def track(tenant: Tenant, event: str, moment: str, user: str = "u") -> None:
    raw = {"userId": user, "event": event, "timestamp": moment}
    pipeline.record(tenant, [pipeline.accepted(raw, "track", NOW)])


def names(client: Client, **query: Any) -> list[str]:
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/v1/analytics/events", query={"limit": 2} | query | cursor).json
        seen += [row["event"] for row in page["data"]]
        if not page["has_more"]:
            return seen
        assert len(page["data"]) == 2
        cursor = {"cursor": page["next_cursor"]}


def test_events_of_many_days_and_people_come_newest_first(client: Client, tenant: Tenant) -> None:
    moments = ["2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-01-05T12:00:00Z", "2026-02-01T00:00:00Z"]
    for n, moment in enumerate(moments):
        track(tenant, f"e{n}", moment, user=f"u{n % 2}")
    pipeline.run_bus()
    assert names(client) == ["e3", "e2", "e1", "e0"]


def test_a_rare_event_is_found_among_others_on_full_pages(client: Client, tenant: Tenant) -> None:
    for n in range(12):
        track(tenant, "rare" if n % 4 == 0 else "common", f"2026-01-{n + 1:02d}T00:00:00Z")
    track(tenant, "rare#x", "2026-01-01T00:00:00Z")
    pipeline.run_bus()
    assert names(client, event="rare") == ["rare"] * 3
    assert names(client, event="rare#x") == ["rare#x"]


def test_a_page_that_would_pass_what_a_function_may_answer_is_cut(
    client: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_ANSWER_BYTES", 50_000)
    wide = [
        pipeline.accepted({"userId": "u", "event": f"e{n:02d}", "properties": {"q": '"' * 4_000}}, "track", NOW + n)
        for n in range(12)
    ]
    pipeline.record(tenant, wide)
    pipeline.run_bus()
    pages: list[list[str]] = []
    query: dict[str, Any] = {"limit": 12}
    while "cursor" in query or not pages:
        page = client.get("/v1/analytics/events", query=query).json
        pages.append([row["event"] for row in page["data"]])
        query = {"limit": 12} | ({"cursor": page["next_cursor"]} if page["has_more"] else {})
    assert [name for page in pages for name in page] == [f"e{n:02d}" for n in reversed(range(12))]
    assert len(pages) > 1


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("day", ["0001-01-01", "0001-01-02", "9999-12-30", "9999-12-31"])
def test_the_first_and_last_days_of_the_calendar_are_bounds_in_every_zone(client: Client, zone: str, day: str) -> None:
    assert client.patch("/v1/settings", {"timezone": zone}).status == 200
    assert client.get("/v1/analytics/events", query={"from": day, "to": day}).status == 200


def test_a_date_without_dashes_is_no_date(client: Client) -> None:
    assert client.get("/v1/analytics/events", query={"from": "20260223"}).fields == ["from"]


def test_one_contacts_events_are_listed_by_its_id(client: Client, tenant: Tenant) -> None:
    for n in range(4):
        track(tenant, f"e{n}", f"2026-01-0{n + 1}T00:00:00Z", user=f"u{n % 2}")
    contact_id = client.get("/v1/contacts", query={"external_id": "u1"}).json["data"][0]["id"]
    assert names(client, contact_id=contact_id) == ["e3", "e1"]
    assert names(client, contact_id=contact_id, event="e1") == ["e1"]


def test_instants_are_exact_and_dates_are_whole_days_of_the_projects_zone(client: Client, tenant: Tenant) -> None:
    assert client.patch("/v1/settings", {"timezone": "America/New_York"}).status == 200
    for n, moment in enumerate(
        ["2026-01-10T04:59:59Z", "2026-01-10T05:00:00Z", "2026-01-11T04:59:59Z", "2026-01-11T05:00:00Z"]
    ):
        track(tenant, f"e{n}", moment)
    pipeline.run_bus()
    assert names(client, **{"from": "2026-01-10", "to": "2026-01-10"}) == ["e2", "e1"]
    assert names(client, **{"from": "2026-01-10T05:00:00Z", "to": "2026-01-11T05:00:00Z"}) == ["e2", "e1"]
    assert names(client, to="2026-01-09") == ["e0"]
    assert names(client, **{"from": "2026-01-11T05:00:00.001Z"}) == []
    assert names(client, to="9999-12-31") == ["e3", "e2", "e1", "e0"]


def test_events_of_a_deleted_contact_are_gone_at_once(client: Client, tenant: Tenant) -> None:
    for user in ("u1", "u2"):
        track(tenant, user, "2026-01-01T00:00:00Z", user=user)
    pipeline.run_bus()
    contact_id = client.get("/v1/contacts", query={"external_id": "u1"}).json["data"][0]["id"]
    client.delete(f"/v1/contacts/{contact_id}")
    assert names(client) == ["u2"]
    assert names(client, contact_id=contact_id) == []


def test_a_sparse_filter_answers_short_after_its_bound_and_the_walk_finds_all(
    client: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "EXAMINED_MAX", 8)
    monkeypatch.setattr(store, "_SPARSE_CHUNK", 2)
    for n in range(30):
        track(tenant, "rare" if n in (0, 29) else "common", f"2026-01-01T00:00:{n:02d}Z")
    pipeline.run_bus()
    seen, cursor, pages = [], None, 0
    while cursor or not pages:
        page = client.get("/v1/analytics/events", query={"event": "rare"} | ({"cursor": cursor} if cursor else {})).json
        seen += [row["timestamp"] for row in page["data"]]
        cursor, pages = page["next_cursor"], pages + 1
    assert seen == ["2026-01-01T00:00:29Z", "2026-01-01T00:00:00Z"]
    assert pages > 2


def test_a_rare_event_on_many_days_costs_a_bounded_number_of_queries(client: Client, tenant: Tenant) -> None:
    for day in range(30):
        track(tenant, "common", f"2026-01-{day + 1:02d}T00:00:00Z")
    pipeline.run_bus()
    with pytest.MonkeyPatch.context() as patch, pipeline.counted() as calls:
        patch.setattr(listing, "EXAMINED_MAX", 50)
        page = client.get("/v1/analytics/events", query={"event": "rare"}).json
    assert page["has_more"]
    assert calls.count("Query") <= 12


def test_a_cursor_of_another_list_of_the_same_events_is_refused(client: Client, tenant: Tenant) -> None:
    for n in range(3):
        track(tenant, f"e{n}", f"2026-01-0{n + 1}T00:00:00Z")
    contact_id = client.get("/v1/contacts").json["data"][0]["id"]
    cursor = client.get(f"/v1/contacts/{contact_id}/events", query={"limit": 1}).json["next_cursor"]
    answer = client.get("/v1/analytics/events", query={"contact_id": contact_id, "limit": 1, "cursor": cursor})
    assert (answer.status, answer.fields) == (400, ["cursor"])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "yesterday"}, "from"),
        ({"to": "2026-02-30"}, "to"),
        ({"to": "9999-12-31T23:59:59-23:00"}, "to"),
        ({"from": "0001-01-01T00:00:00+23:00"}, "from"),
        ({"contact_id": "x" * 65}, "contact_id"),
        ({"since": "2026"}, "since"),
    ],
)
def test_a_bad_filter_is_refused_by_name(client: Client, query: dict[str, str], field: str) -> None:
    answer = client.get("/v1/analytics/events", query=query)
    assert (answer.status, answer.fields) == (400, [field])
