"""What waitlists refuse, each with the field that is wrong; nothing of it is written."""

from typing import Any

import pytest

from tests.support.client import Client

GOOD: dict[str, Any] = {"name": "Early", "slug": "early"}
LISTS = "/v1/waitlists"


@pytest.fixture
def waitlist(client: Client) -> str:
    made: str = client.post(LISTS, GOOD).json["id"]
    return made


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " \t"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 129}, "name"),
        ({"name": 5}, "name"),
        ({"name": None}, "name"),
        ({"slug": ""}, "slug"),
        ({"slug": "With Space"}, "slug"),
        ({"slug": "Upper"}, "slug"),
        ({"slug": "-dash"}, "slug"),
        ({"slug": "wl_01j8x2m4k00000000000000000"}, "slug"),
        ({"slug": "a/b"}, "slug"),
        ({"slug": "x" * 65}, "slug"),
        ({"slug": "é"}, "slug"),
        ({"referral_boost": -1}, "referral_boost"),
        ({"referral_boost": 1_001}, "referral_boost"),
        ({"referral_boost": 1.5}, "referral_boost"),
        ({"referral_boost": "3"}, "referral_boost"),
        ({"referral_boost": True}, "referral_boost"),
        ({"auto_approve": "yes"}, "auto_approve"),
        ({"welcome_email_template_id": "tmpl_nobody"}, "welcome_email_template_id"),
        ({"invite_email_template_id": "tmpl_nobody"}, "invite_email_template_id"),
        ({"invite_email_template_id": 7}, "invite_email_template_id"),
        ({"landing_url": "http://acme.com"}, "landing_url"),
        ({"landing_url": "javascript:alert(1)"}, "landing_url"),
        ({"landing_url": "https://"}, "landing_url"),
        ({"landing_url": "https://user:secret@acme.com"}, "landing_url"),
        ({"landing_url": "https://acme.com/\r\nSet-Cookie: x"}, "landing_url"),
        ({"landing_url": "https://acme.com:0/"}, "landing_url"),
        ({"status": "open"}, "status"),
    ],
)
def test_a_definition_that_breaks_a_rule_is_refused_when_it_is_made_and_when_it_is_changed(
    client: Client, waitlist: str, body: dict[str, Any], field: str
) -> None:
    before = client.get(f"{LISTS}/{waitlist}").json
    made = client.post(LISTS, GOOD | {"slug": "other"} | body)
    changed = client.patch(f"{LISTS}/{waitlist}", body)
    assert (made.status, made.fields, changed.status, changed.fields) == (422, [field], 422, [field])
    assert client.get(f"{LISTS}/{waitlist}").json == before
    assert len(client.get(LISTS).json["data"]) == 1


@pytest.mark.parametrize("body", [{"name": "Early"}, {"slug": "early"}, {}])
def test_a_name_and_a_slug_are_needed(client: Client, body: dict[str, Any]) -> None:
    answer = client.post(LISTS, body)
    assert (answer.status, sorted(answer.fields)) == (422, sorted({"name", "slug"} - body.keys()))


ENTRIES: list[tuple[dict[str, Any], str]] = [
    ({}, "email"),
    ({"email": ""}, "email"),
    ({"email": "nobody"}, "email"),
    ({"email": "a@b"}, "email"),
    ({"email": "a@b@c.io"}, "email"),
    ({"email": None}, "email"),
    ({"email": ["a@x.io"]}, "email"),
    ({"email": f"{'x' * 65}@x.io"}, "email"),
    ({"email": "a@x.io", "traits": []}, "traits"),
    ({"email": "a@x.io", "traits": {"$plan": 1}}, "traits.$plan"),
    ({"email": "a@x.io", "traits": {"big": "x" * 10_300}}, "traits.big"),
    ({"email": "a@x.io", "referral_code": 7}, "referral_code"),
    ({"email": "a@x.io", "referral_code": "X" * 65}, "referral_code"),
]


@pytest.mark.parametrize(("body", "field"), ENTRIES)
def test_whom_nobody_can_be_is_not_added(client: Client, waitlist: str, body: dict[str, Any], field: str) -> None:
    answer = client.post(f"{LISTS}/{waitlist}/entries", body)
    assert (answer.status, answer.fields) == (422, [field])
    assert client.get(f"{LISTS}/{waitlist}").json["stats"]["total"] == 0
    assert client.get("/v1/contacts").json["data"] == []


@pytest.mark.parametrize(("body", "field"), ENTRIES)
def test_nor_does_it_join_by_itself(
    client: Client, project: Any, waitlist: str, body: dict[str, Any], field: str
) -> None:
    answer = client.post(f"{LISTS}/{waitlist}/join", body, key=project.write_key)
    assert (answer.status, answer.fields) == (422, [field])
    assert client.get("/v1/contacts").json["data"] == []


def test_an_unknown_field_is_told_to_a_project_and_passed_over_of_a_widget(
    client: Client, project: Any, waitlist: str
) -> None:
    body = {"email": "a@x.io", "anything": 1}
    added = client.post(f"{LISTS}/{waitlist}/entries", body)
    assert (added.status, added.fields) == (422, ["anything"])
    assert client.post(f"{LISTS}/early/join", body, key=project.write_key).status == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "count"),
        ({"count": 0}, "count"),
        ({"count": -5}, "count"),
        ({"count": 1_001}, "count"),
        ({"count": "50"}, "count"),
        ({"count": 2.5}, "count"),
        ({"count": 1, "order": "random"}, "order"),
        ({"count": 1, "order": None}, "order"),
        ({"count": 1, "status": "waiting"}, "status"),
    ],
)
def test_a_batch_that_breaks_a_rule_approves_nobody(
    client: Client, waitlist: str, body: dict[str, Any], field: str
) -> None:
    client.post(f"{LISTS}/{waitlist}/entries", {"email": "a@x.io"})
    answer = client.post(f"{LISTS}/{waitlist}/entries/approve-batch", body)
    assert (answer.status, answer.fields) == (422, [field])
    assert client.get(f"{LISTS}/{waitlist}").json["stats"]["approved"] == 0


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"status": "invited"}, "status"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"sort": "name"}, "sort"),
    ],
)
def test_a_list_of_entries_that_nobody_can_make_is_refused(
    client: Client, waitlist: str, query: dict[str, str], field: str
) -> None:
    answer = client.get(f"{LISTS}/{waitlist}/entries", query=query)
    assert (answer.status, answer.fields) == (400, [field])


def test_a_cursor_of_another_waitlist_or_status_is_refused(client: Client, waitlist: str) -> None:
    other = client.post(LISTS, GOOD | {"slug": "other"}).json["id"]
    for n in range(2):
        client.post(f"{LISTS}/{waitlist}/entries", {"email": f"u{n}@x.io"})
    cursor = client.get(f"{LISTS}/{waitlist}/entries?limit=1").json["next_cursor"]
    assert client.get(f"{LISTS}/{other}/entries", query={"cursor": cursor}).status == 400
    assert client.get(f"{LISTS}/{waitlist}/entries", query={"cursor": cursor, "status": "approved"}).status == 400


@pytest.mark.parametrize("name", ["wl_01j00000000000000000000000", "nowhere", "x" * 300, "..", "%00"])
def test_a_waitlist_that_is_not_there_is_found_by_nobody(client: Client, project: Any, name: str) -> None:
    assert client.get(f"{LISTS}/{name}").status == 404
    assert client.post(f"{LISTS}/{name}/join", {"email": "a@x.io"}, key=project.write_key).status == 404


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "", "waitlists:write"),
        ("POST", "", "waitlists:read"),
        ("PATCH", "/early", "waitlists:read"),
        ("DELETE", "/early", "waitlists:read"),
        ("GET", "/early/entries", "waitlists:write"),
        ("POST", "/early/entries", "waitlists:read"),
        ("POST", "/early/entries/approve-batch", "waitlists:read"),
        ("POST", "/early/entries/x/approve", "waitlists:read"),
        ("DELETE", "/early/entries/x", "waitlists:read"),
    ],
)
def test_a_key_of_another_scope_is_refused(client: Client, waitlist: str, method: str, path: str, scope: str) -> None:
    narrow = client.post("/v1/settings/keys", {"name": "narrow", "scopes": [scope]}).json["key"]
    answer = client.request(method, f"{LISTS}{path}", {}, key=narrow)
    assert (answer.status, answer.code) == (403, "insufficient_scope")
