"""Endpoints over the API: what is taken, what is shown, and what is refused."""

import base64
import socket
from typing import Any

import pytest

from chalicelib.core import clock, events
from chalicelib.features.webhooks.model import MAX_ENDPOINTS
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.client import Client
from tests.support.far_side import Resolver
from tests.support.hooks import ENDPOINTS, hook
from tests.support.receiver import Receiver

URL = "https://nowhere.invalid/hook"
NEW = {"url": URL, "events": ["contact.created"]}


def test_an_endpoint_is_made_with_a_secret_that_is_shown_this_once(client: Client) -> None:
    answer = client.post(ENDPOINTS, NEW)
    assert answer.status == 201
    made = answer.json
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert made == {
        "id": made["id"],
        "url": URL,
        "events": ["contact.created"],
        "status": "enabled",
        "disabled_at": None,
        "disabled_reason": None,
        "failing_since": None,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
    }
    assert client.get(f"{ENDPOINTS}/{made['id']}").json == made
    assert client.get(ENDPOINTS).json == {"data": [made], "has_more": False, "next_cursor": None}
    assert secret not in client.get(ENDPOINTS).text


def test_the_references_example_makes_an_endpoint(client: Client) -> None:
    body = {
        "url": "https://yourserver.invalid/webhooks/growthos",
        "events": ["contact.created", "referral.converted", "survey.response.created", "campaign.email.bounced"],
        "secret": "whsec_your_signing_secret",
    }
    answer = client.post(ENDPOINTS, body)
    assert (answer.status, answer.json["secret"]) == (201, "whsec_your_signing_secret")
    assert answer.json["events"] == body["events"]


def test_no_secret_stands_in_the_table_or_in_a_log(
    project: CreatedProject, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    made = hook(client, URL, secret="whsec_a_secret_of_my_own")
    rotated = client.post(f"{made.path}/rotate-secret").json["secret"]
    rows = str(pipeline.rows(Tenant(project.project_id), ""))
    told = capsys.readouterr()
    for secret in ("whsec_a_secret_of_my_own", rotated, rotated.removeprefix("whsec_")):
        assert secret not in rows
        assert secret not in told.out + told.err


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["url", "events"]),
        ({"url": URL}, ["events"]),
        ({"url": URL, "events": []}, ["events"]),
        ({"url": URL, "events": "*"}, ["events"]),
        ({"url": URL, "events": ["contact.created", "contact.exploded"]}, ["events.1"]),
        ({"url": URL, "events": ["contact"]}, ["events.0"]),
        ({"url": URL, "events": ["nothing.*"]}, ["events.0"]),
        ({"url": URL, "events": ["*.*"]}, ["events.0"]),
        ({"url": URL, "events": ["activity.recorded"]}, ["events.0"]),
        ({"url": URL, "events": ["clock.advance_asked"]}, ["events.0"]),
        ({"url": URL, "events": [None]}, ["events.0"]),
        ({"url": None, "events": ["*"]}, ["url"]),
        ({"url": "https://user:word@x.io/", "events": ["nothing"]}, ["url", "events.0"]),
        ({"url": "", "events": ["*"]}, ["url"]),
        ({"url": "https://x.invalid/" + "x" * 2_048, "events": ["*"]}, ["url"]),
        (NEW | {"secret": "short"}, ["secret"]),
        (NEW | {"secret": "x" * 257}, ["secret"]),
        (NEW | {"secret": "has a space in its text"}, ["secret"]),
        (NEW | {"secret": "has a break\nin its text"}, ["secret"]),
        (NEW | {"name": "x"}, ["name"]),
        (NEW | {"status": "disabled"}, ["status"]),
    ],
)
def test_what_no_endpoint_can_be_made_of_is_refused_by_field(
    client: Client, body: dict[str, Any], fields: list[str]
) -> None:
    answer = client.post(ENDPOINTS, body)
    assert (answer.status, answer.code, answer.fields) == (422, "validation_error", fields)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://localhost./",
        "https://sub.localhost/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://0x7f.0.0.1/",
        "https://127.1/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://169.254.169.254./",
        "https://100.100.100.200/",
        "https://168.63.129.16/",
        "https://0.0.0.0/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:7f00:1::]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[ff02::1]/",
        "https://metadata.google.internal/",
        "https://user:password@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com#@127.0.0.1/",
        "https://127.0.0.1\\@example.com/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https:///path",
        "https://exa mple.com/",
        "https://ex%61mple.com/",
        "//example.com/",
        "example.com",
        "javascript:alert(1)",
    ],
)
def test_nothing_is_registered_that_aims_at_a_private_address(client: Client, url: str) -> None:
    answer = client.post(ENDPOINTS, {"url": url, "events": ["*"]})
    assert (answer.status, answer.fields) == (422, ["url"]), answer.text
    kept = hook(client, URL)
    answer = client.patch(kept.path, {"url": url})
    assert (answer.status, answer.fields) == (422, ["url"])
    assert kept.shown["url"] == URL


@pytest.mark.parametrize(
    ("addresses", "status"),
    [
        ([("93.184.216.34", 0)], 201),
        ([("2606:2800:220:1::", 0)], 201),
        ([("127.0.0.1", 0)], 422),
        ([("93.184.216.34", 0), ("10.0.0.1", 0)], 422),
        ([("::ffff:10.0.0.1", 0)], 422),
        ([], 201),
    ],
)
def test_a_name_is_registered_if_no_address_of_it_is_private_or_it_has_none_yet(
    client: Client, monkeypatch: pytest.MonkeyPatch, addresses: list[tuple[str, int]], status: int
) -> None:
    real = socket.getaddrinfo
    fake = Resolver(addresses)

    def resolve(host: str, port: int, *more: Any, **options: Any) -> Any:
        return fake(host, port) if host == "hooks.example.com" else real(host, port, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert client.post(ENDPOINTS, {"url": "https://hooks.example.com/", "events": ["*"]}).status == status
    assert fake.asked == ["hooks.example.com"]


def test_the_switch_allows_private_addresses_and_plain_http(client: Client, receiver: Receiver) -> None:
    assert hook(client, receiver.url()).shown["url"] == receiver.url()


def test_an_endpoint_that_became_private_after_registration_is_sent_nothing(client: Client, receiver: Receiver) -> None:
    to = hook(client, receiver.url(), "contact.created")
    from tests.support import aws

    aws.use(GROWTHOS_ALLOW_PRIVATE_WEBHOOKS="")
    client.post("/v1/contacts", {"external_id": "u1"})
    pipeline.drain()
    assert receiver.got == []
    (log,) = to.logs()
    assert (log["status"], log["http_status"], log["error"]) == ("failed", None, "not_https")


def test_a_project_has_50_endpoints_at_the_most(client: Client) -> None:
    made = [hook(client, URL) for _ in range(MAX_ENDPOINTS)]
    answer = client.post(ENDPOINTS, NEW)
    assert (answer.status, answer.code) == (409, "conflict")
    client.delete(made[0].path)
    assert client.post(ENDPOINTS, NEW).status == 201


def test_endpoints_are_listed_in_pages_newest_first(client: Client) -> None:
    made = [hook(client, URL).id for _ in range(5)]
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = client.get(ENDPOINTS, query={"limit": "2"} | ({"cursor": cursor} if cursor else {})).json
        found += [each["id"] for each in page["data"]]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert (found, cursor) == (made[::-1], None)


def test_a_patch_changes_what_is_sent_and_nothing_else(client: Client) -> None:
    to = hook(client, URL, "contact.created")
    before = to.shown
    after = client.patch(to.path, {"events": ["contact.created", "key.*", "key.*"]}).json
    assert after == before | {"events": ["contact.created", "key.*"], "updated_at": after["updated_at"]}
    assert client.patch(to.path, {}).json == after
    for null in ("url", "events", "status"):
        answer = client.patch(to.path, {null: None})
        assert (answer.status, answer.fields) == (422, [null])


def test_an_endpoint_is_disabled_and_enabled_by_request(client: Client) -> None:
    to = hook(client, URL)
    off = client.patch(to.path, {"status": "disabled"}).json
    assert (off["status"], off["disabled_reason"], off["disabled_at"]) == ("disabled", "by_request", off["updated_at"])
    on = client.patch(to.path, {"status": "enabled"}).json
    assert (on["status"], on["disabled_reason"], on["disabled_at"]) == ("enabled", None, None)
    assert client.patch(to.path, {"status": "paused"}).fields == ["status"]


def test_a_deleted_endpoint_is_gone(client: Client) -> None:
    to = hook(client, URL)
    assert client.delete(to.path).json == {"id": to.id, "deleted": True}
    for answer in (
        client.get(to.path),
        client.patch(to.path, {"events": ["*"]}),
        client.patch(to.path, {"url": "https://127.0.0.1/"}),
        client.delete(to.path),
        client.get(f"{to.path}/logs"),
        client.post(f"{to.path}/rotate-secret"),
        client.post(f"{to.path}/test", {"event": "contact.created"}),
        client.post(f"{to.path}/replay", {"since": "2026-01-01"}),
        client.post(f"{to.path}/logs/wh_log_1/replay"),
    ):
        assert (answer.status, answer.code) == (404, "not_found")
    assert client.get(ENDPOINTS).json["data"] == []


def test_a_rotation_shows_the_new_secret_and_when_the_former_one_ends(client: Client) -> None:
    to = hook(client, URL)
    rotated = client.post(f"{to.path}/rotate-secret").json
    assert rotated["secret"] != to.secret
    ends = clock.parse_instant(rotated["previous_secret_expires_at"])
    assert ends == clock.parse_instant(rotated["updated_at"]) + clock.DAY
    own = client.post(f"{to.path}/rotate-secret", {"secret": "a secret-of-my-own".replace(" ", "-")}).json
    assert own["secret"] == "a-secret-of-my-own"
    assert client.post(f"{to.path}/rotate-secret", {"secrets": "x"}).status == 422


def test_a_secret_is_not_rotated_without_end_within_a_day(client: Client) -> None:
    to = hook(client, URL)
    answers = [client.post(f"{to.path}/rotate-secret").status for _ in range(6)]
    assert answers == [200, 200, 200, 200, 409, 409]


def test_the_same_idempotency_key_makes_one_endpoint_with_one_secret(client: Client) -> None:
    first, again = (client.post(ENDPOINTS, NEW, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.text == again.text
    assert again.headers["idempotency-replayed"] == "true"
    assert len(client.get(ENDPOINTS).json["data"]) == 1


def test_the_same_idempotency_key_rotates_once(client: Client) -> None:
    to = hook(client, URL)
    first, again = (client.post(f"{to.path}/rotate-secret", headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json["secret"] == again.json["secret"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "event"),
        ({"event": "contact.*"}, "event"),
        ({"event": "*"}, "event"),
        ({"event": "nothing"}, "event"),
        ({"event": "survey.response.corrected"}, "event"),
        ({"event": "contact.created", "x": 1}, "x"),
    ],
)
def test_only_an_event_that_is_told_has_a_sample(client: Client, body: dict[str, Any], field: str) -> None:
    answer = client.post(f"{hook(client, URL).path}/test", body)
    assert (answer.status, answer.fields) == (422, [field])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"since": 5}, "since"),
        ({"since": "2026-02-02", "until": "2026-02-01"}, "until"),
        ({"since": "2026-02-02", "events": ["nothing"]}, "events.0"),
        ({"since": "2026-02-02", "events": []}, "events"),
        ({"since": "2026-02-02", "status": "failed"}, "status"),
    ],
)
def test_a_replay_needs_a_span_of_time(client: Client, body: dict[str, Any], field: str) -> None:
    answer = client.post(f"{hook(client, URL).path}/replay", body)
    assert (answer.status, answer.fields) == (422, [field])


def test_logs_are_listed_in_pages_and_by_status_and_event(client: Client, receiver: Receiver) -> None:
    to = hook(client, receiver.url(), "contact.*")
    receiver.answer = lambda got: 500 if got.type == "contact.updated" else 200
    for n in range(4):
        person = client.post("/v1/contacts", {"external_id": f"u{n}"}).json["id"]
        client.patch(f"/v1/contacts/{person}", {"traits": {"n": n}})
        pipeline.drain()
    every = to.logs(limit="3")
    assert len({log["id"] for log in every}) == len(every) == 8
    moments = [clock.parse_instant(log["attempted_at"]) for log in every]
    assert moments == sorted(moments, reverse=True)
    for status, event in (("failed", "contact.updated"), ("delivered", "contact.created")):
        wanted = [log for log in every if log["event"] == event]
        assert to.logs(limit="3", status=status) == to.logs(limit="3", event=event) == wanted
        assert to.logs(limit="1", status=status, event=event) == wanted
    assert to.logs(status="failed", event="contact.created") == to.logs(status="skipped") == []
    assert to.logs(event="referral.converted") == []


@pytest.mark.parametrize(
    "query", [{"status": "lost"}, {"event": "nothing"}, {"event": "contact.*"}, {"limit": "0"}, {"x": "1"}]
)
def test_a_filter_that_cannot_be_is_400(client: Client, query: dict[str, str]) -> None:
    answer = client.get(f"{hook(client, URL).path}/logs", query=query)
    assert (answer.status, answer.fields) == (400, list(query))


def test_a_cursor_of_another_endpoints_logs_is_400(client: Client, receiver: Receiver) -> None:
    to, other = hook(client, receiver.url(), "contact.created"), hook(client, receiver.url(), "contact.created")
    for n in range(2):
        client.post("/v1/contacts", {"external_id": f"u{n}"})
    pipeline.drain()
    cursor = client.get(f"{to.path}/logs?limit=1").json["next_cursor"]
    assert client.get(f"{other.path}/logs", query={"cursor": cursor}).status == 400
    assert client.get(f"{to.path}/logs", query={"cursor": cursor, "status": "failed"}).status == 400
    assert len(client.get(f"{to.path}/logs", query={"cursor": cursor}).json["data"]) == 1


def test_scopes_tell_reading_from_writing(client: Client) -> None:
    to = hook(client, URL)
    key = client.post("/v1/settings/keys", {"name": "r", "scopes": ["webhooks:read"]}).json["key"]
    assert client.get(to.path, key=key).status == 200
    for answer in (
        client.post(ENDPOINTS, NEW, key=key),
        client.post(f"{to.path}/test", {"event": "contact.created"}, key=key),
        client.delete(to.path, key=key),
    ):
        assert (answer.status, answer.code) == (403, "insufficient_scope")


def test_each_event_of_the_contract_can_be_asked_for(client: Client) -> None:
    assert hook(client, URL, *events.WEBHOOKS).shown["events"] == list(events.WEBHOOKS)


def test_the_document_lists_a_webhook_for_each_event_that_is_told(client: Client) -> None:
    from chalicelib.flows.webhooks.payloads import KINDS
    from tests.support import documents

    document = documents.management()
    assert document["webhooks"].keys() == KINDS.keys()
    for name, item in document["webhooks"].items():
        content = item["post"]["requestBody"]["content"]["application/json"]
        assert documents.faults(document, content["schema"], content["example"]) == []
        assert content["example"]["type"] == name
        assert {"webhook-id", "X-GrowthOS-Signature"} <= {header["name"] for header in item["post"]["parameters"]}
