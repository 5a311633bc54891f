"""Cursors: opaque, tamper-evident, bound to their project, endpoint and filters."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from chalicelib.core import strict_json
from chalicelib.core.errors import BadRequest, detail
from chalicelib.platform.keys import Tenant
from chalicelib.platform.secrets import derive

_MAC_BYTES = 16
Filters = Mapping[str, str | int | None]


def encode(tenant: Tenant, endpoint: str, filters: Filters, position: str) -> str:
    """A cursor that stands for `position` in that list only."""
    raw = position.encode()
    return base64.urlsafe_b64encode(_mac(tenant, endpoint, filters, raw) + raw).decode().rstrip("=")


def decode(cursor: str, tenant: Tenant, endpoint: str, filters: Filters) -> str:
    """The position. Raises BadRequest where the cursor was edited or belongs to another list."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    mac, position = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    # The re-encoding refuses a text that differs only in the unused bits of its last character.
    if not hmac.compare_digest(mac, _mac(tenant, endpoint, filters, position)) or _canonical(raw) != cursor:
        raise BadRequest(
            "The cursor does not belong to this list.",
            details=[detail("cursor", "invalid", "Use next_cursor as it was given.")],
        )
    return position.decode()


def _canonical(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _mac(tenant: Tenant, endpoint: str, filters: Filters, position: bytes) -> bytes:
    bound = strict_json.dumps(
        [tenant.project_id, endpoint, sorted((k, v) for k, v in filters.items() if v is not None)]
    )
    return hmac.digest(derive("cursor"), bound.encode() + b"\0" + position, hashlib.sha256)[:_MAC_BYTES]
