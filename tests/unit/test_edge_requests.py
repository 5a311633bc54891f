"""The request as made from events that API Gateway sends, whole and with parts missing."""

import base64
import gzip
from typing import Any

import pytest

from chalicelib.core.errors import BadRequest, PayloadTooLarge
from chalicelib.edge import requests


def request_of(**event: Any) -> requests.Request:
    context = {"httpMethod": "post", "resourcePath": "/v1/track", "identity": {"sourceIp": "203.0.113.7"}}
    return requests.from_event({"path": "/v1/track", "requestContext": context} | event, "req_1")


def test_headers_are_lower_case_and_every_query_value_is_kept() -> None:
    request = request_of(headers={"X-Thing": "a"}, multiValueQueryStringParameters={"tag": ["x", "y"]})
    assert (request.method, request.headers, request.query) == ("POST", {"x-thing": "a"}, {"tag": ["x", "y"]})
    assert (request.source_ip, request.route, request.request_id) == ("203.0.113.7", "/v1/track", "req_1")


@pytest.mark.parametrize("event", [{}, {"headers": None, "body": None, "requestContext": None}])
def test_an_event_with_nothing_in_it_is_an_empty_request(event: dict[str, Any]) -> None:
    request = requests.from_event(event, "req_1")
    assert (request.headers, request.query, request.open_body(10)) == ({}, {}, b"")


@pytest.mark.parametrize(
    ("body", "is_base64"),
    [("é", False), (base64.b64encode("é".encode()).decode(), True), ("", False)],
)
def test_a_body_is_bytes_whatever_form_it_came_in(body: str, is_base64: bool) -> None:
    expected = "é".encode() if body else b""
    assert request_of(body=body, isBase64Encoded=is_base64).open_body(100) == expected


@pytest.mark.parametrize(("body", "is_base64"), [("***", True), ("é", True), ("\ud800", False)])
def test_a_body_that_can_not_be_bytes_is_a_bad_request(body: str, is_base64: bool) -> None:
    with pytest.raises(BadRequest):
        request_of(body=body, isBase64Encoded=is_base64).open_body(100)


def packed(raw: bytes) -> dict[str, Any]:
    return {"body": base64.b64encode(raw).decode(), "isBase64Encoded": True}


def test_gzip_of_several_members_is_one_body() -> None:
    raw = gzip.compress(b"[1,") + gzip.compress(b"2]")
    request = request_of(**packed(raw))
    request.open_body(100)
    assert request.json() == [1, 2]


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_gzip_cut_short_is_a_bad_request(cut: int) -> None:
    with pytest.raises(BadRequest):
        request_of(**packed(gzip.compress(b"hello" * 50)[:-cut])).open_body(1_000)


def test_what_is_over_the_limit_unpacked_is_too_large() -> None:
    with pytest.raises(PayloadTooLarge):
        request_of(**packed(gzip.compress(b"x" * 101))).open_body(100)


def test_a_bomb_is_not_unpacked_past_the_limit() -> None:
    request = request_of(**packed(gzip.compress(b"\0" * 500_000)))
    with pytest.raises(PayloadTooLarge):
        request.open_body(1_000)
    assert len(request.payload) == 1_001


def test_the_body_is_parsed_once() -> None:
    request = request_of(body='{"a":1}')
    request.open_body(100)
    assert request.json() is request.json()


@pytest.mark.parametrize(
    ("context", "address"),
    [
        ({"domainName": "x.execute-api.test", "path": "/api/v1/track"}, "https://x.execute-api.test/api"),
        ({"domainName": "api.acme.test", "path": "/v1/track"}, "https://api.acme.test"),
        ({"path": "/v1/track"}, ""),
        ({"domainName": "api.acme.test", "path": "/elsewhere"}, "https://api.acme.test"),
    ],
)
def test_the_address_of_the_api_is_what_the_gateway_says_and_not_the_caller(
    context: dict[str, str], address: str
) -> None:
    assert request_of(requestContext=context, headers={"Host": "evil.test"}).reached_at == address
