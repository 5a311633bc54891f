"""The OpenAPI documents as the app serves them, and what they say of a request or an answer."""

import copy
import json
import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.support.client import Client, Response

Document = dict[str, Any]


@cache
def management() -> Document:
    """The Management API's."""
    return dict(Client().get("/openapi/management.json").json)


@cache
def ingest() -> Document:
    """The Ingest API's."""
    return dict(Client().get("/openapi/ingest.json").json)


def operations(document: Document) -> dict[tuple[str, str], Any]:
    """Each operation by its method and path template."""
    return {(m.upper(), path): op for path, item in document["paths"].items() for m, op in item.items()}


def template_of(document: Document, path: str) -> str | None:
    """The documented path that a request's path is of; fixed segments beat parameters."""
    bare = path.partition("?")[0]
    for template in sorted(document["paths"], key=lambda text: text.replace("{", "~")):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), bare):
            return str(template)
    return None


def faults(document: Document, schema: dict[str, Any], value: Any) -> list[str]:
    """What of `value` the schema refuses."""
    whole = schema | {"components": document["components"]}
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(value)]


def partial(document: Document) -> Document:
    """The document as it judges the examples of the reference: fields may be missing, and none may be unknown."""
    loose = copy.deepcopy(document)
    for schema in loose["components"]["schemas"].values():
        schema.pop("required", None)
        if "properties" in schema:
            schema["additionalProperties"] = False
    return loose


def check(document: Document, method: str, path: str, answer: Response) -> None:
    """Prove that an answer is one of those that the document describes, headers included."""
    template = template_of(document, path)
    assert template is not None, path
    responses = document["paths"][template][method.lower()]["responses"]
    assert str(answer.status) in responses, f"{method} {path} answered {answer.status}: {answer.text}"
    described = responses[str(answer.status)]
    schema = described["content"]["application/json"]["schema"]
    assert answer.headers["content-type"] == "application/json"
    assert faults(document, schema, json.loads(answer.text)) == []
    optional = {"Idempotency-Replayed"}
    missing = [name for name in described["headers"] if name not in optional and name.lower() not in answer.headers]
    assert missing == []
