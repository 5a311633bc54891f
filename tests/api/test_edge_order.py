"""The order of the checks, and each row of the contract's table of errors."""

from typing import Any

import pytest

from chalicelib.flows.create_project import CreatedProject
from tests.support.client import Client, Response
from tests.support.keys import key_with
from tests.support.probe import SECRET_OF_THE_SERVER, probe

UNKNOWN_KEY = "gos_sk_live_" + "A" * 43


@pytest.fixture
def caller(project: CreatedProject) -> Client:
    return Client(project.secret_key, app=probe)


def assert_error(response: Response, status: int, code: str) -> None:
    assert (response.status, response.code) == (status, code)
    assert set(response.json["error"]) == {"code", "message", "details"}
    assert response.json["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize("path", ["/", "/nope", "/v1", "/v1/things/a/b/c", "/v2/things"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "PUT", "TRACE", "FOO"])
def test_an_unknown_path_is_404(caller: Client, path: str, method: str) -> None:
    assert_error(caller.request(method, path), 404, "not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "FOO"])
def test_a_method_that_the_path_does_not_serve_is_405_with_allow(caller: Client, method: str) -> None:
    response = caller.request(method, "/v1/things/a")
    assert_error(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET"


@pytest.mark.parametrize("key", ["", "nonsense", UNKNOWN_KEY, "gos_sk_live_", "gos_sk_live_" + "é" * 40, "x" * 20_000])
def test_a_key_that_we_never_made_is_401(caller: Client, key: str) -> None:
    response = caller.get("/v1/things/a", headers={"Authorization": f"Bearer {key}"})
    assert_error(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["", "Bearer", "Token abc", "Basic %%%", "Basic w6k=", "Bearer\tx", "\udcff\udcfe"])
def test_a_malformed_authorization_is_401(caller: Client, header: str) -> None:
    assert_error(caller.get("/v1/things/a", headers={"Authorization": header}), 401, "unauthenticated")


def test_no_key_is_401(caller: Client) -> None:
    assert_error(caller.get("/v1/things/a", key=""), 401, "unauthenticated")


def test_a_write_key_on_management_is_401(caller: Client, project: CreatedProject) -> None:
    assert_error(caller.get("/v1/things/a", key=project.write_key), 401, "unauthenticated")


@pytest.mark.parametrize("shape", ["{}", "Bearer {}", " {}", "x,{}"])
@pytest.mark.parametrize("path", ["/v1/things/a", "/v1/decide"])
def test_a_secret_key_in_the_url_is_401_even_with_a_good_header(
    caller: Client, project: CreatedProject, path: str, shape: str
) -> None:
    text = shape.format(project.secret_key)
    for query in ({"api_key": text}, {text: "1"}):
        response = caller.get(path, query=query)
        assert_error(response, 401, "unauthenticated")
        assert project.secret_key not in response.text


def test_a_write_key_in_the_url_of_a_management_call_is_401(caller: Client, project: CreatedProject) -> None:
    for query in ({"writeKey": project.write_key}, {project.write_key: ""}):
        response = caller.get("/v1/things/a", query=query)
        assert_error(response, 401, "unauthenticated")
        assert project.write_key not in response.text


def test_no_refusal_shows_a_key_that_came_as_a_fields_name(caller: Client, project: CreatedProject) -> None:
    for key in (project.secret_key, project.write_key):
        response = caller.post("/v1/things", {"name": "ab", key: 1})
        assert (response.status, response.fields) == (422, ["gos_***"])
        assert key not in response.text


def test_a_scheme_is_read_in_any_case(caller: Client, project: CreatedProject) -> None:
    response = caller.get("/v1/things/a", headers={"Authorization": f"bEARER  {project.secret_key}"})
    assert response.status == 200


def test_a_missing_scope_is_403_and_names_both_sides(caller: Client, client: Client) -> None:
    weak = key_with(client, "contacts:read", "events:read")
    response = caller.post("/v1/things", {"name": "x"}, key=weak)
    assert_error(response, 403, "insufficient_scope")
    assert response.json["error"]["details"] == [
        {"required_scope": "contacts:write", "granted_scopes": ["contacts:read", "events:read"]}
    ]


def test_write_does_not_include_read(caller: Client, client: Client) -> None:
    assert caller.get("/v1/things/a", key=key_with(client, "contacts:write")).status == 403


def test_a_body_over_one_megabyte_is_413(caller: Client) -> None:
    assert_error(caller.post("/v1/things", b'"' + b"x" * 1024 * 1024 + b'"'), 413, "payload_too_large")


def test_a_body_of_exactly_one_megabyte_is_read(caller: Client) -> None:
    body = b'{"name":"ab"}'.ljust(1024 * 1024)
    assert caller.post("/v1/things", body).status == 201


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [("conflict", 409, "conflict"), ("unavailable", 503, "unavailable"), ("limited", 429, "rate_limited")],
)
def test_an_error_of_a_service_is_told_as_it_is(caller: Client, kind: str, status: int, code: str) -> None:
    assert_error(caller.post(f"/v1/failures/{kind}"), status, code)


def test_unavailable_says_when_to_try_again(caller: Client) -> None:
    assert caller.post("/v1/failures/unavailable").headers["retry-after"] == "7"


@pytest.mark.parametrize("kind", ["bug", "lookup"])
def test_a_bug_is_500_and_tells_nothing(caller: Client, kind: str) -> None:
    response = caller.post(f"/v1/failures/{kind}")
    assert_error(response, 500, "internal_error")
    assert SECRET_OF_THE_SERVER not in response.text
    assert response.json["error"]["details"] == []


def test_an_answer_that_json_does_not_know_is_500_in_our_envelope(caller: Client) -> None:
    assert_error(caller.get("/v1/unserialisable"), 500, "internal_error")


def test_a_public_page_needs_no_key(caller: Client) -> None:
    response = caller.get("/page", key="", query={"utm_source": "x"})
    assert (response.status, response.text) == (200, "<p>hello</p>")
    assert response.headers["content-type"] == "text/html; charset=utf-8"


def test_every_response_has_its_own_request_id(caller: Client) -> None:
    ids = {caller.get(path).headers["x-request-id"] for path in ("/v1/things/a", "/nope", "/page")}
    assert len(ids) == 3
    assert all(ident.startswith("req_") for ident in ids)


class TestOrder:
    """A call that breaks several rules is told of the first in the order."""

    def test_key_before_scope_size_and_validation(self, caller: Client) -> None:
        assert caller.post("/v1/things", b"x" * 2_000_000, key=UNKNOWN_KEY).status == 401

    def test_scope_before_allowlist(self, caller: Client, client: Client) -> None:
        weak = key_with(client, "contacts:read")
        client.patch("/v1/settings", {"ip_allowlist": [client.source_ip]})
        assert caller.post("/v1/things", {}, key=weak, source_ip="198.51.100.1").code == "insufficient_scope"

    def test_allowlist_before_size(self, caller: Client, client: Client) -> None:
        client.patch("/v1/settings", {"ip_allowlist": [client.source_ip]})
        strange = key_with(client, "contacts:write")
        body = b"x" * 2_000_000
        assert caller.post("/v1/things", body, key=strange, source_ip="198.51.100.1").code == "ip_not_allowed"

    def test_size_before_validation(self, caller: Client) -> None:
        assert caller.post("/v1/things", b"x" * 2_000_000, query={"nope": "1"}).status == 413

    def test_query_before_body(self, caller: Client) -> None:
        assert caller.post("/v1/things", {"bad": 1}, query={"nope": "1"}).status == 400

    def test_method_before_key(self, caller: Client) -> None:
        assert caller.request("PUT", "/v1/things", key=UNKNOWN_KEY).status == 405


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"limit": "1.5"}, "limit"),
        ({"limit": "1.0"}, "limit"),
        ({"limit": "1_0"}, "limit"),
        ({"limit": " 1"}, "limit"),
        ({"limit": "1\n"}, "limit"),
        ({"limit": "+1"}, "limit"),
        ({"limit": "1e1"}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"limit": "9" * 5_000}, "limit"),
        ({"limit": ""}, "limit"),
        ({"limit": ["1", "2"]}, "limit"),
        ({"unknown": "1"}, "unknown"),
        ({"tag": "\udcff"}, "tag"),
        ({"\udcff": "1"}, "?"),
    ],
)
def test_a_bad_query_parameter_is_400_and_named(caller: Client, query: dict[str, Any], field: str) -> None:
    response = caller.get("/v1/things/a", query=query)
    assert_error(response, 400, "bad_request")
    assert response.fields == [field]


def test_a_list_parameter_may_be_repeated(caller: Client) -> None:
    response = caller.get("/v1/things/a", query={"tag": ["x", "y"], "limit": 3})
    assert response.json["said"] == {"limit": 3, "tag": ["x", "y"], "thing_id": "a"}


@pytest.mark.parametrize("thing", ["a%2Fb", "a#b", "é", "x" * 3_000, "a b", "\udcff", "%00"])
def test_an_identifier_that_can_not_exist_is_404(caller: Client, thing: str) -> None:
    assert_error(caller.get(f"/v1/things/{thing}"), 404, "not_found")
