"""What SES tells of a message, by a notification of an identity or by an event of a configuration set. Pure.

Source of the shapes: Amazon SES Developer Guide, "Amazon SNS notification contents for Amazon SES", and "Examples of
event data that Amazon SES publishes to Amazon SNS".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from chalicelib.core.clock import parse_instant
from chalicelib.core.ids import is_id
from chalicelib.core.mail.mime import MESSAGE_HEADER

TAG = "growthos_message"
"""The tag of a mail that names the message; SES takes letters, digits, dashes and underscores there."""

_SEPARATOR = "-"
_PREFIXES = ("proj", "cntct", "msg")
_PERMANENT = "Permanent"

Kind = Literal["send", "delivery", "bounce", "complaint", "reject"]
_KINDS: Mapping[str, Kind] = {
    "Send": "send",
    "Delivery": "delivery",
    "Bounce": "bounce",
    "Complaint": "complaint",
    "Reject": "reject",
}


@dataclass(frozen=True, slots=True)
class Feedback:
    """What became of a message; `at` in ms. `is_permanent` and `reason` are of bounces and complaints."""

    kind: Kind
    project_id: str
    contact_id: str
    message_id: str
    at: int
    is_permanent: bool = False
    reason: str | None = None
    provider_id: str | None = None


def message_ref(project_id: str, contact_id: str, message_id: str) -> str:
    """The text by which the mail service names a message."""
    return _SEPARATOR.join((project_id, contact_id, message_id))


def parse(notification: Any) -> Feedback | None:
    """What a notification tells; None where it tells nothing of a message of ours."""
    told = _object(notification)
    kind = _KINDS.get(str(told.get("eventType") or told.get("notificationType")))
    mail = _object(told.get("mail"))
    ids = _ids(_ref(mail))
    if kind is None or ids is None:
        return None
    about = _object(told.get(kind))
    at = _moment(about.get("timestamp")) or _moment(mail.get("timestamp"))
    if at is None:
        return None
    provider_id = mail.get("messageId")
    return Feedback(
        kind,
        *ids,
        at=at,
        is_permanent=kind == "bounce" and about.get("bounceType") == _PERMANENT,
        reason=_reason(about),
        provider_id=provider_id if isinstance(provider_id, str) else None,
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _ref(mail: Mapping[str, Any]) -> str | None:
    tagged = _object(mail.get("tags")).get(TAG)
    if isinstance(tagged, list) and tagged and isinstance(tagged[0], str):
        return tagged[0]
    headers = mail.get("headers")
    for header in headers if isinstance(headers, list) else []:
        if str(_object(header).get("name")).lower() == MESSAGE_HEADER.lower():
            value = _object(header).get("value")
            return value if isinstance(value, str) else None
    return None


def _ids(ref: str | None) -> tuple[str, str, str] | None:
    parts = (ref or "").split(_SEPARATOR)
    if len(parts) != len(_PREFIXES):
        return None
    fit = all(is_id(prefix, part) for prefix, part in zip(_PREFIXES, parts, strict=True))
    return (parts[0], parts[1], parts[2]) if fit else None


def _moment(value: Any) -> int | None:
    try:
        return parse_instant(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _reason(about: Mapping[str, Any]) -> str | None:
    for name in ("bounceSubType", "complaintFeedbackType", "reason"):
        if isinstance(about.get(name), str):
            return str(about[name])[:128]
    return None
