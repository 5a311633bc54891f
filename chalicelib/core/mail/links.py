"""The links of a mail: found where they stand, and replaced without touching anything else. Pure.

The text is not parsed and written anew: what mail programs make of odd markup, as of comments for Outlook, stays.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape, unescape

MAX_LINKS = 500
URL_MAX = 2_048

_TOKENS = re.compile(
    r"<!--\[if[^\]]*\]>(?:<!-->)?|<!\[endif\]-->|<!--(?!\[if).*?-->"
    r"|<(?P<raw>script|style|title|textarea)\b[^>]*>.*?</(?P=raw)\s*>"
    r"|<(?:a|area)\b(?:[^>\"']|\"[^\"]*\"|'[^']*')*>",
    re.IGNORECASE | re.DOTALL,
)
_LINK = re.compile(r"<(?:a|area)\b", re.IGNORECASE)
_HREF = re.compile(r"(\shref\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s\"'>]+)", re.IGNORECASE)
_WEB = re.compile(r"https?://", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_URL_IN_TEXT = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tracked:
    """A mail whose links lead elsewhere; `links` are those that stood in it, each once, in their order."""

    html: str
    text: str
    links: list[str]


def tracked(
    html: str, text: str, through: Callable[[Sequence[str]], Sequence[str]], pixel_url: str, keep: str
) -> Tracked:
    """The mail with each web link replaced by what `through` gives for all of them, and a picture of one pixel at the
    end. The link `keep` stays, and so do those over MAX_LINKS or URL_MAX, and whatever is no link to the web."""
    found: dict[str, None] = {}
    for url in _urls(html):
        if url != keep and len(found) < MAX_LINKS:
            found.setdefault(url)
    links = list(found)
    to = dict(zip(links, through(links), strict=True))
    pixel = f'<img src="{escape(pixel_url)}" width="1" height="1" alt="" style="opacity:0;border:0">'
    return Tracked(_with_pixel(_replaced(html, to), pixel), _in_text(text, to), links)


def _urls(html: str) -> list[str]:
    return [url for tag in _TOKENS.finditer(html) if (url := _url_of(tag.group())) is not None]


def _url_of(tag: str) -> str | None:
    href = _HREF.search(tag) if _LINK.match(tag) else None
    if href is None:
        return None
    url = unescape(href[2].strip("\"'")).strip()
    is_web = _WEB.match(url) is not None and len(url) <= URL_MAX
    return url if is_web and not any(character <= " " for character in url) else None


def _replaced(html: str, to: dict[str, str]) -> str:
    def tag(found: re.Match[str]) -> str:
        whole = found.group()
        url = _url_of(whole)
        if url is None or url not in to:
            return whole
        return _HREF.sub(lambda href: f'{href[1]}"{escape(to[url])}"', whole, count=1)

    return _TOKENS.sub(tag, html)


def _in_text(text: str, to: dict[str, str]) -> str:
    def url(found: re.Match[str]) -> str:
        whole = found.group()
        # What ends a sentence or a bracket is not the link's own, unless the link is known so.
        bare = whole if whole in to else whole.rstrip(").,;:!?'\u2019]")
        return to.get(bare, bare) + whole[len(bare) :]

    return _URL_IN_TEXT.sub(url, text)


def _with_pixel(html: str, pixel: str) -> str:
    ends = list(_BODY_END.finditer(html))
    at = ends[-1].start() if ends else len(html)
    return html[:at] + pixel + html[at:]
