"""A mail as bytes is what it was made of, and no field of it can say more than its own."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.core import clock
from chalicelib.core.mail.mime import Mail, compose, headers_of

PLAIN = Mail(
    from_address="hello@acme.test",
    from_name="Acme",
    to="ada@example.com",
    subject="Hello",
    html="<p>Hi</p>",
    text="Hi\n",
    unsubscribe_url="https://mail.acme.test/u/" + "x" * 220,
    ref="proj_1-cntct_1-msg_1",
    sent_at=clock.parse_instant("2026-02-23T10:00:00Z"),
)
NAMES = [
    *("From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post"),
    *("X-GrowthOS-Message", "MIME-Version", "Content-Type"),
]
anything = st.text(max_size=300)


def made(**parts: str) -> Mail:
    from dataclasses import replace

    return replace(PLAIN, **parts)  # type: ignore[arg-type]


def read(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def one_line(text: str) -> str:
    """Without control characters and line ends, said by their numbers."""
    ends = {*range(32), *range(127, 160), 0x2028, 0x2029}
    return " ".join("".join(" " if ord(each) in ends else each for each in text).split())


def test_it_has_both_parts_and_the_headers_by_which_mail_programs_unsubscribe() -> None:
    message = read(compose(PLAIN))
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert isinstance(text, EmailMessage)
    assert isinstance(html, EmailMessage)
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert (text.get_content(), html.get_content()) == ("Hi\r\n", "<p>Hi</p>\r\n")
    assert message["List-Unsubscribe"] == f"<{PLAIN.unsubscribe_url}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["X-GrowthOS-Message"] == PLAIN.ref
    assert clock.iso(round(parsedate_to_datetime(message["Date"]).timestamp() * 1000)) == "2026-02-23T10:00:00Z"
    assert [name for name, _ in headers_of(compose(PLAIN))] == NAMES


def test_no_header_is_folded_as_some_mail_programs_read_the_first_line_alone() -> None:
    lines = compose(PLAIN).split(b"\r\n")
    assert f"List-Unsubscribe: <{PLAIN.unsubscribe_url}>".encode() in lines


@given(from_name=anything, subject=anything)
@example(from_name="Acme\r\nBcc: eve@example.com", subject="Hello\nBcc: eve@example.com")
def test_no_field_adds_a_header_or_changes_another(from_name: str, subject: str) -> None:
    raw = compose(made(from_name=from_name.encode(errors="ignore").decode(), subject=subject))
    message = read(raw)
    assert [name for name, _ in headers_of(raw)] == NAMES
    assert message["Subject"] == one_line(subject)
    assert message["To"] == "ada@example.com"
    assert message["From"].addresses[0].addr_spec == "hello@acme.test"


@given(text=anything, html=anything)
def test_the_parts_come_back_as_they_were(text: str, html: str) -> None:
    message = read(compose(made(text=text, html=html)))
    parts = [part.get_content() for part in message.iter_parts() if isinstance(part, EmailMessage)]

    def lines(said: str) -> str:
        return said.replace("\r\n", "\n").replace("\r", "\n")

    for sent, got in zip((text, html), parts, strict=True):
        expected = lines(sent)
        assert lines(got) == (expected if expected.endswith("\n") else f"{expected}\n")


@pytest.mark.parametrize("size", [10, 20_000, 300_000])
def test_no_line_is_longer_than_mail_servers_take(size: int) -> None:
    raw = compose(made(html="<p>" + "x" * size + "é</p>", text="y" * size, subject="ä" * 400))
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert raw.replace(b"\r\n", b"").count(b"\n") == 0


def test_the_html_part_is_read_by_a_parser() -> None:
    class Titles(HTMLParser):
        found = ""

        def handle_data(self, data: str) -> None:
            self.found += data

    message = read(compose(made(html="<html><body><h1>Gr\u00fc\u00dfe &amp; K\u00fcsse</h1></body></html>")))
    *_, html = message.iter_parts()
    assert isinstance(html, EmailMessage)
    parser = Titles()
    parser.feed(html.get_content())
    assert parser.found.strip() == "Grüße & Küsse"
