"""How a send of a survey is reached, by a mail or a widget, and what both write at the ends of a scale."""

from typing import Final

from chalicelib.platform import survey_tokens
from chalicelib.platform.address import public_url
from chalicelib.platform.keys import Tenant
from chalicelib.platform.survey_tokens import Token

LABELS: Final = {
    "nps": ("Not at all likely", "Extremely likely"),
    "csat": ("Very dissatisfied", "Very satisfied"),
    "custom": ("", ""),
}
"""What the lowest and the highest score of each type say."""


def token(tenant: Tenant, contact_id: str, survey_id: str, send_id: str) -> str:
    """By this a send is answered."""
    return survey_tokens.make(Token(tenant, contact_id, survey_id, send_id))


def page(token: str) -> str:
    """The address of the page on which a send is answered, by its token."""
    return f"{public_url()}/s/{token}"
