"""Tokens by which a widget asks where somebody stands in a waitlist: sealed, so that nobody can make or read one."""

import base64
import binascii
from typing import Final

from chalicelib.core import ids, strict_json
from chalicelib.platform.keys import Tenant
from chalicelib.platform.secrets import SealBroken, derive, seal, unseal

_PURPOSE: Final = "entry-tokens"


class BadToken(Exception):
    """The text is no token that we have made for that waitlist."""


def make(tenant: Tenant, waitlist_id: str, entry_id: str) -> str:
    """The token, URL-safe."""
    sealed = seal(derive(_PURPOSE), ids.ulid_of(entry_id).encode(), _bound(tenant, waitlist_id))
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def read(text: str, tenant: Tenant, waitlist_id: str) -> str:
    """The id of the entry. Raises BadToken for any text but one that `make` gave for that waitlist."""
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        # The bits of the last character that are not used may not differ either.
        if base64.urlsafe_b64encode(sealed).decode().rstrip("=") != text:
            raise BadToken
        return f"wl_entry_{unseal(derive(_PURPOSE), sealed, _bound(tenant, waitlist_id)).decode()}"
    except (binascii.Error, SealBroken, ValueError):
        raise BadToken from None


def _bound(tenant: Tenant, waitlist_id: str) -> str:
    return strict_json.dumps([tenant.project_id, waitlist_id])
