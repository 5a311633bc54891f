"""What webhooks say of a contact goes when the contact goes."""

import itertools
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.features.webhooks import service as webhooks
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Put
from tests.support import pipeline
from tests.support.client import Client
from tests.support.hook_world import HookWorld
from tests.support.hooks import hook
from tests.support.pipeline import accepted
from tests.support.receiver import Receiver


def create(client: Client, **body: Any) -> str:
    return str(client.post("/v1/contacts", body).json["id"])


def test_nothing_of_a_deleted_contact_is_sent_again(client: Client, receiver: Receiver) -> None:
    to = hook(client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    person = create(client, external_id="u1", email="a@x.io")
    pipeline.drain()
    client.delete(f"/v1/contacts/{person}")
    (failed,) = to.logs()
    client.post(f"{to.path}/logs/{failed['id']}/replay")
    pipeline.drain()
    assert len(receiver.got) == 1
    newest, _ = to.logs()
    assert (newest["status"], newest["error"], newest["http_status"]) == ("skipped", "contact_deleted", None)


def test_a_purge_removes_what_webhooks_say_of_a_contact(project: CreatedProject, client: Client) -> None:
    hook(client, "https://nowhere.invalid/x", "*")
    person = create(client, external_id="u1", email="private@x.io")
    pipeline.drain()
    assert pipeline.rows(Tenant(project.project_id), "HOOK#")
    client.delete(f"/v1/contacts/{person}?purge=true")
    pipeline.drain()
    left = pipeline.rows(Tenant(project.project_id), "HOOK#")
    assert [row for row in left if "private@x.io" in row["body"] or "u1" in row["body"]] == []


@pytest.mark.parametrize("purge", ["", "?purge=true"])
def test_what_was_said_of_a_merged_contact_goes_with_the_one_that_has_absorbed_it(
    live_world: HookWorld, receiver: Receiver, purge: str
) -> None:
    client = live_world.client
    to = hook(client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    live_world.happen("private one", "target")
    ids = {got.data["contact"]["external_id"]: got.data["contact_id"] for got in receiver.got}
    client.post(f"/v1/contacts/{ids['target']}/merge", {"source_contact_id": ids["private one"]})
    live_world.settle()
    receiver.got.clear()
    client.post(f"{to.path}/replay", {"since": "2026-01-01"})
    live_world.settle()
    assert len(receiver.got) == 2
    client.delete(f"/v1/contacts/{ids['target']}{purge}")
    live_world.settle()
    receiver.got.clear()
    client.post(f"{to.path}/replay", {"since": "2026-01-01"})
    live_world.settle()
    assert receiver.got == []
    held = [
        row for key, row in live_world.table.rows.items() if key.sk.startswith("HOOK#") and "private" in row["body"]
    ]
    assert bool(held) == (purge == "")


def test_a_purge_in_the_middle_of_a_fan_out_leaves_nothing_behind(live_world: HookWorld, receiver: Receiver) -> None:
    client = live_world.client
    hook(client, receiver.url(), "contact.created")
    for number in itertools.count():
        person = client.post("/v1/contacts", {"external_id": f"private {number}"}).json["id"]

        def purge(person: str = person) -> None:
            client.delete(f"/v1/contacts/{person}?purge=true")
            records = live_world.done
            live_world.run_bus()
            live_world.run_jobs()
            assert live_world.done > records

        with live_world.dying_at(number, after=True, first=purge) as died:
            live_world.run_bus()
        live_world.settle()
        if not died:
            assert number > 3
            return
        left = [row for key, row in live_world.table.rows.items() if key.sk.startswith("HOOK#")]
        assert [row for row in left if f"private {number}" in row["body"]] == [], number


def test_a_contact_that_is_gone_before_it_is_told_of_is_told_by_its_id_alone(
    client: Client, receiver: Receiver
) -> None:
    hook(client, receiver.url(), "contact.created")
    person = create(client, external_id="u1")
    client.delete(f"/v1/contacts/{person}")
    pipeline.drain()
    (got,) = receiver.got
    assert got.data == {"contact_id": person, "contact": None}


def test_a_chain_of_merges_loses_no_webhook_and_a_purge_of_its_end_removes_all_that_was_said(
    live_world: HookWorld, receiver: Receiver
) -> None:
    client = live_world.client
    to = hook(client, receiver.url(), "contact.created")
    receiver.answer = lambda _request: 500
    live_world.happen("private a", "private b", "private c")
    ids = {got.data["contact"]["external_id"]: got.data["contact_id"] for got in receiver.got}
    receiver.got.clear()
    # Nothing is moved between the two: no job runs.
    for target, source in (("private b", "private a"), ("private c", "private b")):
        client.post(f"/v1/contacts/{ids[target]}/merge", {"source_contact_id": ids[source]})
        live_world.run_bus()
    client.post(f"{to.path}/replay", {"since": "2026-01-01"})
    live_world.settle()
    assert sorted(got.data["contact"]["external_id"] for got in receiver.got) == ["private a", "private b", "private c"]
    client.delete(f"/v1/contacts/{ids['private c']}?purge=true")
    live_world.settle()
    held = [row["body"] for key, row in live_world.table.rows.items() if key.sk.startswith("HOOK#")]
    assert [body for body in held if "private" in body] == []
    assert [key for key in live_world.table.rows if key.sk.startswith("FROM#")] == []


def test_a_visitor_that_joined_is_purged_with_the_user(live_world: HookWorld, receiver: Receiver) -> None:
    client = live_world.client
    hook(client, receiver.url(), "contact.*")
    visit = {"anonymousId": "v1", "traits": {"nick": "private nick"}}
    for raw in ({"userId": "u1"}, visit, visit | {"userId": "u1"}):
        pipeline.record(live_world.tenant, [accepted(raw, "identify", clock.system_ms())])
        live_world.settle()
    assert [key for key in live_world.table.rows if key.sk.startswith("FROM#")]
    person = client.get("/v1/contacts?external_id=u1").json["data"][0]["id"]
    assert any("private nick" in got.body.decode() for got in receiver.got)
    client.delete(f"/v1/contacts/{person}?purge=true")
    live_world.settle()
    held = [row["body"] for key, row in live_world.table.rows.items() if key.sk.startswith("HOOK#")]
    assert [body for body in held if "private nick" in body] == []


def test_a_fault_after_a_late_write_leaves_nothing_of_a_purged_contact_behind(
    live_world: HookWorld, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = live_world.client
    hook(client, receiver.url(), "contact.created")
    person = client.post("/v1/contacts", {"external_id": "private"}).json["id"]
    real, late = webhooks.keep, [True]

    def keep_late(*args: Any) -> None:
        if late:
            late.clear()
            # The contact was read; then it is purged; then what was read is written; then the worker dies.
            client.delete(f"/v1/contacts/{person}?purge=true")
            live_world.run_bus()
            live_world.run_jobs()
            real(*args)
            raise pipeline.Killed
        real(*args)

    monkeypatch.setattr(webhooks, "keep", keep_late)
    live_world.settle()
    held = [row["body"] for key, row in live_world.table.rows.items() if key.sk.startswith("HOOK#")]
    assert [body for body in held if "private" in body] == []


def test_a_purge_of_who_has_absorbed_many_goes_on_wherever_it_dies(live_world: HookWorld) -> None:
    sources = [f"cntct_s{n}" for n in range(40)]
    for number in itertools.count():
        person = live_world.client.post("/v1/contacts", {"external_id": f"u{number}"}).json["id"]
        tenant, chain = live_world.tenant, [person, *(f"{each}_{number}" for each in sources)]
        table.transact([Put(tenant.absorbed(*pair), {}) for pair in itertools.pairwise(chain)])
        table.transact([Put(tenant.webhook("evt_1", each), {"body": "private"}) for each in chain])
        live_world.client.delete(f"/v1/contacts/{person}?purge=true")
        live_world.run_bus()
        with live_world.dying_at(10 * number, after=True) as died:
            live_world.run_jobs()
        live_world.settle()
        assert [key for key in live_world.table.rows if key.sk.startswith(("FROM#", "HOOK#"))] == []
        if not died:
            assert number > 10
            return
