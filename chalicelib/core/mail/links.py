"""The links of a mail: found where they stand, and replaced without touching anything else. Pure.

The text is not parsed and written anew: what mail programs make of odd markup, as of comments for Outlook, stays.
"""

import re
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape, unescape
from urllib.parse import quote, urlsplit, urlunsplit

from chalicelib.core.mail.markup import attribute, start_tags

MAX_LINKS = 500
URL_MAX = 2_048

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
    html: str, text: str, through: Callable[[Sequence[str]], Sequence[str]], pixel_url: str, keep: tuple[str, ...]
) -> Tracked:
    """The mail with each web link replaced by what `through` gives for all of them, and a picture of one pixel at the
    end. Links that begin with one of `keep` stay, and so do those over MAX_LINKS or URL_MAX, and whatever is no link to
    the web."""
    found: dict[str, None] = {}
    for _, _, url in _urls(html):
        if not url.startswith(keep) and len(found) < MAX_LINKS:
            found.setdefault(url)
    links = list(found)
    to = dict(zip(links, through(links), strict=True))
    pixel = f'<img src="{escape(pixel_url)}" width="1" height="1" alt="" style="opacity:0;border:0">'
    return Tracked(_with_pixel(_replaced(html, to), pixel), _in_text(text, to), links)


def ascii_url(url: str) -> str:
    """The URL as a header can say it: its host by IDNA, the rest percent-encoded, what is ASCII as it was."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host.isascii():
        with suppress(UnicodeError):  # a name that IDNA does not know is percent-encoded like the rest
            url = urlunsplit(parts._replace(netloc=parts.netloc.replace(host, host.encode("idna").decode("ascii"))))
    return quote(url, safe=string.printable.strip())


def _urls(html: str) -> Iterator[tuple[int, int, str]]:
    """Where each link to the web stands, its quotes included, and where it leads."""
    for tag in start_tags(html):
        at = attribute(html, tag, "href") if tag.name in ("a", "area") else None
        url = "" if at is None else unescape(html[slice(*at)].strip("\"'")).strip()
        is_web = _WEB.match(url) is not None and len(url.encode()) <= URL_MAX
        if at is not None and is_web and not any(character <= " " for character in url):
            yield *at, url


def _replaced(html: str, to: dict[str, str]) -> str:
    parts, last = list[str](), 0
    for start, end, url in _urls(html):
        if url in to:
            parts += [html[last:start], f'"{escape(to[url])}"']
            last = end
    return "".join([*parts, html[last:]])


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
