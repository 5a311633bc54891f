"""Each event is told after the act that causes it, once, signed, whatever comes twice and whatever dies."""

from collections.abc import Callable
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
import time_machine

from chalicelib.core import clock, events
from chalicelib.core.clock import iso
from chalicelib.flows.create_project import CreatedProject
from chalicelib.flows.webhooks import campaign_kinds, payloads, referral_kinds, survey_kinds, waitlist_kinds
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.client import Client
from tests.support.hook_world import HookWorld
from tests.support.hooks import hook
from tests.support.pipeline import accepted
from tests.support.receiver import Receiver

EVENTS = {"operator": "AND", "conditions": [{"field": "traits.plan", "op": "eq", "value": "pro"}]}


def create(client: Client, **body: Any) -> str:
    return str(client.post("/v1/contacts", body).json["id"])


def by_ingest(project: CreatedProject, _client: Client) -> dict[str, Any]:
    tenant, now = Tenant(project.project_id), clock.system_ms()
    raw = {"userId": "u1", "traits": {"email": "a@x.io"}}
    pipeline.record(tenant, [accepted(raw, "identify", now)])
    return {"contact.external_id": "u1", "contact.email": "a@x.io"}


def by_import(_project: CreatedProject, client: Client) -> dict[str, Any]:
    return {"contact_id": create(client, external_id="u1"), "contact.external_id": "u1"}


def update(_project: CreatedProject, client: Client) -> dict[str, Any]:
    person = create(client, external_id="u1")
    client.patch(f"/v1/contacts/{person}", {"traits": {"plan": "pro"}})
    return {"contact_id": person, "contact.traits": {"plan": "pro"}, "changed": ["traits.plan"]}


def identify(project: CreatedProject, client: Client) -> dict[str, Any]:
    person = create(client, external_id="u1")
    raw = {"userId": "u1", "traits": {"plan": "pro"}}
    pipeline.record(Tenant(project.project_id), [accepted(raw, "identify", clock.system_ms())])
    return {"contact_id": person, "changed": ["traits.plan"]}


def merge(_project: CreatedProject, client: Client) -> dict[str, Any]:
    person, source = create(client, external_id="u1"), create(client, external_id="u2")
    client.post(f"/v1/contacts/{person}/merge", {"source_contact_id": source})
    return {"contact_id": person, "source_contact_id": source, "contact.id": person}


def delete(_project: CreatedProject, client: Client) -> dict[str, Any]:
    person = create(client, external_id="u1")
    client.delete(f"/v1/contacts/{person}")
    return {"contact_id": person, "external_id": "u1"}


def purge(_project: CreatedProject, client: Client) -> dict[str, Any]:
    person = create(client, external_id="u1")
    client.delete(f"/v1/contacts/{person}?purge=true")
    return {"contact_id": person, "external_id": None}


def enter(_project: CreatedProject, client: Client) -> dict[str, Any]:
    segment = client.post("/v1/segments", {"name": "Pro", "rules": EVENTS}).json["id"]
    person = create(client, external_id="u1", traits={"plan": "pro"})
    return {"segment_id": segment, "segment_name": "Pro", "contact_id": person, "contact.id": person, "reason": "trait"}


def leave(_project: CreatedProject, client: Client) -> dict[str, Any]:
    told = enter(_project, client)
    pipeline.drain()
    client.patch(f"/v1/contacts/{told['contact_id']}", {"traits": {"plan": "free"}})
    return told | {"contact.traits": {"plan": "free"}}


def make_key(_project: CreatedProject, client: Client) -> dict[str, Any]:
    key = client.post("/v1/settings/keys", {"name": "K", "scopes": ["contacts:read"]}).json
    return {"id": key["id"], "name": "K", "scopes": ["contacts:read"], "revoked_at": None}


def revoke_key(_project: CreatedProject, client: Client) -> dict[str, Any]:
    key = client.post("/v1/settings/keys", {"name": "K", "scopes": ["contacts:read"]}).json["id"]
    revoked = client.delete(f"/v1/settings/keys/{key}").json
    return {"id": key, "revoked_at": revoked["revoked_at"], "expires_at": revoked["expires_at"]}


CAUSES: list[tuple[str, Callable[[CreatedProject, Client], dict[str, Any]]]] = [
    (events.CONTACT_CREATED, by_ingest),
    (events.CONTACT_CREATED, by_import),
    (events.CONTACT_UPDATED, update),
    (events.CONTACT_UPDATED, identify),
    (events.CONTACT_MERGED, merge),
    (events.CONTACT_DELETED, delete),
    (events.CONTACT_DELETED, purge),
    (events.SEGMENT_ENTERED, enter),
    (events.SEGMENT_LEFT, leave),
    (events.KEY_CREATED, make_key),
    (events.KEY_REVOKED, revoke_key),
]


def named(data: Any, path: str) -> Any:
    for name in path.split("."):
        data = data[name]
    return data


@pytest.mark.parametrize(("event", "cause"), CAUSES)
def test_an_event_is_delivered_once_with_its_models_payload_after_what_causes_it(
    project: CreatedProject, client: Client, receiver: Receiver, event: str, cause: Callable[..., dict[str, Any]]
) -> None:
    to = hook(client, receiver.url(), event)
    expected = cause(project, client)
    pipeline.drain()
    (got,) = receiver.got
    assert payloads.model(event).model_validate_json(got.body).model_dump(mode="json") == got.json
    assert (got.type, got.headers["x-growthos-event-type"]) == (event, event)
    assert got.json["id"] == got.id == got.json["idempotency_key"]
    assert got.json["project_id"] == project.project_id
    assert {path: named(got.data, path) for path in expected} == expected
    assert to.attempts() == [("delivered", 200, 1)]


def test_all_kinds_that_are_told_have_a_cause_here() -> None:
    of_sections = {**campaign_kinds.KINDS, **referral_kinds.KINDS, **survey_kinds.KINDS, **waitlist_kinds.KINDS}
    told_elsewhere = {events.ENDPOINT_DISABLED, *of_sections}
    assert {event for event, _ in CAUSES} | told_elsewhere == payloads.KINDS.keys()


def test_an_endpoint_that_is_gone_is_disabled_and_the_others_are_told(client: Client, receiver: Receiver) -> None:
    gone = hook(client, receiver.url("/gone"), "*")
    hook(client, receiver.url("/other"), "endpoint.disabled")
    receiver.answer = lambda request: 410 if request.path == "/gone" else 200
    create(client, external_id="u1")
    pipeline.drain()
    (told,) = receiver.at("/other")
    assert payloads.model(events.ENDPOINT_DISABLED).model_validate_json(told.body)
    assert (told.data["endpoint_id"], told.data["reason"]) == (gone.id, "gone")
    assert (gone.shown["status"], gone.shown["disabled_reason"]) == ("disabled", "gone")
    assert gone.shown["disabled_at"] == told.data["disabled_at"]
    assert [request.type for request in receiver.at("/gone")] == ["contact.created"]
    (log,) = gone.logs()
    assert (log["status"], log["http_status"], log["next_retry_at"]) == ("failed", 410, None)


def test_each_delivery_is_verified_by_the_published_libraries(client: Client, receiver: Receiver) -> None:
    to = hook(client, receiver.url())
    create(client, external_id="u1", traits={"name": "Zoë ☃"})
    client.post(f"{to.path}/test", {"event": "segment.entered"})
    pipeline.drain()
    assert len(receiver.got) == 2
    for got in receiver.got:
        standardwebhooks.Webhook(to.secret).verify(got.body, got.headers)
        svix.webhooks.Webhook(to.secret).verify(got.body, got.headers)


def test_during_a_rotation_deliveries_are_verified_by_both_secrets_and_later_by_the_new_one(
    test_project: CreatedProject, receiver: Receiver
) -> None:
    client = Client(test_project.secret_key)
    to = hook(client, receiver.url(), "contact.created")
    new = client.post(f"{to.path}/rotate-secret").json["secret"]
    tenant = Tenant(test_project.project_id)
    start = clock.parse_instant(client.get("/v1/test_clock").json["now"])
    for n, moment in enumerate((start, start + clock.DAY - 1_000, start + clock.DAY)):
        pipeline.drain()
        pipeline.advance(tenant, moment)
        create(client, external_id=f"u{n}")
        pipeline.drain()
    within, last, after = receiver.got
    for got in (within, last):
        for secret in (to.secret, new):
            standardwebhooks.Webhook(secret).verify(got.body, got.headers)
    standardwebhooks.Webhook(new).verify(after.body, after.headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(to.secret).verify(after.body, after.headers)


def test_what_happens_before_an_endpoint_is_made_is_not_told_to_it(client: Client, receiver: Receiver) -> None:
    with time_machine.travel(clock.system_ms() / 1_000 - 5, tick=False):
        create(client, external_id="u1")
    hook(client, receiver.url())
    pipeline.drain()
    assert receiver.of("contact.created") == []


def test_events_that_an_endpoint_did_not_ask_for_are_not_sent(client: Client, receiver: Receiver) -> None:
    hook(client, receiver.url("/some"), "contact.updated", "key.*")
    hook(client, receiver.url("/all"))
    person = create(client, external_id="u1")
    client.patch(f"/v1/contacts/{person}", {"traits": {"a": 1}})
    client.post("/v1/settings/keys", {"name": "K", "scopes": ["contacts:read"]})
    pipeline.drain()
    assert sorted(request.type for request in receiver.at("/some")) == ["contact.updated", "key.created"]
    assert sorted(r.type for r in receiver.at("/all")) == ["contact.created", "contact.updated", "key.created"]


def test_a_change_of_what_an_endpoint_asks_for_holds_from_the_next_event_on(client: Client, receiver: Receiver) -> None:
    to = hook(client, receiver.url(), "contact.updated")
    create(client, external_id="u1")
    pipeline.drain()
    client.patch(to.path, {"events": ["contact.created"]})
    create(client, external_id="u2")
    pipeline.drain()
    assert [request.data["contact"]["external_id"] for request in receiver.got] == ["u2"]


def test_what_is_on_its_way_to_a_deleted_endpoint_is_not_sent(client: Client, receiver: Receiver) -> None:
    to = hook(client, receiver.url())
    create(client, external_id="u1")
    pipeline.run_bus()
    client.delete(to.path)
    pipeline.drain()
    assert receiver.got == []


def test_a_sample_is_sent_once_whatever_is_asked_for(client: Client, receiver: Receiver) -> None:
    to = hook(client, receiver.url(), "contact.created")
    client.patch(to.path, {"status": "disabled"})
    answer = client.post(f"{to.path}/test", {"event": "segment.left"})
    assert answer.json["status"] == "queued"
    pipeline.drain()
    (got,) = receiver.got
    assert (got.type, got.id) == ("segment.left", answer.json["event_id"])
    (log,) = to.logs()
    assert (log["status"], log["test"], log["event_id"]) == ("delivered", True, got.id)


def test_a_sample_that_fails_is_not_tried_again_nor_counted_against_the_endpoint(
    client: Client, receiver: Receiver
) -> None:
    to = hook(client, receiver.url())
    receiver.answer = lambda _request: 500
    client.post(f"{to.path}/test", {"event": "contact.created"})
    pipeline.drain()
    (log,) = to.logs()
    assert (log["status"], log["next_retry_at"]) == ("failed", None)
    assert to.shown["failing_since"] is None


def test_each_kind_has_a_sample(client: Client, receiver: Receiver) -> None:
    to = hook(client, receiver.url(), "contact.created")
    for event in payloads.KINDS:
        client.post(f"{to.path}/test", {"event": event})
    pipeline.drain()
    assert {request.type for request in receiver.got} == payloads.KINDS.keys()
    for got in receiver.got:
        payloads.model(got.type).model_validate_json(got.body)


def test_the_log_of_a_delivery_is_as_in_the_reference(client: Client, receiver: Receiver) -> None:
    to = hook(client, receiver.url(), "contact.created")
    moment = (clock.system_ms() // clock.SECOND + 60) * clock.SECOND
    with time_machine.travel(moment / 1_000, tick=False):
        create(client, external_id="u1")
        pipeline.drain()
        (log,) = to.logs()
    (got,) = receiver.got
    assert log.pop("response_time_ms") >= 0
    assert log == {
        "id": log["id"],
        "event": "contact.created",
        "event_id": got.id,
        "status": "delivered",
        "http_status": 200,
        "attempt": 1,
        "attempted_at": iso(moment),
        "delivered_at": iso(moment),
        "next_retry_at": None,
        "error": None,
        "response_body": "thank you",
        "url": receiver.url(),
        "replayed": False,
        "test": False,
    }


def test_the_timestamp_is_the_real_moment_of_the_attempt_in_a_test_project_too(
    test_project: CreatedProject, receiver: Receiver
) -> None:
    client = Client(test_project.secret_key)
    to = hook(client, receiver.url(), "contact.created")
    pipeline.drain()
    now = clock.parse_instant(client.get("/v1/test_clock").json["now"])
    pipeline.advance(Tenant(test_project.project_id), now + 40 * clock.DAY)
    create(client, external_id="u1")
    pipeline.drain()
    (got,) = receiver.got
    assert abs(int(got.headers["webhook-timestamp"]) * 1_000 - clock.system_ms()) < 60_000
    standardwebhooks.Webhook(to.secret).verify(got.body, got.headers)
    assert got.json["created_at"] == to.logs()[0]["attempted_at"] == iso(now + 40 * clock.DAY)


def test_a_batch_of_events_reaches_every_endpoint(live_world: HookWorld, receiver: Receiver) -> None:
    hooks = [hook(live_world.client, receiver.url(f"/{n}"), "contact.created") for n in range(5)]
    now = clock.system_ms()
    sent = [accepted({"userId": f"u{n}", "traits": {"n": n}}, "identify", now) for n in range(250)]
    pipeline.record(live_world.tenant, sent)
    live_world.settle()
    for n, to in enumerate(hooks):
        got = receiver.at(f"/{n}")
        assert sorted(request.data["contact"]["traits"]["n"] for request in got) == list(range(250))
        assert len(to.logs(limit="100")) == 250
