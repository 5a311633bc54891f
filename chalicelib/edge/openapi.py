"""OpenAPI 3.1 documents, made from the registry of endpoints and from the models that validate and answer."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from chalicelib.core.errors import (
    AppError,
    BadRequest,
    Conflict,
    InsufficientScope,
    IpNotAllowed,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from chalicelib.core.schema import Answer
from chalicelib.edge.endpoint import Endpoint

Schema = dict[str, Any]
Refs = Mapping[tuple[object, str], Schema]
"""The reference to each model, by the model and what it is used for."""
Examples = Mapping[str, Mapping[str, Any]]
"""By `METHOD /path`: `request` and `answer`, each where there is one."""

_REFS = "#/components/schemas/{model}"
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")
_ACCEPTED, _OK = 202, 200
_RETRIED = (RateLimited.status, Unavailable.status)


class FieldDetail(Answer):
    """What is wrong with one field or parameter: its dotted path, a reason for programs, and a message for people."""

    field: str
    reason: str
    message: str


class ScopeDetail(Answer):
    """What an `insufficient_scope` lacks."""

    required_scope: str
    granted_scopes: list[str]


class MergedDetail(Answer):
    """Where a contact that was merged into another one is now."""

    merged_into: str


class ErrorBody(Answer):
    """Which error it is, for programs (`code`) and for people (`message`)."""

    code: str
    message: str
    details: list[FieldDetail | ScopeDetail | MergedDetail]


class ErrorAnswer(Answer):
    """An error."""

    error: ErrorBody
    request_id: str


class IngestErrorAnswer(ErrorAnswer):
    """An error of ingest, with its code and message at the root too, where the clients of Segment read them."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Description:
    """What a document says of itself, and how its callers give their key."""

    title: str
    text: str
    server: str
    schemes: Mapping[str, Schema]
    examples: Examples = field(default_factory=dict)
    webhooks: Mapping[str, "Webhook"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Webhook:
    """What is posted to whoever asked for an event: its model, and an example of it as JSON."""

    model: type[BaseModel]
    example: Any


def document(about: Description, endpoints: Sequence[Endpoint]) -> Schema:
    """The document of these endpoints."""
    refs, components = _schemas(endpoints, [webhook.model for webhook in about.webhooks.values()])
    paths: dict[str, Schema] = {}
    for endpoint in endpoints:
        operation = _operation(endpoint, refs, components, about)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    webhooks = {name: {"post": _webhook(name, webhook, refs)} for name, webhook in about.webhooks.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": about.title, "version": "1", "description": about.text},
        "servers": [{"url": about.server}],
        "tags": [{"name": name} for name in dict.fromkeys(_tag(endpoint) for endpoint in endpoints)],
        "paths": paths,
        **({"webhooks": webhooks} if webhooks else {}),
        "components": {
            "schemas": dict(sorted(components.items())),
            "headers": {name: header for name, header in _HEADERS.items() if name in _headers_in(paths)},
            "securitySchemes": dict(about.schemes),
        },
    }


def _schemas(endpoints: Sequence[Endpoint], posted: Sequence[type[BaseModel]]) -> tuple[Refs, dict[str, Schema]]:
    """The references to all models of the endpoints and of what is posted, and the components that they refer to."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(model, "serialization"): None for model in posted}
    for endpoint in endpoints:
        if endpoint.body is not None:
            wanted[endpoint.body, "validation"] = None
        if endpoint.answer is not None:
            wanted[endpoint.answer, "serialization"] = None
        wanted[_error_model(endpoint), "serialization"] = None
    refs, definitions = models_json_schema(list(wanted), ref_template=_REFS)
    components: dict[str, Schema] = definitions.get("$defs", {})
    named: dict[tuple[object, str], Schema] = {(model, mode): ref for (model, mode), ref in refs.items()}
    for endpoint in endpoints:
        if endpoint.body is not None and endpoint.method == "PATCH":
            _without_defaults(components[_name_of(named[endpoint.body, "validation"])])
    return named, components


def _without_defaults(schema: Schema) -> None:
    """What a PATCH does not send stays as it is, whatever the model's default says."""
    for field_schema in schema.get("properties", {}).values():
        field_schema.pop("default", None)


def _name_of(ref: Schema) -> str:
    return str(ref["$ref"]).rpartition("/")[2]


def _operation(
    endpoint: Endpoint,
    refs: Refs,
    components: dict[str, Schema],
    about: Description,
) -> Schema:
    examples = about.examples.get(f"{endpoint.method} {endpoint.path}", {})
    header = _key_parameter(endpoint)
    operation: Schema = {
        "operationId": endpoint.handler.__name__,
        "tags": [_tag(endpoint)],
        "summary": endpoint.summary.partition(". ")[0].removesuffix("."),
        "description": _description(endpoint),
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint, components), *header],
        "security": [{name: []} for name in about.schemes],
        "responses": _responses(endpoint, refs, examples),
    }
    if endpoint.body is not None:
        content = _content(refs[endpoint.body, "validation"], examples.get("request"))
        operation["requestBody"] = {"required": not endpoint.may_be_empty, "content": content}
    return operation


def _webhook(name: str, webhook: Webhook, refs: Refs) -> Schema:
    about = " ".join((webhook.model.model_fields["data"].annotation.__doc__ or "").split())
    return {
        "operationId": f"webhook_{name.replace('.', '_')}",
        "tags": ["Webhooks"],
        "summary": name,
        "description": about,
        "parameters": [
            {"name": header, "in": "header", "required": is_sure, "description": text, "schema": {"type": "string"}}
            for header, is_sure, text in _WEBHOOK_HEADERS
        ],
        "requestBody": {
            "required": True,
            "content": _content(refs[webhook.model, "serialization"], webhook.example),
        },
        "responses": {"2XX": {"description": "Delivered. All else, and an answer after 15 seconds, is a failure."}},
    }


def _description(endpoint: Endpoint) -> str:
    text = " ".join((endpoint.handler.__doc__ or "").split())
    return f"{text} Needs the scope `{endpoint.scope}`." if endpoint.scope else text


def _tag(endpoint: Endpoint) -> str:
    return endpoint.section.capitalize()


def _path_parameters(endpoint: Endpoint) -> list[Schema]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": f"Which {name.removesuffix('_id').replace('_', ' ')}.",
            "schema": {"type": "string", "maxLength": 256},
        }
        for name in _PATH_PARAMETER.findall(endpoint.path)
    ]


def _query_parameters(endpoint: Endpoint, components: dict[str, Schema]) -> list[Schema]:
    if endpoint.query is None:
        return []
    schema = endpoint.query.model_json_schema(ref_template=_REFS)
    components |= schema.get("$defs", {})
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": spec.get("description", ""),
            "schema": {key: value for key, value in spec.items() if key not in ("description", "title")},
        }
        for name, spec in schema["properties"].items()
    ]


def _key_parameter(endpoint: Endpoint) -> list[Schema]:
    if not endpoint.idempotent:
        return []
    text = "Within 24 hours the same key with the same body acts once and gives the first answer again."
    schema = {"type": "string", "minLength": 1, "maxLength": 255}
    return [{"name": "Idempotency-Key", "in": "header", "required": False, "description": text, "schema": schema}]


def _responses(endpoint: Endpoint, refs: Refs, examples: Mapping[str, Any]) -> Schema:
    responses: Schema = {}
    for status, text in _successes(endpoint).items():
        headers = _RATE_HEADERS + (["Idempotency-Replayed"] if endpoint.idempotent else [])
        responses[str(status)] = {"description": text, "headers": _header_refs(headers)}
        if endpoint.answer is not None:
            answer = refs[endpoint.answer, "serialization"]
            responses[str(status)]["content"] = _content(answer, examples.get("answer"))
    ref = refs[_error_model(endpoint), "serialization"]
    for error in _errors(endpoint):
        told = responses.setdefault(
            str(error.status), {"description": "", "content": {"application/json": {"schema": ref, "examples": {}}}}
        )
        told["description"] = f"{told['description']} {_told(error)}".strip()
        told["content"]["application/json"]["examples"][error.code] = {"value": _error_example(endpoint, error)}
        told["headers"] = _header_refs(_headers_of(error.status))
    return responses


def _successes(endpoint: Endpoint) -> dict[int, str]:
    successes = {endpoint.status: _OUTCOMES.get(endpoint.status, "Done."), **dict.fromkeys(endpoint.also, "Done.")}
    if endpoint.status == _ACCEPTED:
        successes[_OK] = "The same, to callers by HTTP Basic."
    return dict(sorted(successes.items()))


def _errors(endpoint: Endpoint) -> list[type[AppError]]:
    """The errors of the contract's table that the endpoint can give."""
    errors: list[type[AppError]] = [
        *(BadRequest, Unauthenticated, InsufficientScope, IpNotAllowed),
        *(MethodNotAllowed, PayloadTooLarge),
    ]
    if _PATH_PARAMETER.search(endpoint.path) or endpoint.test_only:
        errors.append(NotFound)
    is_write = endpoint.access == "management" and endpoint.method != "GET"
    if is_write or endpoint.idempotent:
        errors.append(Conflict)
    if endpoint.body is not None:
        errors.append(ValidationFailed)
    return [*errors, RateLimited, AppError, Unavailable]


def _error_model(endpoint: Endpoint) -> type[ErrorAnswer]:
    return IngestErrorAnswer if endpoint.access == "ingest" else ErrorAnswer


def _told(error: type[AppError]) -> str:
    return _INTERNAL if error is AppError else (error.__doc__ or "").splitlines()[0]


def _error_example(endpoint: Endpoint, error: type[AppError]) -> Schema:
    details: list[Schema] = []
    if error is InsufficientScope:
        details = [{"required_scope": endpoint.scope or "contacts:write", "granted_scopes": ["events:read"]}]
    elif error is ValidationFailed:
        details = [{"field": "traits.plan", "reason": "string_type", "message": "Input should be a valid string"}]
    message = _told(error)
    told: Schema = {"error": {"code": error.code, "message": message, "details": details}}
    root = {"code": error.code, "message": message} if endpoint.access == "ingest" else {}
    return told | {"request_id": "req_01kj5x8v7c2n4q6s8t0v2x4z6a"} | root


def _headers_of(status: int) -> list[str]:
    if status == Unauthenticated.status:
        return ["WWW-Authenticate"]
    if status == MethodNotAllowed.status:
        return ["Allow"]
    return [*_RATE_HEADERS, *(["Retry-After"] if status in _RETRIED else [])]


def _headers_in(paths: Mapping[str, Schema]) -> set[str]:
    responses = [response for item in paths.values() for op in item.values() for response in op["responses"].values()]
    return {name for response in responses for name in response["headers"]}


def _header_refs(names: Sequence[str]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def _content(schema: Schema, example: Any) -> Schema:
    return {"application/json": {"schema": schema} | ({"example": example} if example is not None else {})}


_INTERNAL = "Something failed on our side."
_OUTCOMES = {200: "Done.", 201: "Created.", 202: "Durably queued."}

_WEBHOOK_HEADERS = (
    ("X-GrowthOS-Event-Type", True, "The event's name."),
    ("X-GrowthOS-Timestamp", True, "When this attempt was made, in Unix seconds."),
    (
        "X-GrowthOS-Signature",
        True,
        "Hex HMAC-SHA256 of `timestamp.body` under the secret's text; for 24 hours after a rotation two, the new one "
        "first, with a comma between.",
    ),
    ("webhook-id", True, "The event's id: the same at each attempt."),
    ("webhook-timestamp", True, "As X-GrowthOS-Timestamp."),
    ("webhook-signature", False, "As Standard Webhooks has it, where the secret is one of theirs."),
)

_RATE_HEADERS = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]


def _header(text: str, kind: str = "integer") -> Schema:
    return {"description": text, "schema": {"type": kind}}


_HEADERS: dict[str, Schema] = {
    "X-Request-Id": _header("The id of this request, also in our logs.", "string"),
    "X-RateLimit-Limit": _header("Calls that this key may make in a second."),
    "X-RateLimit-Remaining": _header("Calls that are left in this second, as far as the instance knows."),
    "X-RateLimit-Reset": _header("When the next second's calls are given, in Unix seconds."),
    "Retry-After": _header("Seconds to wait before the call is made again."),
    "Idempotency-Replayed": _header("`true` where this is the answer to an earlier call.", "string"),
    "Allow": _header("The methods that the path serves.", "string"),
    "WWW-Authenticate": _header("How to give the key.", "string"),
}
