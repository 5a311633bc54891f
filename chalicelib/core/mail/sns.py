"""What Amazon SNS posts: its envelope, the text that it signs, and the hosts that speak for it. Pure.

Source: Amazon SNS Developer Guide, "Verifying the signatures of Amazon SNS messages".
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_HOST = re.compile(r"sns\.[a-z]{2,3}(?:-[a-z]{3,12}){1,3}-\d\.amazonaws\.com(\.cn)?")
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_OPTIONAL = frozenset({"Subject"})

SIGNED: Mapping[str, tuple[str, ...]] = {
    "Notification": _NOTIFICATION,
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
"""By the envelope's type, the fields that are signed, in their order."""


def signed_text(envelope: Mapping[str, Any]) -> bytes | None:
    """The bytes that the signature is of; None where the envelope lacks something."""
    names = SIGNED.get(str(envelope.get("Type")))
    if names is None:
        return None
    lines: list[str] = []
    for name in names:
        value = envelope.get(name)
        if value is None and name in _OPTIONAL:
            continue
        if not isinstance(value, str):
            return None
        lines += [name, value]
    return "".join(f"{line}\n" for line in lines).encode()


def is_of_sns(url: object, *, suffix: str = "") -> bool:
    """True for an https URL of SNS itself whose path ends so; of whatever else might be fetched nothing is."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    is_plain = parts.username is None and port in (None, 443) and parts.path.endswith(suffix)
    return parts.scheme == "https" and is_plain and _HOST.fullmatch(parts.hostname or "") is not None
