"""The contact endpoints, as a caller uses them."""

from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.features.contacts import lists
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import listing
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.client import Client

NOW = 1_770_000_000_000


def imported(client: Client, **body: Any) -> Any:
    answer = client.post("/v1/contacts", body)
    assert answer.status in (200, 201), answer.text
    return answer.json


def test_an_import_creates_and_then_updates_by_external_id(client: Client) -> None:
    body = {"external_id": "user_123", "email": "Alice@Example.com", "traits": {"plan": "growth"}, "tags": ["active"]}
    first = client.post("/v1/contacts", body)
    assert first.status == 201
    assert first.json["email"] == "alice@example.com"
    second = client.post("/v1/contacts", {"external_id": "user_123", "traits": {"seats": 4}})
    assert second.status == 200
    assert second.json["id"] == first.json["id"]
    assert second.json["traits"] == {"plan": "growth", "email": "alice@example.com", "seats": 4}
    assert second.json["tags"] == ["active"]


def test_an_import_by_email_finds_the_contact_and_names_it(client: Client) -> None:
    first = imported(client, email="a@x.io")
    second = imported(client, email="A@X.io", external_id="u1")
    assert (second["id"], second["external_id"]) == (first["id"], "u1")


def test_an_import_whose_address_is_somebody_elses_is_a_conflict(client: Client) -> None:
    imported(client, external_id="u1", email="a@x.io")
    imported(client, external_id="u2")
    answer = client.post("/v1/contacts", {"external_id": "u2", "email": "a@x.io"})
    assert (answer.status, answer.code, answer.fields) == (409, "conflict", ["traits.email"])
    assert client.get("/v1/contacts", query={"external_id": "u2"}).json["data"][0]["email"] is None


def test_one_idempotency_key_makes_one_contact_and_one_answer(client: Client) -> None:
    headers = {"Idempotency-Key": "import-1"}
    first = client.post("/v1/contacts", {"email": "a@x.io"}, headers=headers)
    again = client.post("/v1/contacts", {"email": "a@x.io"}, headers=headers)
    assert (again.status, again.json) == (first.status, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    other = client.post("/v1/contacts", {"email": "b@x.io"}, headers=headers)
    assert (other.status, other.code) == (409, "conflict")
    assert len(client.get("/v1/contacts").json["data"]) == 1


def test_patch_merges_traits_and_changes_nothing_else(client: Client) -> None:
    person = imported(client, external_id="u", traits={"plan": "trial", "seats": 1}, tags=["a", "b"])
    answer = client.patch(f"/v1/contacts/{person['id']}", {"traits": {"plan": "scale", "seats": None}})
    assert answer.status == 200
    assert answer.json["traits"] == {"plan": "scale"}
    assert answer.json["tags"] == ["a", "b"]
    assert answer.json["external_id"] == "u"


def test_two_changes_at_once_both_stand(client: Client, project: CreatedProject) -> None:
    """Between the read and the write of one change come another change, and an event."""
    path = f"/v1/contacts/{imported(client, external_id='u')['id']}"
    raced = {"done": False}

    def race(_number: int, operation: str) -> None:
        if operation == "TransactWriteItems" and not raced["done"]:
            raced["done"] = True
            client.patch(path, {"traits": {"b": 2}, "add_tags": ["t"]})
            event = pipeline.accepted({"userId": "u", "traits": {"c": 3}}, "identify", NOW)
            pipeline.record(Tenant(project.project_id), [event])

    with pipeline.on_call("before-call", race):
        assert client.patch(path, {"traits": {"a": 1}}).status == 200
    profile = client.get(path).json
    assert profile["traits"] == {"a": 1, "b": 2, "c": 3}
    assert profile["tags"] == ["t"]


def test_tags_are_replaced_added_and_removed(client: Client) -> None:
    contact_id = imported(client, external_id="u", tags=["a", "b"])["id"]
    path = f"/v1/contacts/{contact_id}"
    assert client.patch(path, {"tags": ["c", "c", "d"]}).json["tags"] == ["c", "d"]
    assert client.patch(path, {"add_tags": ["e", "d"], "remove_tags": ["c"]}).json["tags"] == ["d", "e"]
    for tag, ids in {"a": [], "c": [], "d": [contact_id], "e": [contact_id]}.items():
        assert [row["id"] for row in client.get("/v1/contacts", query={"tag": tag}).json["data"]] == ids


def test_the_41st_tag_is_refused(client: Client) -> None:
    contact_id = imported(client, external_id="u", tags=[f"t{n}" for n in range(40)])["id"]
    answer = client.patch(f"/v1/contacts/{contact_id}", {"add_tags": ["one too many"]})
    assert (answer.status, answer.fields) == (422, ["add_tags"])


def test_unsubscribing_is_kept_with_its_first_moment_and_can_be_undone(client: Client) -> None:
    path = f"/v1/contacts/{imported(client, external_id='u')['id']}"
    first = client.patch(path, {"unsubscribed": True}).json["unsubscribed_at"]
    assert first is not None
    assert client.patch(path, {"unsubscribed": True}).json["unsubscribed_at"] == first
    assert client.patch(path, {"unsubscribed": False}).json["unsubscribed_at"] is None


def test_patching_the_address_frees_the_one_before(client: Client) -> None:
    first = imported(client, external_id="u1", email="a@x.io")
    client.patch(f"/v1/contacts/{first['id']}", {"traits": {"email": "b@x.io"}})
    second = imported(client, external_id="u2", email="a@x.io")
    assert second["email"] == "a@x.io"
    assert client.get("/v1/contacts", query={"email": "b@x.io"}).json["data"][0]["id"] == first["id"]


def test_a_deleted_contact_is_gone_from_every_read_and_its_identities_are_free(client: Client) -> None:
    person = imported(client, external_id="u", email="a@x.io", tags=["t"])
    path = f"/v1/contacts/{person['id']}"
    assert client.delete(path).json == {"id": person["id"], "deleted": True}
    assert client.get(path).status == 404
    assert client.patch(path, {"traits": {}}).status == 404
    assert client.delete(path).status == 404
    assert client.get(f"{path}/events").status == 404
    for query in ({}, {"email": "a@x.io"}, {"external_id": "u"}, {"tag": "t"}):
        assert client.get("/v1/contacts", query=query).json["data"] == []
    again = client.post("/v1/contacts", {"external_id": "u", "email": "a@x.io"})
    assert again.status == 201
    assert again.json["id"] != person["id"]


def test_the_profile_shows_the_ten_newest_events_and_the_groups(client: Client, project: CreatedProject) -> None:
    tenant = Tenant(project.project_id)
    events = [pipeline.accepted({"userId": "u", "event": f"e{n}"}, "track", NOW + n) for n in range(12)]
    events.append(pipeline.accepted({"userId": "u", "groupId": "acme"}, "group", NOW + 12))
    pipeline.record(tenant, events)
    contact_id = client.get("/v1/contacts", query={"external_id": "u"}).json["data"][0]["id"]
    profile = client.get(f"/v1/contacts/{contact_id}").json
    assert [row["event"] for row in profile["recent_events"]] == ["$group", *(f"e{n}" for n in range(11, 2, -1))]
    assert [group["id"] for group in profile["groups"]] == ["acme"]
    assert profile["last_seen_at"] == "2026-02-02T02:40:00.012Z"
    assert (profile["segments"], profile["referral_stats"]) == ([], {"referrals_made": 0, "conversions": 0})


def test_events_of_a_contact_come_newest_first_page_by_page(client: Client, project: CreatedProject) -> None:
    tenant = Tenant(project.project_id)
    pipeline.record(
        tenant, [pipeline.accepted({"userId": "u", "event": f"e{n}"}, "track", NOW + n // 2) for n in range(7)]
    )
    contact_id = client.get("/v1/contacts", query={"external_id": "u"}).json["data"][0]["id"]
    assert walk(client, f"/v1/contacts/{contact_id}/events", "event", limit=3) == [f"e{n}" for n in range(6, -1, -1)]


def walk(client: Client, path: str, field: str, **query: Any) -> list[Any]:
    """One field of every row over all pages; no page but the last is short."""
    seen: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get(path, query=query | cursor).json
        seen += [row[field] for row in page["data"]]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            return seen
        assert len(page["data"]) == query["limit"]
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_a_walk_over_all_pages_has_every_contact_once_newest_first(client: Client, limit: int) -> None:
    made = [imported(client, external_id=f"u{n}")["id"] for n in range(7)]
    assert walk(client, "/v1/contacts", "id", limit=limit) == made[::-1]


def test_filters_by_moment_of_creation_exclude_both_ends(client: Client, project: CreatedProject) -> None:
    tenant = Tenant(project.project_id)
    for n in range(5):
        pipeline.record(tenant, [pipeline.accepted({"userId": f"u{n}", "event": "x"}, "track", NOW + n * 1000)])
    query = {"created_after": "2026-02-02T02:40:01Z", "created_before": "2026-02-02T02:40:04Z"}
    assert walk(client, "/v1/contacts", "external_id", limit=1, **query) == ["u3", "u2"]
    assert walk(client, "/v1/contacts", "id", limit=5, created_after="2026-02-03") == []
    exact = client.get("/v1/contacts", query=query | {"external_id": "u4"}).json["data"]
    assert exact == []


def test_a_change_counts_at_its_receipt_and_not_when_it_is_written(client: Client, project: CreatedProject) -> None:
    """An event comes in after the call and is written before it, so that the call is tried again."""
    contact_id = imported(client, external_id="u", traits={"plan": "first"})["id"]
    tenant, raced = Tenant(project.project_id), {"done": False}

    def race(_number: int, operation: str) -> None:
        if operation == "TransactWriteItems" and not raced["done"]:
            raced["done"] = True
            raw = {"userId": "u", "traits": {"plan": "event"}}
            pipeline.record(tenant, [pipeline.accepted(raw, "identify", clock.system_ms() + 1)])

    with pipeline.on_call("before-call", race):
        assert client.patch(f"/v1/contacts/{contact_id}", {"traits": {"plan": "call", "x": 1}}).status == 200
    assert client.get(f"/v1/contacts/{contact_id}").json["traits"] == {"plan": "event", "x": 1}


def test_an_export_tells_all_that_is_held_page_by_page(client: Client, project: CreatedProject) -> None:
    tenant, now = Tenant(project.project_id), clock.system_ms()
    raw = {"userId": "u", "anonymousId": "device", "properties": {"n": 1}}
    pipeline.record(tenant, [pipeline.accepted(raw | {"event": f"e{n}"}, "track", now + n) for n in range(3)])
    contact_id = client.get("/v1/contacts", query={"external_id": "u"}).json["data"][0]["id"]
    first = client.get(f"/v1/contacts/{contact_id}/export", query={"limit": 2}).json
    rest = client.get(f"/v1/contacts/{contact_id}/export", query={"limit": 2, "cursor": first["next_cursor"]}).json
    assert first["contact"] == client.get(f"/v1/contacts/{contact_id}").json
    assert [row["event"] for row in first["events"] + rest["events"]] == ["e2", "e1", "e0"]
    assert {(row["user_id"], row["anonymous_id"]) for row in first["events"]} == {("u", "device")}
    assert not rest["has_more"]
    client.delete(f"/v1/contacts/{contact_id}")
    assert client.get(f"/v1/contacts/{contact_id}/export").status == 404


def test_an_empty_change_changes_nothing(client: Client) -> None:
    made = imported(client, external_id="u")
    assert client.patch(f"/v1/contacts/{made['id']}", {}).json == made


@pytest.mark.parametrize("field", ["tags", "unsubscribed", "traits", "add_tags"])
def test_null_is_no_value_of_what_is_no_key(client: Client, field: str) -> None:
    made = imported(client, external_id="u")
    assert client.patch(f"/v1/contacts/{made['id']}", {field: None}).fields == [field]


def test_500_traits_that_fill_64_kb_are_taken(client: Client) -> None:
    traits = {f"{n:03d}" + "x" * 117: 1 for n in range(500)}
    assert client.post("/v1/contacts", {"external_id": "u", "traits": traits}).status == 201
    assert client.post("/v1/contacts", {"external_id": "u", "traits": traits}).status == 200


def test_a_page_is_full_though_deleted_contacts_still_stand_under_the_tag(client: Client) -> None:
    made = [imported(client, external_id=f"u{n}", tags=["t"])["id"] for n in range(9)]
    for contact_id in made[2:8]:
        client.delete(f"/v1/contacts/{contact_id}")
    assert walk(client, "/v1/contacts", "id", limit=2, tag="t") == [made[8], made[1], made[0]]


def test_a_page_that_would_pass_what_a_function_may_answer_is_cut(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_MEASURED_FROM", 0)
    monkeypatch.setattr(listing, "_ANSWER_BYTES", 300_000)
    made = [imported(client, external_id=f"u{n}", traits={"x": '"' * 5_000})["id"] for n in range(12)]
    pages: list[list[str]] = []
    query: dict[str, Any] = {"limit": 12}
    while "cursor" in query or not pages:
        page = client.get("/v1/contacts", query=query).json
        pages.append([row["id"] for row in page["data"]])
        query = {"limit": 12} | ({"cursor": page["next_cursor"]} if page["has_more"] else {})
    assert [contact_id for page in pages for contact_id in page] == made[::-1]
    assert len(pages) > 1


def a_cursor(client: Client, **query: Any) -> str:
    return str(client.get("/v1/contacts", query={"limit": 1} | query).json["next_cursor"])


def test_a_cursor_that_was_edited_or_belongs_elsewhere_is_refused(client: Client, other_client: Client) -> None:
    for one in (client, other_client):
        for n in range(3):
            imported(one, external_id=f"u{n}", tags=["t"])
    cursor = a_cursor(client)
    first, last = ("A" if character != "A" else "B" for character in (cursor[0], cursor[-1]))
    refused = [
        cursor[:-1] + last,
        first + cursor[1:],
        cursor[:-4],
        cursor + "AAAA",
        a_cursor(other_client),
        a_cursor(client, tag="t"),
        a_cursor(client, created_after="2020-01-01"),
        "nonsense",
        "%",
        "é",
    ]
    for text in refused:
        answer = client.get("/v1/contacts", query={"limit": 1, "cursor": text})
        assert (answer.status, answer.code, answer.fields) == (400, "bad_request", ["cursor"]), text
    assert client.get("/v1/analytics/events", query={"cursor": cursor}).status == 400
    assert client.get("/v1/contacts", query={"limit": 2, "cursor": cursor}).status == 200
