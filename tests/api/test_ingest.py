"""The ingest API as its clients see it."""

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from time_machine import Traveller

from chalicelib.core import clock, strict_json
from chalicelib.features.projects import service as projects
from chalicelib.flows import accept_events
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import aws, queues
from chalicelib.platform.keys import Tenant
from tests.support import ingest_queue
from tests.support.client import Client
from tests.support.ingest_queue import Calls

CALLS: dict[str, dict[str, Any]] = {
    "identify": {"user_id": "u1", "traits": {"plan": "free"}},
    "track": {"user_id": "u1", "event": "signed_up"},
    "page": {"anonymous_id": "a1", "name": "Home"},
    "screen": {"anonymous_id": "a1", "name": "Home"},
    "group": {"user_id": "u1", "group_id": "g1"},
    "alias": {"user_id": "u1", "previous_id": "a1"},
}


@pytest.fixture
def ingest(project: CreatedProject) -> Client:
    """Calls with the write key; the queue is empty."""
    ingest_queue.empty()
    return Client(project.write_key)


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:".encode()).decode()}


@pytest.fixture
def standing() -> Iterator[Traveller]:
    """A clock that stands, so that no lease ends but where a test moves it on."""
    with time_machine.travel(clock.system_ms() // clock.SECOND, tick=False) as traveller:
        yield traveller


def warm(ingest: Client, standing: Traveller) -> None:
    """Call as a busy caller does, until this instance knows the key and has some of its rate in hand."""
    for _ in range(15):
        _cost(ingest, 12)
        standing.shift(0.1)
        _cost(ingest, 1)
        if _cost(ingest, 3) == 0:
            return
    raise AssertionError("a busy instance takes no lease")


def _cost(ingest: Client, calls: int) -> int:
    with Calls(aws.dynamodb()) as made:
        for _ in range(calls):
            ingest.post("/v1/track", CALLS["track"])
    return len(made.names)


@pytest.mark.parametrize("kind", CALLS)
def test_each_call_is_queued_once(ingest: Client, project: CreatedProject, kind: str) -> None:
    answer = ingest.post(f"/v1/{kind}", CALLS[kind])

    assert answer.status == 202, answer.text
    assert answer.json == {"success": True, "request_id": answer.headers["x-request-id"]}
    (message,) = ingest_queue.take()
    assert (message["v"], message["project"]) == (1, project.project_id)
    (event,) = message["events"]
    assert event["type"] == kind
    assert event["context"] == {"ip": "203.0.113.7"}


def test_basic_is_answered_with_200(ingest: Client, project: CreatedProject) -> None:
    answer = ingest.post("/v1/track", CALLS["track"], key="", headers=basic(project.write_key))

    assert (answer.status, answer.json["success"]) == (200, True)


@pytest.mark.parametrize("name", ["writeKey"])
def test_the_write_key_may_stand_in_the_url(ingest: Client, project: CreatedProject, name: str) -> None:
    assert ingest.post("/v1/track", CALLS["track"], key="", query={name: project.write_key}).status == 202


def test_a_secret_key_that_may_write_contacts_may_send(client: Client) -> None:
    ingest_queue.empty()

    assert client.post("/v1/track", CALLS["track"]).status == 202
    assert "context" not in ingest_queue.events()[0], "the address of a server is not the user's"


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "image/gif", "", None]
)
def test_the_content_type_does_not_matter(ingest: Client, content_type: str | None) -> None:
    assert ingest.post("/v1/track", CALLS["track"], content_type=content_type).status == 202


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {}])
def test_gzip_is_recognised_by_its_bytes(ingest: Client, headers: dict[str, str]) -> None:
    packed = gzip.compress(json.dumps(CALLS["track"]).encode())

    assert ingest.post("/v1/track", packed, headers=headers).status == 202


def test_a_gzip_header_on_plain_json_does_no_harm(ingest: Client) -> None:
    assert ingest.post("/v1/track", CALLS["track"], headers={"Content-Encoding": "gzip"}).status == 202


def test_any_origin_may_send(ingest: Client) -> None:
    answer = ingest.post("/v1/track", CALLS["track"], headers={"Origin": "https://acme.com"})
    preflight = ingest.request("OPTIONS", "/v1/track", key="", headers={"Origin": "https://acme.com"})

    assert answer.headers["access-control-allow-origin"] == "*"
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (204, "*")


def test_a_batch_tells_of_each_item(ingest: Client) -> None:
    answer = ingest.post("/v1/batch", {"batch": [{"type": "page", "userId": "u"}, {"type": "track", "userId": "u"}]})

    assert answer.status == 202
    good, bad = answer.json["items"]
    assert good == {"index": 0, "status": 202, "success": True, "error": None}
    assert (bad["index"], bad["status"], bad["success"]) == (1, 422, False)
    assert (bad["error"]["code"], bad["error"]["details"][0]["field"]) == ("validation_error", "batch.1.event")
    assert [event["type"] for event in ingest_queue.events()] == ["page"]


def test_an_import_is_marked_as_history(ingest: Client) -> None:
    body = {"batch": [{"type": "page", "userId": "u", "timestamp": "2020-01-01"}]}

    assert ingest.post("/v1/import", body).status == 202
    (event,) = ingest_queue.events()
    assert (event["historical"], event["timestamp"], event["given"]) == (True, 1577836800000, True)
    assert "context" not in event


def test_the_events_of_an_identity_keep_their_order(ingest: Client) -> None:
    items = [{"type": "track", "userId": f"u{n % 7}", "event": f"e{n:03}"} for n in range(200)]

    assert ingest.post("/v1/batch", {"batch": items}).status == 202
    queued = ingest_queue.events()
    for user in {event["user_id"] for event in queued}:
        names = [event["name"] for event in queued if event["user_id"] == user]
        assert names == sorted(names)
    assert len(queued) == 200
    assert len({event["id"] for event in queued}) == 200


@pytest.mark.parametrize("lanes", [1, 9, 10, 11, 25, 64])
def test_a_batch_is_one_sqs_call_for_each_ten_lanes_and_no_table_call(
    ingest: Client, standing: Traveller, lanes: int
) -> None:
    users: dict[str, str] = {}
    for n in range(2000):
        users.setdefault(_lane(f"user_{n}"), f"user_{n}")
    chosen = list(users.values())[:lanes]
    items = [{"type": "track", "userId": user, "event": "e"} for user in chosen for _ in range(500 // lanes)]
    warm(ingest, standing)

    with Calls(aws.sqs(), aws.dynamodb()) as calls:
        answer = ingest.post("/v1/batch", {"batch": items})

    assert answer.status == 202
    assert calls.names == ["SendMessageBatch"] * -(-lanes // 10)


def test_a_full_batch_of_one_lane_is_one_sqs_call(ingest: Client, standing: Traveller) -> None:
    item = {"type": "track", "userId": "u", "event": "e", "properties": {"text": "x" * 900}}
    warm(ingest, standing)

    with Calls(aws.sqs(), aws.dynamodb()) as calls:
        assert ingest.post("/v1/batch", {"batch": [item] * 500}).status == 202

    assert calls.names == ["SendMessageBatch"]


def test_what_a_batchs_context_multiplies_is_split_in_order(ingest: Client) -> None:
    context = {f"c{n}": "x" * 9_000 for n in range(3)}
    items = [{"type": "track", "userId": "u", "event": f"e{n:03}"} for n in range(100)]

    assert ingest.post("/v1/batch", {"batch": items, "context": context}).status == 202
    messages = ingest_queue.take()
    assert len(messages) == 4
    assert [event["name"] for message in messages for event in message["events"]] == [item["event"] for item in items]


def test_an_event_that_could_not_be_queued_is_503(ingest: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "send_fifo", lambda _url, messages: [False] * len(messages))

    answer = ingest.post("/v1/track", CALLS["track"])

    assert (answer.status, answer.code, answer.json["code"]) == (503, "unavailable", "unavailable")
    assert answer.headers["retry-after"] == "1"


def test_a_batch_of_which_a_part_could_not_be_queued_is_503_with_its_items(
    ingest: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "send_fifo", lambda _url, messages: [True] + [False] * (len(messages) - 1))
    items = [{"type": "page", "userId": user} for user in ("u1", "u2", "u1")] + [{"type": "page"}]

    answer = ingest.post("/v1/batch", {"batch": items})

    assert (answer.status, answer.code, answer.json["code"]) == (503, "unavailable", "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert answer.json["success"] is False
    assert [item["status"] for item in answer.json["items"]] == [202, 503, 202, 422]
    assert answer.json["request_id"] == answer.headers["x-request-id"]


def test_decide_answers_its_shape(ingest: Client) -> None:
    for query in ({"user_id": "u"}, {"anonymousId": "a"}, {"userId": "u", "anything": "else"}):
        answer = ingest.get("/v1/decide", query=query)

        assert answer.status == 200
        assert answer.json == {
            "surveys": [],
            "widgets": {"referral": {}, "waitlist": {}},
            "feature_flags": {},
            "active_experiments": [],
            "request_id": answer.headers["x-request-id"],
        }
    assert ingest_queue.size() == 0


@pytest.mark.parametrize("query", [{}, {"user_id": ""}, {"user_id": "x" * 257}])
def test_decide_needs_somebody(ingest: Client, query: dict[str, str]) -> None:
    answer = ingest.get("/v1/decide", query=query)

    assert (answer.status, answer.fields) == (400, ["user_id"])


def test_a_test_projects_events_are_received_at_its_own_now(test_project: CreatedProject) -> None:
    ingest_queue.empty()

    assert Client(test_project.write_key).post("/v1/track", CALLS["track"]).status == 202
    (event,) = ingest_queue.events()
    assert event["received_at"] == projects.now(Tenant(test_project.project_id))


def _lane(user: str) -> str:
    from chalicelib.features.activity.intake import Accepted, lane

    return lane("", Accepted("evt_1", "track", "e", 0, 0, user_id=user), 64)


def test_messages_stay_within_what_a_call_to_the_queue_takes() -> None:
    assert accept_events.MESSAGE_BYTES + 1_000 < queues.MAX_BYTES


@pytest.mark.parametrize("text", ["\ufffe", "a\uffffb", "\uffff" * 80])
def test_characters_that_queues_refuse_are_queued_as_escapes(ingest: Client, text: str) -> None:
    assert ingest.post("/v1/track", {"user_id": text, "event": text, "properties": {text: text}}).status == 202
    (message,) = ingest_queue.take()
    event = message["events"][0]
    assert (event["user_id"], event["name"], event["properties"]) == (text, text, {text: text})
    assert not {"\ufffe", "\uffff"} & set(strict_json.dumps(event))


@pytest.mark.parametrize(
    ("half", "mended"), [("hi \\ud83d", "hi \ufffd"), ("\\ude00", "\ufffd"), ("\\ud83d\\ude00", "😀")]
)
def test_half_of_an_emoji_costs_no_event_and_no_batch(ingest: Client, half: str, mended: str) -> None:
    body = '{"batch":[{"type":"track","userId":"s","event":"ok"},{"type":"track","userId":"s","event":"cut",'
    answer = ingest.post("/v1/batch", f'{body}"properties":{{"t":"{half}"}}}}]}}'.encode())
    assert [item["status"] for item in answer.json["items"]] == [202, 202]
    (message,) = ingest_queue.take()
    assert message["events"][1]["properties"] == {"t": mended}


def test_an_item_that_nests_deep_costs_only_itself(ingest: Client) -> None:
    deep = "[" * 70 + "]" * 70
    items = ",".join(f'{{"type":"track","userId":"s","event":"e","properties":{{"a":{a}}}}}' for a in ("1", deep))
    answer = ingest.post("/v1/batch", f'{{"batch":[{items}]}}'.encode())
    assert [item["status"] for item in answer.json["items"]] == [202, 422]
