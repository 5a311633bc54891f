"""The documents leave no route out, are valid, have the reference's examples, and tell the truth of the answers."""

import json
import re
from typing import Any
from urllib.parse import urljoin

import openapi_spec_validator
import pytest

from app import app
from chalicelib.api import ROUTERS
from chalicelib.core import clock
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform.keys import Tenant
from tests.support import documents, growth_calls, pipeline, reference
from tests.support.client import Client

PUBLIC = {
    *("/docs", "/docs/assets/{asset}", "/openapi/management.json", "/openapi/ingest.json", "/", "/{proxy+}"),
    *("/o/{token}", "/c/{token}", "/u/{token}", "/w/{token}", "/r/{code}", "/s/{token}"),
    "/ses/notifications",
}
"""Pages, the links of mails and referrals, what the mail service posts, and the answers to paths that are none."""

EXPECTED_IN_REFERENCE = {
    "GET /v1/contacts",
    "GET /v1/contacts/{contact_id}",
    "PATCH /v1/contacts/{contact_id}",
    "POST /v1/contacts/{contact_id}/merge",
    "POST /v1/segments",
    "PATCH /v1/segments/{segment_id}",
    "POST /v1/segments/{segment_id}/estimate",
    "POST /v1/referrals/programs",
    "PATCH /v1/referrals/programs/{program_id}",
    "POST /v1/referrals/links",
    "POST /v1/referrals/conversions",
    "GET /v1/referrals/leaderboard",
    "POST /v1/campaigns",
    "PATCH /v1/campaigns/{campaign_id}",
    "POST /v1/campaigns/{campaign_id}/test",
    "GET /v1/campaigns/{campaign_id}/stats",
    "POST /v1/webhooks/endpoints",
    "PATCH /v1/webhooks/endpoints/{endpoint_id}",
    "GET /v1/webhooks/endpoints/{endpoint_id}/logs",
    "POST /v1/webhooks/endpoints/{endpoint_id}/test",
    "POST /v1/surveys",
    "PATCH /v1/surveys/{survey_id}",
    "GET /v1/surveys/{survey_id}/responses",
    "GET /v1/surveys/{survey_id}/stats",
    "POST /v1/waitlists",
    "GET /v1/waitlists/{waitlist_id}/entries",
    "POST /v1/waitlists/{waitlist_id}/entries",
    "POST /v1/waitlists/{waitlist_id}/entries/approve-batch",
    "POST /v1/analytics/query",
    "GET /v1/analytics/overview",
    "POST /v1/settings/keys",
    "GET /v1/settings",
    "PATCH /v1/settings",
    "GET /v1/settings/keys",
}
"""Endpoints of which the reference has an example with a body."""


def covered_examples() -> list[tuple[str, str, str, Any]]:
    """Those of the reference whose endpoint is documented, with the path as the document has it."""
    known = documents.operations(documents.management())
    found = []
    for method, path, kind, value in reference.examples():
        template = documents.template_of(documents.management(), path)
        if template is not None and (method, template) in known:
            found.append((method, template, kind, value))
    return found


def test_each_route_is_documented_or_a_public_page() -> None:
    described = {*documents.management()["paths"], *documents.ingest()["paths"]}

    assert set(app.routes) == described | PUBLIC
    assert not described & PUBLIC


def test_each_endpoint_is_documented_with_its_method() -> None:
    described = {*documents.operations(documents.management()), *documents.operations(documents.ingest())}
    declared = {(e.method, e.path) for router in ROUTERS for e in router.endpoints if e.access != "public"}

    assert described == declared


@pytest.mark.parametrize("document", [documents.management, documents.ingest])
def test_the_documents_are_valid_openapi(document: Any) -> None:
    openapi_spec_validator.validate(document())
    assert document()["openapi"] == "3.1.0"


@pytest.mark.parametrize("document", [documents.management, documents.ingest])
def test_each_operation_is_described_with_examples_errors_and_a_key(document: Any) -> None:
    for (method, path), operation in documents.operations(document()).items():
        assert operation["summary"], path
        assert operation["security"], path
        assert {"401", "403", "429", "500", "503"} <= set(operation["responses"]), path
        bodies = [response["content"]["application/json"] for response in operation["responses"].values()]
        if "requestBody" in operation:
            bodies.append(operation["requestBody"]["content"]["application/json"])
        for body in bodies:
            examples = [body["example"]] if "example" in body else [e["value"] for e in body["examples"].values()]
            assert examples, f"{method} {path}"
            for example in examples:
                assert documents.faults(document(), body["schema"], example) == [], f"{method} {path}"


@pytest.mark.parametrize("document", [documents.management, documents.ingest])
def test_operation_ids_are_unique(document: Any) -> None:
    ids = [operation["operationId"] for operation in documents.operations(document()).values()]

    assert len(ids) == len(set(ids))


def test_the_reference_has_examples_of_these_endpoints() -> None:
    assert {f"{method} {path}" for method, path, _, _ in covered_examples()} == EXPECTED_IN_REFERENCE


@pytest.mark.parametrize("example", range(len(covered_examples())))
def test_the_examples_of_the_reference_validate(example: int) -> None:
    method, path, kind, value = covered_examples()[example]
    document = documents.management()
    operation = documents.operations(document)[method, path]
    if kind == "request":
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        (model,) = [e.body for router in ROUTERS for e in router.endpoints if (e.method, e.path) == (method, path)]
        assert model is not None
        model.model_validate(value)
        assert documents.faults(document, schema, value) == []
        return
    status = next(status for status in operation["responses"] if status.startswith("2"))
    schema = operation["responses"][status]["content"]["application/json"]["schema"]
    assert documents.faults(documents.partial(document), schema, value) == []


@pytest.mark.parametrize("example", range(len(covered_examples())))
def test_the_examples_of_the_documents_are_those_of_the_reference(example: int) -> None:
    method, path, kind, value = covered_examples()[example]
    operation = documents.operations(documents.management())[method, path]
    if kind == "request":
        shown = operation["requestBody"]["content"]["application/json"]["example"]
    else:
        status = next(status for status in operation["responses"] if status.startswith("2"))
        shown = operation["responses"][status]["content"]["application/json"]["example"]

    assert _has(shown, value)


def test_the_parameters_of_the_reference_are_documented() -> None:
    for method, path in reference.calls():
        template = documents.template_of(documents.management(), path)
        operation = documents.operations(documents.management()).get((method, template or ""))
        if operation is not None and "?" in path:
            named = set(re.findall(r"[?&](\w+)=", path)) - {"segment_id"}  # segments are not built yet
            assert named <= {parameter["name"] for parameter in operation["parameters"]}, path


def test_the_answers_of_the_management_api_fit_its_document(
    project: CreatedProject, test_project: CreatedProject
) -> None:
    client, document = Client(project.secret_key), documents.management()
    tenant, now = Tenant(project.project_id), clock.system_ms()
    tracked = {"user_id": "u1", "event": "signed_up", "context": {"campaign": {"source": "x"}}, "message_id": "m1"}
    joined = {"user_id": "u1", "group_id": "g1"}
    pipeline.record(tenant, [pipeline.accepted(tracked, "track", now), pipeline.accepted(joined, "group", now)])
    seen: set[tuple[str, str]] = set()

    def call(method: str, path: str, expected: int, body: Any = None, **options: Any) -> Any:
        answer = client.request(method, path, body, **options)
        assert answer.status == expected, answer.text
        documents.check(document, method, path, answer)
        seen.add((method, str(documents.template_of(document, path))))
        return answer.json

    contact = call("GET", "/v1/contacts", 200)["data"][0]["id"]
    call("GET", f"/v1/contacts/{contact}", 200)
    call("GET", f"/v1/contacts/{contact}/events?limit=1", 200)
    call("GET", f"/v1/contacts/{contact}/export?limit=1", 200)
    call("GET", "/v1/analytics/events?limit=1", 200)
    call("POST", "/v1/contacts", 201, {"external_id": "u2", "tags": ["vip"]})
    call("POST", "/v1/contacts", 200, {"external_id": "u2", "email": "a@example.com"})
    call("PATCH", f"/v1/contacts/{contact}", 200, {"traits": {"plan": "scale"}, "unsubscribed": True})
    call("PATCH", f"/v1/contacts/{contact}", 422, {"traits": "x"})
    source = call("POST", "/v1/contacts", 201, {"external_id": "u3"})["id"]
    call("POST", f"/v1/contacts/{contact}/merge", 200, {"source_contact_id": source})
    call("GET", f"/v1/contacts/{source}", 404)
    rules = {"operator": "AND", "conditions": [{"field": "events.signed_up", "op": "count_gte", "value": 1}]}
    dynamic = call("POST", "/v1/segments", 201, {"name": "Dynamic", "rules": rules})["id"]
    static = call("POST", "/v1/segments", 201, {"name": "Static", "type": "static"})["id"]
    call("POST", f"/v1/segments/{static}/contacts", 200, {"contact_ids": [contact]})
    call("GET", "/v1/segments?limit=1", 200)
    call("GET", f"/v1/segments/{dynamic}", 200)
    call("GET", f"/v1/segments/{dynamic}/contacts", 200)
    call("GET", f"/v1/contacts/{contact}/segments", 200)
    call("GET", f"/v1/segments/{dynamic}/explain?contact_id={contact}", 200)
    call("POST", f"/v1/segments/{dynamic}/estimate", 200, {"rules": rules})
    call("PATCH", f"/v1/segments/{dynamic}", 200, {"name": "Other"})
    call("DELETE", f"/v1/segments/{static}/contacts", 200, {"contact_ids": [contact]})
    call("DELETE", f"/v1/segments/{static}", 200)
    growth_calls.referrals(call, contact)
    call("DELETE", f"/v1/contacts/{contact}", 200)
    call("GET", f"/v1/contacts/{contact}", 404)
    hooks = "/v1/webhooks/endpoints"
    hook = call("POST", hooks, 201, {"url": "https://nowhere.invalid/x", "events": ["contact.created"]})["id"]
    call("POST", hooks, 422, {"url": "https://127.0.0.1/x", "events": ["*"]})
    call("GET", f"{hooks}?limit=1", 200)
    call("GET", f"{hooks}/{hook}", 200)
    call("PATCH", f"{hooks}/{hook}", 200, {"events": ["contact.*"]})
    call("POST", f"{hooks}/{hook}/rotate-secret", 200)
    call("POST", f"{hooks}/{hook}/test", 200, {"event": "contact.created"})
    pipeline.drain()
    log = call("GET", f"{hooks}/{hook}/logs?limit=1", 200)["data"][0]["id"]
    call("POST", f"{hooks}/{hook}/logs/{log}/replay", 200)
    call("POST", f"{hooks}/{hook}/replay", 200, {"since": "2026-01-01"})
    call("DELETE", f"{hooks}/{hook}", 200)
    call("PATCH", "/v1/settings", 200, {"default_from_email": "hello@acme.test"})
    template = call("POST", "/v1/templates", 201, {"name": "T", "html": "<p>Hi</p>"})["id"]
    call("POST", "/v1/templates", 422, {"name": "T", "html": "{% if %}"})
    call("GET", "/v1/templates?limit=1", 200)
    call("GET", f"/v1/templates/{template}", 200)
    call("PATCH", f"/v1/templates/{template}", 200, {"name": "Other"})
    call("POST", f"/v1/templates/{template}/render", 200)
    body = {"name": "C", "type": "broadcast", "segment_id": dynamic, "steps": [{"template_id": template}]}
    one = f"/v1/campaigns/{call('POST', '/v1/campaigns', 201, body)['id']}"
    call("GET", "/v1/campaigns?limit=1&type=broadcast", 200)
    call("GET", one, 200)
    call("PATCH", one, 200, {"name": "Other"})
    call("GET", f"{one}/preview", 200)
    call("POST", f"{one}/simulate", 200, {"until": "1d"})
    call("POST", f"{one}/test", 200, {"email": "a@example.com"})
    call("POST", f"{one}/activate", 200)
    call("POST", f"{one}/activate", 409)
    call("POST", f"{one}/pause", 200)
    call("GET", f"{one}/stats", 200)
    call("GET", f"{one}/messages", 200)
    call("POST", f"{one}/archive", 200)
    growth_calls.surveys(call, client)
    growth_calls.waitlists(call, template)
    growth_calls.analytics(call)
    call("DELETE", f"/v1/templates/{template}", 200)
    call("GET", "/v1/test_mailbox", 200, key=test_project.secret_key)
    call("GET", "/v1/settings", 200)
    call("PATCH", "/v1/settings", 200, {"timezone": "Europe/London", "quiet_hours": {"start": "22:00", "end": "08:00"}})
    call("PATCH", "/v1/settings", 422, {"timezone": "Mars/Olympus"})
    key = call("POST", "/v1/settings/keys", 201, {"name": "k", "scopes": ["contacts:read"]})
    call("GET", "/v1/settings/keys?limit=1", 200)
    call("DELETE", f"/v1/settings/keys/{key['id']}", 200)
    call("GET", "/v1/test_clock", 200, key=test_project.secret_key)
    call("POST", "/v1/test_clock/advance", 200, {"by": "5d"}, key=test_project.secret_key)
    call("POST", "/v1/test_clock/advance", 409, {"by": "5d"}, key=test_project.secret_key)
    call("GET", "/v1/test_clock", 404)
    call("GET", "/v1/contacts?limit=0", 400)
    call("GET", "/v1/contacts", 401, key="gos_sk_live_unknown")
    call("GET", "/v1/contacts", 403, key=_narrow(client))
    call("POST", "/v1/contacts", 413, b" " * 1_100_000)
    assert seen == set(documents.operations(document))


def test_the_answers_of_the_ingest_api_fit_its_document(project: CreatedProject) -> None:
    client, document = Client(project.write_key), documents.ingest()
    for (method, path), operation in documents.operations(document).items():
        if method == "POST":
            body = operation["requestBody"]["content"]["application/json"]["example"]
            documents.check(document, method, path, client.post(path, body))
            documents.check(document, method, path, client.post(path, {}))
            documents.check(document, method, path, client.post(path, b"{"))
        else:
            documents.check(document, method, path, client.get(path, query={"user_id": "u"}))
            documents.check(document, method, path, client.get(path))
        documents.check(document, method, path, client.request(method, path, {}, key="gos_wk_unknown"))


def test_the_documents_are_made_once(engine: str) -> None:
    assert Client().get("/openapi/ingest.json").text is Client().get("/openapi/ingest.json").text


@pytest.mark.parametrize(
    ("headers", "stage", "address"),
    [
        ({"Host": "127.0.0.1:8000"}, "", "http://127.0.0.1:8000"),
        ({"Host": "x.execute-api.test", "X-Forwarded-Proto": "https"}, "/api", "https://x.execute-api.test/api"),
        ({"Host": "api.acme.test", "X-Forwarded-Proto": "https"}, "", "https://api.acme.test"),
        ({"Host": 'evil.test/"}'}, "", "http://localhost"),
    ],
)
@pytest.mark.parametrize("name", ["management", "ingest"])
def test_paths_put_behind_the_servers_address_are_where_the_api_answers(
    engine: str, name: str, headers: dict[str, str], stage: str, address: str
) -> None:
    document = Client(stage=stage).get(f"/openapi/{name}.json", headers=headers).json
    assert document["servers"] == [{"url": address}]


def test_the_documents_describe_the_details_of_errors() -> None:
    for document in (documents.management(), documents.ingest()):
        shapes = document["components"]["schemas"]
        assert shapes["FieldDetail"]["properties"].keys() == {"field", "reason", "message"}
        assert shapes["ScopeDetail"]["properties"].keys() == {"required_scope", "granted_scopes"}
        assert shapes["MergedDetail"]["properties"].keys() == {"merged_into"}
        for operation in documents.operations(document).values():
            assert {"405", "413"} <= operation["responses"].keys()


def test_no_component_is_left_unused() -> None:
    for document in (documents.management(), documents.ingest()):
        text = json.dumps(document)
        for kind, entries in document["components"].items():
            if kind != "securitySchemes":
                assert [name for name in entries if f'"#/components/{kind}/{name}"' not in text] == []


def test_the_settings_answer_is_typed() -> None:
    shapes = documents.management()["components"]["schemas"]
    settings = shapes["SettingsView"]["properties"]
    assert settings["scoring"] == {"$ref": "#/components/schemas/Scoring"}
    assert {"$ref": "#/components/schemas/QuietHoursShown"} in settings["quiet_hours"]["anyOf"]


def test_a_slash_at_the_end_leads_to_the_page(engine: str) -> None:
    moved = Client().get("/docs/")
    assert (moved.status, urljoin("https://x.test/api/docs/", moved.headers["location"])) == (
        308,
        "https://x.test/api/docs",
    )


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = Client().get("/docs")

    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert not [source for source in sources if ":" in source or source.startswith("/")]
    for asset in (source for source in sources if not source.startswith("?")):
        answer = Client().get(f"/{asset}")
        assert answer.status == 200, asset
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_offers_both_documents() -> None:
    page = Client().get("/docs").text

    assert "?api=management" in page
    assert "?api=ingest" in page
    assert "openapi/${api}.json" in Client().get("/docs/assets/start.js").text


def test_an_unknown_asset_is_404() -> None:
    assert Client().get("/docs/assets/passwd").status == 404


def _narrow(client: Client) -> str:
    made = client.post("/v1/settings/keys", {"name": "narrow", "scopes": ["surveys:read"]})
    return str(made.json["key"])


def _has(whole: Any, part: Any) -> bool:
    """True where `part` is `whole` with some fields left out, or written as the dots that the reference has."""
    if part == {"...": "..."}:
        return isinstance(whole, dict)
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and _has(whole[key], value) for key, value in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(_has, whole, part))
    return bool(whole == part)
