"""What a management endpoint makes of a body."""

import gzip
from typing import Any

import pytest

from chalicelib.flows.create_project import CreatedProject
from tests.support.client import Client
from tests.support.probe import probe


@pytest.fixture
def caller(project: CreatedProject) -> Client:
    return Client(project.secret_key, app=probe)


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", "application/json ;x=y"]
)
def test_json_is_known_in_any_case_and_with_any_parameter(caller: Client, content_type: str) -> None:
    assert caller.post("/v1/things", {"name": "ab"}, content_type=content_type).status == 201


@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "\udcff"]
)
def test_another_content_type_is_400(caller: Client, content_type: str | None) -> None:
    response = caller.post("/v1/things", {"name": "ab"}, content_type=content_type)
    assert (response.status, response.code) == (400, "bad_request")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"{",
        b"{'name':1}",
        b'{"name":"ab"} x',
        b'{"name":"ab",}',
        b'{"name":"\xff"}',
        b'{"name":"\\ud800ab"}',
        b'{"ratio":NaN,"name":"ab"}',
        b'{"ratio":Infinity,"name":"ab"}',
        b'{"ratio":1e999,"name":"ab"}',
        b'{"count":' + b"9" * 400 + b',"name":"ab"}',
        b"[" * 100_000,
        b'{"a":' * 70 + b"1" + b"}" * 70,
        "{}".encode("utf-16"),
        b"\x1f\x8b\x08\x00broken",
    ],
)
def test_a_malformed_body_is_400(caller: Client, body: bytes) -> None:
    response = caller.post("/v1/things", body)
    assert (response.status, response.code) == (400, "bad_request")


@pytest.mark.parametrize("body", [[], "text", 1, None, True])
def test_a_root_that_is_no_object_is_422(caller: Client, body: Any) -> None:
    response = caller.post("/v1/things", b"null" if body is None else body)
    assert (response.status, response.fields) == (422, [""])


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["name"]),
        ({"name": "a"}, ["name"]),
        ({"name": 7}, ["name"]),
        ({"name": "ab", "count": "1"}, ["count"]),
        ({"name": "ab", "count": 1.5}, ["count"]),
        ({"name": "ab", "count": True}, ["count"]),
        ({"name": "ab", "ratio": "0.5"}, ["ratio"]),
        ({"name": "ab", "extra": 1}, ["extra"]),
        ({"name": "ab", "rules": [{"value": 1}, {"value": "x"}]}, ["rules.1.value"]),
        ({"name": "ab", "rules": [{"value": 1, "deep": {}}]}, ["rules.0.deep"]),
        ({"name": "ab", "rules": [{}]}, ["rules.0.value"]),
        ({"name": "ab", "rules": {"0": 1}}, ["rules"]),
        ({"name": "ab", "either": [{"value": "x"}]}, ["either", "either.0.value"]),
        ({"name": "", "count": "x"}, ["name", "count"]),
    ],
)
def test_a_broken_rule_is_422_with_the_dotted_path_of_each_field(
    caller: Client, body: dict[str, Any], fields: list[str]
) -> None:
    response = caller.post("/v1/things", body)
    assert (response.status, response.code) == (422, "validation_error")
    assert response.fields == fields


def test_a_refusal_repeats_no_value_and_names_no_library(caller: Client) -> None:
    response = caller.post("/v1/things", {"name": 1, "count": "alice@example.com"})
    assert "alice@example.com" not in response.text
    assert "pydantic" not in response.text


def test_a_gzip_body_is_unpacked(caller: Client) -> None:
    body = gzip.compress(b'{"name":"packed"}')
    assert caller.post("/v1/things", body).json["said"].startswith("packed")


def test_a_bomb_is_413(caller: Client) -> None:
    assert caller.post("/v1/things", gzip.compress(b" " * 50_000_000)).status == 413


def test_thousands_of_faults_make_a_bounded_answer(caller: Client) -> None:
    response = caller.post("/v1/things", {"name": "ab"} | {f"extra{n}": n for n in range(5_000)})
    assert (response.status, len(response.fields)) == (422, 100)
