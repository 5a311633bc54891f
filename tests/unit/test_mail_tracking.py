"""Links are replaced where they stand and nothing else of a mail is touched; machines are told from people."""

import re
import time
from collections.abc import Sequence
from html import escape, unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.mail.agents import is_machine
from chalicelib.core.mail.links import MAX_LINKS, ascii_url, tracked

LEAVE = "https://mail.acme.test/u/leave"
SURVEY = "https://mail.acme.test/s/token"
KEEP = (LEAVE, SURVEY)
PIXEL = "https://mail.acme.test/o/pixel"


def numbered(urls: Sequence[str]) -> list[str]:
    return [f"https://t.test/{n}" for n, _ in enumerate(urls)]


def links_of(html: str, text: str = "") -> list[str]:
    return tracked(html, text, numbered, PIXEL, KEEP).links


@pytest.mark.parametrize(
    ("html", "links"),
    [
        ("<a href='https://a.test/'>a</a>", ["https://a.test/"]),
        ('<A HREF="HTTPS://A.test/?x=1&amp;y=2">a</A>', ["HTTPS://A.test/?x=1&y=2"]),
        ("<a class=x href=https://a.test/b>a</a>", ["https://a.test/b"]),
        ('<a title="a > b" href="https://a.test/">a</a>', ["https://a.test/"]),
        ('<a href = "https://a.test/" >a</a>', ["https://a.test/"]),
        ('<area href="https://a.test/">', ["https://a.test/"]),
        ("<a title=\"set href='https://x.test/' here\" href=\"https://a.test/\">a</a>", ["https://a.test/"]),
        ("<img alt=\"<a href='https://x.test/'>\"><a href='https://a.test/'>a</a>", ["https://a.test/"]),
        ('<a href="https://a.test/"></a><a href="https://b.test/"></a>' * 2, ["https://a.test/", "https://b.test/"]),
        (f'<a href="{LEAVE}">leave</a><a href="{SURVEY}?score=9">9</a>', []),
        ('<a href="mailto:x@a.test">m</a><a href="tel:+1">t</a><a href="#x">x</a><a href="/rel">r</a>', []),
        ('<a href="javascript:alert(1)">x</a><a href="">e</a><a>none</a>', []),
        ('<!-- <a href="https://hidden.test/">x</a> -->', []),
        ('<!--[if mso]><a href="https://outlook.test/">x</a><![endif]-->', ["https://outlook.test/"]),
        ('<style>a[href="https://s.test/"]{}</style><script>"<a href=https://s.test>"</script>', []),
        ('<abbr href="https://a.test/">x</abbr><img src="https://a.test/x.png">', []),
        ('<a data-href="https://d.test/" href="https://a.test/">x</a>', ["https://a.test/"]),
        ('<a href="https://a.test/a b">x</a>', []),
        (f'<a href="https://a.test/{"x" * 2_100}">x</a>', []),
    ],
)  # fmt: skip
def test_links_to_the_web_are_found_and_nothing_else(html: str, links: list[str]) -> None:
    assert links_of(html) == links


def test_only_hrefs_change() -> None:
    html = (
        "<!doctype html><body data-x='1'><!--[if mso]><table><![endif]--><p class=a>é &nbsp; &lt;</p>"
        '<a style="x" href="https://a.test/?a=1&amp;b=2" target=_blank>A</a></body><!-- end -->'
    )
    made = tracked(html, "see https://a.test/?a=1&b=2.", numbered, PIXEL, KEEP)
    pixel = f'<img src="{PIXEL}" width="1" height="1" alt="" style="opacity:0;border:0">'
    expected = html.replace("https://a.test/?a=1&amp;b=2", "https://t.test/0").replace("</body>", f"{pixel}</body>")
    assert made.html == expected
    assert made.text == "see https://t.test/0."


def test_more_links_than_are_counted_stay() -> None:
    html = "".join(f'<a href="https://a.test/{n}">x</a>' for n in range(MAX_LINKS + 5))
    made = tracked(html, "", numbered, PIXEL, KEEP)
    assert len(made.links) == MAX_LINKS
    assert made.html.count("https://a.test/") == 5


@given(st.lists(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=30), max_size=6))
def test_every_url_comes_back_from_where_it_leads(paths: list[str]) -> None:
    urls = [f"https://a.test/{n}/{path}" for n, path in enumerate(paths)]
    html = "".join(f'<p>x<a href="{escape(url)}">y</a></p>' for url in urls)
    made = tracked(html, "", numbered, PIXEL, KEEP)
    shown = re.findall(r'href="([^"]*)"', made.html)
    assert [made.links[int(unescape(url).rpartition("/")[2])] for url in shown] == urls


@pytest.mark.parametrize(
    "agent",
    [
        *(None, "", "  ", "Mozilla/5.0", "Mozilla/5.0 (via ggpht.com GoogleImageProxy)", "YahooMailProxy; x"),
        *("Barracuda Sentinel (EE)", "Mimecast-URL-Protect", "Proofpoint/1.0", "Microsoft Office Existence Discovery"),
        *("TrendMicro scanner", "BitdefenderAgent", "Zscaler", "VirusTotal", "Googlebot/2.1", "AdsBot-Google"),
        *("facebookexternalhit/1.1", "Slackbot-LinkExpanding 1.0", "WhatsApp/2.23", "HeadlessChrome/120.0"),
        *("curl/8.0", "Wget/1.21", "python-requests/2.3", "Go-http-client/2.0", "okhttp/4.9", "axios/1.6"),
    ],
)
def test_machines_are_known(agent: str | None) -> None:
    assert is_machine(agent)


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 14.4; rv:124.0) Gecko/20100101 Thunderbird/115.9.0",
        "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)",
        "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
        "Mozilla/5.0 (Linux; Android 14; Cubot KingKong) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 13; Abbott) AppleWebKit/537.36",
    ],
)  # fmt: skip
def test_peoples_programs_are_not_taken_for_machines(agent: str) -> None:
    assert not is_machine(agent)


@pytest.mark.parametrize(
    "html",
    [
        "<!--[if mso]>" + "<style>" * 27_000 + "<![endif]-->",
        "<!--[if" * 28_000,
        "<a href='" * 22_000,
        "<a " * 60_000,
        "<a " + 'x="' * 60_000,
        "<a" + " =" * 90_000 + ">",
    ],
    ids=["raw", "comments", "quotes", "tags", "values", "attributes"],
)
def test_no_mail_takes_long_to_look_through(html: str) -> None:
    began = time.process_time()
    links_of(html)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("agent", ["1" * 8_000, "-" * 8_000, "a-" * 4_000])
def test_no_agent_takes_long_to_look_at(agent: str) -> None:
    began = time.process_time()
    is_machine(agent)
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://acme.test/?q=日本#é", "https://acme.test/?q=%E6%97%A5%E6%9C%AC#%C3%A9"),
        ("https://bücher.test/a?b=%20&c=[1]", "https://xn--bcher-kva.test/a?b=%20&c=[1]"),
        ("https://acme.test/a%2Fb?x=1&y=2", "https://acme.test/a%2Fb?x=1&y=2"),
    ],
)
def test_a_url_is_said_in_ascii_and_leads_to_the_same_place(url: str, said: str) -> None:
    assert ascii_url(url) == said
