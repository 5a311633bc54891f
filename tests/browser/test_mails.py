"""Mails and the pages behind their links in a real browser, as wide as a mail program and as a phone: `make browser`.

Screenshots lie in `build/browser`.
"""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import screens
from tests.browser.screens import BUILD, focused, judge, launched, seen
from tests.browser.serving import from_app, serve
from tests.support.mail_world import MailWorld

pytestmark = pytest.mark.browser

WIDTHS = {"mail": 600, "phone": 375}
HTML = (
    "<style>h1{color:#0b57d0;font-family:sans-serif} p,li{font-family:sans-serif;line-height:1.5}"
    " @media (max-width:480px){h1{font-size:22px}}</style>"
    "<h1>Welcome, {{ contact.name | default: 'friend' }}!</h1>"
    "<p>You chose the <b>{{ event.plan }}</b> plan. Here is what comes next:</p>"
    "<ol>{% for step in event.steps %}<li>{{ step }}</li>{% endfor %}</ol>"
    "<p><a href='https://acme.test/start'>Get started</a></p>"
)
MJML = (
    "<mjml><mj-head><mj-preview>Three steps to begin</mj-preview></mj-head><mj-body background-color='#f4f4f4'>"
    "<mj-section background-color='#ffffff'><mj-column><mj-text font-size='24px'>Welcome, {{ contact.name }}!</mj-text>"
    "<mj-text line-height='1.5'>You chose the {{ event.plan }} plan.</mj-text>"
    "<mj-button href='https://acme.test/start'>Get started</mj-button></mj-column></mj-section>"
    "<mj-section background-color='#ffffff'>"
    "{% for step in event.steps %}<mj-column><mj-text>{{ step }}</mj-text></mj-column>{% endfor %}"
    "</mj-section></mj-body></mjml>"
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launched(playwright, is_person=False)
        yield browser
        browser.close()


def shown(browser: Browser, html: str, width: int) -> Page:
    """The page as it looks without a network: nothing may be fetched to be readable."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.route("**/*", lambda route: route.abort())
    page.set_content(html, wait_until="domcontentloaded")
    return page


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.parametrize("screen", WIDTHS)
@pytest.mark.parametrize(("form", "source"), [("html", HTML), ("mjml", MJML)])
def test_a_mail_reads_well(test_mail: MailWorld, chromium: Browser, form: str, source: str, screen: str) -> None:
    test_mail.ok(test_mail.client.patch("/v1/settings", {"postal_address": "Acme Inc\n1 Main Street\nSpringfield"}))
    body = {"name": "Welcome", "subject": "Welcome!", "preheader": "Three steps to begin", form: source}
    template = test_mail.ok(test_mail.client.post("/v1/templates", body))["id"]
    test_mail.lifecycle({"template_id": template})
    test_mail.contact("ada", name="Ada Lovelace")
    test_mail.track("ada", "signed_up", plan="growth", steps=["Invite your team", "Send an event", "Make a segment"])
    (mail,) = test_mail.mailbox()
    page = shown(chromium, mail["html"], WIDTHS[screen])
    page.screenshot(path=BUILD / f"mail-{form}-{screen}.png", full_page=True)
    assert fits(page)
    assert page.get_by_text("Welcome, Ada Lovelace!").is_visible()
    assert page.get_by_text("Make a segment").is_visible()
    assert page.get_by_text("1 Main Street").is_visible()
    assert not page.get_by_text("Three steps to begin").first.is_visible()
    start, leave = page.get_by_role("link", name="Get started"), page.get_by_role("link", name="Unsubscribe")
    assert "/c/" in (start.get_attribute("href") or "")
    assert "/u/" in (leave.get_attribute("href") or "")
    assert leave.is_visible()
    assert len(page.query_selector_all("img")) == 1
    page.close()


@pytest.mark.parametrize("screen", screens.WIDTHS)
def test_the_page_that_unsubscribes_reads_well(test_mail: MailWorld, chromium: Browser, screen: str) -> None:
    test_mail.lifecycle()
    test_mail.contact("ada")
    test_mail.track("ada", "signed_up")
    (mail,) = test_mail.mailbox()
    path = urlsplit(re.findall(r'href="([^"]*/u/[^"]*)"', mail["html"])[0]).path
    with serve(from_app()) as served, seen(chromium, f"{served.url}{path}", screen) as page:
        assert page.get_by_role("heading", name="Unsubscribe").is_visible()
        judge(page, f"unsubscribe-ask-{screen}")
        page.keyboard.press("Tab")
        assert focused(page) == "Unsubscribe"
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="You are unsubscribed").wait_for()
        assert page.get_by_role("button").count() == 0
        judge(page, f"unsubscribe-done-{screen}")
