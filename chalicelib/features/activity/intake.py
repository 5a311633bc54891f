"""The door's rules: from an event as a client sent it to the event that the worker reads, or to what is wrong with it.

Fields are read by their names in snake_case or by those of the Segment spec; where both are given, snake_case wins.
Unknown fields are passed over. Nothing here reads a clock, a table or a network.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from chalicelib.core import clock, events, ids, strict_json
from chalicelib.core.bounds import MAX_NAME_BYTES, MAX_NESTING, MAX_VALUE_BYTES, has_control, trait_name_fault
from chalicelib.core.errors import Detail, ValidationFailed, detail
from chalicelib.features.activity import model

MAX_EVENT_BYTES = 32 * 1024
MAX_PROPERTIES = 256
MAX_BATCH_ITEMS = 500
MAX_BATCH_BYTES = 5 * 1024 * 1024
"""Bytes of JSON of a batch with its shared context repeated in each of its events, as they are queued and kept."""

RESERVED_TRACKED = frozenset({events.PAGE_VIEW, events.SCREEN_VIEW})
"""The `$` names that a track call may use."""
TYPES: Mapping[str, str] = {
    "identify": events.IDENTIFY,
    "track": "",
    "page": events.PAGE_VIEW,
    "screen": events.SCREEN_VIEW,
    "group": events.GROUP,
    "alias": events.ALIAS,
}
"""Types of calls, with the reserved name of what each records; a track call brings its own name."""

CAMEL_NAMES: Mapping[str, str] = {
    "user_id": "userId",
    "anonymous_id": "anonymousId",
    "previous_id": "previousId",
    "group_id": "groupId",
    "message_id": "messageId",
    "sent_at": "sentAt",
    "original_timestamp": "originalTimestamp",
}
"""Fields whose name in the Segment spec is another."""
NEEDED_IDS: Mapping[str, tuple[str, ...]] = {"alias": ("previous_id", "user_id"), "group": ("group_id",)}
WITH_TRAITS = frozenset({"identify", "group"})
_EVERYBODY = ("user_id", "anonymous_id")
_VIEW_TEXTS = ("url", "path", "title", "referrer", "search", "name")
_FUTURE_TOLERATED = clock.HOUR
_SKEW_TOLERATED = 10 * clock.SECOND
_MAX_DETAILS = 20
_MAX_NAMED = 64
"""Characters of a caller's own key that a detail repeats."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """One event as it is queued. Times are milliseconds; `given` is False where the server made the timestamp.

    `id` is made at the door and grows with the order of receipt. `historical` events came by way of an import.
    """

    id: str
    type: str
    name: str
    timestamp: int
    received_at: int
    given: bool = False
    user_id: str | None = None
    anonymous_id: str | None = None
    previous_id: str | None = None
    group_id: str | None = None
    message_id: str | None = None
    traits: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    historical: bool = False

    def to_wire(self) -> dict[str, Any]:
        """The JSON object for the queue: what is empty is left out."""
        values = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        return {name: value for name, value in values.items() if value or name in ("timestamp", "received_at")}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> "Accepted":
        """The event that `to_wire` described; fields that a later version adds are passed over."""
        known = {spec.name for spec in fields(cls)}
        return cls(**{name: value for name, value in wire.items() if name in known})

    @property
    def is_past(self) -> bool:
        """True where it starts nothing."""
        return model.is_past(self.timestamp, self.received_at, historical=self.historical)


@dataclass(frozen=True, slots=True)
class Refused:
    """What is wrong with one event; `details` is never empty."""

    details: list[Detail]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the events of one call share: the project's moment of receipt in ms, and what the caller said of all."""

    now: int
    ip: str | None = None
    """The caller's address, where it is the end user's; it becomes `context.ip` of events that have none."""
    historical: bool = False
    stands: bool = False
    """True where the project's clock stands, as that of a test project does."""
    sent_at: int | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


def accept(raw: object, kind: str, arrival: Arrival, path: str = "") -> Accepted | Refused:
    """Judge one event of type `kind`; `path` is where it stands in the request's body (`batch.3`)."""
    if not isinstance(raw, dict):
        return Refused([detail(path, "object_type", "An event is a JSON object.")])
    reader = _Reader(raw, path)
    event = _event(reader, kind, arrival)
    return Refused(reader.details[:_MAX_DETAILS]) if reader.details else event


def accept_batch(raw: Mapping[str, Any], arrival: Arrival) -> list[Accepted | Refused]:
    """Judge each item of a batch alone, in order. Raises ValidationFailed where the batch itself is not one."""
    reader = _Reader(raw, "")
    items = raw.get("batch")
    if not isinstance(items, list) or not items:
        reader.refuse("batch", "list_type", "`batch` is a list of at least one event.")
    elif len(items) > MAX_BATCH_ITEMS:
        reader.refuse("batch", "too_long", f"A batch has at most {MAX_BATCH_ITEMS} items.")
    context = reader.mapping("context")
    size = _size(context)
    if size is None or size > MAX_EVENT_BYTES:
        reader.refuse("context", "too_large", "An event has at most 32 KB, and the batch's context is part of each.")
    elif isinstance(items, list) and size * len(items) > MAX_BATCH_BYTES:
        reader.refuse("context", "too_large", "The batch's context is part of each event: at most 5 MB in all.")
    if reader.details or not isinstance(items, list):
        raise ValidationFailed("The batch breaks a rule.", details=reader.details)
    shared = replace(arrival, sent_at=_sent_at(raw), context=context)
    return [_accept_item(item, shared, f"batch.{n}") for n, item in enumerate(items)]


def _size(value: object) -> int | None:
    """Bytes of JSON; None where it nests too deep to be written."""
    try:
        return len(strict_json.dumps(value).encode())
    except RecursionError:
        return None


def lane(project_id: str, event: Accepted, lanes: int) -> str:
    """The FIFO group in which the events of one identity keep their order."""
    identity = event.user_id or event.anonymous_id or ""
    return f"{project_id}#{zlib.crc32(identity.encode()) % lanes}"


def _accept_item(item: object, arrival: Arrival, path: str) -> Accepted | Refused:
    kind = item.get("type") if isinstance(item, dict) else ""
    if not isinstance(kind, str) or (isinstance(item, dict) and kind not in TYPES):
        return Refused([detail(f"{path}.type", "type", f"`type` is one of {', '.join(TYPES)}.")])
    return accept(item, kind, arrival, path)


def _event(reader: "_Reader", kind: str, arrival: Arrival) -> Accepted:
    context = {**arrival.context, **reader.mapping("context")}
    whole = {**reader.raw, "context": {**context}} if context else reader.raw
    own_traits = reader.mapping("traits") if kind in WITH_TRAITS else {}
    traits = {**_lifted(reader, context), **own_traits} if kind == "identify" else own_traits
    properties = reader.mapping("properties") if kind != "identify" else {}
    if len(properties) > MAX_PROPERTIES:
        reader.refuse("properties", "too_long", f"An event has at most {MAX_PROPERTIES} properties.")
    wanted = dict.fromkeys((*_EVERYBODY, *NEEDED_IDS.get(kind, ())))
    identity = {name: reader.identifier(name) for name in wanted}
    _need_ids(reader, kind, identity)
    name = _name(reader, kind)
    if name in RESERVED_TRACKED:
        _describe_view(reader, kind, properties)
    _check_trait_names(reader, traits)
    _refuse_oversize(reader, whole, {"traits": traits, "properties": properties, "context": context})
    timestamp, given = _moment(reader, arrival)
    if arrival.ip and context.get("ip") is None:
        context["ip"] = arrival.ip
    return Accepted(
        id=ids.new_id("evt"),
        type=kind,
        name=name,
        timestamp=timestamp,
        received_at=arrival.now,
        given=given,
        message_id=reader.identifier("message_id"),
        traits=traits,
        properties=properties,
        context=context,
        historical=arrival.historical,
        **identity,
    )


class _Reader:
    """Reads the fields of one event and gathers what is wrong with them."""

    def __init__(self, raw: Mapping[str, Any], path: str) -> None:
        self.raw = raw
        self.details: list[Detail] = []
        self._prefix = f"{path}." if path else ""

    def refuse(self, name: str, reason: str, message: str) -> None:
        self.details.append(detail(self._prefix + name, reason, message))

    def refused(self, *names: str) -> bool:
        """True where one of the fields was refused already: what has a wrong form is not missing too."""
        written = {self._prefix + used for name in names for used in (name, CAMEL_NAMES.get(name, name))}
        return any(entry["field"] in written for entry in self.details)

    def field(self, name: str) -> tuple[str, Any]:
        """The name that the caller used, and the value; None where there is none."""
        camel = CAMEL_NAMES.get(name, name)
        if self.raw.get(name) is None and self.raw.get(camel) is not None:
            return camel, self.raw[camel]
        return name, self.raw.get(name)

    def identifier(self, name: str) -> str | None:
        """An id; whole numbers become text, and blank text is none."""
        used, value = self.field(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return self.label(used, value)

    def label(self, name: str, value: Any) -> str | None:
        """Text that may become part of a key."""
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if not isinstance(value, str):
            self.refuse(name, "string_type", f"`{name}` is text.")
        elif len(value.encode()) > MAX_NAME_BYTES:
            self.refuse(name, "too_long", f"`{name}` has at most {MAX_NAME_BYTES} bytes of UTF-8.")
        elif has_control(value):
            self.refuse(name, "control_character", f"`{name}` has a control character.")
        else:
            return value
        return None

    def mapping(self, name: str) -> dict[str, Any]:
        """A free-form object, as a copy; empty where there is none."""
        value = self.raw.get(name)
        if value is not None and not isinstance(value, dict):
            self.refuse(name, "object_type", f"`{name}` is an object.")
        return dict(value) if isinstance(value, dict) else {}

    def instant(self, name: str) -> int | None:
        """A moment in ms; None where there is none."""
        used, value = self.field(name)
        if value is None:
            return None
        moment = _parsed(value)
        if moment is None:
            self.refuse(used, "timestamp", f"`{used}` is an ISO 8601 moment, such as 2026-02-23T10:00:00Z.")
        return moment


def _lifted(reader: _Reader, context: dict[str, Any]) -> dict[str, Any]:
    """The traits that stand in the context of an identify call; they leave the context, so as not to be kept twice."""
    traits = context.pop("traits", None)
    if traits is not None and not isinstance(traits, dict):
        reader.refuse("context.traits", "object_type", "`context.traits` is an object.")
    return traits if isinstance(traits, dict) else {}


def _need_ids(reader: _Reader, kind: str, identity: Mapping[str, str | None]) -> None:
    for name in NEEDED_IDS.get(kind, ()):
        if identity[name] is None and not reader.refused(name):
            reader.refuse(name, "missing", f"`{name}` is needed.")
    nobody = identity["user_id"] is None and identity["anonymous_id"] is None
    if nobody and not reader.refused("user_id", "anonymous_id"):
        reader.refuse("user_id", "missing", "`user_id` or `anonymous_id` is needed.")


def _name(reader: _Reader, kind: str) -> str:
    if kind != "track":
        return TYPES[kind]
    value = reader.raw.get("event")
    name = reader.label("event", value)
    if name is None and (value is None or (isinstance(value, str) and not value.strip())):
        reader.refuse("event", "missing", "`event` is needed and not blank.")
    elif name is not None and name.startswith("$") and name not in RESERVED_TRACKED:
        reader.refuse("event", "reserved", "Names that begin with $ are reserved, but for $page_view and $screen_view.")
    return name or ""


def _describe_view(reader: _Reader, kind: str, properties: dict[str, Any]) -> None:
    """Check the properties of a page or screen view; the call's own name and category become properties."""
    for key in ("name", "category") if kind != "track" else ():
        value = reader.raw.get(key)
        if not isinstance(value, str | None):
            reader.refuse(key, "string_type", f"`{key}` is text.")
        elif value and value.strip():
            properties.setdefault(key, value)
    for key in _VIEW_TEXTS:
        if not isinstance(properties.get(key), str | None):
            reader.refuse(f"properties.{key}", "string_type", f"`{key}` of a view is text.")


def _check_trait_names(reader: _Reader, traits: Mapping[str, Any]) -> None:
    for key in traits:
        if fault := trait_name_fault(key):
            reader.refuse(f"traits.{key[:_MAX_NAMED]}", *fault)


def _refuse_oversize(reader: _Reader, whole: Mapping[str, Any], parts: Mapping[str, dict[str, Any]]) -> None:
    try:
        text = strict_json.dumps(whole)
    except RecursionError:
        reader.refuse("", "too_deep", f"An event nests at most {MAX_NESTING} levels.")
        return
    size = len(text.encode())
    if size > MAX_EVENT_BYTES:
        largest = max(whole, key=lambda name: len(strict_json.dumps(whole[name])))
        reader.refuse(largest[:_MAX_NAMED], "too_large", "An event has at most 32 KB.")
    # The whole event bounds its parts: most are small and flat, and are measured once.
    if size > MAX_VALUE_BYTES:
        for name, key, value in _entries(parts):
            if len(strict_json.dumps(value).encode()) > MAX_VALUE_BYTES:
                reader.refuse(f"{name}.{key[:_MAX_NAMED]}", "too_large", "A value has at most 10 KB.")
    if text.count("{") + text.count("[") > MAX_NESTING:
        for name, key, value in _entries(parts):
            if strict_json.depth(value) >= MAX_NESTING:
                reader.refuse(f"{name}.{key[:_MAX_NAMED]}", "too_deep", f"`{name}` nests at most {MAX_NESTING} levels.")


def _entries(parts: Mapping[str, dict[str, Any]]) -> Iterator[tuple[str, str, Any]]:
    return ((name, key, value) for name, part in parts.items() for key, value in part.items())


def _moment(reader: _Reader, arrival: Arrival) -> tuple[int, bool]:
    """When the event happened, and whether the caller said so.

    A client whose clock is off (`sentAt` far from the receipt) is corrected as Segment's spec has it: the event is
    placed as long before the receipt as it stood before `sentAt`.
    """
    stamped, original = reader.instant("timestamp"), reader.instant("original_timestamp")
    claimed = stamped if stamped is not None else original
    if claimed is None:
        return arrival.now, False
    sent = _sent_at(reader.raw)
    sent = arrival.sent_at if sent is None else sent
    if sent is not None and abs(arrival.now - sent) > _SKEW_TOLERATED:
        age = sent - (claimed if original is None else original)
        if arrival.stands and abs(age) <= _SKEW_TOLERATED:
            # On a clock that stands, how long each event waited in its client would decide the order of all.
            return arrival.now, False
        claimed = arrival.now - age
    if claimed > arrival.now + _FUTURE_TOLERATED:
        return arrival.now, False
    if claimed < 0:
        reader.refuse("timestamp", "too_early", "`timestamp` is before 1970.")
    return claimed, True


def _sent_at(raw: Mapping[str, Any]) -> int | None:
    """The client's moment of sending; one that can't be read is passed over, since libraries make it, not callers."""
    value = raw.get("sent_at")
    return _parsed(raw.get("sentAt") if value is None else value)


def _parsed(value: object) -> int | None:
    try:
        return clock.parse_instant(value) if isinstance(value, str) else None
    except ValueError:
        return None
