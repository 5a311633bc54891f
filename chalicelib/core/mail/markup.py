"""HTML read as far as mails need it: where tags stand, what their attributes are, how deep they nest. Pure.

One pass, in time that grows with the length alone, whatever the text is.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

_NAME = re.compile(r"[A-Za-z][^\s/>]*")
# Possessive: where a tag does not end, nothing is tried again.
_REST = re.compile(r"(?:[^>\"']|\"[^\"]*\"|'[^']*')*+>")
_ATTRIBUTE = re.compile(r"[\s/]*+([^\s=>\"'/]++)(?:\s*+=\s*+(\"[^\"]*\"|'[^']*'|[^\s\"'>]++))?")
_ENDS = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in ("script", "style", "title", "textarea")}
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)
# An end tag may be left out: these close each other, and nest by what stands around them alone.
_OPTIONAL_END = frozenset(
    {"p", "li", "dt", "dd", "td", "th", "tr", "thead", "tbody", "tfoot", "option", "optgroup", "colgroup", "rp", "rt"}
)


class Tag(NamedTuple):
    """A start tag from `start` to `end`; its attributes begin at `inner`."""

    name: str
    start: int
    inner: int
    end: int


def start_tags(html: str) -> Iterator[Tag]:
    """The start tags; comments are passed over, except what only Outlook reads, and so is the text of scripts."""
    at, unclosed = 0, set[str]()
    while (at := html.find("<", at)) >= 0:
        if html.startswith("<!--", at):
            mark = "]>" if html.startswith("<!--[if", at) else "-->"
            end = html.find(mark, at + 4)
            if end < 0:
                return
            at = end + len(mark)
            continue
        name = _NAME.match(html, at + 1)
        if name is None:
            at += 1
            continue
        rest = _REST.match(html, name.end())
        if rest is None:
            return
        yield Tag(name.group().lower(), at, name.end(), rest.end())
        at = rest.end()
        if (closing := _ENDS.get(name.group().lower())) and closing.pattern not in unclosed:
            found = closing.search(html, at)
            if found is None:
                unclosed.add(closing.pattern)
            else:
                at = found.end()


def attribute(html: str, tag: Tag, name: str) -> tuple[int, int] | None:
    """Where the value of an attribute stands, its quotes included; None where the tag has none of that name."""
    for found in _ATTRIBUTE.finditer(html, tag.inner, tag.end - 1):
        if found[1].lower() == name:
            return found.span(2) if found[2] is not None else None
    return None


def with_plain_attributes(html: str) -> str:
    """The same document with no `<` and `>` in the values of attributes, where they may be taken for tags."""
    parts, at = list[str](), 0
    for tag in start_tags(html):
        inner = html[tag.inner : tag.end - 1]
        if "<" in inner or ">" in inner:
            parts += [html[at : tag.inner], inner.replace("<", "&lt;").replace(">", "&gt;")]
            at = tag.end - 1
    return "".join([*parts, html[at:]])


def nesting(source: str, *, is_xml: bool) -> int:
    """How deep elements nest at the most, or more where end tags are missing. In XML a tag may close itself."""
    opened: Counter[str] = Counter()
    depth = deepest = at = 0
    while (at := source.find("<", at)) >= 0:
        is_end = source.startswith("</", at)
        name = _NAME.match(source, at + 1 + is_end)
        at += 1
        if name is None:
            continue
        called, at = name.group().lower(), name.end()
        if called in _VOID or called in _OPTIONAL_END:
            continue
        if is_end:
            depth -= 1 if opened[called] > 0 else 0
            opened[called] = max(0, opened[called] - 1)
            continue
        closes = source.find(">", at)
        if closes < 0:
            return deepest
        if not (is_xml and source[closes - 1] == "/"):
            opened[called] += 1
            depth += 1
            deepest = max(deepest, depth)
    return deepest
