"""How paths find resources, and how HTTP becomes an event and an answer becomes HTTP."""

from __future__ import annotations

import base64
import json

import pytest

from chalicelib.core import ids
from infra.local import gateway
from infra.local.gateway import HttpRequest, Match, ResourceTree


def request(
    method: str = "POST",
    path: str = "/v1/contacts",
    query: str = "",
    headers: gateway.Headers = (),
    body: bytes = b"",
) -> HttpRequest:
    return HttpRequest(method, path, query, headers, body, "203.0.113.9")


@pytest.fixture
def tree() -> ResourceTree:
    return ResourceTree(
        [
            "/",
            "/v1/entries",
            "/v1/entries/{entry_id}",
            "/v1/entries/{entry_id}/approve",
            "/v1/entries/approve-batch",
            "/v1/entries/approve-batch/now",
            "/{proxy+}",
        ]
    )


@pytest.mark.parametrize(
    ("path", "resource", "parameters"),
    [
        ("/", "/", {}),
        ("/v1/entries", "/v1/entries", {}),
        ("/v1/entries/", "/v1/entries", {}),
        ("/v1/entries/approve-batch", "/v1/entries/approve-batch", {}),
        ("/v1/entries/wl_1", "/v1/entries/{entry_id}", {"entry_id": "wl_1"}),
        ("/v1/entries/approve-batch/approve", "/v1/entries/{entry_id}/approve", {"entry_id": "approve-batch"}),
        ("/v1/entries/a%2Fb", "/v1/entries/{entry_id}", {"entry_id": "a%2Fb"}),
        ("/v1/entries/wl_1/other", "/{proxy+}", {"proxy": "v1/entries/wl_1/other"}),
        ("/nowhere", "/{proxy+}", {"proxy": "nowhere"}),
        ("/v1//x", "/{proxy+}", {"proxy": "v1//x"}),
    ],
)
def test_a_fixed_segment_beats_a_variable_and_the_rest_is_greedy(
    tree: ResourceTree, path: str, resource: str, parameters: dict[str, str]
) -> None:
    assert tree.find(path) == Match(resource, parameters)


def test_a_path_without_a_resource_has_no_match() -> None:
    assert ResourceTree(["/v1/a"]).find("/v1/b") is None


def test_two_names_for_one_position_are_refused() -> None:
    with pytest.raises(ValueError, match="already called"):
        ResourceTree(["/v1/a/{a_id}", "/v1/a/{other}/x"])


def test_an_event_has_what_api_gateway_sends() -> None:
    found = Match("/v1/contacts/{contact_id}", {"contact_id": "c%201"})
    sent = request(
        "PATCH", "/v1/contacts/c%201", "a=1&a=2&b=%20&c=", [("X-A", "1"), ("X-A", "2"), ("user-agent", "t")], b"{}"
    )
    event = gateway.to_event(sent, found, "id-1")
    assert event["resource"] == event["requestContext"]["resourcePath"] == "/v1/contacts/{contact_id}"
    assert event["path"] == "/v1/contacts/c%201"
    assert event["httpMethod"] == event["requestContext"]["httpMethod"] == "PATCH"
    assert event["headers"] == {"X-A": "2", "user-agent": "t"}
    assert event["multiValueHeaders"] == {"X-A": ["1", "2"], "user-agent": ["t"]}
    assert event["queryStringParameters"] == {"a": "2", "b": " ", "c": ""}
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": [" "], "c": [""]}
    assert event["pathParameters"] == {"contact_id": "c%201"}
    assert event["requestContext"]["requestId"] == "id-1"
    assert event["requestContext"]["identity"]["sourceIp"] == "203.0.113.9"
    assert (event["body"], event["isBase64Encoded"]) == ("{}", False)


def test_what_is_absent_is_none_in_the_event() -> None:
    event = gateway.to_event(request("GET"), Match("/v1/contacts", {}))
    absent = ("queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "stageVariables", "body")
    assert [event[name] for name in absent] == [None] * len(absent)


def test_a_body_that_is_no_text_goes_as_base64() -> None:
    event = gateway.to_event(request(body=b"\x1f\x8b\xff"), Match("/v1/contacts", {}))
    assert event["isBase64Encoded"]
    assert base64.b64decode(event["body"]) == b"\x1f\x8b\xff"


def test_an_answer_becomes_a_response_with_its_length() -> None:
    response = gateway.from_answer({"statusCode": 201, "headers": {"X-Id": 7}, "body": "ä"}, "POST")
    assert (response.status, response.body) == (201, "ä".encode())
    assert dict(response.headers) == {"X-Id": "7", "Content-Length": "2"}


def test_repeated_headers_of_an_answer_are_all_sent() -> None:
    answer = {"statusCode": 200, "headers": {"A": "0"}, "multiValueHeaders": {"a": ["1", "2"]}, "body": ""}
    assert [pair for pair in gateway.from_answer(answer, "GET").headers if pair[0] == "a"] == [("a", "1"), ("a", "2")]


def test_head_has_the_length_but_not_the_body() -> None:
    response = gateway.from_answer({"statusCode": 200, "body": "12345"}, "HEAD")
    assert (response.body, dict(response.headers)["Content-Length"]) == (b"", "5")


@pytest.mark.parametrize("status", [204, 304])
def test_a_bodiless_status_has_neither_body_nor_length(status: int) -> None:
    answer = {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": "null"}
    response = gateway.from_answer(answer, "GET")
    assert (response.body, list(response.headers)) == (b"", [])


def test_a_binary_answer_is_decoded() -> None:
    encoded = base64.b64encode(b"GIF89a\x00").decode()
    answer = {"statusCode": 200, "body": encoded, "isBase64Encoded": True}
    assert gateway.from_answer(answer, "GET").body == b"GIF89a\x00"


@pytest.mark.parametrize("answer", [{}, {"statusCode": None}, {"statusCode": "x"}])
def test_a_malformed_answer_is_told(answer: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"malformed|invalid literal"):
        gateway.from_answer(answer, "GET")


def test_what_the_gateway_answers_itself_has_our_error_shape() -> None:
    response = gateway.own_response("REQUEST_TOO_LARGE")
    body = json.loads(response.body)
    assert (response.status, body["error"]["code"], body["code"]) == (413, "payload_too_large", "payload_too_large")
    headers = dict(response.headers)
    assert headers["X-Request-Id"] == body["request_id"]
    assert ids.is_id("req", body["request_id"])
    assert headers["Access-Control-Allow-Origin"] == "*"


def test_where_the_gateway_says_to_wait_it_says_how_long() -> None:
    assert dict(gateway.own_response("INTEGRATION_TIMEOUT").headers)["Retry-After"] == "1"
