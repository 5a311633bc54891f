"""Bodies, headers, encodings, numbers, Unicode, depths and sizes that ingest refuses: by name, and without a trace."""

import base64
import gzip
import json
from typing import Any

import pytest

from chalicelib.flows.create_project import CreatedProject
from tests.support import ingest_queue
from tests.support.client import Client

U: dict[str, Any] = {"user_id": "u"}
T: dict[str, Any] = {"user_id": "u", "event": "e"}


def deep(levels: int) -> bytes:
    return b'{"user_id":"u","event":"e","properties":' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n\t ",
    "no JSON": b"user_id=u&event=e",
    "cut off": b'{"user_id": "u", "event": "e"',
    "trailing comma": b'{"user_id": "u",}',
    "two values": b"{}{}",
    "single quotes": b"{'user_id': 'u'}",
    "comment": b'{"user_id": "u" /* me */}',
    "NaN": b'{"user_id": "u", "event": "e", "properties": {"a": NaN}}',
    "Infinity": b'{"user_id": "u", "event": "e", "properties": {"a": Infinity}}',
    "minus Infinity": b'{"user_id": "u", "event": "e", "properties": {"a": -Infinity}}',
    "a number out of range": b'{"user_id": "u", "event": "e", "properties": {"a": 1e999}}',
    "an integer of 400 digits": b'{"user_id": "u", "event": "e", "properties": {"a": ' + b"9" * 400 + b"}}",
    "leading zero": b'{"user_id": 007}',
    "a bare control character": b'{"user_id": "a\x01b"}',
    "bad escape": b'{"user_id": "\\q"}',
    "Latin-1": '{"user_id": "é"}'.encode("latin-1"),
    "UTF-16": '{"user_id": "u", "event": "e"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + b'{"user_id": "u", "event": "e"}',
    "overlong UTF-8": b'{"user_id": "\xc0\xaf"}',
    "10,000 levels": b"[" * 10_000 + b"]" * 10_000,
    "gzip that is cut off": gzip.compress(json.dumps(T).encode())[:-12],
    "gzip of garbage": gzip.compress(b"garbage"),
    "gzip with a bad checksum": gzip.compress(json.dumps(T).encode())[:-8] + b"\0" * 8,
    "gzip of gzip": gzip.compress(gzip.compress(json.dumps(T).encode())),
    "only the magic of gzip": b"\x1f\x8b",
}

TOO_LARGE: dict[str, bytes] = {
    "over 500 KB": json.dumps({"user_id": "u", "pad": "x" * 500 * 1024}).encode(),
    "over 500 KB unpacked": gzip.compress(json.dumps({"user_id": "u", "pad": "x" * 500 * 1024}).encode()),
    "a bomb": gzip.compress(b"0" * 20_000_000),
}

RULES: dict[str, tuple[str, Any, str]] = {
    "an array": ("track", [T], ""),
    "a string": ("track", "event", ""),
    "a number": ("identify", 5, ""),
    "null": ("page", None, ""),
    "true": ("screen", True, ""),
    "nobody": ("track", {"event": "e"}, "user_id"),
    "nobody but null": ("track", {"event": "e", "user_id": None, "anonymousId": None}, "user_id"),
    "nobody but blank": ("identify", {"user_id": "", "anonymous_id": "  "}, "user_id"),
    "a user id that is an object": ("identify", {"user_id": {"id": 1}}, "user_id"),
    "a user id that is a list": ("identify", {"userId": ["u"]}, "userId"),
    "a user id that is true": ("identify", {"user_id": True}, "user_id"),
    "a user id that is a fraction": ("identify", {"user_id": 1.5}, "user_id"),
    "a user id of 257 bytes": ("identify", {"user_id": "x" * 257}, "user_id"),
    "a user id of 129 two-byte letters": ("identify", {"user_id": "é" * 129}, "user_id"),
    "a user id of 65 emoji": ("identify", {"user_id": "😀" * 65}, "user_id"),
    "NUL in a user id": ("identify", {"user_id": "a\0b"}, "user_id"),
    "a line break in an anonymous id": ("identify", {"anonymous_id": "a\nb"}, "anonymous_id"),
    "a message id that is an object": ("track", T | {"message_id": {}}, "message_id"),
    "a message id of 257 bytes": ("track", T | {"messageId": "x" * 257}, "messageId"),
    "NUL in a message id": ("track", T | {"message_id": "\0"}, "message_id"),
    "no event": ("track", U, "event"),
    "null event": ("track", U | {"event": None}, "event"),
    "blank event": ("track", U | {"event": " \t"}, "event"),
    "an event that is a number": ("track", U | {"event": 5}, "event"),
    "an event that is a list": ("track", U | {"event": ["e"]}, "event"),
    "an event of 257 bytes": ("track", U | {"event": "x" * 257}, "event"),
    "NUL in an event": ("track", U | {"event": "a\0"}, "event"),
    "a reserved event": ("track", U | {"event": "$identify"}, "event"),
    "a reserved event that is not there": ("track", U | {"event": "$made_up"}, "event"),
    "a page view of a numeric url": ("track", U | {"event": "$page_view", "properties": {"url": 5}}, "properties.url"),
    "a page of a numeric title": ("page", U | {"properties": {"title": 5}}, "properties.title"),
    "a screen whose name is a list": ("screen", U | {"name": ["Home"]}, "name"),
    "properties that are a list": ("track", T | {"properties": []}, "properties"),
    "properties that are text": ("track", T | {"properties": "a=1"}, "properties"),
    "traits that are a number": ("identify", U | {"traits": 1}, "traits"),
    "traits of the context that are text": ("identify", U | {"context": {"traits": "x"}}, "context.traits"),
    "a context that is false": ("track", T | {"context": False}, "context"),
    "a reserved trait": ("identify", U | {"traits": {"$last_touch": {}}}, "traits.$last_touch"),
    "a blank trait": ("identify", U | {"traits": {" ": 1}}, "traits. "),
    "NUL in a trait's name": ("identify", U | {"traits": {"a\0b": 1}}, "traits.a\0b"),
    "a trait's name of 257 bytes": ("identify", U | {"traits": {"x" * 257: 1}}, "traits." + "x" * 64),
    "a reserved trait of a group": ("group", U | {"group_id": "g", "traits": {"$a": 1}}, "traits.$a"),
    "257 properties": ("track", T | {"properties": {str(n): n for n in range(257)}}, "properties"),
    "nine levels of properties": ("track", json.loads(deep(9)), "properties.a"),
    "a hundred levels": ("track", json.loads(deep(100)), "properties.a"),
    "nine levels of lists": ("track", T | {"context": {"a": [[[[[[[[1]]]]]]]]}}, "context.a"),
    "a value over 10 KB": ("track", T | {"properties": {"long": "x" * 10_240}}, "properties.long"),
    "a trait over 10 KB": ("identify", U | {"traits": {"long": "é" * 5_120}}, "traits.long"),
    "an event over 32 KB": ("track", T | {"properties": {str(n): "x" * 9_000 for n in range(4)}}, "properties"),
    "a timestamp that is none": ("track", T | {"timestamp": "now"}, "timestamp"),
    "a timestamp in Unix seconds": ("track", T | {"timestamp": 1771840800}, "timestamp"),
    "a timestamp of the 30th of February": ("track", T | {"timestamp": "2026-02-30T00:00:00Z"}, "timestamp"),
    "a timestamp before 1970": ("track", T | {"timestamp": "1969-12-31T23:59:59.999Z"}, "timestamp"),
    "an original timestamp that is none": ("track", T | {"originalTimestamp": "then"}, "originalTimestamp"),
    "a group without its id": ("group", U, "group_id"),
    "a group of nobody": ("group", {"group_id": "g"}, "user_id"),
    "an alias without the new id": ("alias", {"previous_id": "p"}, "user_id"),
    "an alias without the old id": ("alias", U, "previous_id"),
    "no batch": ("batch", {}, "batch"),
    "a batch that is an object": ("batch", {"batch": {}}, "batch"),
    "an empty batch": ("batch", {"batch": []}, "batch"),
    "501 items": ("batch", {"batch": [{}] * 501}, "batch"),
    "a context that 500 events would repeat": (
        "batch",
        {"batch": [T | {"type": "track"}] * 500, "context": {"a": "x" * 5_000, "b": "x" * 6_000}},
        "context",
    ),
    "a batch with a context that is text": ("batch", {"batch": [{}], "context": "x"}, "context"),
    "an import of 501 items": ("import", {"batch": [1] * 501}, "batch"),
}

ITEMS: dict[str, tuple[Any, str]] = {
    "null": (None, "batch.1"),
    "a list": ([], "batch.1"),
    "text": ("track", "batch.1"),
    "no type": (T, "batch.1.type"),
    "an unknown type": (T | {"type": "purchase"}, "batch.1.type"),
    "a type that is a list": (T | {"type": ["track"]}, "batch.1.type"),
    "a batch in a batch": ({"type": "batch", "batch": []}, "batch.1.type"),
    "nobody": ({"type": "track", "event": "e"}, "batch.1.user_id"),
    "no event": (U | {"type": "track"}, "batch.1.event"),
    "too large": (T | {"type": "track", "properties": {str(n): "x" * 9_000 for n in range(4)}}, "batch.1.properties"),
    "a hundred levels": (json.loads(deep(100)) | {"type": "track"}, "batch.1.properties.a"),
    "too deep": (json.loads(deep(9)) | {"type": "track"}, "batch.1.properties.a"),
}


@pytest.fixture
def ingest(project: CreatedProject) -> Client:
    ingest_queue.empty()
    return Client(project.write_key)


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_json_is_400(ingest: Client, body: bytes) -> None:
    answer = ingest.post("/v1/track", body)

    assert (answer.status, answer.code, answer.json["code"]) == (400, "bad_request", "bad_request"), answer.text
    assert answer.json["message"] == answer.json["error"]["message"]
    assert ingest_queue.size() == 0


@pytest.mark.parametrize("body", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_what_is_too_large_is_413(ingest: Client, body: bytes) -> None:
    answer = ingest.post("/v1/track", body)

    assert (answer.status, answer.code) == (413, "payload_too_large")
    assert ingest_queue.size() == 0


@pytest.mark.parametrize(("kind", "body", "field"), RULES.values(), ids=RULES.keys())
def test_what_breaks_a_rule_is_422_and_named(ingest: Client, kind: str, body: Any, field: str) -> None:
    answer = ingest.post(f"/v1/{kind}", json.dumps(body).encode())

    assert (answer.status, answer.code, answer.json["code"]) == (422, "validation_error", "validation_error"), (
        answer.text
    )
    assert answer.fields == [field]
    assert ingest_queue.size() == 0


@pytest.mark.parametrize(("item", "field"), ITEMS.values(), ids=ITEMS.keys())
def test_an_item_that_breaks_a_rule_is_named_and_refuses_no_other(ingest: Client, item: Any, field: str) -> None:
    sound = {"type": "page", "anonymous_id": "a"}

    answer = ingest.post("/v1/batch", {"batch": [sound, item, sound]})

    assert answer.status == 202
    assert [entry["status"] for entry in answer.json["items"]] == [202, 422, 202]
    assert [entry["field"] for entry in answer.json["items"][1]["error"]["details"]] == [field]
    assert len(ingest_queue.events()) == 2


AUTHORIZATIONS: dict[str, str] = {
    "no scheme": "gos_wk_x",
    "an unknown scheme": "Digest abc",
    "an unknown key": "Bearer gos_wk_" + "x" * 40,
    "an empty bearer": "Bearer ",
    "Basic that is no base64": "Basic ***",
    "Basic that is no UTF-8": "Basic " + base64.b64encode(b"\xff\xfe:").decode(),
    "Basic without a key": "Basic " + base64.b64encode(b":").decode(),
    "a key of a megabyte": "Bearer " + "x" * 1_000_000,
}


@pytest.mark.parametrize("value", AUTHORIZATIONS.values(), ids=AUTHORIZATIONS.keys())
def test_a_bad_credential_is_401(ingest: Client, value: str) -> None:
    answer = ingest.post("/v1/track", T, headers={"Authorization": value})

    assert (answer.status, answer.code, answer.json["code"]) == (401, "unauthenticated", "unauthenticated")
    assert ingest_queue.size() == 0


def test_a_secret_key_in_the_url_is_401(ingest: Client, project: CreatedProject) -> None:
    answer = ingest.post("/v1/track", T, key="", query={"writeKey": project.secret_key})

    assert answer.status == 401
    assert ingest_queue.size() == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_405(ingest: Client, method: str) -> None:
    answer = ingest.request(method, "/v1/track")

    assert (answer.status, answer.headers["allow"]) == (405, "OPTIONS, POST")


def test_unusual_but_sound_text_is_kept(ingest: Client) -> None:
    text = "a\u0000b 😀 \u202e ﷽ é"
    raw = json.dumps(T | {"properties": {text: text}, "user_id": "😀" * 64}).encode()

    assert ingest.post("/v1/track", raw).status == 202
    (event,) = ingest_queue.events()
    assert event["properties"] == {text: text}


def test_large_and_small_numbers_are_kept(ingest: Client) -> None:
    numbers = {"big": 10**300, "small": -5e-324, "long": 0.1 + 0.2, "zero": -0.0}

    assert ingest.post("/v1/track", T | {"properties": numbers}).status == 202
    (event,) = ingest_queue.events()
    assert event["properties"] == numbers
