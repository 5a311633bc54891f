"""Two projects: no route shows, changes or counts anything of the other one. A new route fails until it is in CALLS."""

import re
from dataclasses import dataclass
from typing import Any

import pytest

from chalicelib.api import ROUTERS
from chalicelib.core import clock
from chalicelib.edge.auth import keyring
from chalicelib.edge.endpoint import Endpoint
from chalicelib.edge.rate_limit import limiter
from chalicelib.flows import create_project
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import survey_tokens
from chalicelib.platform.keys import Tenant
from chalicelib.platform.survey_tokens import Token
from tests.support import aws as support
from tests.support import pipeline
from tests.support.client import Client
from tests.support.foreign_calls import ASKS, CALLS, CAMPAIGN, COHORT, FUNNEL

NOW = 1_770_000_000_000
ULID = re.compile(r"[a-z_]+_[0-9a-hjkmnp-tv-z]{26}")


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
    survey = other_client.post("/v1/surveys", ASKS | {"name": "Theirs", "channels": ["widget"]}).json
    other_client.post(f"/v1/surveys/{survey['id']}/activate")
    answer = {"contact_id": person["id"], "score": 9, "comment": "Theirs"}
    response = other_client.post(f"/v1/surveys/{survey['id']}/responses", answer).json
    send = other_client.get(f"/v1/surveys/{survey['id']}/sends").json["data"][0]
    other_client.post("/v1/contacts", {"external_id": "their other"})
    funnel = other_client.post("/v1/analytics/funnels", FUNNEL | {"name": "Theirs"}).json
    cohort = other_client.post("/v1/analytics/cohorts", COHORT | {"name": "Theirs"}).json
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
        "survey_id": survey["id"],
        "response_id": response["id"],
        "survey_token": survey_tokens.make(Token(tenant, person["id"], survey["id"], send["id"])),
        "funnel_id": funnel["id"],
        "cohort_id": cohort["id"],
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
        is_empty = answer.status != 200 or answer.json.get("data", []) == [] or answer.json.get("total") == 0
        assert is_empty or "keys" in endpoint.path
    assert everything(other_client, theirs) == worlds.seen


def test_a_contact_of_the_other_project_is_not_merged_into_an_own_one(
    client: Client, other_client: Client, theirs: dict[str, str], worlds: Worlds
) -> None:
    own = client.post("/v1/contacts", {"external_id": "mine"}).json["id"]
    answer = client.post(f"/v1/contacts/{own}/merge", {"source_contact_id": theirs["contact_id"]})
    assert answer.status == 404
    assert not set(theirs.values()) & set(ULID.findall(answer.text)), answer.text
    assert everything(other_client, theirs) == worlds.seen


@pytest.mark.parametrize("body", [{"token": "{survey_token}"}, {"contact_id": "{contact_id}"}])
def test_nobody_of_the_other_project_answers_an_own_survey(
    client: Client, other_client: Client, theirs: dict[str, str], worlds: Worlds, body: dict[str, str]
) -> None:
    own = client.post("/v1/surveys", ASKS | {"channels": ["widget"]}).json["id"]
    assert client.post(f"/v1/surveys/{own}/activate").status == 200
    answer = client.post(f"/v1/surveys/{own}/responses", filled(body, theirs) | {"score": 0})
    assert (answer.status, client.get(f"/v1/surveys/{own}/responses").json["data"]) == (404, [])
    assert client.get(f"/v1/surveys/{own}/explain", query={"contact_id": theirs["contact_id"]}).status == 404
    assert everything(other_client, theirs) == worlds.seen


def test_an_own_survey_names_nothing_of_the_other_project(client: Client, theirs: dict[str, str]) -> None:
    names = {
        "trigger": {"segment_id": theirs["segment_id"]},
        "email_template_id": theirs["template_id"],
        "actions": {
            "promoter": {"referral_program_id": theirs["program_id"], "start_campaign_id": theirs["campaign_id"]}
        },
    }
    own = client.post("/v1/surveys", ASKS | {"channels": ["widget"]} | names).json["id"]
    answer = client.post(f"/v1/surveys/{own}/activate")
    assert answer.status == 422
    assert set(answer.fields) == {
        "trigger.segment_id",
        "email_template_id",
        "actions.promoter.referral_program_id",
        "actions.promoter.start_campaign_id",
    }


def test_the_page_of_a_token_is_of_its_own_project_whoever_opens_it(
    client: Client, other_client: Client, theirs: dict[str, str]
) -> None:
    path, form = f"/s/{theirs['survey_token']}", b"score=3"
    page = client.get(path)
    assert (page.status, "Globex" in page.text, "Acme" in page.text) == (200, True, False)
    assert client.post(path, form, content_type="application/x-www-form-urlencoded").status == 200
    assert client.get("/v1/surveys").json["data"] == []
    (answered,) = other_client.get(f"/v1/surveys/{theirs['survey_id']}/responses").json["data"]
    assert (answered["score"], answered["contact_id"]) == (3, theirs["contact_id"])


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
        "/v1/surveys",
        f"/v1/surveys/{theirs['survey_id']}/sends",
        f"/v1/surveys/{theirs['survey_id']}/responses",
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
