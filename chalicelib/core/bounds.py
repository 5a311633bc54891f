"""Bounds that both doors, ingest and management, hold callers to."""

import unicodedata

MAX_NAME_BYTES = 256
"""UTF-8 bytes of an event's name, of a trait's, and of every id."""

MAX_VALUE_BYTES = 10 * 1024
"""Bytes of JSON of one trait or property."""

MAX_NESTING = 8
"""Levels of objects and lists in traits, properties and context, each of the three being the first."""


def trait_name_fault(name: str) -> tuple[str, str] | None:
    """Why no trait may be called so, as a reason and a message; None where one may."""
    if name.startswith("$"):
        return "reserved", "Trait names that begin with $ are reserved."
    if not name.strip() or has_control(name):
        return "invalid", "A trait's name is not blank and has no control character."
    if len(name.encode()) > MAX_NAME_BYTES:
        return "too_long", f"A trait's name has at most {MAX_NAME_BYTES} bytes."
    return None


def without_control(text: str) -> str:
    """`text` as one line: runs of control characters and of line ends become a space."""
    return " ".join("".join(" " if unicodedata.category(each) in ("Cc", "Zl", "Zp") else each for each in text).split())


def has_control(text: str) -> bool:
    """True where a control character stands in `text`: those belong into no name."""
    return any(unicodedata.category(character) == "Cc" for character in text)
