"""What is sealed, as the text of a token in a link: URL-safe, and only in the one form that was given out."""

import base64
import binascii
from typing import Final

from chalicelib.platform.secrets import SealBroken, derive, seal, unseal

MAX: Final = 4_096
"""Characters of a token: one of a mail's link holds where the link leads."""


class BadToken(Exception):
    """The text is no token that we have made for this use."""


def make(purpose: str, content: bytes, bound: str) -> str:
    """The content under the key of that purpose, bound to a text that whoever reads it has to know."""
    return base64.urlsafe_b64encode(seal(derive(purpose), content, bound)).decode().rstrip("=")


def read(purpose: str, text: str, bound: str) -> bytes:
    """The content. Raises BadToken for any text but one that `make` gave for the same purpose and bound text."""
    if len(text) > MAX:
        raise BadToken
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        # The bits of the last character that are not used may not differ either.
        if base64.urlsafe_b64encode(sealed).decode().rstrip("=") != text:
            raise BadToken
        return unseal(derive(purpose), sealed, bound)
    except (binascii.Error, SealBroken, ValueError):
        raise BadToken from None
