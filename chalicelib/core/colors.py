"""Colours as `#rrggbb`, and which text can be read on them."""

import re

DARK, LIGHT = "#000000", "#ffffff"
"""The two colours of text. Each colour there is has a contrast of at least 4.58 with one of them."""

_COLOR = re.compile(r"#[0-9a-f]{6}")


def is_color(text: str) -> bool:
    """True for `#rrggbb` with lower-case digits."""
    return _COLOR.fullmatch(text) is not None


def luminance(color: str) -> float:
    """How bright a colour is, from 0 to 1: "relative luminance" of WCAG 2.2
    (https://www.w3.org/TR/WCAG22/#dfn-relative-luminance)."""
    red, green, blue = (_linear(int(color[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, from 1 to 21 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    darker, brighter = sorted((luminance(one), luminance(other)))
    return (brighter + 0.05) / (darker + 0.05)


def text_on(color: str) -> str:
    """Which of the two colours of text is read best on this one."""
    return max(LIGHT, DARK, key=lambda text: contrast(text, color))


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
