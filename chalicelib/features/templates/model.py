"""A template. Pure; moments in ms."""

from dataclasses import dataclass
from typing import Literal

MAX_TEMPLATES = 1_000
MAX_SOURCE_BYTES = 200 * 1024
MAX_TEXT_BYTES = 100 * 1024
SUBJECT_MAX = 500
PREHEADER_MAX = 500

Format = Literal["mjml", "html"]


@dataclass(frozen=True, slots=True)
class Template:
    """A mail before it is made for somebody: `source` is MJML or HTML, and all parts may have Liquid in them."""

    id: str
    name: str
    format: Format
    source: str
    created_at: int
    updated_at: int
    subject: str | None = None
    preheader: str | None = None
    text: str | None = None
    version: int = 1

    @property
    def parts(self) -> dict[str, str]:
        """What is rendered, by the field that it is given in."""
        named = {"subject": self.subject, "preheader": self.preheader, self.format: self.source, "text": self.text}
        return {name: text for name, text in named.items() if text is not None}

    def reads(self, tag: str, subject: str | None = None) -> bool:
        """True where a part, or the subject in the place of its own, may read that merge tag."""
        return any(tag in text for text in (*self.parts.values(), subject or ""))


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail for one contact, before its links lead through the tracker."""

    subject: str
    html: str
    text: str


class RenderFailed(Exception):
    """A part can't be rendered: `field` is the part, `line` where in it, None where that is not known."""

    def __init__(self, field: str, line: int | None, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.line = line
        self.message = message
