"""From query parameters and JSON to models, and from pydantic's errors to ours."""

from collections.abc import Mapping, Sequence
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError

from chalicelib.core.errors import BadRequest, Detail, ValidationFailed, detail
from chalicelib.edge import locations
from chalicelib.edge.requests import Request

_DETAILS_MAX = 100
_OUR_OWN = "Value error, "
_IN_WORDS_OF_JSON = dict.fromkeys(("model_type", "dict_type"), "Input should be an object") | {
    "list_type": "Input should be a list"
}
"""Where pydantic's message names a class of ours or of Python."""


def read_query(request: Request, model: type[BaseModel] | None, *, tolerant: bool) -> BaseModel | None:
    """The query as its model. Raises BadRequest that names the parameter; `tolerant` passes over unknown ones."""
    fields = {} if model is None else {info.alias or name: info for name, info in model.model_fields.items()}
    given = {name: values for name, values in request.query.items() if name in fields or not tolerant}
    faults = [fault for name, values in given.items() if (fault := _query_fault(name, values, fields))]
    if faults:
        raise BadRequest("A query parameter is wrong.", details=faults[:_DETAILS_MAX])
    if model is None:
        return None
    raw = {name: values if _is_list(fields[name].annotation) else values[-1] for name, values in given.items()}
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise BadRequest("A query parameter is wrong.", details=_details(error, model)) from None


def read_body(request: Request, model: type[BaseModel], *, any_type: bool) -> BaseModel:
    """The body as its model. Raises BadRequest where it is no JSON, ValidationFailed where it breaks a rule.

    `any_type` parses it whatever its content type says, as ingest does.
    """
    if not request.payload.strip():
        raise BadRequest("A JSON body is needed.")
    if not any_type and not _says_json(request.headers.get("content-type", "")):
        raise BadRequest("The content type must be application/json.")
    value = request.json()
    if not isinstance(value, dict):
        raise ValidationFailed(
            "The body must be a JSON object.", details=[detail("", "object_type", "The body must be a JSON object.")]
        )
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise ValidationFailed("The request breaks a rule.", details=_details(error, model)) from None


def _query_fault(name: str, values: Sequence[str], fields: Mapping[str, Any]) -> Detail | None:
    if not _is_text(name) or name not in fields:
        return detail(_printable(name), "unknown", "This endpoint has no such parameter.")
    if not all(_is_text(value) for value in values):
        return detail(name, "encoding", "The value is not UTF-8.")
    if len(values) > 1 and not _is_list(fields[name].annotation):
        return detail(name, "repeated", "The parameter may be given once.")
    return None


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _printable(name: str) -> str:
    return name.encode(errors="replace").decode()[:256]


def _says_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def _details(error: ValidationError, model: type[BaseModel]) -> list[Detail]:
    """One entry for each field: where a field breaks several rules (a union's branches), the first."""
    entries: dict[str, Detail] = {}
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        field = locations.dotted(fault["loc"], model)
        message = _IN_WORDS_OF_JSON.get(fault["type"], fault["msg"]).removeprefix(_OUR_OWN)
        entries.setdefault(field, detail(field, fault["type"], message))
    return list(entries.values())[:_DETAILS_MAX]
