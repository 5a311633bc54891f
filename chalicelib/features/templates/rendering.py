"""A mail made of a template for one contact: merge tags, MJML, styles in line, preheader, footer and text part. Pure.

The libraries that do it load slowly, so whoever renders seldom imports this where it is used.
"""

import re
from collections.abc import Mapping
from html import escape, unescape
from html.parser import HTMLParser
from typing import Any

import css_inline
from mjml import mjml2html

from chalicelib.core.bounds import without_control
from chalicelib.core.mail.markup import attribute, nesting, start_tags, with_plain_attributes
from chalicelib.features.templates.merging import check, merged
from chalicelib.features.templates.model import Rendered, RenderFailed, Template

_SUBJECT_BYTES = 998
_HTML_MAX = 2_000_000
_NESTING_MAX = 200
_INCLUDE = re.compile(r"<\s*mj-include", re.IGNORECASE)
_POSITION = re.compile(r"at position (\d+):")
_BODY = re.compile(r"<body\b[^>]*>", re.IGNORECASE)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\r\f\v]+")
_BLANK_LINES = re.compile(r"\n\s*\n\s*\n+")

_inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


def render(template: Template, context: Mapping[str, Any], *, subject: str | None = None) -> Rendered:
    """The mail for what `context` says: `contact event project unsubscribe_url referral_link survey_link`, and `now` in
    ms. `subject` stands in the place of the template's own.

    Raises RenderFailed.
    """
    tags = _reachable(context)
    leave = str(context["unsubscribe_url"])
    html = _html(template, tags)
    html = _with_preheader(html, template, tags)
    if not _has_way_out(html, leave):
        html = _before_end(html, _footer_html(context, leave))
    text = _text(html) if template.text is None else merged("text", template.text, tags, is_markup=False)
    if leave not in text:
        text = f"{text.rstrip()}\n\n{_footer_text(context, leave)}"
    return Rendered(_line(merged("subject", subject or template.subject or "", tags, is_markup=False)), html, text)


def faults(template: Template, sample: Mapping[str, Any]) -> list[RenderFailed]:
    """What keeps the template from being rendered for that sample: of each part the first fault."""
    tags = _reachable(sample)
    found: list[RenderFailed] = []
    for field, source in template.parts.items():
        try:
            check(field, source)
            if field == template.format:
                _html(template, tags)
            else:
                merged(field, source, tags, is_markup=False)
        except RenderFailed as failed:
            found.append(failed)
    return found


def _reachable(context: Mapping[str, Any]) -> dict[str, Any]:
    """What merge tags read: traits and properties directly too, where nothing else has their name."""
    contact, event = dict(context.get("contact") or {}), dict(context.get("event") or {})
    return dict(context) | {
        "contact": dict(contact.get("traits") or {}) | contact,
        "event": dict(event.get("properties") or {}) | event,
    }


def _html(template: Template, tags: Mapping[str, Any]) -> str:
    html = merged(template.format, template.source, tags, is_markup=True)
    if template.format == "mjml":
        _check_nesting(template, html, is_xml=True)
        html = _compiled(html)
    _check_nesting(template, html, is_xml=False)
    try:
        # Attributes come out with < and > as they are, where they may be taken for tags.
        html = with_plain_attributes(_inliner.inline(html))
    except (css_inline.InlineError, ValueError):
        raise RenderFailed(template.format, None, "Its styles can't be read.") from None
    if len(html) > _HTML_MAX:
        raise RenderFailed(template.format, None, "The mail would be too large.")
    if "charset" not in html[:2_000].lower():
        head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        html = _HEAD.sub(lambda found: found.group() + head, html, count=1)
    return html if html.lstrip()[:9].lower() == "<!doctype" else f"<!DOCTYPE html>{html}"


def _check_nesting(template: Template, source: str, *, is_xml: bool) -> None:
    """The libraries call themselves for each level, and end the whole process where they run out of stack."""
    if nesting(source, is_xml=is_xml) > _NESTING_MAX:
        raise RenderFailed(template.format, None, f"Its elements nest deeper than {_NESTING_MAX} levels.")


def _compiled(source: str) -> str:
    if found := _INCLUDE.search(source):
        raise RenderFailed("mjml", source.count("\n", 0, found.start()) + 1, "mj-include is not offered.")
    try:
        return str(mjml2html(source))
    except ValueError as error:
        at = _POSITION.search(str(error))
        line = None if at is None else source.encode()[: int(at[1])].count(b"\n") + 1
        raise RenderFailed("mjml", line, f"Not MJML: {error}.") from None


def _with_preheader(html: str, template: Template, tags: Mapping[str, Any]) -> str:
    if template.preheader is None:
        return html
    shown = escape(_line(merged("preheader", template.preheader, tags, is_markup=False)))
    hidden = f'<div style="display:none;max-height:0;overflow:hidden;mso-hide:all">{shown}</div>'
    return _BODY.sub(lambda found: found.group() + hidden, html, count=1)


def _footer_html(context: Mapping[str, Any], leave: str) -> str:
    lines = "<br>".join(escape(line) for line in _sender(context))
    style = "margin:24px auto;padding:0 16px;max-width:600px;font:12px/1.5 sans-serif;color:#595959;text-align:center"
    link = f'<a href="{escape(leave)}" style="color:#595959">Unsubscribe</a>'
    return f'<div style="{style}">{lines}{"<br>" if lines else ""}{link}</div>'


def _footer_text(context: Mapping[str, Any], leave: str) -> str:
    return "\n".join(["--", *_sender(context), f"Unsubscribe: {leave}", ""])


def _sender(context: Mapping[str, Any]) -> list[str]:
    project = context.get("project") or {}
    address = str(project.get("postal_address") or "")
    return [str(project.get("sender_name") or project.get("name") or ""), *address.splitlines()]


def _has_way_out(html: str, leave: str) -> bool:
    """True where a link leads there; that it stands in a comment or a hidden line helps nobody."""
    links = (attribute(html, tag, "href") for tag in start_tags(html) if tag.name in ("a", "area"))
    return any(unescape(html[slice(*at)].strip("\"'")) == leave for at in links if at is not None)


def _before_end(html: str, addition: str) -> str:
    ends = list(_BODY_END.finditer(html))
    at = ends[-1].start() if ends else len(html)
    return html[:at] + addition + html[at:]


def _line(text: str) -> str:
    """Text as one line of at most 998 bytes, so that it can end no header."""
    return without_control(text).encode(errors="replace")[:_SUBJECT_BYTES].decode(errors="ignore")


def _text(html: str) -> str:
    """What a mail says, for readers without HTML; links stand behind their words."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    lines = (_SPACES.sub(" ", line).strip() for line in "".join(reader.parts).replace("\xa0", " ").split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip() + "\n"


class _Text(HTMLParser):
    _BLOCKS = frozenset({"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "hr"})
    _SILENT = frozenset({"style", "script", "head", "title", "template"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent: list[str] = []
        self._links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        hidden = "display:none" in (given.get("style") or "").replace(" ", "").lower()
        if self._silent:
            if tag == self._silent[-1]:
                self._silent.append(tag)
        elif tag in self._SILENT or (hidden and tag == "div"):
            self._silent.append(tag)
        elif tag == "a" and given.get("href"):
            self._links.append((given["href"] or "", len(self.parts)))
        elif tag == "img" and given.get("alt"):
            self.parts.append(given["alt"] or "")
        elif tag in self._BLOCKS:
            self.parts.append("\n- " if tag == "li" else "\n")

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            if tag == self._silent[-1]:
                self._silent.pop()
            return
        if tag == "a" and self._links:
            href, start = self._links.pop()
            words = "".join(self.parts[start:]).strip()
            self.parts.append(f" ({href})" if words and words != href else ("" if words else href))
        elif tag in self._BLOCKS and tag != "br":
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data.replace("\n", " "))
