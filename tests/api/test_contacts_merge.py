"""Merging contacts, as a caller does it."""

from typing import Any

import pytest

from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.client import Client, Response

NOW = 1_770_000_000_000


@pytest.fixture
def tenant(project: CreatedProject) -> Tenant:
    return Tenant(project.project_id)


def imported(client: Client, **body: Any) -> str:
    answer = client.post("/v1/contacts", body)
    assert answer.status in (200, 201), answer.text
    return str(answer.json["id"])


def merge(client: Client, target: str, source: str, how: str | None = None, **options: Any) -> Response:
    body = {"source_contact_id": source} | ({"conflict_resolution": how} if how else {})
    return client.post(f"/v1/contacts/{target}/merge", body, **options)


def tell(tenant: Tenant, kind: str, **raw: Any) -> None:
    pipeline.record(tenant, [pipeline.accepted(raw, kind, NOW)])
    pipeline.drain()


def by_external_id(client: Client, external_id: str) -> list[str]:
    return [row["id"] for row in client.get("/v1/contacts", query={"external_id": external_id}).json["data"]]


def test_a_merge_unites_what_both_have(client: Client, tenant: Tenant) -> None:
    target = imported(client, external_id="u1", traits={"plan": "pro"}, tags=["a", "b"])
    source = imported(
        client, external_id="u2", email="two@x.io", traits={"plan": "free", "city": "Rome"}, tags=["b", "c"]
    )
    tell(tenant, "track", userId="u2", event="bought")
    tell(tenant, "group", userId="u2", groupId="g")
    answer = merge(client, target, source)
    assert answer.status == 200
    merged = answer.json
    assert (merged["id"], merged["external_id"], merged["email"]) == (target, "u1", "two@x.io")
    assert merged["traits"] == {"plan": "pro", "city": "Rome", "email": "two@x.io"}
    assert merged["tags"] == ["a", "b", "c"]
    assert merged["last_seen_at"] is not None
    events = client.get(f"/v1/contacts/{target}/events").json["data"]
    assert {event["event"] for event in events} == {"bought", "$group"}
    assert {event["contact_id"] for event in events} == {target}
    profile = client.get(f"/v1/contacts/{target}").json
    assert [group["id"] for group in profile["groups"]] == ["g"]
    assert len(profile["recent_events"]) == 2


@pytest.mark.parametrize(
    ("how", "plan"), [(None, "target"), ("prefer_target", "target"), ("prefer_source", "source"), ("newest", "source")]
)
def test_the_preference_decides_between_the_sides(client: Client, how: str | None, plan: str) -> None:
    target = imported(client, external_id="u1", traits={"plan": "target"})
    source = imported(client, external_id="u2", traits={"plan": "source"})
    assert merge(client, target, source, how).json["traits"]["plan"] == plan


def test_what_is_said_after_a_merge_wins_and_what_was_said_before_does_not(client: Client, tenant: Tenant) -> None:
    target = imported(client, external_id="u1", traits={"plan": "target"})
    source = imported(client, external_id="u2", traits={"plan": "source"})
    merge(client, target, source)
    tell(tenant, "identify", userId="u2", traits={"plan": "late"}, timestamp="2026-01-01T00:00:00Z")
    assert client.get(f"/v1/contacts/{target}").json["traits"]["plan"] == "target"
    client.patch(f"/v1/contacts/{target}", {"traits": {"plan": "changed"}})
    assert client.get(f"/v1/contacts/{target}").json["traits"]["plan"] == "changed"


def test_the_source_tells_where_it_went_to_the_end_of_the_chain(client: Client, tenant: Tenant) -> None:
    first, second, third = (imported(client, external_id=f"u{n}") for n in (1, 2, 3))
    merge(client, second, first)
    merge(client, third, second)
    for path in ("", "/events", "/export", "/segments"):
        gone = client.get(f"/v1/contacts/{first}{path}")
        assert (gone.status, gone.json["error"]["details"]) == (404, [{"merged_into": third}]), path
    assert client.patch(f"/v1/contacts/{first}", {"tags": []}).status == 404
    assert client.delete(f"/v1/contacts/{first}").status == 404
    assert [row["id"] for row in client.get("/v1/contacts").json["data"]] == [third]
    tell(tenant, "track", userId="u1", event="x")
    assert len(client.get(f"/v1/contacts/{third}/events").json["data"]) == 1


def test_the_external_id_and_the_address_of_the_source_lead_to_the_target(client: Client, tenant: Tenant) -> None:
    target = imported(client, external_id="u1", email="one@x.io")
    source = imported(client, external_id="u2", email="two@x.io")
    merge(client, target, source)
    assert imported(client, external_id="u2", traits={"n": 1}) == target
    assert by_external_id(client, "u1") == by_external_id(client, "u2") == [target]
    assert [row["email"] for row in client.get("/v1/contacts").json["data"]] == ["one@x.io"]
    pipeline.drain()
    other = imported(client, external_id="u9", email="two@x.io")
    assert other != target


def test_unsubscribes_of_both_hold(client: Client) -> None:
    target = imported(client, external_id="u1")
    source = imported(client, external_id="u2", unsubscribed=True)
    assert merge(client, target, source).json["unsubscribed_at"] is not None


def test_counts_and_static_segments_follow(client: Client, tenant: Tenant) -> None:
    target, source = imported(client, external_id="u1"), imported(client, external_id="u2", tags=["vip"])
    listed = client.post("/v1/segments", {"name": "S", "type": "static", "contact_ids": [source]}).json["id"]
    rules = {"operator": "AND", "conditions": [{"field": "tags", "op": "contains", "value": "vip"}]}
    tagged = client.post("/v1/segments", {"name": "D", "rules": rules}).json["id"]
    pipeline.drain()
    merge(client, target, source)
    pipeline.drain()
    for segment in (listed, tagged):
        assert [row["id"] for row in client.get(f"/v1/segments/{segment}/contacts").json["data"]] == [target]
        assert client.get(f"/v1/segments/{segment}").json["contact_count"] == 1
    assert [row["id"] for row in client.get("/v1/contacts", query={"tag": "vip"}).json["data"]] == [target]
    told = [row for row in pipeline.rows(tenant, "OUT") if row.get("outbox") == "segment.entered"]
    assert {'"reason":"merge"' in row["data"].replace(" ", "") for row in told if target in row["data"]} == {True}


def test_one_idempotency_key_merges_once_and_answers_the_same(client: Client) -> None:
    target, source = imported(client, external_id="u1"), imported(client, external_id="u2", traits={"a": 1})
    headers = {"Idempotency-Key": "merge-1"}
    first = merge(client, target, source, headers=headers)
    again = merge(client, target, source, headers=headers)
    assert (again.status, again.json) == (200, first.json)
    assert again.headers["idempotency-replayed"] == "true"
    refused = merge(client, target, source)
    assert (refused.status, refused.json["error"]["details"]) == (404, [{"merged_into": target}])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "source_contact_id"),
        ({"source_contact_id": ""}, "source_contact_id"),
        ({"source_contact_id": 7}, "source_contact_id"),
        ({"source_contact_id": "cntct_x", "conflict_resolution": "mine"}, "conflict_resolution"),
        ({"source_contact_id": "cntct_x", "keep": True}, "keep"),
    ],
)
def test_a_bad_merge_names_its_fault(client: Client, body: dict[str, Any], field: str) -> None:
    target = imported(client, external_id="u1")
    answer = client.post(f"/v1/contacts/{target}/merge", body)
    assert (answer.status, answer.fields) == (422, [field])


def test_a_merge_into_itself_or_with_nobody_is_refused(client: Client) -> None:
    target = imported(client, external_id="u1")
    itself = merge(client, target, target)
    assert (itself.status, itself.fields) == (422, ["source_contact_id"])
    assert merge(client, target, "cntct_01j00000000000000000000000").status == 404
    assert merge(client, "cntct_01j00000000000000000000000", target).status == 404


def test_two_known_contacts_are_not_joined_by_an_address_and_the_clash_is_told(client: Client, tenant: Tenant) -> None:
    tell(tenant, "identify", userId="u1", traits={"email": "a@x.io"}, timestamp="2026-01-02T00:00:00Z")
    tell(tenant, "identify", userId="u2", traits={"email": "a@x.io"}, timestamp="2026-01-03T00:00:00Z")
    (second,) = by_external_id(client, "u2")
    profile = client.get(f"/v1/contacts/{second}").json
    assert (profile["email"], profile["traits"]["email"]) == (None, "a@x.io")
    assert [event["event"] for event in profile["recent_events"]] == ["$identity_conflict", "$identify"]
    assert profile["recent_events"][0]["properties"] == {"kind": "email", "held_by": by_external_id(client, "u1")[0]}


def test_an_earlier_claim_that_comes_late_takes_the_address_over(client: Client, tenant: Tenant) -> None:
    tell(tenant, "identify", userId="u1", traits={"email": "a@x.io"}, timestamp="2026-01-02T00:00:00Z")
    tell(tenant, "identify", userId="u2", traits={"email": "a@x.io"}, timestamp="2026-01-01T00:00:00Z")
    held = client.get("/v1/contacts", query={"email": "a@x.io"}).json["data"]
    assert [row["external_id"] for row in held] == ["u2"]
    (first,) = by_external_id(client, "u1")
    told = client.get(f"/v1/contacts/{first}/events").json["data"]
    assert "$identity_conflict" in {event["event"] for event in told}


def test_an_address_that_is_given_up_goes_to_who_waits_for_it(client: Client, tenant: Tenant) -> None:
    tell(tenant, "identify", userId="u1", traits={"email": "a@x.io"}, timestamp="2026-01-01T00:00:00Z")
    tell(tenant, "identify", userId="u2", traits={"email": "a@x.io"}, timestamp="2026-01-02T00:00:00Z")
    (first,) = by_external_id(client, "u1")
    client.patch(f"/v1/contacts/{first}", {"traits": {"email": None}})
    pipeline.drain()
    held = client.get("/v1/contacts", query={"email": "a@x.io"}).json["data"]
    assert [row["external_id"] for row in held] == ["u2"]


def test_a_deleted_contacts_address_goes_to_who_waits_for_it(client: Client, tenant: Tenant) -> None:
    tell(tenant, "identify", userId="u1", traits={"email": "a@x.io"}, timestamp="2026-01-01T00:00:00Z")
    tell(tenant, "identify", userId="u2", traits={"email": "a@x.io"}, timestamp="2026-01-02T00:00:00Z")
    (first,) = by_external_id(client, "u1")
    client.delete(f"/v1/contacts/{first}")
    pipeline.drain()
    held = client.get("/v1/contacts", query={"email": "a@x.io"}).json["data"]
    assert [row["external_id"] for row in held] == ["u2"]


def test_a_visitor_who_says_who_he_is_brings_his_history_along(client: Client, tenant: Tenant) -> None:
    tell(tenant, "identify", userId="u1", traits={"plan": "pro"})
    tell(tenant, "track", anonymousId="a1", event="looked")
    assert len(client.get("/v1/contacts").json["data"]) == 2
    tell(tenant, "identify", userId="u1", anonymousId="a1")
    (only,) = client.get("/v1/contacts").json["data"]
    assert (only["external_id"], only["traits"]) == ("u1", {"plan": "pro"})
    events = client.get(f"/v1/contacts/{only['id']}/events").json["data"]
    assert sorted(event["event"] for event in events) == ["$identify", "$identify", "looked"]


def test_an_alias_joins_two_users_and_the_new_name_is_shown(client: Client, tenant: Tenant) -> None:
    tell(tenant, "track", userId="old", event="x")
    tell(tenant, "track", userId="new", event="y")
    tell(tenant, "alias", userId="new", previousId="old")
    (only,) = client.get("/v1/contacts").json["data"]
    assert only["external_id"] == "new"
    tell(tenant, "track", userId="old", event="z")
    events = client.get(f"/v1/contacts/{only['id']}/events").json["data"]
    assert sorted(event["event"] for event in events) == ["$alias", "x", "y", "z"]
