"""A link that is followed: what it costs, that it leads nowhere but to the landing page, and what else it shows."""

from collections.abc import Mapping

import pytest

from tests.support.client import Client
from tests.support.referral_world import AGENT, ReferralWorld

PERSON = {"User-Agent": AGENT}
MACHINES = {
    "a preview": {"User-Agent": "Slackbot-LinkExpanding 1.0"},
    "a crawler": {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"},
    "a messenger's": {"User-Agent": "WhatsApp/2.23.20.0"},
}
PEOPLE = [PERSON, {}, {"User-Agent": "curl/8.9.1"}, {"User-Agent": "Mozilla/5.0"}, {"User-Agent": "my-app/1.0"}]
"""Whoever does not say that it is a robot: apps and programs open links for people."""

CODES_OF_NONE = [
    "x",
    "ALICE",
    "ALICE-ACME",
    "ALICE-ACME-7",
    "A-B-C-D",
    "ALICE_ACME_7K2",
    f"{'A' * 17}-ACME-7K2",
    "-" * 9,
]


@pytest.fixture
def live(engine: str, monkeypatch: pytest.MonkeyPatch) -> ReferralWorld:
    return ReferralWorld(monkeypatch, is_test=False)


def calls(world: ReferralWorld, code: str, headers: Mapping[str, str], method: str = "GET") -> list[str]:
    """The calls of the table by which a link is followed."""
    made: list[str] = []
    world.table.on_call = made.append
    Client().request(method, f"/r/{code}", headers=headers)
    world.table.on_call = lambda _name: None
    return made


def test_a_person_costs_one_read_and_one_write(live: ReferralWorld) -> None:
    code = live.link(live.contact("alice"))
    assert [calls(live, each, PERSON) for each in (code, code.lower())] == [["get", "write"]] * 2


@pytest.mark.parametrize("headers", MACHINES.values(), ids=MACHINES.keys())
def test_a_machine_costs_one_read(live: ReferralWorld, headers: dict[str, str]) -> None:
    assert calls(live, live.link(live.contact("alice")), headers) == ["get"]


def test_a_code_that_nobody_has_costs_one_read(live: ReferralWorld) -> None:
    assert calls(live, "NOBODY-ACME-7K2", PERSON) == ["get"]


@pytest.mark.parametrize("code", CODES_OF_NONE)
def test_what_can_be_no_code_costs_nothing(live: ReferralWorld, code: str) -> None:
    assert calls(live, code, PERSON) == []


def test_who_only_asks_for_the_head_counts_as_nobody(live: ReferralWorld) -> None:
    code = live.link(live.contact("alice"))
    assert "write" not in calls(live, code, PERSON, "HEAD")
    live.settle()
    assert live.stats()["total_clicks"] == 0


def test_each_click_of_a_person_is_counted_once(live: ReferralWorld) -> None:
    code = live.link(live.contact("alice"))
    for headers in [*PEOPLE, *MACHINES.values(), PERSON]:
        assert Client().get(f"/r/{code}", headers=headers).status == 302
    for _ in range(2):
        live.redeliver(0, [])
        live.settle()
    assert (live.stats()["total_clicks"], live.get(f"/v1/referrals/links/{code}")["clicks"]) == (6, 6)


QUERIES = ["url=https://evil.test", "ref=EVIL", "next=//evil.test&to=%2F%2Fevil.test", "landing_url=https://evil.test"]
HEADERS = [
    {"Host": "evil.test"},
    {"X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "http"},
    {"Referer": "https://evil.test/", "Origin": "https://evil.test"},
    {"X-Original-URL": "https://evil.test/", "X-Rewrite-URL": "//evil.test"},
]


@pytest.mark.parametrize("query", ["", *QUERIES])
@pytest.mark.parametrize("headers", [{}, *HEADERS])
def test_a_link_leads_to_the_landing_page_whatever_is_sent_with_it(
    referring: ReferralWorld, query: str, headers: dict[str, str]
) -> None:
    code = referring.link(referring.contact("alice"))
    answer = Client().get(f"/r/{code}{'?' if query else ''}{query}", headers=PERSON | headers)
    assert (answer.status, answer.headers["location"]) == (302, f"https://acme.test/welcome?from=friend&ref={code}#top")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text == ""


@pytest.mark.parametrize(
    "code",
    [
        "https:%2F%2Fevil.test",
        "%2F%2Fevil.test",
        "%5C%5Cevil.test",
        "evil.test",
        "{code}%0d%0aLocation:%20https:%2F%2Fevil.test",
        "{code}%00",
        "{code}@evil.test",
        "{code}%3Fnext=https:%2F%2Fevil.test",
        "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "javascript:alert(1)",
        "{code}é",
    ],
)
def test_what_is_no_code_leads_nowhere_and_is_not_shown(referring: ReferralWorld, code: str) -> None:
    real = referring.link(referring.contact("alice"))
    answer = Client().get(f"/r/{code.format(code=real)}", headers=PERSON)
    assert answer.status == 404
    assert "location" not in answer.headers
    assert "evil" not in answer.text
    assert_is_plain(answer.text, answer.headers)


def assert_is_plain(text: str, headers: Mapping[str, str]) -> None:
    """No script, nothing that is loaded from elsewhere, and nothing of what was asked for."""
    low = text.lower()
    assert headers["content-type"] == "text/html; charset=utf-8"
    for each in ("<script", "javascript:", "onload", "onerror", "<iframe", "src=", "@import", "http"):
        assert each not in low
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize("typed", ["{0}", " {0}", "{0} ", "{1}", "{1}/"])
def test_however_a_code_is_typed_the_landing_page_gets_it_as_it_is(referring: ReferralWorld, typed: str) -> None:
    code = referring.link(referring.contact("alice"))
    answer = Client().get(f"/r/{typed.format(code, code.lower())}", headers=PERSON)
    assert answer.headers["location"] == f"https://acme.test/welcome?from=friend&ref={code}#top"


def test_the_page_of_an_unknown_code_is_plain_and_the_same_for_all(referring: ReferralWorld) -> None:
    pages = [Client().get(f"/r/{code}", headers=PERSON) for code in ("NOBODY-ACME-7K2", "x", "OTHER-ACME-222")]
    assert {each.status for each in pages} == {404}
    assert len({each.text for each in pages}) == 1
    for each in pages:
        assert_is_plain(each.text, each.headers)


def test_a_program_without_a_landing_page_leads_nowhere_and_counts_nothing(live: ReferralWorld) -> None:
    program = live.made(landing_url=None)
    code = live.link(live.contact("alice"), program=program)
    assert calls(live, code, PERSON) == ["get"]
    assert live.click(code).status == 404
    live.settle()
    assert live.stats(program)["total_clicks"] == 0


@pytest.mark.parametrize(
    ("landing", "location"),
    [
        ("https://acme.test", "https://acme.test/?ref={code}"),
        ("https://acme.test?a=b%20c", "https://acme.test/?a=b%20c&ref={code}"),
        ("https://acme.test/#x?y", "https://acme.test/?ref={code}#x?y"),
        ("https://bücher.test/ä", "https://xn--bcher-kva.test/%C3%A4?ref={code}"),
        ("http://127.0.0.1:3000/a;b", "http://127.0.0.1:3000/a;b?ref={code}"),
    ],
)
def test_a_landing_page_stays_as_it_is_but_for_the_code(referring: ReferralWorld, landing: str, location: str) -> None:
    code = referring.link(referring.contact("alice"), program=referring.made(landing_url=landing))
    assert referring.click(code).headers["location"] == location.format(code=code)
