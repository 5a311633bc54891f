"""Tokens of the public links in mails: sealed, so that nobody can make one, and none shows whom or what it is about."""

from dataclasses import dataclass
from typing import Literal

from chalicelib.core import ids, strict_json
from chalicelib.platform import token_text
from chalicelib.platform.keys import Tenant

Kind = Literal["open", "click", "unsubscribe"]

_PURPOSE = "mail-tokens"


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
    return token_text.make(_PURPOSE, strict_json.dumps(about).encode(), token.kind)


def read(text: str, kind: Kind) -> Token:
    """The token. Raises BadToken for any text but one that `make` gave for that kind."""
    project, contact, message, link, links, url = strict_json.loads(token_text.read(_PURPOSE, text, kind))
    return Token(kind, Tenant(f"proj_{project}"), f"cntct_{contact}", f"msg_{message}", link, links, url)
