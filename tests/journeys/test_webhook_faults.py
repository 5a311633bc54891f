"""What comes twice is told once, whatever dies on the way; and what a delivery costs."""

import itertools
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import outbound
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.workers import webhooks as worker
from tests.support import aws, pipeline
from tests.support.client import Client
from tests.support.hook_world import HookWorld
from tests.support.hooks import hook
from tests.support.pipeline import Killed, accepted
from tests.support.receiver import Receiver


def create(client: Client, **body: Any) -> str:
    return str(client.post("/v1/contacts", body).json["id"])


def test_an_event_that_the_stream_tells_twice_is_one_webhook_and_one_success(
    client: Client, receiver: Receiver
) -> None:
    to = hook(client, receiver.url(), "contact.created")
    create(client, external_id="u1")
    pipeline.drain()
    pipeline.run_bus()
    pipeline.drain()
    assert len(receiver.got) == 1
    assert to.attempts() == [("delivered", 200, 1)]


def test_a_contact_that_has_changed_by_the_second_telling_does_not_change_the_webhook(
    client: Client, receiver: Receiver
) -> None:
    to = hook(client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    person = create(client, external_id="u1", traits={"n": 1})
    pipeline.drain()
    client.patch(f"/v1/contacts/{person}", {"traits": {"n": 2}})
    pipeline.run_bus()
    pipeline.drain()
    (log,) = to.logs()
    client.post(f"{to.path}/logs/{log['id']}/replay")
    pipeline.drain()
    first, again = receiver.got
    assert (again.body, again.id) == (first.body, first.id)


def test_a_message_that_the_queue_delivers_twice_is_sent_once(client: Client, receiver: Receiver) -> None:
    to = hook(client, receiver.url(), "contact.created")
    create(client, external_id="u1")
    pipeline.run_bus()
    (message,) = aws.take(settings().webhooks_queue_url)
    for _ in range(3):
        answer = worker.handle({"Records": [{"messageId": "m", "body": message.body}]}, pipeline.Context())
        assert answer == {"batchItemFailures": []}
    assert len(receiver.got) == 1
    assert to.attempts() == [("delivered", 200, 1)]


@pytest.mark.parametrize("moment", ["before-call", "after-call"])
def test_a_worker_that_dies_at_any_call_sends_the_same_webhook_again_and_logs_one_success(
    client: Client, receiver: Receiver, moment: str
) -> None:
    for number in itertools.count():
        receiver.got.clear()
        to = hook(client, receiver.url(f"/{number}"), "contact.created")
        create(client, external_id=f"u{number}")
        pipeline.run_bus(pipeline.fresh_records())
        died: list[str] = []

        def die(call: int, operation: str, at: int = number, died: list[str] = died) -> None:
            if call == at and not died:
                died.append(operation)
                raise Killed

        with pipeline.on_call(moment, die):
            pipeline.run_webhooks()
        got = receiver.at(f"/{number}")
        assert 1 <= len(got) <= 2
        assert len({(request.id, request.body) for request in got}) == 1
        assert to.attempts() == [("delivered", 200, 1)]
        client.delete(to.path)
        if not died:
            assert number == 2  # one read before the request, one transaction after it
            return


def test_a_death_between_the_request_and_its_record_leads_to_a_second_one_with_the_same_id(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = hook(client, receiver.url(), "contact.created")
    create(client, external_id="u1")
    pipeline.run_bus()
    post, deaths = outbound.post, [Killed()]

    def post_and_die(*args: Any, **options: Any) -> outbound.Answer:
        answer = post(*args, **options)
        if deaths:
            raise deaths.pop()
        return answer

    monkeypatch.setattr(outbound, "post", post_and_die)
    pipeline.run_webhooks()
    first, second = receiver.got
    assert (first.id, first.body) == (second.id, second.body)
    assert to.attempts() == [("delivered", 200, 1)]


@pytest.mark.parametrize("after", [False, True], ids=["before a call", "after a call"])
def test_a_bus_that_dies_at_any_call_of_a_fan_out_leaves_no_endpoint_out_and_tells_none_twice(
    live_world: HookWorld,
    receiver: Receiver,
    after: bool,
) -> None:
    hooks = [hook(live_world.client, receiver.url(f"/{n}"), "contact.created") for n in range(3)]
    live_world.client.patch(hooks[2].path, {"status": "disabled"})
    for number in itertools.count():
        receiver.got.clear()
        live_world.client.post("/v1/contacts", {"external_id": f"u{number}"})
        with live_world.dying_at(number, after=after) as died:
            live_world.run_bus()
        live_world.settle()
        assert sorted(request.path for request in receiver.got) == ["/0", "/1"]
        assert len(hooks[2].logs(status="skipped")) == number + 1
        if not died:
            assert number > 3
            return


def test_an_attempt_costs_one_read_and_one_write(client: Client, receiver: Receiver) -> None:
    hook(client, receiver.url(), "contact.created")
    create(client, external_id="u1")
    pipeline.run_bus()
    with pipeline.counted() as calls:
        pipeline.run_webhooks()
    assert calls == ["BatchGetItem", "PutItem"]


def test_a_failed_attempt_of_an_endpoint_that_fails_already_costs_the_same(client: Client, receiver: Receiver) -> None:
    hook(client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    for n in range(2):
        create(client, external_id=f"u{n}")
        pipeline.run_bus(pipeline.fresh_records())
        with pipeline.counted() as calls:
            pipeline.run_webhooks()
    assert calls == ["BatchGetItem", "TransactWriteItems"]


def test_a_project_without_endpoints_pays_nothing_for_webhooks(project: CreatedProject, client: Client) -> None:
    create(client, external_id="u1")
    pipeline.drain()
    tenant = Tenant(project.project_id)
    pipeline.record(tenant, [accepted({"userId": "u2", "traits": {"a": 1}}, "identify", clock.system_ms())])
    with pipeline.counted() as calls:
        pipeline.run_bus(pipeline.fresh_records())
    assert sum(calls.count(name) for name in ("GetItem", "BatchGetItem", "Query")) == 1
