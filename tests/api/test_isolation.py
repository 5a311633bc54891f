"""Two projects: no route shows, changes or counts anything of the other one. A new route fails until it is in CALLS."""

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib.api import ROUTERS
from chalicelib.core import clock
from chalicelib.edge.auth import keyring
from chalicelib.edge.endpoint import Endpoint
from chalicelib.edge.rate_limit import limiter
from chalicelib.flows import create_project
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform.keys import Tenant
from tests.support import aws as support
from tests.support import pipeline
from tests.support.client import Client

NOW = 1_770_000_000_000
ULID = re.compile(r"[a-z_]+_[0-9a-hjkmnp-tv-z]{26}")


@dataclass(frozen=True)
class Foreign:
    """How a route is called with what belongs to somebody else, and what it answers then."""

    status: int = 200
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)


NOT_FOUND = Foreign(status=404)
OWN = Foreign()
EVENT = {"event": "x", "user_id": "shared_user", "context": {"contact_id": "{contact_id}"}}

NAMING = {"operator": "AND", "conditions": [{"field": "segments", "op": "contains", "value": "{segment_id}"}]}

CAMPAIGN = {
    "name": "Mine",
    "type": "broadcast",
    "segment_id": "seg_mine",
    "steps": [{"template_id": "tmpl_mine"}],
}

CALLS: dict[tuple[str, str], list[Foreign]] = {
    ("GET", "/v1/contacts"): [
        OWN,
        Foreign(query={"external_id": "theirs"}),
        Foreign(query={"email": "them@x.io"}),
        Foreign(query={"tag": "theirs"}),
        Foreign(404, query={"segment_id": "{segment_id}"}),
    ],
    ("POST", "/v1/contacts"): [Foreign(201, {"external_id": "theirs"}), Foreign(201, {"email": "them@x.io"})],
    ("GET", "/v1/contacts/{contact_id}"): [NOT_FOUND],
    ("PATCH", "/v1/contacts/{contact_id}"): [Foreign(404, {"traits": {"stolen": True}})],
    ("DELETE", "/v1/contacts/{contact_id}"): [NOT_FOUND],
    ("GET", "/v1/contacts/{contact_id}/events"): [NOT_FOUND],
    ("GET", "/v1/contacts/{contact_id}/segments"): [NOT_FOUND],
    ("GET", "/v1/contacts/{contact_id}/export"): [NOT_FOUND],
    ("POST", "/v1/contacts/{contact_id}/merge"): [Foreign(404, {"source_contact_id": "cntct_mine"})],
    ("POST", "/v1/segments"): [
        Foreign(201, {"name": "Mine", "type": "static"}),
        Foreign(422, {"name": "Mine", "type": "static", "contact_ids": ["{contact_id}"]}),
        Foreign(422, {"name": "Mine", "rules": NAMING}),
    ],
    ("GET", "/v1/segments"): [OWN],
    ("GET", "/v1/segments/{segment_id}"): [NOT_FOUND],
    ("PATCH", "/v1/segments/{segment_id}"): [Foreign(404, {"name": "Stolen"})],
    ("DELETE", "/v1/segments/{segment_id}"): [NOT_FOUND],
    ("GET", "/v1/segments/{segment_id}/contacts"): [NOT_FOUND],
    ("POST", "/v1/segments/{segment_id}/contacts"): [Foreign(404, {"contact_ids": ["{contact_id}"]})],
    ("DELETE", "/v1/segments/{segment_id}/contacts"): [Foreign(404, {"contact_ids": ["{contact_id}"]})],
    ("POST", "/v1/segments/{segment_id}/estimate"): [Foreign(404, {"rules": NAMING})],
    ("GET", "/v1/segments/{segment_id}/explain"): [Foreign(404, query={"contact_id": "{contact_id}"})],
    ("POST", "/v1/referrals/programs"): [Foreign(201, {"name": "Mine"})],
    ("GET", "/v1/referrals/programs"): [OWN],
    ("GET", "/v1/referrals/programs/{program_id}"): [NOT_FOUND],
    ("PATCH", "/v1/referrals/programs/{program_id}"): [Foreign(404, {"name": "Stolen"})],
    ("DELETE", "/v1/referrals/programs/{program_id}"): [NOT_FOUND],
    ("GET", "/v1/referrals/programs/{program_id}/links"): [NOT_FOUND],
    ("POST", "/v1/referrals/links"): [Foreign(422, {"program_id": "{program_id}", "contact_id": "{contact_id}"})],
    ("GET", "/v1/referrals/links/{code}"): [NOT_FOUND],
    ("GET", "/v1/referrals/links/{code}/conversions"): [NOT_FOUND],
    ("POST", "/v1/referrals/conversions"): [
        Foreign(422, {"link_code": "{code}", "referred_contact_id": "{contact_id}"})
    ],
    ("GET", "/v1/referrals/conversions"): [OWN, Foreign(query={"program_id": "{program_id}"})],
    ("POST", "/v1/referrals/conversions/{conversion_id}/approve"): [NOT_FOUND],
    ("POST", "/v1/referrals/conversions/{conversion_id}/reject"): [NOT_FOUND],
    ("POST", "/v1/referrals/conversions/{conversion_id}/reverse"): [NOT_FOUND],
    ("GET", "/v1/referrals/rewards"): [OWN, Foreign(query={"contact_id": "{contact_id}"})],
    ("POST", "/v1/referrals/rewards/{reward_id}/issue"): [NOT_FOUND],
    ("GET", "/v1/referrals/leaderboard"): [Foreign(404, query={"program_id": "{program_id}"})],
    ("POST", "/v1/campaigns"): [Foreign(201, CAMPAIGN)],
    ("GET", "/v1/campaigns"): [OWN],
    ("GET", "/v1/campaigns/{campaign_id}"): [NOT_FOUND],
    ("PATCH", "/v1/campaigns/{campaign_id}"): [Foreign(404, {"name": "Stolen"})],
    ("POST", "/v1/campaigns/{campaign_id}/activate"): [NOT_FOUND],
    ("POST", "/v1/campaigns/{campaign_id}/pause"): [NOT_FOUND],
    ("POST", "/v1/campaigns/{campaign_id}/archive"): [NOT_FOUND],
    ("POST", "/v1/campaigns/{campaign_id}/test"): [Foreign(404, {"email": "me@x.io"})],
    ("GET", "/v1/campaigns/{campaign_id}/stats"): [NOT_FOUND],
    ("GET", "/v1/campaigns/{campaign_id}/messages"): [NOT_FOUND],
    ("GET", "/v1/campaigns/{campaign_id}/preview"): [NOT_FOUND],
    ("POST", "/v1/campaigns/{campaign_id}/simulate"): [NOT_FOUND],
    ("POST", "/v1/templates"): [Foreign(201, {"name": "Mine", "html": "<p>Hi</p>"})],
    ("GET", "/v1/templates"): [OWN],
    ("GET", "/v1/templates/{template_id}"): [NOT_FOUND],
    ("PATCH", "/v1/templates/{template_id}"): [Foreign(404, {"name": "Stolen"})],
    ("DELETE", "/v1/templates/{template_id}"): [NOT_FOUND],
    ("POST", "/v1/templates/{template_id}/render"): [NOT_FOUND],
    ("GET", "/v1/test_mailbox"): [NOT_FOUND],
    ("POST", "/v1/webhooks/endpoints"): [Foreign(201, {"url": "https://x.invalid/mine", "events": ["*"]})],
    ("GET", "/v1/webhooks/endpoints"): [OWN],
    ("GET", "/v1/webhooks/endpoints/{endpoint_id}"): [NOT_FOUND],
    ("PATCH", "/v1/webhooks/endpoints/{endpoint_id}"): [Foreign(404, {"events": ["*"]})],
    ("DELETE", "/v1/webhooks/endpoints/{endpoint_id}"): [NOT_FOUND],
    ("POST", "/v1/webhooks/endpoints/{endpoint_id}/rotate-secret"): [NOT_FOUND],
    ("POST", "/v1/webhooks/endpoints/{endpoint_id}/test"): [Foreign(404, {"event": "contact.created"})],
    ("GET", "/v1/webhooks/endpoints/{endpoint_id}/logs"): [NOT_FOUND],
    ("POST", "/v1/webhooks/endpoints/{endpoint_id}/logs/{log_id}/replay"): [NOT_FOUND],
    ("POST", "/v1/webhooks/endpoints/{endpoint_id}/replay"): [Foreign(404, {"since": "2026-01-01"})],
    ("POST", "/v1/waitlists"): [
        Foreign(201, {"name": "Mine", "slug": "their-list"}),
        Foreign(422, {"name": "Mine", "slug": "mine", "welcome_email_template_id": "{template_id}"}),
    ],
    ("GET", "/v1/waitlists"): [OWN],
    ("GET", "/v1/waitlists/{waitlist_id}"): [NOT_FOUND],
    ("PATCH", "/v1/waitlists/{waitlist_id}"): [Foreign(404, {"name": "Stolen"})],
    ("DELETE", "/v1/waitlists/{waitlist_id}"): [NOT_FOUND],
    ("GET", "/v1/waitlists/{waitlist_id}/entries"): [NOT_FOUND],
    ("POST", "/v1/waitlists/{waitlist_id}/entries"): [Foreign(404, {"email": "me@x.io"})],
    ("DELETE", "/v1/waitlists/{waitlist_id}/entries/{entry_id}"): [NOT_FOUND],
    ("POST", "/v1/waitlists/{waitlist_id}/entries/{entry_id}/approve"): [NOT_FOUND],
    ("POST", "/v1/waitlists/{waitlist_id}/entries/approve-batch"): [Foreign(404, {"count": 1})],
    ("POST", "/v1/waitlists/{waitlist_id}/join"): [Foreign(404, {"email": "them@x.io"})],
    ("GET", "/v1/waitlists/{waitlist_id}/status"): [Foreign(404, query={"token": "{status_token}"})],
    ("GET", "/v1/analytics/events"): [
        OWN,
        Foreign(query={"event": "their_event"}),
        Foreign(query={"contact_id": "{contact_id}"}),
    ],
    ("GET", "/v1/settings"): [OWN],
    ("PATCH", "/v1/settings"): [Foreign(200, {"name": "Mine"})],
    ("GET", "/v1/settings/keys"): [OWN],
    ("POST", "/v1/settings/keys"): [Foreign(201, {"name": "Mine", "scopes": ["contacts:read"]})],
    ("DELETE", "/v1/settings/keys/{key_id}"): [NOT_FOUND],
    ("GET", "/v1/test_clock"): [NOT_FOUND],
    ("POST", "/v1/test_clock/advance"): [Foreign(404, {"by": "5d"})],
    ("POST", "/v1/identify"): [Foreign(202, EVENT | {"traits": {"email": "them@x.io"}})],
    ("POST", "/v1/track"): [Foreign(202, EVENT)],
    ("POST", "/v1/page"): [Foreign(202, EVENT)],
    ("POST", "/v1/screen"): [Foreign(202, EVENT)],
    ("POST", "/v1/group"): [Foreign(202, EVENT | {"group_id": "theirs"})],
    ("POST", "/v1/alias"): [Foreign(202, EVENT | {"previous_id": "theirs"})],
    ("POST", "/v1/batch"): [Foreign(202, {"batch": [EVENT | {"type": "track"}]})],
    ("POST", "/v1/import"): [Foreign(202, {"batch": [EVENT | {"type": "track"}]})],
    ("GET", "/v1/decide"): [Foreign(query={"user_id": "theirs"})],
}

ENDPOINTS = [endpoint for router in ROUTERS for endpoint in router.endpoints if endpoint.access != "public"]


@dataclass(frozen=True)
class Worlds:
    """Two projects, of which one has something of everything: the table's rows, and all that its owner sees of it."""

    rows: Any
    own_key: str
    other_key: str
    theirs: dict[str, str]
    seen: list[Any]


@pytest.fixture(scope="module")
def made() -> list[Worlds]:
    """The two projects, once they are made."""
    return []


@pytest.fixture
def worlds(table: str, made: list[Worlds]) -> Worlds:
    """The two projects as they were made, put back for each test: to make them takes longer than most of these."""
    if not made:
        made.append(make(table))
    support.put_back(table, made[0].rows)
    keyring.forget()
    limiter.forget()
    return made[0]


def make(table: str) -> Worlds:
    own, other = (create_project.run(name, "live", "scale", now=clock.system_ms()) for name in ("Acme", "Globex"))
    other_client = Client(other.secret_key)
    theirs = made_by(other_client, Tenant(other.project_id))
    rows = support.rows_of(table)
    return Worlds(rows, own.secret_key, other.secret_key, theirs, everything(other_client, theirs))


@pytest.fixture
def client(worlds: Worlds) -> Client:
    return Client(worlds.own_key)


@pytest.fixture
def other_client(worlds: Worlds) -> Client:
    return Client(worlds.other_key)


@pytest.fixture
def theirs(worlds: Worlds) -> dict[str, str]:
    """The ids of everything that the other project has."""
    return worlds.theirs


def made_by(other_client: Client, tenant: Tenant) -> dict[str, str]:
    """Something of everything; its ids."""
    person = other_client.post("/v1/contacts", {"external_id": "theirs", "email": "them@x.io", "tags": ["theirs"]}).json
    pipeline.record(tenant, [pipeline.accepted({"userId": "theirs", "event": "their_event"}, "track", NOW)])
    pipeline.run_bus()
    key = other_client.post("/v1/settings/keys", {"name": "Theirs", "scopes": ["contacts:read"]}).json
    event = other_client.get("/v1/analytics/events").json["data"][0]
    listed = {"name": "Theirs", "type": "static", "contact_ids": [person["id"]]}
    segment = other_client.post("/v1/segments", listed).json
    template = other_client.post("/v1/templates", {"name": "Theirs", "html": "<p>Hi</p>"}).json
    news = CAMPAIGN | {"name": "Theirs", "segment_id": segment["id"], "steps": [{"template_id": template["id"]}]}
    campaign = other_client.post("/v1/campaigns", news).json
    program = other_client.post("/v1/referrals/programs", {"name": "Theirs", "reward_amount": 1}).json
    owner = {"program_id": program["id"], "contact_id": person["id"]}
    link = other_client.post("/v1/referrals/links", owner).json
    friend = other_client.post("/v1/contacts", {"external_id": "their friend"}).json
    converted = {"link_code": link["code"], "referred_contact_id": friend["id"]}
    conversion = other_client.post("/v1/referrals/conversions", converted).json
    reward = other_client.get("/v1/referrals/rewards").json["data"][0]
    hook = {"url": "https://nowhere.invalid/theirs", "events": ["contact.created"]}
    endpoint = other_client.post("/v1/webhooks/endpoints", hook).json
    waitlist = other_client.post("/v1/waitlists", {"name": "Theirs", "slug": "their-list"}).json
    joined = other_client.post("/v1/waitlists/their-list/join", {"email": "them@x.io"}).json
    other_client.post("/v1/contacts", {"external_id": "their other"})
    pipeline.drain()
    log = other_client.get(f"/v1/webhooks/endpoints/{endpoint['id']}/logs").json["data"][0]
    return {
        "endpoint_id": endpoint["id"],
        "campaign_id": campaign["id"],
        "template_id": template["id"],
        "program_id": program["id"],
        "code": link["code"],
        "conversion_id": conversion["id"],
        "reward_id": reward["id"],
        "log_id": log["id"],
        "contact_id": person["id"],
        "segment_id": segment["id"],
        "waitlist_id": waitlist["id"],
        "entry_id": joined["id"],
        "status_token": joined["status_token"],
        "key_id": key["id"],
        "event_id": event["id"],
        "project": tenant.project_id,
    }


def filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: filled(inner, ids) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, ids) for inner in value]
    return value.format(**ids) if isinstance(value, str) else value


def named(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
def test_nothing_of_the_other_project_is_seen_or_changed(
    endpoint: Endpoint, client: Client, other_client: Client, theirs: dict[str, str], worlds: Worlds
) -> None:
    calls = CALLS[(endpoint.method, endpoint.path)]
    for n, call in enumerate(calls):
        answer = client.request(
            endpoint.method,
            endpoint.path.format(**theirs),
            filled(call.body, theirs),
            query=filled(call.query, theirs),
            headers={"Idempotency-Key": f"k{n}"} if endpoint.idempotent else {},
        )
        assert answer.status == call.status, answer.text
        assert not set(theirs.values()) & set(ULID.findall(answer.text)), answer.text
        assert answer.status != 200 or answer.json.get("data", []) == [] or "keys" in endpoint.path
    assert everything(other_client, theirs) == worlds.seen


def test_a_contact_of_the_other_project_is_not_merged_into_an_own_one(
    client: Client, other_client: Client, theirs: dict[str, str], worlds: Worlds
) -> None:
    own = client.post("/v1/contacts", {"external_id": "mine"}).json["id"]
    answer = client.post(f"/v1/contacts/{own}/merge", {"source_contact_id": theirs["contact_id"]})
    assert answer.status == 404
    assert not set(theirs.values()) & set(ULID.findall(answer.text)), answer.text
    assert everything(other_client, theirs) == worlds.seen


def everything(other_client: Client, theirs: dict[str, str]) -> list[Any]:
    """All that the other project can read of itself."""
    paths = (
        "/v1/contacts",
        f"/v1/contacts/{theirs['contact_id']}",
        f"/v1/contacts/{theirs['contact_id']}/segments",
        "/v1/analytics/events",
        "/v1/segments",
        "/v1/settings",
        "/v1/campaigns",
        "/v1/templates",
        f"/v1/referrals/programs/{theirs['program_id']}",
        f"/v1/referrals/links/{theirs['code']}",
        f"/v1/referrals/links/{theirs['code']}/conversions",
        "/v1/referrals/rewards",
        f"/v1/referrals/leaderboard?program_id={theirs['program_id']}",
        "/v1/webhooks/endpoints",
        f"/v1/webhooks/endpoints/{theirs['endpoint_id']}/logs",
        "/v1/waitlists",
        f"/v1/waitlists/{theirs['waitlist_id']}/entries",
    )
    keys = other_client.get("/v1/settings/keys").json["data"]
    return [
        *(other_client.get(path).json for path in paths),
        [{name: value for name, value in key.items() if name != "last_used_at"} for key in keys],
    ]


def test_ids_of_the_other_project_answer_as_ids_that_never_were(client: Client, theirs: dict[str, str]) -> None:
    for path in (f"/v1/contacts/{theirs['contact_id']}", "/v1/contacts/cntct_01j00000000000000000000000"):
        answer = client.get(path)
        assert answer.status == 404
        assert answer.json["error"] == {"code": "not_found", "message": "There is no such contact.", "details": []}


def test_the_same_message_id_in_two_projects_counts_in_both(
    project: CreatedProject, other_project: CreatedProject
) -> None:
    for one in (project, other_project):
        event = pipeline.accepted({"userId": "u", "event": "x", "messageId": "m"}, "track", NOW)
        pipeline.record(Tenant(one.project_id), [event])
        assert len(pipeline.rows(Tenant(one.project_id), "EVT#")) == 1


def test_the_same_idempotency_key_in_two_projects_acts_in_both(client: Client, other_client: Client) -> None:
    for one in (client, other_client):
        answer = one.post("/v1/contacts", {"external_id": "u"}, headers={"Idempotency-Key": "k"})
        assert answer.status == 201
        assert "idempotency-replayed" not in answer.headers
