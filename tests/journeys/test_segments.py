"""Segments through worker, bus, timers and API: who is in, since when, and until when."""

from typing import Any

import pytest
import time_machine

from chalicelib.core import clock
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform.keys import Tenant
from tests.support import pipeline, world
from tests.support.client import Client

NOW = clock.parse_instant("2026-03-01T12:00:00Z")


def rules(*conditions: dict[str, Any], operator: str = "AND") -> dict[str, Any]:
    return {"operator": operator, "conditions": list(conditions)}


def logins(count: int, window: str) -> dict[str, Any]:
    return {"field": "events.login", "op": "count_gte", "value": count, "window": window}


@pytest.fixture
def tenant(project: CreatedProject) -> Tenant:
    return Tenant(project.project_id)


def made(client: Client, name: str = "S", **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/segments", {"name": name} | body)
    assert answer.status == 201, answer.text
    return dict(answer.json)


def members(client: Client, segment_id: str) -> set[str]:
    return {row["external_id"] for row in client.get(f"/v1/segments/{segment_id}/contacts").json["data"]}


def count(client: Client, segment_id: str) -> int:
    return int(client.get(f"/v1/segments/{segment_id}").json["contact_count"])


def test_a_segment_of_few_contacts_is_ready_in_the_answer(client: Client, tenant: Tenant) -> None:
    for n in range(5):
        world.send(tenant, "identify", userId=f"u{n}", traits={"plan": "trial" if n % 2 else "paid"})
    segment = made(client, rules=rules({"field": "traits.plan", "op": "eq", "value": "trial"}))
    assert (segment["status"], segment["contact_count"]) == ("ready", 2)
    assert members(client, segment["id"]) == {"u1", "u3"}
    pipeline.drain()
    assert count(client, segment["id"]) == 2


def test_a_contact_enters_by_its_events_and_leaves_when_the_window_passes(client: Client, tenant: Tenant) -> None:
    with time_machine.travel(NOW / 1000, tick=False) as traveller:
        segment = made(client, rules=rules(logins(2, "30m")))
        world.send(tenant, "track", userId="u", event="login")
        assert members(client, segment["id"]) == set()
        traveller.shift(60)
        world.send(tenant, "track", userId="u", event="login")
        assert members(client, segment["id"]) == {"u"}
        traveller.move_to((NOW + 30 * clock.MINUTE - 1000) / 1000, tick=False)
        assert world.fire(tenant) == 0
        assert members(client, segment["id"]) == {"u"}
        traveller.shift(1)
        assert world.fire(tenant) == 1
        assert members(client, segment["id"]) == set()
        assert count(client, segment["id"]) == 0


def test_one_segment_names_another_static_or_dynamic(client: Client, tenant: Tenant) -> None:
    for n in range(4):
        world.send(tenant, "identify", userId=f"u{n}", traits={"plan": "trial" if n % 2 else "paid"})
    ids = {row["external_id"]: row["id"] for row in client.get("/v1/contacts").json["data"]}
    trial = made(client, rules=rules({"field": "traits.plan", "op": "eq", "value": "trial"}))
    chosen = made(client, type="static", contact_ids=[ids["u1"], ids["u2"]])
    both = made(
        client,
        rules=rules(
            {"field": "segments", "op": "contains", "value": trial["id"]},
            {"field": "segments", "op": "in", "value": [chosen["id"]]},
        ),
    )
    assert members(client, both["id"]) == {"u1"}
    assert client.post(f"/v1/segments/{chosen['id']}/contacts", {"contact_ids": [ids["u3"]]}).json["changed"] == 1
    assert members(client, both["id"]) == {"u1", "u3"}
    path = f"/v1/segments/{chosen['id']}/contacts"
    assert client.delete(path, body={"contact_ids": [ids["u1"]]}).json["changed"] == 1
    assert members(client, both["id"]) == {"u3"}
    pipeline.drain()
    assert [count(client, one["id"]) for one in (trial, chosen, both)] == [2, 2, 1]


def test_a_deleted_contact_is_in_no_segment(client: Client, tenant: Tenant) -> None:
    world.send(tenant, "track", userId="u", event="login")
    segment = made(client, rules=rules(logins(1, "7d")))
    assert members(client, segment["id"]) == {"u"}
    contact_id = client.get("/v1/contacts").json["data"][0]["id"]
    client.delete(f"/v1/contacts/{contact_id}")
    assert members(client, segment["id"]) == set()
    pipeline.drain()
    assert count(client, segment["id"]) == 0
    left = [row for prefix in ("SEG#", "TIMER#memberships", "MEMBERSHIPS") for row in pipeline.rows(tenant, prefix)]
    assert [row for row in left if "#C#" in row["PK"]] == []


def test_other_rules_build_the_segment_anew(client: Client, tenant: Tenant) -> None:
    for n in range(4):
        world.send(tenant, "identify", userId=f"u{n}", traits={"n": n})
    segment = made(client, rules=rules({"field": "traits.n", "op": "gte", "value": 2}))
    changed = client.patch(
        f"/v1/segments/{segment['id']}", {"rules": rules({"field": "traits.n", "op": "lt", "value": 1})}
    ).json
    assert (changed["status"], changed["contact_count"]) == ("ready", 1)
    assert members(client, segment["id"]) == {"u0"}
    pipeline.drain()
    assert count(client, segment["id"]) == 1


def test_explain_tells_each_leafs_value_evidence_and_flip(client: Client, tenant: Tenant) -> None:
    with time_machine.travel(NOW / 1000, tick=False):
        world.send(tenant, "identify", userId="u", traits={"plan": "trial"})
        world.send(tenant, "track", userId="u", event="login")
        segment = made(client, rules=rules({"field": "traits.plan", "op": "eq", "value": "trial"}, logins(1, "1h")))
        contact_id = client.get("/v1/contacts").json["data"][0]["id"]
        told = client.get(f"/v1/segments/{segment['id']}/explain", query={"contact_id": contact_id}).json
        event_id = client.get(f"/v1/contacts/{contact_id}/events").json["data"][0]["id"]
        assert (told["member"], told["leaves_at"], told["enters_at"]) == (True, "2026-03-01T13:00:00Z", None)
        plan, login = told["rules"]["conditions"]
        assert (plan["actual"], plan["flips_at"], plan["evidence"]) == ("trial", None, [])
        assert (login["actual"], login["flips_at"], login["evidence"]) == (1, "2026-03-01T13:00:00Z", [event_id])


def test_an_estimate_counts_without_making_anything(client: Client, tenant: Tenant) -> None:
    for n in range(3):
        world.send(tenant, "track", userId=f"u{n}", event="login" if n else "logout")
    segment = made(client, type="static")
    answer = client.post(f"/v1/segments/{segment['id']}/estimate", {"rules": rules(logins(1, "7d"))})
    assert answer.json == {"estimated_count": 2, "total_contacts": 3, "percentage": 66.7, "sampled": False}


def test_a_segment_that_others_name_is_not_deleted(client: Client) -> None:
    base = made(client, type="static")
    naming = made(client, rules=rules({"field": "segments", "op": "contains", "value": base["id"]}))
    assert client.delete(f"/v1/segments/{base['id']}").status == 409
    assert client.delete(f"/v1/segments/{naming['id']}").status == 200
    assert client.delete(f"/v1/segments/{base['id']}").json == {"id": base["id"], "deleted": True}
    assert client.get(f"/v1/segments/{base['id']}").status == 404


def test_a_circle_through_segments_is_refused(client: Client) -> None:
    first = made(client, type="static")
    one = made(client, rules=rules({"field": "segments", "op": "contains", "value": first["id"]}))
    two = made(client, rules=rules({"field": "segments", "op": "contains", "value": one["id"]}))
    for target in (one, two):
        body = {"rules": rules({"field": "segments", "op": "contains", "value": target["id"]})}
        answer = client.patch(f"/v1/segments/{one['id']}", body)
        assert (answer.status, answer.fields) == (422, ["rules"])


SCORING = {
    "engagement": {"half_life": "1d", "default_event": 5, "events": {"paid": 40}, "traits": []},
    "lead": {
        "half_life": "30d",
        "traits": [{"field": "traits.plan", "op": "eq", "value": "trial", "points": 20}],
    },
}


def profile(client: Client, user: str) -> dict[str, Any]:
    contact_id = client.get("/v1/contacts", query={"external_id": user}).json["data"][0]["id"]
    return dict(client.get(f"/v1/contacts/{contact_id}").json)


def test_scores_decay_by_half_life_and_are_computed_for_the_moment(client: Client, tenant: Tenant) -> None:
    with time_machine.travel(NOW / 1000, tick=False) as traveller:
        client.patch("/v1/settings", {"scoring": SCORING})
        world.send(tenant, "track", userId="u", event="paid")
        world.send(tenant, "identify", userId="u", traits={"plan": "trial"})
        assert profile(client, "u")["scores"] == {"engagement": 40, "lead": 20}
        traveller.shift(86_400)
        assert profile(client, "u")["scores"] == {"engagement": 20, "lead": 20}
        world.send(tenant, "track", userId="u", event="anything")
        assert profile(client, "u")["scores"] == {"engagement": 25, "lead": 20}


def test_a_contact_leaves_when_its_score_decays_below_the_bound(client: Client, tenant: Tenant) -> None:
    with time_machine.travel(NOW / 1000, tick=False) as traveller:
        client.patch("/v1/settings", {"scoring": SCORING})
        segment = made(client, rules=rules({"field": "scores.engagement", "op": "gte", "value": 10}))
        world.send(tenant, "track", userId="u", event="paid")
        assert members(client, segment["id"]) == {"u"}
        traveller.shift(2 * 86_400 - 1)
        assert world.fire(tenant) == 0
        assert members(client, segment["id"]) == {"u"}
        traveller.shift(1.001)
        assert world.fire(tenant) == 1
        assert members(client, segment["id"]) == set()


def test_other_scoring_settings_make_scores_and_memberships_anew(client: Client, tenant: Tenant) -> None:
    with time_machine.travel(NOW / 1000, tick=False):
        segment = made(client, rules=rules({"field": "scores.engagement", "op": "gte", "value": 30}))
        for user in ("u", "v"):
            world.send(tenant, "track", userId=user, event="paid" if user == "u" else "seen")
        assert members(client, segment["id"]) == set()
        client.patch("/v1/settings", {"scoring": SCORING})
        pipeline.drain()
        assert members(client, segment["id"]) == {"u"}
        assert profile(client, "u")["scores"]["engagement"] == 40


def test_an_event_by_new_settings_before_the_rescoring_counts_once(client: Client, tenant: Tenant) -> None:
    with time_machine.travel(NOW / 1000, tick=False):
        world.send(tenant, "track", userId="u", event="paid")
        client.patch("/v1/settings", {"scoring": SCORING})
        pipeline.record(tenant, [pipeline.accepted({"userId": "u", "event": "seen"}, "track", NOW)])
        pipeline.drain()
        assert profile(client, "u")["scores"]["engagement"] == 45


def test_a_replayed_creation_answers_what_the_first_one_did(client: Client, tenant: Tenant) -> None:
    world.send(tenant, "track", userId="u", event="login")
    body, headers = {"name": "S", "rules": rules(logins(1, "7d"))}, {"Idempotency-Key": "k"}
    first, again = (client.post("/v1/segments", body, headers=headers) for _ in range(2))
    assert (first.status, first.json["status"], first.json["contact_count"]) == (201, "ready", 1)
    assert (again.json, again.headers["idempotency-replayed"]) == (first.json, "true")
    assert len(client.get("/v1/segments").json["data"]) == 1


@pytest.mark.parametrize(("before", "after"), [(1, True), (0, False)])
def test_true_in_the_place_of_1_is_another_rule(client: Client, tenant: Tenant, before: int, after: bool) -> None:
    world.send(tenant, "identify", userId="u", traits={"a": before})
    segment = made(client, rules=rules({"field": "traits.a", "op": "eq", "value": before}))
    other = {"rules": rules({"field": "traits.a", "op": "eq", "value": after})}
    changed = client.patch(f"/v1/segments/{segment['id']}", other).json
    assert changed["rules"]["conditions"][0]["value"] is after
    assert (changed["contact_count"], members(client, segment["id"])) == (0, set())


def test_members_put_in_under_one_idempotency_key_are_put_in_once(client: Client, tenant: Tenant) -> None:
    world.send(tenant, "track", userId="u", event="login")
    contact_id = client.get("/v1/contacts").json["data"][0]["id"]
    path = f"/v1/segments/{made(client, type='static')['id']}/contacts"
    first, again = (client.post(path, {"contact_ids": [contact_id]}, headers={"Idempotency-Key": "k"}) for _ in "12")
    assert (again.json, again.headers["idempotency-replayed"]) == (first.json, "true")
    assert client.post(path, {"contact_ids": ["x"]}, headers={"Idempotency-Key": "k"}).status == 409


def test_a_cursor_of_a_segments_members_is_none_of_the_contacts(client: Client, tenant: Tenant) -> None:
    for user in "uv":
        world.send(tenant, "track", userId=user, event="login")
    segment_id = made(client, rules=rules(logins(1, "7d")))["id"]
    cursor = client.get(f"/v1/segments/{segment_id}/contacts", query={"limit": 1}).json["next_cursor"]
    query = {"segment_id": segment_id, "limit": 1, "cursor": cursor}
    assert client.get("/v1/contacts", query=query).status == 400


def test_an_empty_change_of_a_segment_changes_nothing(client: Client) -> None:
    segment = made(client, type="static")
    assert client.patch(f"/v1/segments/{segment['id']}", {}).json == segment
