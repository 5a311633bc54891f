"""Tokens of the public links in mails: sealed, so that nobody can make one, and none shows whom or what it is about."""

import base64
import binascii
from dataclasses import dataclass
from typing import Literal

from chalicelib.core import ids, strict_json
from chalicelib.platform.keys import Tenant
from chalicelib.platform.secrets import SealBroken, derive, seal, unseal

Kind = Literal["open", "click", "unsubscribe"]

_MAX = 4_096
_PURPOSE = "mail-tokens"


class BadToken(Exception):
    """The text is no token of that kind that we have made."""


@dataclass(frozen=True, slots=True)
class Token:
    """One link of one message. Of a click `link` is which one, of how many `links`, and `url` where it leads."""

    kind: Kind
    tenant: Tenant
    contact_id: str
    message_id: str
    link: int | None = None
    links: int = 0
    url: str | None = None


def make(token: Token) -> str:
    """The token as it stands in a link: URL-safe."""
    parts = [token.tenant.project_id, token.contact_id, token.message_id]
    about = [*map(ids.ulid_of, parts), token.link, token.links, token.url]
    sealed = seal(derive(_PURPOSE), strict_json.dumps(about).encode(), token.kind)
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def read(text: str, kind: Kind) -> Token:
    """The token. Raises BadToken for any text but one that `make` gave for that kind."""
    if len(text) > _MAX:
        raise BadToken
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        # The bits of the last character that are not used may not differ either.
        if base64.urlsafe_b64encode(sealed).decode().rstrip("=") != text:
            raise BadToken
        project, contact, message, link, links, url = strict_json.loads(unseal(derive(_PURPOSE), sealed, kind))
    except (binascii.Error, SealBroken, ValueError):
        raise BadToken from None
    return Token(kind, Tenant(f"proj_{project}"), f"cntct_{contact}", f"msg_{message}", link, links, url)
