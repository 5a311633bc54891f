"""Templates: what is merged, what stays, what runs away and is stopped."""

import time
from dataclasses import replace
from email.header import Header
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import clock
from chalicelib.features.templates.model import Format, RenderFailed, Template
from chalicelib.features.templates.rendering import faults, render
from chalicelib.features.templates.service import SAMPLE

LEAVE = "https://mail.acme.test/u/x?a=1&b=2"
CONTEXT: dict[str, Any] = SAMPLE | {"unsubscribe_url": LEAVE, "now": clock.parse_instant("2026-02-23T10:00:00Z")}
TAKES_AT_MOST_S = 2.0


def template(source: str, form: Format = "html", **parts: Any) -> Template:
    return Template("tmpl_1", "T", form, source, 0, 0, **{"subject": "S"} | parts)


def html(source: str, form: Format = "html", **context: Any) -> str:
    return render(template(source, form), CONTEXT | context).html


def mjml(inside: str) -> str:
    return f"<mjml><mj-body><mj-section><mj-column>{inside}</mj-column></mj-section></mj-body></mjml>"


@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ("{{ contact.email }}", "alice@example.com"),
        ("{{ contact.traits.first_name }}", "Alice"),
        ("{{ contact.first_name }}", "Alice"),
        ("{{ contact.nobody }}", ""),
        ("{{ contact.nobody.at.all }}", ""),
        ("{{ contact.nickname | default: 'there' }}", "there"),
        ("{{ contact.tags | join: ', ' }}", "beta"),
        ("{% for tag in contact.tags %}[{{ tag }}]{% endfor %}", "[beta]"),
        ("{% if contact.plan == 'growth' %}yes{% else %}no{% endif %}", "yes"),
        ("{{ event.name }}", "signup_completed"),
        ("{{ project.name }} {{ project.postal_address }}", "Acme 1 Main Street"),
        ("{{ 'now' | date: '%Y-%m-%d %H:%M' }}", "2026-02-23 10:00"),
        ("{{ contact.created_at | date: '%d %B %Y' }}", "15 January 2026"),
        ("{{ 1771840800 | date: '%Y' }}", "2026"),
        ("{{ 'gibberish' | date: '%Y' }}", "gibberish"),
        ("{{ referral_link }}", SAMPLE["referral_link"]),
        ("{{ contact.__class__ }}{{ contact.email.__class__ }}", ""),
        ("{{ now }}", str(CONTEXT["now"])),
    ],
)
def test_tags_read_what_is_given(tag: str, shown: str) -> None:
    for form, source in (("html", f"<p>[{tag}]</p>"), ("mjml", mjml(f"<mj-text>[{tag}]</mj-text>"))):
        assert f"[{shown}]" in html(source, form)  # type: ignore[arg-type]


def test_a_contacts_own_text_is_escaped_in_html_and_plain_in_text_and_subject() -> None:
    person = {"email": "a@example.com", "traits": {"name": '<b>Al</b> & "Co"'}}
    parts: dict[str, Any] = {"subject": "Hi {{ contact.name }}", "text": "{{ contact.name }}"}
    made = render(template("<p>{{ contact.name }}</p>", **parts), CONTEXT | {"contact": person})
    assert '<p>&lt;b&gt;Al&lt;/b&gt; &amp; "Co"</p>' in made.html
    assert made.subject == 'Hi <b>Al</b> & "Co"'
    assert made.text.startswith('<b>Al</b> & "Co"')


@given(name=st.text(max_size=60))
def test_no_text_breaks_out_of_where_it_stands(name: str) -> None:
    class Reader(HTMLParser):
        tags: list[str]
        said = ""

        def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append(tag)

        def handle_data(self, data: str) -> None:
            self.said += data

    person = {"email": "a@example.com", "traits": {"name": name}}
    made = render(template("<i>{{ contact.name }}</i>", subject="{{ contact.name }}"), CONTEXT | {"contact": person})
    plain = render(template("<i>x</i>"), CONTEXT)
    readers = []
    for text in (made.html, plain.html):
        reader = Reader()
        reader.tags = []
        reader.feed(text)
        readers.append(reader.tags)
    assert readers[0] == readers[1]
    assert not any(ord(each) < 32 or ord(each) == 127 for each in made.subject)
    Header(made.subject).encode()


def test_styles_stand_in_line_and_media_queries_stay() -> None:
    source = "<style>p{color:red} @media (max-width:600px){p{color:blue}}</style><p>Hi</p>"
    made = html(source)
    assert '<p style="color: red;">' in made
    assert "@media (max-width:600px)" in made


def test_mjml_becomes_a_page_for_mail_programs() -> None:
    button = "<mj-button href='https://a.test/?x=1&amp;y=2'>Go</mj-button>"
    made = html(mjml("{% for n in (1..2) %}<mj-text>n{{ n }}</mj-text>{% endfor %}" + button), "mjml")
    assert "n1" in made
    assert "n2" in made
    assert 'href="https://a.test/?x=1&amp;y=2"' in made
    assert "<!--[if mso" in made


def test_a_preheader_is_hidden_at_the_beginning() -> None:
    made = render(template("<p>Hi</p>", preheader="For {{ contact.first_name }} <x>"), CONTEXT)
    body = made.html.partition("<body")[2]
    assert body.index("For Alice &lt;x&gt;") < body.index("<p>")
    assert "display:none" in body
    assert "For Alice" not in made.text


def test_a_footer_is_added_where_the_template_has_no_way_out() -> None:
    made = render(template("<p>Hi</p>"), CONTEXT)
    assert unescape(made.html).count(LEAVE) == 1
    assert "1 Main Street" in made.html
    assert LEAVE in made.text
    own = render(
        template('<p>Hi</p><a href="{{ unsubscribe_url }}">out</a>', text="Out: {{ unsubscribe_url }}"), CONTEXT
    )
    assert unescape(own.html).count(LEAVE) == 1
    assert "1 Main Street" not in own.html
    assert own.text == f"Out: {LEAVE}"


def test_a_text_part_is_made_with_its_links() -> None:
    source = "<h1>News</h1><p>Read <a href='https://a.test/x'>this</a>.</p><ul><li>one</li><li>two</li></ul><style>p{}</style>"
    text = render(template(source), CONTEXT).text
    assert text.startswith("News\n\nRead this (https://a.test/x).\n\n- one\n\n- two")
    assert "p{}" not in text


def test_a_fragment_becomes_a_page() -> None:
    made = html("<p>Hi</p>")
    assert made.startswith("<!DOCTYPE html>")
    assert '<meta charset="utf-8">' in made
    assert "viewport" in made


@pytest.mark.parametrize(
    ("source", "form", "line"),
    [
        ("{% if %}", "html", 1),
        ("a\nb\n{{ contact.name", "html", 3),
        ("a\n{% for x in %}{% endfor %}", "html", 2),
        ("a\n\n{{ contact.name | nofilter }}", "html", 3),
        ("{% notag %}", "html", 1),
        ("{% if true %}", "html", 1),
        ("{% if a %}\nx{% endif %}\n{% if b %}\n\n", "html", 3),
        ("{{ '<b>' | safe }}", "html", 1),
        ("<mjml><mj-body>", "mjml", None),
        ("<html></html>", "mjml", 1),
        ("<mjml>\n<mj-body>\n<mj-include path='/etc/passwd' />\n</mj-body></mjml>", "mjml", 3),
        ("no markup", "mjml", None),
    ],
)
def test_a_fault_is_told_with_its_part_and_line(source: str, form: Format, line: int | None) -> None:
    (failed,) = faults(template(source, form), CONTEXT)
    assert failed.field == form
    assert line is None or failed.line == line
    assert failed.message


@pytest.mark.parametrize("part", ["subject", "preheader", "text"])
def test_a_fault_in_another_part_names_that(part: str) -> None:
    (failed,) = faults(template("<p>Hi</p>", "html", **{part: "{% if %}"}), CONTEXT)
    assert failed.field == part


def test_of_each_part_the_first_fault_is_told() -> None:
    broken = replace(template("<p>\n{{ 1 | divided_by: 0 }}</p>"), subject="{{", preheader="fine", text="\n\n{% if %}")
    assert [(failed.field, failed.line) for failed in faults(broken, CONTEXT)] == [
        ("subject", 1),
        ("html", 2),
        ("text", 3),
    ]


DOUBLED = "{% assign a='xxxxxxxxxx' %}{% for i in (1..15) %}{% assign a=a|append:a %}{% endfor %}"
LISTED = "{% assign a = 'ab' | split: '' %}{% for i in (1..40) %}{% assign a = a | concat: a %}{% endfor %}"
CAPTURED = "{% capture a %}{% for i in (1..9999) %}xxxxxxxxxxxxxxxxxxxx{% endfor %}{% endcapture %}"
SORTED = "{% assign a = '" + "b,a," * 900 + "' %}"
GROWN = "{% assign a = 'abcdefghijklmnopqrst' %}{% for i in (1..11) %}{% assign a = a | append: a %}{% endfor %}"
RUNAWAYS = {
    "loops in loops": "{% for a in (1..100000) %}{% for b in (1..100000) %}x{% endfor %}{% endfor %}",
    "one loop after the other": "{% for a in (1..9999) %}{% endfor %}" * 100,
    "a table of millions": "{% tablerow i in (1..100000000) %}{% endtablerow %}",
    "a long range joined": "{{ (1..100000000) | join: ',' }}",
    "a long range reversed": "{% assign r = (1..100000000) %}{{ r | reverse | first }}",
    "text doubled": "{% assign a='xx' %}{% for i in (1..60) %}{% assign a=a|append:a %}{% endfor %}{{a}}",
    "text doubled before": "{% assign a='xx' %}{% for i in (1..60) %}{% assign a=a|prepend:a %}{% endfor %}{{a}}",
    "text replaced by text": DOUBLED + "{{ a | replace:'x',a }}",
    "numbers squared": "{% assign a=9 %}{% for i in (1..60) %}{% assign a=a|times:a %}{% endfor %}{{a}}",
    "lists doubled": LISTED + "{{ a | size }}",
    "captures": CAPTURED + "{% for i in (1..99) %}{{a}}{% endfor %}",
    "filters with much to do": SORTED + "{% for i in (1..9000) %}{% assign b = a | split: ',' | sort %}{% endfor %}",
    "one filter after the other": SORTED + "{{ a" + " | split: ',' | sort | join: ','" * 1_000 + " }}",
    "many items compared": GROWN + "{% assign b = a | split: '' %}{{ b | uniq | size }}",
    "a long text searched": GROWN + "{% for i in (1..9000) %}{% if a contains 'y' %}y{% endif %}{% endfor %}",
    "an include": "{% include 'x' %}",
    "a render": "{% render 'x' %}",
    "an extends": "{% extends 'x' %}",
    "deep nesting": "{% if true %}" * 2_000 + "{% endif %}" * 2_000,
    "division by nothing": "{{ 1 | divided_by: 0 }}",
    "modulo nothing": "{{ 1 | modulo: 0 }}",
}  # fmt: skip


@pytest.mark.parametrize("how", RUNAWAYS)
def test_what_runs_away_is_stopped_soon(how: str) -> None:
    begun = time.monotonic()
    with pytest.raises(RenderFailed):
        render(template(RUNAWAYS[how]), CONTEXT)
    assert time.monotonic() - begun < TAKES_AT_MOST_S


@pytest.mark.parametrize(
    "source",
    [
        "{% cycle 'a', 'b' %}",
        "{{ 'x' | truncate: 1000000000000, 'y' }}",
        "{{ 'x' | slice: 0, 99999999999999999999 }}",
        "{{ " + "a[" * 400 + "0" + "]" * 400 + " }}",
        "{{ 'a' " + "| upcase " * 3_000 + "}}",
        "{% capture c %}" + "<script " * 20_000 + "{% endcapture %}{{ c | strip_html }}",
        "{{ contact }}",
        "{{ contact.created_at | date: '" + "%A" * 200 + "' }}",
        "{{ 99999999999999999999 | date: '%Y' }}",
        "{% increment a %}{% decrement a %}",
    ],
)
def test_what_is_odd_and_harmless_is_rendered_soon(source: str) -> None:
    begun = time.monotonic()
    render(template(source), CONTEXT)
    assert time.monotonic() - begun < TAKES_AT_MOST_S


@given(source=st.text(alphabet="{}%|:'\"()<>/. abcdefor1", max_size=80), form=st.sampled_from(["html", "mjml"]))
def test_no_source_does_anything_but_render_or_fail(source: str, form: Format) -> None:
    try:
        render(template(source, form, subject=source, preheader=source, text=source), CONTEXT)
    except RenderFailed as failed:
        assert failed.field in ("html", "mjml", "subject", "preheader", "text")  # noqa: PT017


@pytest.mark.parametrize(
    ("form", "source"),
    [
        ("html", "<div>" * 20_000),
        ("html", "{% for i in (1..19000) %}<div>{% endfor %}x"),
        ("html", "<div><span></div>" * 20_000),
        ("mjml", f"<mjml><mj-body>{'<mj-wrapper>' * 2_000}{'</mj-wrapper>' * 2_000}</mj-body></mjml>"),
        ("mjml", mjml(f"<mj-text>{'<div>' * 15_000}</mj-text>")),
    ],
)
def test_what_nests_too_deep_for_the_libraries_is_refused_before_they_see_it(form: Format, source: str) -> None:
    with pytest.raises(RenderFailed, match="nest deeper"):
        html(source, form)


def test_many_elements_beside_each_other_are_not_deep() -> None:
    assert html("<div><p>a<p>b<ul><li>c<li>d</ul><br></div>" * 300).count("<li>") == 600
    rows = "".join(f"<mj-image src='https://acme.test/{n}.png' /><mj-divider />" for n in range(150))
    assert html(mjml(rows), "mjml").count("<img") == 150


@pytest.mark.parametrize("form", ["html", "mjml"])
def test_a_contacts_text_in_an_attribute_is_no_markup_to_whoever_looks_for_tags(form: Format) -> None:
    image = "<{} src='https://acme.test/i.png' alt='{{{{ contact.name }}}}' />"
    source = f"<p>{image.format('img')}</p>" if form == "html" else mjml(image.format("mj-image"))
    name = "<a href='https://evil.test/'><form action=https://evil.test/x></body>"
    made = render(template(source, form), CONTEXT | {"contact": {"email": "a@example.com", "traits": {"name": name}}})
    for fragment in ("<a href='https://evil", "<form", "</body>"):
        assert made.html.count(fragment) == (1 if fragment == "</body>" else 0)


@pytest.mark.parametrize("hidden", ["<!-- {{ unsubscribe_url }} -->", "<!-- <a href='{{ unsubscribe_url }}'>x</a> -->"])
def test_a_way_out_that_nobody_sees_is_none(hidden: str) -> None:
    assert ">Unsubscribe</a>" in html(f"<p>Hi</p>{hidden}")


def test_a_way_out_in_the_preheader_alone_is_none() -> None:
    made = render(template("<p>Hi</p>", preheader="{{ unsubscribe_url }}"), CONTEXT)
    assert ">Unsubscribe</a>" in made.html
