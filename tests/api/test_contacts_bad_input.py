"""Malformed requests to the contact endpoints: each has its 4xx that names the field, and nothing is written."""

import json
from typing import Any

import pytest

from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.client import Client


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


BODIES: list[tuple[str, bytes | dict[str, Any] | list[Any], int, list[str]]] = [
    ("no object", b"[]", 422, [""]),
    ("a string", b'"x"', 422, [""]),
    ("null", b"null", 422, [""]),
    ("nothing", b"", 400, []),
    ("blanks", b"  \n", 400, []),
    ("cut off", b'{"email": "a@x.io"', 400, []),
    ("trailing text", b'{"email": "a@x.io"} x', 400, []),
    ("single quotes", b"{'email': 'a@x.io'}", 400, []),
    ("a comma too many", b'{"email": "a@x.io",}', 400, []),
    ("not UTF-8", b'{"email": "\xff@x.io"}', 400, []),
    ("UTF-16", '{"email": "a@x.io"}'.encode("utf-16"), 400, []),
    ("NaN", b'{"email": "a@x.io", "traits": {"n": NaN}}', 400, []),
    ("Infinity", b'{"email": "a@x.io", "traits": {"n": -Infinity}}', 400, []),
    ("a float out of range", b'{"email": "a@x.io", "traits": {"n": 1e999}}', 400, []),
    ("an integer out of range", b'{"email": "a@x.io", "traits": {"n": ' + b"9" * 5000 + b"}}", 400, []),
    ("half a surrogate pair", b'{"email": "a@x.io", "traits": {"n": "\\ud800"}}', 400, []),
    ("very deep", b'{"traits":' * 5000 + b"1" + b"}" * 5000, 400, []),
    ("an unknown field", {"email": "a@x.io", "plan": "x"}, 422, ["plan"]),
    ("two unknown fields", {"email": "a@x.io", "a": 1, "b": 2}, 422, ["a", "b"]),
    ("neither id", {"traits": {}}, 422, ["external_id"]),
    ("an id that is a number", {"external_id": 7}, 422, ["external_id"]),
    ("an empty id", {"external_id": ""}, 422, ["external_id"]),
    ("a blank id", {"external_id": "  "}, 422, ["external_id"]),
    ("an id of 257 bytes", {"external_id": "é" * 129}, 422, ["external_id"]),
    ("an id with NUL", {"external_id": "a\0b"}, 422, ["external_id"]),
    ("no address", {"email": "alice"}, 422, ["email"]),
    ("an address of two", {"email": "a@x.io, b@x.io"}, 422, ["email"]),
    ("an address that is a list", {"email": ["a@x.io"]}, 422, ["email"]),
    ("an address without a domain", {"email": "a@"}, 422, ["email"]),
    ("an address of 400 bytes", {"email": "a" * 400 + "@x.io"}, 422, ["email"]),
    ("no address in the traits", {"external_id": "u", "traits": {"email": 5}}, 422, ["traits.email"]),
    ("traits that are a list", {"external_id": "u", "traits": []}, 422, ["traits"]),
    ("traits that are null", {"external_id": "u", "traits": None}, 422, ["traits"]),
    ("a reserved trait", {"external_id": "u", "traits": {"$first_touch": {}}}, 422, ["traits.$first_touch"]),
    ("a trait without a name", {"external_id": "u", "traits": {"": 1}}, 422, ["traits."]),
    ("a trait with a long name", {"external_id": "u", "traits": {"x" * 257: 1}}, 422, ["traits." + "x" * 257]),
    ("501 traits", {"external_id": "u", "traits": {str(n): n for n in range(501)}}, 422, ["traits"]),
    ("a trait over 10 KB", {"external_id": "u", "traits": {"x": "y" * 10_240}}, 422, ["traits.x"]),
    ("a trait nested too deep", {"external_id": "u", "traits": nested(9)}, 422, ["traits.a"]),
    ("traits over 64 KB", {"external_id": "u", "traits": {str(n): "y" * 10_000 for n in range(7)}}, 422, ["traits.6"]),
    ("tags that are text", {"external_id": "u", "tags": "a"}, 422, ["tags"]),
    ("a tag that is a number", {"external_id": "u", "tags": ["a", 7]}, 422, ["tags.1"]),
    ("an empty tag", {"external_id": "u", "tags": ["a", ""]}, 422, ["tags.1"]),
    ("a tag with NUL", {"external_id": "u", "tags": ["a\0"]}, 422, ["tags.0"]),
    ("a long tag", {"external_id": "u", "tags": ["x" * 129]}, 422, ["tags.0"]),
    ("41 tags", {"external_id": "u", "tags": [str(n) for n in range(41)]}, 422, ["tags"]),
    ("unsubscribed as text", {"external_id": "u", "unsubscribed": "true"}, 422, ["unsubscribed"]),
    ("unsubscribed as a number", {"external_id": "u", "unsubscribed": 1}, 422, ["unsubscribed"]),
]


@pytest.mark.parametrize(("body", "status", "fields"), [b[1:] for b in BODIES], ids=[b[0] for b in BODIES])
def test_a_bad_body_is_refused_and_nothing_is_written(
    client: Client, project: CreatedProject, body: Any, status: int, fields: list[str]
) -> None:
    answer = client.post("/v1/contacts", body)
    assert (answer.status, answer.fields) == (status, fields)
    assert pipeline.rows(Tenant(project.project_id), "CONTACT") == []


PATCHES = [
    entry
    for entry in BODIES
    if entry[0] not in {"neither id"} and entry[3][:1] != ["external_id"] and entry[3] != ["email"]
]


@pytest.mark.parametrize(("body", "status", "fields"), [b[1:] for b in PATCHES], ids=[b[0] for b in PATCHES])
def test_a_bad_patch_is_refused_and_nothing_changes(client: Client, body: Any, status: int, fields: list[str]) -> None:
    before = client.post("/v1/contacts", {"external_id": "u"}).json
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in ("external_id", "email")}
    answer = client.patch(f"/v1/contacts/{before['id']}", body)
    assert (answer.status, answer.fields) == (status, fields)
    assert client.get("/v1/contacts").json["data"] == [before]


QUERIES = [
    ("limit of nothing", "limit=", ["limit"]),
    ("limit 0", "limit=0", ["limit"]),
    ("limit 101", "limit=101", ["limit"]),
    ("limit that is no number", "limit=ten", ["limit"]),
    ("limit that is a fraction", "limit=1.5", ["limit"]),
    ("limit twice", "limit=1&limit=2", ["limit"]),
    ("an unknown parameter", "page=2", ["page"]),
    ("a moment that is none", "created_after=yesterday", ["created_after"]),
    ("a month that is none", "created_before=2026-13-01", ["created_before"]),
    ("a long tag", "tag=" + "x" * 200, ["tag"]),
    ("a cursor of nothing", "cursor=", ["cursor"]),
]


@pytest.mark.parametrize(("query", "fields"), [q[1:] for q in QUERIES], ids=[q[0] for q in QUERIES])
def test_a_bad_query_is_refused_and_names_its_parameter(client: Client, query: str, fields: list[str]) -> None:
    answer = client.get(f"/v1/contacts?{query}")
    assert (answer.status, answer.code, answer.fields) == (400, "bad_request", fields)


def test_a_query_that_is_no_text_is_refused(client: Client) -> None:
    answer = client.get("/v1/contacts", query={"email": "\udcff"})
    assert (answer.status, answer.fields) == (400, ["email"])


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json"]
)
def test_another_content_type_is_refused(client: Client, content_type: str) -> None:
    body = json.dumps({"email": "a@x.io"}).encode()
    answer = client.post("/v1/contacts", body, content_type=content_type)
    assert (answer.status, answer.code) == (400, "bad_request")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_is_json_in_any_case_and_with_parameters(client: Client, content_type: str) -> None:
    answer = client.post("/v1/contacts", {"email": "a@x.io"}, content_type=content_type)
    assert answer.status == 201


def test_a_body_over_1_mb_is_refused(client: Client) -> None:
    answer = client.post("/v1/contacts", {"email": "a@x.io", "traits": {"x": "y" * 1_048_576}})
    assert (answer.status, answer.code) == (413, "payload_too_large")


@pytest.mark.parametrize(
    "contact_id", ["x", "cntct_", "cntct_zzzzzzzzzzzzzzzzzzzzzzzzzz", "%00", "..", "a" * 300, "%F0%9F%98%80"]
)
def test_an_id_that_cannot_be_is_not_found(client: Client, contact_id: str) -> None:
    for method in ("GET", "DELETE"):
        assert client.request(method, f"/v1/contacts/{contact_id}").status == 404
    assert client.patch(f"/v1/contacts/{contact_id}", {}).status == 404
