"""Pages made of the templates, with the headers that let nothing else happen in them."""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.core.colors import DARK, contrast, text_on
from chalicelib.edge.call import Reply
from chalicelib.edge.pages.views import Brand

if TYPE_CHECKING:
    from liquid import Environment

_FOLDER = Path(__file__).parent / "templates"
_COLOR, _BACKGROUND = "#1f3a5f", "#ffffff"
"""The colour where a project has none, and the one that it stands on."""

_EDGE_CONTRAST = 3
"""What the outline of a control needs (WCAG 2.2, 1.4.11)."""

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
}


def render(
    template: str,
    title: str,
    shown: Mapping[str, Any],
    brand: Brand | None,
    *,
    status: int = 200,
    script: str | None = None,
    is_faulty: bool = False,
) -> Reply:
    """The page of that template. Whatever it shows is escaped; of scripts it may run the one that is named."""
    # Not before a page is asked for: it is a quarter of what a start of the API may cost.
    from liquid import Markup

    style = _style(brand)
    code = _file(f"{script}.js") if script else None
    inner = _environment().get_template(f"{template}.liquid").render(title=title, **shown)
    text = _environment().get_template("layout.liquid").render(
        title=title,
        is_faulty=is_faulty,
        brand=brand.name if brand else None,
        style=Markup(style),
        script=Markup(code) if code else None,
        main=Markup(inner),
    )  # fmt: skip
    return Reply(text, status=status, headers=_HEADERS | {"Content-Security-Policy": _policy(style, code)})


def _style(brand: Brand | None) -> str:
    color = (brand.safe_color if brand else None) or _COLOR
    # A pale colour would leave a button without an outline.
    edge = color if contrast(color, _BACKGROUND) >= _EDGE_CONTRAST else DARK
    return f":root{{--brand:{color};--on-brand:{text_on(color)};--edge:{edge}}}\n{_file('style.css')}"


def _policy(style: str, script: str | None) -> str:
    parts = ["default-src 'none'", f"style-src {_hash(style)}"]
    if script:
        parts += [f"script-src {_hash(script)}", "connect-src 'self'"]
    return "; ".join([*parts, "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"])


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _file(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


@cache
def _environment() -> "Environment":
    from liquid import CachingFileSystemLoader, Environment, StrictUndefined

    loader = CachingFileSystemLoader(_FOLDER, auto_reload=False)
    return Environment(autoescape=True, undefined=StrictUndefined, loader=loader)
