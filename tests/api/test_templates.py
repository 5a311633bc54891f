"""Templates over the API: what is kept, what is refused, and what they make."""

from typing import Any

import pytest

from chalicelib.features.templates import service as templates
from tests.support.client import Client

PATH = "/v1/templates"
GOOD = {"name": "Welcome", "html": "<p>Hi {{ contact.name }}</p>"}


@pytest.fixture
def made(client: Client) -> dict[str, Any]:
    answer = client.post(PATH, GOOD | {"subject": "Hi", "preheader": "Come in", "text": "Hi there"})
    assert answer.status == 201, answer.text
    shown: dict[str, Any] = answer.json
    return shown


def test_a_template_is_kept_as_it_was_given(client: Client, made: dict[str, Any]) -> None:
    assert made == {
        "id": made["id"],
        "name": "Welcome",
        "subject": "Hi",
        "preheader": "Come in",
        "mjml": None,
        "html": GOOD["html"],
        "text": "Hi there",
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
    }
    assert made["id"].startswith("tmpl_")
    assert client.get(f"{PATH}/{made['id']}").json == made


def test_the_same_idempotency_key_makes_one(client: Client) -> None:
    headers = {"Idempotency-Key": "k1"}
    first, second = (client.post(PATH, GOOD, headers=headers) for _ in range(2))
    assert first.json == second.json
    assert second.headers["idempotency-replayed"] == "true"
    assert len(client.get(PATH).json["data"]) == 1


def test_a_patch_changes_what_it_has_and_null_removes(client: Client, made: dict[str, Any]) -> None:
    path = f"{PATH}/{made['id']}"
    changed = client.patch(path, {"name": "Other", "subject": None, "preheader": None, "text": None}).json
    assert (changed["name"], changed["subject"], changed["preheader"], changed["text"]) == ("Other", None, None, None)
    assert changed["html"] == GOOD["html"]


def test_mjml_and_html_take_each_others_place(client: Client, made: dict[str, Any]) -> None:
    path = f"{PATH}/{made['id']}"
    mjml = "<mjml><mj-body></mj-body></mjml>"
    changed = client.patch(path, {"mjml": mjml}).json
    assert (changed["mjml"], changed["html"]) == (mjml, None)
    assert client.patch(path, {"html": "<p>x</p>"}).json["mjml"] is None


def test_a_template_that_is_gone_is_not_found(client: Client, made: dict[str, Any]) -> None:
    path = f"{PATH}/{made['id']}"
    assert client.delete(path).json == {"id": made["id"], "deleted": True}
    assert [client.get(path).status, client.delete(path).status, client.patch(path, {"name": "x"}).status] == [404] * 3
    assert client.post(f"{path}/render", {}).status == 404


def test_a_template_in_use_is_not_deleted(client: Client, made: dict[str, Any]) -> None:
    client.patch("/v1/settings", {"default_from_email": "hello@acme.test"})
    steps = [{"template_id": made["id"]}]
    body = {"name": "C", "type": "lifecycle", "trigger": {"event": "x"}, "steps": steps}
    campaign = client.post("/v1/campaigns", body).json["id"]
    client.post(f"/v1/campaigns/{campaign}/activate")
    assert client.delete(f"{PATH}/{made['id']}").status == 409
    client.post(f"/v1/campaigns/{campaign}/archive")
    assert client.delete(f"{PATH}/{made['id']}").status == 200


def test_templates_are_listed_newest_first_and_page_without_gaps(client: Client) -> None:
    ids = [client.post(PATH, GOOD | {"name": f"T{n}"}).json["id"] for n in range(5)]
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = client.get(PATH, query=query).json
        seen += [each["id"] for each in page["data"]]
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == ids[::-1]


def test_a_page_of_large_templates_stays_within_what_can_be_answered(client: Client) -> None:
    for _ in range(8):
        assert (
            client.post(PATH, {"name": "Large", "html": '<p title="' + '"' * 0 + "\\" * 190_000 + '">x</p>'}).status
            == 201
        )
    page = client.get(PATH, query={"limit": "100"})
    assert len(page.text) < 6_000_000
    assert page.json["data"]


def test_a_project_has_so_many_templates_at_the_most(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MAX_TEMPLATES", 2)
    assert [client.post(PATH, GOOD).status for _ in range(3)] == [201, 201, 409]


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "name"),
    ({"name": "x"}, ""),
    (GOOD | {"name": ""}, "name"),
    (GOOD | {"name": " "}, "name"),
    (GOOD | {"name": "x" * 129}, "name"),
    (GOOD | {"name": "a\nb"}, "name"),
    (GOOD | {"name": 5}, "name"),
    (GOOD | {"mjml": "<mjml></mjml>"}, ""),
    (GOOD | {"html": ""}, "html"),
    (GOOD | {"html": "  "}, "html"),
    (GOOD | {"html": 7}, "html"),
    (GOOD | {"html": "é" * 110_000}, "html"),
    (GOOD | {"text": "x" * 110_000}, "text"),
    (GOOD | {"text": ""}, "text"),
    (GOOD | {"subject": ""}, "subject"),
    (GOOD | {"subject": "a\r\nBcc: x@x.io"}, "subject"),
    (GOOD | {"subject": "x" * 501}, "subject"),
    (GOOD | {"preheader": "x" * 501}, "preheader"),
    (GOOD | {"preheader": "a\tb"}, "preheader"),
    (GOOD | {"color": "red"}, "color"),
    (GOOD | {"html": "{% if %}"}, "html"),
    (GOOD | {"html": "{{ contact.name | nofilter }}"}, "html"),
    (GOOD | {"html": "{% include 'x' %}"}, "html"),
    (GOOD | {"html": "{% for a in (1..100000) %}{% endfor %}"}, "html"),
    (GOOD | {"subject": "{{ contact.name"}, "subject"),
    (GOOD | {"preheader": "{% endif %}"}, "preheader"),
    (GOOD | {"text": "{% if a %}"}, "text"),
    ({"name": "x", "mjml": "<mjml><mj-body>"}, "mjml"),
    ({"name": "x", "mjml": "no markup"}, "mjml"),
    ({"name": "x", "mjml": "<mjml><mj-body><mj-include path='x'/></mj-body></mjml>"}, "mjml"),
]


@pytest.mark.parametrize(("body", "field"), BAD, ids=range(len(BAD)))
def test_what_is_no_template_is_told_by_its_field(client: Client, body: dict[str, Any], field: str) -> None:
    answer = client.post(PATH, body)
    assert (answer.status, answer.code) == (422, "validation_error")
    assert field in answer.fields
    assert client.get(PATH).json["data"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": None}, "name"),
        ({"html": None}, "html"),
        ({"mjml": None}, "mjml"),
        ({"html": "<p>a</p>", "mjml": "<mjml></mjml>"}, ""),
        ({"html": "{% if %}"}, "html"),
        ({"id": "x"}, "id"),
    ],
)
def test_a_patch_that_makes_none_is_refused(
    client: Client, made: dict[str, Any], body: dict[str, Any], field: str
) -> None:
    answer = client.patch(f"{PATH}/{made['id']}", body)
    assert answer.status == 422
    assert field in answer.fields
    assert client.get(f"{PATH}/{made['id']}").json == made


def test_a_fault_is_told_with_its_line(client: Client) -> None:
    answer = client.post(PATH, {"name": "x", "html": "<p>\n\n{{ contact.name | nofilter }}</p>"})
    (fault,) = answer.json["error"]["details"]
    assert (fault["field"], fault["line"]) == ("html", 3)
    assert fault["message"].startswith("Line 3: ")


def test_a_template_is_rendered_for_a_contact_for_one_made_up_and_for_a_sample(client: Client) -> None:
    path = f"{PATH}/{client.post(PATH, GOOD | {'subject': '{{ event.plan }}'}).json['id']}/render"
    person = client.post("/v1/contacts", {"external_id": "u1", "traits": {"name": "Zoë"}}).json["id"]
    known = client.post(path, {"contact_id": person, "event": {"name": "paid", "properties": {"plan": "pro"}}}).json
    made_up = client.post(path, {"contact": {"traits": {"name": "<Bob>"}}}).json
    sample = client.post(path).json
    assert ("<p>Hi Zoë</p>" in known["html"], known["subject"]) == (True, "pro")
    assert "<p>Hi &lt;Bob&gt;</p>" in made_up["html"]
    assert "Hi <Bob>" in made_up["text"]
    assert "Alice" in sample["html"]
    assert known.keys() == {"subject", "html", "text"}


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"contact_id": "cntct_01j8x2m4k00000000000000000"}, 404, None),
        ({"contact_id": ""}, 422, "contact_id"),
        ({"contact_id": 5}, 422, "contact_id"),
        ({"contact_id": "x", "contact": {}}, 422, ""),
        ({"contact": []}, 422, "contact"),
        ({"contact": {"traits": {"x": "y" * 70_000}}}, 422, "contact"),
        ({"contact": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {}}}}}}}}}}, 422, "contact"),
        ({"event": "paid"}, 422, "event"),
        ({"to": "x@x.io"}, 422, "to"),
    ],
)
def test_what_can_t_be_rendered_for_is_told(
    client: Client, made: dict[str, Any], body: dict[str, Any], status: int, field: str | None
) -> None:
    answer = client.post(f"{PATH}/{made['id']}/render", body)
    assert answer.status == status
    assert field is None or field in answer.fields


def test_reading_and_writing_take_the_scopes_of_campaigns(client: Client, made: dict[str, Any]) -> None:
    reader = client.post("/v1/settings/keys", {"name": "r", "scopes": ["campaigns:read"]}).json["key"]
    assert client.get(PATH, key=reader).status == 200
    assert client.post(f"{PATH}/{made['id']}/render", {}, key=reader).status == 200
    assert client.post(PATH, GOOD, key=reader).status == 403
    assert client.delete(f"{PATH}/{made['id']}", key=reader).status == 403
