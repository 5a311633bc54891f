"""Bodies and answers of the event endpoints."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, RootModel

from chalicelib.core.bounds import MAX_NAME_BYTES, MAX_NESTING, MAX_VALUE_BYTES
from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer, Query
from chalicelib.features.activity import intake
from chalicelib.features.activity.model import Event


class EventAnswer(Answer):
    """One row of a timeline."""

    id: str = Field(examples=["evt_01j8x2m4k00000000000000000"])
    event: str
    type: str
    contact_id: str
    properties: dict[str, Any]
    context: dict[str, Any]
    timestamp: str
    received_at: str
    message_id: str | None


class ExportedEvent(EventAnswer):
    """One row of a timeline, with the ids that it came with."""

    user_id: str | None
    anonymous_id: str | None


def exported(event: Event) -> ExportedEvent:
    """The event with all that is held on it."""
    return ExportedEvent(**shown(event).model_dump(), user_id=event.user_id, anonymous_id=event.anonymous_id)


def shown(event: Event) -> EventAnswer:
    """The event as its callers see it."""
    return EventAnswer(
        id=event.id,
        event=event.name,
        type=event.type,
        contact_id=event.contact_id,
        properties=event.properties,
        context=event.context,
        timestamp=iso(event.timestamp),
        received_at=iso(event.received_at),
        message_id=event.message_id,
    )


_ID = {"type": ["string", "integer", "null"], "maxLength": MAX_NAME_BYTES}
_MOMENT = {"type": ["string", "null"], "examples": ["2026-02-23T10:00:00Z"]}
_TEXT = {"type": ["string", "null"], "maxLength": MAX_NAME_BYTES}
_PARTS = f"at most {MAX_VALUE_BYTES // 1024} KB a value and {MAX_NESTING} levels"

_FIELDS: dict[str, dict[str, Any]] = {
    "user_id": _ID | {"description": "Your id of the user; it becomes the contact's `external_id`."},
    "anonymous_id": _ID | {"description": "An id of a visitor who is not known yet."},
    "previous_id": _ID | {"description": "The id that the user had before."},
    "group_id": _ID | {"description": "Your id of the organisation that the user belongs to."},
    "message_id": _ID | {"description": "The same id within 24 hours is the same event."},
    "event": _TEXT | {"description": "The event's name. Names that begin with `$` are reserved."},
    "name": _TEXT | {"description": "The page's or screen's name; it becomes a property."},
    "category": _TEXT | {"description": "The page's or screen's category; it becomes a property."},
    "traits": {"type": ["object", "null"], "description": f"Merged into the contact's, null deletes; {_PARTS}."},
    "properties": {
        "type": ["object", "null"],
        "maxProperties": intake.MAX_PROPERTIES,
        "description": f"What the event brings along: {_PARTS}.",
    },
    "context": {"type": ["object", "null"], "description": f"Where the event comes from: {_PARTS}."},
    "timestamp": _MOMENT | {"description": "When it happened, ISO 8601; the moment of receipt where there is none."},
    "original_timestamp": _MOMENT | {"description": "What the client's clock said when it happened."},
    "sent_at": _MOMENT | {"description": "What the client's clock said when it sent; 10 s off corrects skew."},
}
_COMMON = ("user_id", "anonymous_id", "message_id", "context", "timestamp", "original_timestamp", "sent_at")
_OF_TYPE: dict[str, tuple[str, ...]] = {
    "identify": ("traits",),
    "track": ("event", "properties"),
    "page": ("name", "category", "properties"),
    "screen": ("name", "category", "properties"),
    "group": ("group_id", "traits", "properties"),
    "alias": ("previous_id", "properties"),
}
_EXAMPLES: dict[str, dict[str, Any]] = {
    "identify": {"user_id": "user_123", "traits": {"email": "alice@example.com", "plan": "growth"}},
    "track": {"user_id": "user_123", "event": "signup_completed", "properties": {"source": "organic"}},
    "page": {"anonymous_id": "a-7f3", "name": "Pricing", "properties": {"url": "https://acme.com/pricing"}},
    "screen": {"anonymous_id": "a-7f3", "name": "Home"},
    "group": {"user_id": "user_123", "group_id": "acme", "traits": {"name": "Acme Inc"}},
    "alias": {"previous_id": "user_old", "user_id": "user_123"},
}


def event_schema(kind: str) -> dict[str, Any]:
    """The JSON schema of one event of that type: each field by both of its names, others being passed over."""
    properties: dict[str, Any] = {}
    for name in (*_OF_TYPE[kind], *_COMMON):
        properties[name] = _FIELDS[name]
        if camel := intake.CAMEL_NAMES.get(name):
            properties[camel] = _FIELDS[name] | {"description": f"`{name}`, by its name in the Segment spec."}
    needs = [_given(name) for name in intake.NEEDED_IDS.get(kind, ())] + [_given("user_id", "anonymous_id")]
    if kind == "track":
        needs.append({"required": ["event"], "properties": {"event": {"type": "string", "minLength": 1}}})
    return {"type": "object", "properties": properties, "allOf": needs, "examples": [_EXAMPLES[kind]]}


def _given(*names: str) -> dict[str, Any]:
    """A schema that holds where one of the ids is there, by either of its names, and is not null."""
    spelled = [used for name in names for used in (name, intake.CAMEL_NAMES[name])]
    return {"anyOf": [{"required": [name], "properties": {name: {"not": {"enum": [None, ""]}}}} for name in spelled]}


def _batch_schema() -> dict[str, Any]:
    items = [event_schema(kind) | {"title": kind, "required": ["type"]} for kind in intake.TYPES]
    for item, kind in zip(items, intake.TYPES, strict=True):
        item["properties"] = {"type": {"const": kind}} | item["properties"]
        item["examples"] = [{"type": kind} | _EXAMPLES[kind]]
    shared = {name: _FIELDS[name] for name in ("context", "sent_at")} | {"sentAt": _FIELDS["sent_at"]}
    batch = {
        "type": "array",
        "minItems": 1,
        "maxItems": intake.MAX_BATCH_ITEMS,
        "description": "Each event is judged alone: one that breaks a rule refuses none of the others.",
        "items": {"anyOf": items},
    }
    example = {"batch": [{"type": kind} | _EXAMPLES[kind] for kind in ("identify", "track")]}
    return {"type": "object", "required": ["batch"], "properties": {"batch": batch} | shared, "examples": [example]}


def _described(make: Callable[[], dict[str, Any]]) -> ConfigDict:
    def replace(schema: dict[str, Any]) -> None:
        kept = {name: schema[name] for name in ("title", "description") if name in schema}
        schema.clear()
        schema.update(kept | make())

    return ConfigDict(frozen=True, defer_build=True, json_schema_extra=replace)


class Identify(RootModel[dict[str, Any]]):
    """Who a user is. Traits may also stand in `context.traits`."""

    model_config = _described(lambda: event_schema("identify"))


class Track(RootModel[dict[str, Any]]):
    """What a user did."""

    model_config = _described(lambda: event_schema("track"))


class PageView(RootModel[dict[str, Any]]):
    """Which page a user saw; recorded as `$page_view`."""

    model_config = _described(lambda: event_schema("page"))


class ScreenView(RootModel[dict[str, Any]]):
    """Which screen of an app a user saw; recorded as `$screen_view`."""

    model_config = _described(lambda: event_schema("screen"))


class GroupCall(RootModel[dict[str, Any]]):
    """Which organisation a user belongs to."""

    model_config = _described(lambda: event_schema("group"))


class Alias(RootModel[dict[str, Any]]):
    """Two ids that are one user."""

    model_config = _described(lambda: event_schema("alias"))


class Batch(RootModel[dict[str, Any]]):
    """Events of any types."""

    model_config = _described(_batch_schema)


class IngestAnswer(Answer):
    """The event is durably queued."""

    success: Literal[True] = True
    request_id: str


class ItemError(Answer):
    """Why one event of a batch was not queued."""

    code: Annotated[str, Field(examples=["validation_error"])]
    message: Annotated[str, Field(examples=["The event breaks a rule."])]
    details: Annotated[
        list[dict[str, Any]],
        Field(
            examples=[[{"field": "batch.1.event", "reason": "missing", "message": "`event` is needed and not blank."}]]
        ),
    ]


class ItemOutcome(Answer):
    """What became of one event of a batch."""

    index: int
    status: Annotated[int, Field(description="202 queued, 422 breaks a rule, 503 could not be queued: send it again.")]
    success: bool
    error: ItemError | None = None


class BatchAnswer(IngestAnswer):
    """What became of each event, in the order of the batch."""

    items: list[ItemOutcome]


class DecideQuery(Query):
    """Whom to decide for; one of the ids is needed."""

    user_id: Annotated[str | None, Field(max_length=256, description="Your id of the user.")] = None
    anonymous_id: Annotated[str | None, Field(max_length=256, description="The visitor's id.")] = None
    user_id_camel: Annotated[str | None, Field(alias="userId", max_length=256, description="`user_id`.")] = None
    anonymous_id_camel: Annotated[
        str | None, Field(alias="anonymousId", max_length=256, description="`anonymous_id`.")
    ] = None
