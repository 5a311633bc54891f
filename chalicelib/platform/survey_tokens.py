"""Tokens by which a send of a survey is answered: sealed, so that nobody can make one, and none shows whose it is."""

from dataclasses import dataclass
from typing import Final

from chalicelib.core import ids, strict_json
from chalicelib.platform import token_text
from chalicelib.platform.keys import Tenant

_PURPOSE: Final = "survey-tokens"


@dataclass(frozen=True, slots=True)
class Token:
    """One send of one survey to one contact."""

    tenant: Tenant
    contact_id: str
    survey_id: str
    send_id: str


def make(token: Token) -> str:
    """The token as it stands in a link."""
    parts = [*map(ids.ulid_of, (token.tenant.project_id, token.contact_id, token.survey_id)), token.send_id]
    return token_text.make(_PURPOSE, strict_json.dumps(parts).encode(), _PURPOSE)


def read(text: str) -> Token:
    """The token. Raises BadToken for any text but one that `make` gave."""
    project, contact, survey, send_id = strict_json.loads(token_text.read(_PURPOSE, text, _PURPOSE))
    return Token(Tenant(f"proj_{project}"), f"cntct_{contact}", f"srvy_{survey}", send_id)
