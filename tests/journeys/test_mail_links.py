"""What readers and machines do with the links of a mail."""

import base64
import re
import string
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import time_machine

from chalicelib.core import clock
from chalicelib.features.messaging.model import SCAN_WITHIN
from chalicelib.platform import token_text
from chalicelib.platform.secrets import derive
from tests.support.client import Response
from tests.support.mail_world import MailWorld
from tests.support.post_office import not_answered, refused

ALPHABET = string.ascii_letters + string.digits + "-_"
BROWSER = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
THREE = "".join(f"<a href='https://acme.test/{n}?q=1&amp;r=%20'>{n}</a> " for n in range(3))


class Mail:
    """A mail that somebody got, with its public links."""

    def __init__(self, world: MailWorld, html: str, **trait: str) -> None:
        self.world = world
        self.campaign = world.lifecycle({"template_id": world.template(html=html)}, {"delay": "1d"})
        self.contact = world.contact("ada", **trait)
        world.track("ada", "signed_up")
        (self.kept,) = world.mailbox()
        self.clicks = list(dict.fromkeys(re.findall(r'href="([^"]*/c/[^"]*)"', self.kept["html"])))
        (self.pixel,) = re.findall(r'src="([^"]*/o/[^"]*)"', self.kept["html"])
        (self.leave,) = set(re.findall(r'href="([^"]*/u/[^"]*)"', self.kept["html"]))

    def ask(self, url: str, method: str = "GET", agent: str | None = BROWSER) -> Response:
        headers = {} if agent is None else {"User-Agent": agent}
        return self.world.client.request(method, urlsplit(url).path, key="", headers=headers)

    def judged(self) -> dict[str, int]:
        """The figures, once it is certain who has clicked."""
        with time_machine.travel((clock.system_ms() + 2 * SCAN_WITHIN) / 1_000, tick=False):
            self.world.settle()
        figures = self.world.stats(self.campaign)
        return {name: figures[name] for name in ("opened", "clicked", "unsubscribed") if name in figures}


@pytest.fixture
def three(test_mail: MailWorld) -> Mail:
    return Mail(test_mail, THREE)


def test_a_link_leads_where_it_led_and_counts_once(three: Mail) -> None:
    for _ in range(2):
        answer = three.ask(three.clicks[1])
        assert (answer.status, answer.headers["location"]) == (302, "https://acme.test/1?q=1&r=%20")
    assert three.judged() == {"clicked": 1}
    (row,) = three.world.messages(three.campaign)
    assert row["clicked_at"] == clock.iso(three.world.now)


def test_a_click_is_told_only_when_it_is_certain_that_a_person_made_it(three: Mail) -> None:
    three.ask(three.clicks[0])
    assert "clicked" not in three.world.stats(three.campaign)
    assert three.judged() == {"clicked": 1}


def test_who_fetches_three_links_within_two_seconds_is_no_person(three: Mail) -> None:
    with time_machine.travel(clock.system_ms() / 1_000, tick=False) as time:
        for url in three.clicks:
            three.ask(url)
            time.shift(0.9)
    assert three.judged() == {}
    with time_machine.travel((clock.system_ms() + clock.MINUTE) / 1_000, tick=False):
        three.ask(three.clicks[2])
        assert three.judged() == {"clicked": 1}


def test_of_two_links_both_make_a_machine_and_of_one_nothing_does(test_mail: MailWorld) -> None:
    two = Mail(test_mail, "<a href='https://acme.test/1'>1</a><a href='https://acme.test/2'>2</a>")
    for url in two.clicks:
        two.ask(url)
    assert two.judged() == {}


def test_a_mail_of_one_link_is_never_judged_so(test_mail: MailWorld) -> None:
    one = Mail(test_mail, "<a href='https://acme.test/1'>1</a><a href='https://acme.test/1'>again</a>")
    for _ in range(3):
        one.ask(one.clicks[0])
    assert one.judged() == {"clicked": 1}


def test_the_picture_tells_that_the_mail_was_opened_once(three: Mail) -> None:
    for _ in range(2):
        answer = three.ask(three.pixel)
        assert (answer.status, answer.headers["content-type"]) == (200, "image/gif")
        assert answer.text.startswith("GIF89a")
    assert three.judged() == {"opened": 1}


@pytest.mark.parametrize(
    ("method", "agent"),
    [
        ("HEAD", BROWSER),
        ("GET", None),
        ("GET", ""),
        ("GET", "Mozilla/5.0"),
        ("GET", "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"),
        ("GET", "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"),
        ("GET", "Mozilla/5.0 (compatible; Barracuda Sentinel)"),
        ("GET", "Mimecast-URL-Protect"),
        ("GET", "python-requests/2.32.3"),
        ("GET", "curl/8.7.1"),
        ("GET", "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"),
    ],
)
def test_machines_are_led_on_and_count_as_nobody(three: Mail, method: str, agent: str | None) -> None:
    assert three.ask(three.clicks[0], method, agent).status == 302
    assert three.ask(three.pixel, method, agent).status == 200
    assert three.ask(three.leave, method, agent).status == 200
    assert three.judged() == {}


def test_a_get_of_every_link_unsubscribes_nobody(three: Mail) -> None:
    page = three.ask(three.leave)
    assert (page.status, '<form method="post">' in page.text) == (200, True)
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "Acme" in page.text
    assert three.judged() == {}
    assert three.world.get(f"/v1/contacts/{three.contact}")["unsubscribed_at"] is None


def test_a_post_unsubscribes_at_once_and_the_next_step_is_skipped(three: Mail) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    body = b"List-Unsubscribe=One-Click"
    for _ in range(2):
        answer = three.world.client.request("POST", urlsplit(three.leave).path, body, key="", headers=headers)
        assert answer.status == 200
    assert three.judged() == {"unsubscribed": 1}
    assert three.world.get(f"/v1/contacts/{three.contact}")["unsubscribed_at"] == clock.iso(three.world.now)
    three.world.advance(2 * clock.DAY)
    assert three.world.stats(three.campaign)["skipped"] == {"unsubscribed": 1}


def test_the_header_has_the_address_that_unsubscribes(three: Mail) -> None:
    headers = {header["name"]: header["value"] for header in three.kept["headers"]}
    assert headers["List-Unsubscribe"] == f"<{three.leave}>"


def test_what_a_contact_opened_and_clicked_is_read_by_rules(three: Mail) -> None:
    field = f"campaigns.{three.campaign}"
    opened = three.world.segment({"field": field, "op": "in", "value": ["opened"]}, name="Opened")
    clicked = three.world.segment({"field": field, "op": "in", "value": ["clicked"]}, name="Clicked")

    def members(segment: str) -> int:
        return int(three.world.get(f"/v1/segments/{segment}")["contact_count"])

    assert (members(opened), members(clicked)) == (0, 0)
    three.ask(three.pixel)
    three.judged()
    assert (members(opened), members(clicked)) == (1, 0)
    three.ask(three.clicks[0])
    three.judged()
    assert (members(opened), members(clicked)) == (1, 1)


def test_the_links_of_a_contact_that_was_merged_concern_the_one_that_it_is_now(three: Mail) -> None:
    bob = three.world.contact("bob")
    body = {"source_contact_id": three.contact}
    three.world.ok(three.world.client.post(f"/v1/contacts/{bob}/merge", body))
    three.world.settle()
    three.ask(three.leave, "POST")
    assert three.world.get(f"/v1/contacts/{bob}")["unsubscribed_at"] is not None


def test_the_links_of_a_deleted_contact_still_lead_on_and_record_nothing(three: Mail) -> None:
    three.world.ok(three.world.client.delete(f"/v1/contacts/{three.contact}"))
    three.world.settle()
    assert three.ask(three.clicks[0]).status == 302
    assert three.ask(three.pixel).status == 200
    assert three.ask(three.leave, "POST").status == 200
    assert three.judged() == {}


@pytest.mark.parametrize("place", [0, 10, -1])
def test_a_token_with_a_changed_character_is_400_and_leads_nowhere(three: Mail, place: int) -> None:
    for url in (three.clicks[0], three.pixel, three.leave):
        path, _, token = urlsplit(url).path.rpartition("/")
        other = "A" if token[place] != "A" else "B"
        spoiled = token[:-1] + other if place == -1 else token[:place] + other + token[place + 1 :]
        answer = three.ask(f"{path}/{spoiled}")
        assert answer.status == 400
        assert "location" not in answer.headers
    assert three.judged() == {}


SPOILED: dict[str, Callable[[str], str]] = {
    "its last character lost": lambda token: token[:-1],
    "half of it lost": lambda token: token[: len(token) // 2],
    "a character more": lambda token: token + "A",
    "padded": lambda token: token + "=",
    "with a space": lambda token: token + "%20",
    "with a zero byte": lambda token: token + "%00",
    "with a letter of no alphabet": lambda token: "%C3%A9" + token,
    "with a sign of the other alphabet": lambda token: token[:10] + "+" + token[11:],
    "forty times": lambda token: token * 40,
    "only long": lambda _: "x" * 5_000,
    "a word": lambda _: "nothing",
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_a_token_that_was_spoiled_on_its_way_is_400_wherever_it_is_given(
    three: Mail, spoil: Callable[[str], str]
) -> None:
    for url, method in ((three.clicks[0], "GET"), (three.pixel, "GET"), (three.leave, "GET"), (three.leave, "POST")):
        path, _, token = urlsplit(url).path.rpartition("/")
        answer = three.ask(f"{path}/{spoil(token)}", method)
        assert (answer.status, answer.headers.get("location")) == (400, None)
    assert three.judged() == {}


def test_a_token_that_another_key_has_sealed_is_400(three: Mail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_text, "derive", lambda purpose: derive(f"{purpose}, another"))
    assert three.ask(three.leave, "POST").status == 400
    assert three.ask(three.clicks[0]).status == 400


def test_a_token_that_is_written_otherwise_is_400_though_it_means_the_same(three: Mail) -> None:
    def meaning(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    tried = []
    for url in (*three.clicks, three.pixel, three.leave):
        path, _, token = urlsplit(url).path.rpartition("/")
        same = [token[:-1] + last for last in ALPHABET if meaning(token[:-1] + last) == meaning(token)]
        tried += [three.ask(f"{path}/{other}").status for other in same if other != token]
    assert tried
    assert set(tried) == {400}


def test_a_token_of_one_kind_is_none_of_another(three: Mail) -> None:
    urls = {"c": three.clicks[0], "o": three.pixel, "u": three.leave}
    tokens = {kind: urlsplit(url).path.rpartition("/")[2] for kind, url in urls.items()}
    for kind, token in tokens.items():
        others = tokens.keys() - {kind}
        assert [three.ask(f"/{other}/{token}").status for other in others] == [400, 400]
        assert three.ask(f"/u/{token}", "POST").status == (200 if kind == "u" else 400)


def test_no_token_shows_an_address_even_where_a_link_has_one(test_mail: MailWorld) -> None:
    html = "<a href='https://acme.test/?email={{ contact.email }}'>you</a>"
    mail = Mail(test_mail, html)
    assert mail.ask(mail.clicks[0]).headers["location"] == "https://acme.test/?email=ada@example.com"
    for url in (*mail.clicks, mail.pixel, mail.leave):
        token = urlsplit(url).path.rpartition("/")[2]
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        assert b"ada@" not in raw
        assert b"example" not in raw
        assert "ada@" not in url


def test_a_sample_goes_to_its_makers_counts_nowhere_and_unsubscribes_nobody(test_mail: MailWorld) -> None:
    campaign = test_mail.lifecycle({"subject": "Hello {{ contact.name }}"}, {"delay": "1d"})
    ada = test_mail.contact("ada", name="Ada")
    path = f"/v1/campaigns/{campaign}/test"
    test_mail.ok(test_mail.client.post(path, {"email": "ada@example.com"}))
    test_mail.ok(test_mail.client.post(path, {"email": "team@acme.test", "step_index": 1}))
    test_mail.settle()
    first, second = test_mail.mailbox()
    assert (first["to"], first["subject"], first["contact_id"]) == ("ada@example.com", "Hello Ada", None)
    assert (second["to"], second["step_index"]) == ("team@acme.test", 1)
    (leave,) = set(re.findall(r'href="([^"]*/u/[^"]*)"', first["html"]))
    assert test_mail.client.request("POST", urlsplit(leave).path, key="").status == 200
    assert test_mail.get(f"/v1/contacts/{ada}")["unsubscribed_at"] is None
    assert test_mail.stats(campaign) == {}
    assert test_mail.messages(campaign) == []


def test_a_sample_is_sent_once_however_often_its_message_comes(live_mail: MailWorld) -> None:
    campaign = live_mail.lifecycle()
    live_mail.ok(live_mail.client.post(f"/v1/campaigns/{campaign}/test", {"email": "team@acme.test"}))
    while not live_mail.mails:
        assert live_mail.run_bus()
    live_mail.mails *= 3
    live_mail.settle()
    assert [posted.to for posted in live_mail.office.taken] == ["team@acme.test"]


def test_a_sample_that_the_mail_service_does_not_take_for_the_time_being_is_sent_later(live_mail: MailWorld) -> None:
    campaign = live_mail.lifecycle()
    live_mail.ok(live_mail.client.post(f"/v1/campaigns/{campaign}/test", {"email": "team@acme.test"}))

    def refuse(_call: object) -> None:
        live_mail.office.before = lambda _: None
        raise refused("Throttling")

    live_mail.office.before = refuse
    live_mail.settle()
    assert [posted.to for posted in live_mail.office.taken] == ["team@acme.test"]


@pytest.mark.parametrize("fault", [refused("MessageRejected"), not_answered()])
def test_a_sample_that_is_refused_or_in_doubt_is_not_sent_again(live_mail: MailWorld, fault: Exception) -> None:
    campaign = live_mail.lifecycle()
    live_mail.ok(live_mail.client.post(f"/v1/campaigns/{campaign}/test", {"email": "team@acme.test"}))
    calls: list[object] = []

    def fail(call: object) -> None:
        calls.append(call)
        raise fault

    live_mail.office.before = fail
    while not live_mail.mails:
        assert live_mail.run_bus()
    live_mail.mails *= 3
    live_mail.settle()
    assert len(calls) == 1


def test_links_that_are_no_web_pages_stay(test_mail: MailWorld) -> None:
    html = (
        "<a href='mailto:x@acme.test'>m</a><a href='tel:+1'>t</a><a href='#top'>top</a><a href='https://a.test/'>a</a>"
    )
    mail = Mail(test_mail, html)
    assert [url for url in re.findall(r'href="([^"]*)"', mail.kept["html"]) if "acme.test/" not in url] == [
        "mailto:x@acme.test",
        "tel:+1",
        "#top",
    ]
    assert len(mail.clicks) == 1
