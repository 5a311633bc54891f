"""Signatures of webhooks: our own headers, and those of Standard Webhooks. Pure.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

_PREFIX = "whsec_"
_NEW_BYTES = 32
_KEY_BYTES = range(24, 65)
"""How long the key of a Standard Webhooks secret may be."""

USER_AGENT = "GrowthOS-Webhooks/1"


def new_secret() -> str:
    """A new secret: `whsec_` and the base64 of 32 random bytes."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_NEW_BYTES)).decode()


def standard_key(secret: str) -> bytes | None:
    """The key that a Standard Webhooks secret stands for: `whsec_` and strict base64 of 24 to 64 bytes; else None."""
    if not secret.startswith(_PREFIX):
        return None
    encoded = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    # The re-encoding refuses a text that differs only in the unused bits of its last character.
    return key if len(key) in _KEY_BYTES and base64.b64encode(key).decode() == encoded else None


def signed_headers(
    event_id: str, event: str, timestamp: int, body: bytes, with_secrets: Sequence[str]
) -> dict[str, str]:
    """All headers of one attempt. `timestamp` is Unix seconds; the newest secret comes first."""
    own = [hmac.digest(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256) for secret in with_secrets]
    content = f"{event_id}.{timestamp}.".encode() + body
    keys = [key for secret in with_secrets if (key := standard_key(secret)) is not None]
    standard = [base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys]
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-GrowthOS-Event-Type": event,
        "X-GrowthOS-Timestamp": str(timestamp),
        "X-GrowthOS-Signature": ",".join(digest.hex() for digest in own),
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
    }
    if standard:
        headers["webhook-signature"] = " ".join(f"v1,{signature}" for signature in standard)
    return headers
