"""Every page in a real browser, as wide as a phone and as a desk's: it fits, axe has nothing to say, keys suffice.

Screenshots lie in `build/browser`.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, sync_playwright

from chalicelib.edge import pages
from chalicelib.edge.call import Reply
from chalicelib.edge.pages import Brand, Place, Question, SurveyForm, Thanks
from tests.browser.screens import WIDTHS, focused, judge, launched, seen
from tests.browser.serving import serve, told

pytestmark = pytest.mark.browser

ACME = Brand("Acme", "#0b57d0")
PALE = Brand("Lemonade & Söhne GmbH", "#ffe45c")
UNTIL = 1_795_788_600_000
LINK = "https://acme.test/r/ANN-ACME-K7F"

NPS = SurveyForm(
    question="How likely are you to recommend Acme to a friend or colleague?",
    scale=list(range(11)),
    low_label="not at all likely",
    high_label="extremely likely",
    follow_up="What is the main reason for your score?",
)
CSAT = SurveyForm(
    question="How satisfied are you with the answer that you got?",
    scale=[1, 2, 3, 4, 5],
    low_label="very dissatisfied",
    high_label="very satisfied",
    chosen=4,
)
CUSTOM = SurveyForm(
    question="Help us to make Acme better",
    questions=[
        Question("speed", "rating", "How fast does Acme feel?", required=True),
        Question(
            "role", "single_choice", "What describes you best?", ["Founder", "Engineer", "Marketer"], required=True
        ),
        Question(
            "used", "multiple_choice", "What do you use?", ["Campaigns", "Segments", "Referrals"], values=["Segments"]
        ),
        Question("more", "text", "What is missing?"),
    ],
)
FAULTY = [
    replace(question, error="Choose one of these." if question.required else None) for question in CUSTOM.questions
]

PAGES: dict[str, Reply] = {
    "survey-nps": pages.survey(NPS, ACME),
    "survey-nps-chosen": pages.survey(replace(NPS, chosen=9), ACME),
    "survey-nps-faulty": pages.survey(replace(NPS, error="Choose a score from 0 to 10."), ACME),
    "survey-nps-again": pages.survey(
        replace(NPS, chosen=9, comment="It saves me hours.", is_answered=True, until=UNTIL), PALE
    ),
    "survey-csat": pages.survey(CSAT, PALE),
    "survey-custom": pages.survey(CUSTOM, ACME),
    "survey-custom-faulty": pages.survey(replace(CUSTOM, questions=FAULTY), Brand("Acme")),
    "thanks-comment": pages.thanks(Thanks(9, None, None, True, UNTIL, "What is the main reason for your score?"), ACME),
    "thanks-share": pages.thanks(
        Thanks(10, "We are glad to hear that. Give your friends a month for free:", LINK, True, UNTIL), PALE
    ),
    "unsubscribe": pages.message(
        "Unsubscribe", "Do you want no more mail from Acme?", brand=ACME, button="Unsubscribe"
    ),
    "broken-link": pages.message("This link does not work", "Copy it from the mail again.", status=200),
    "place": pages.place(Place("Pro Plan Early Access", 42, 1_204, 3, "ANN-ACME-K7F", LINK), ACME),
    "place-approved": pages.place(Place("Pro Plan Early Access", None, 1_204, 3, "ANN-ACME-K7F", LINK), PALE),
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launched(playwright, is_person=False)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the pages are, by name."""
    with serve(lambda asked: told(PAGES[asked.path.strip("/?")])) as served:
        yield served.url


@pytest.mark.parametrize("screen", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_can_be_used_by_all(chromium: Browser, address: str, name: str, screen: str) -> None:
    with seen(chromium, f"{address}/{name}", screen) as page:
        judge(page, f"page-{name}-{screen}")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_still_fits_with_little_room_and_large_text(chromium: Browser, address: str, name: str) -> None:
    """WCAG 1.4.10: 320 pixels, as a desk's window has at 400 %; and 1.4.12, text with more room around it."""
    spaced = "*{line-height:1.5!important;letter-spacing:.12em!important;word-spacing:.16em!important}"
    # A style of the test's own is not let by the page's policy.
    with seen(chromium, f"{address}/{name}", "phone", bypass_csp=True) as page:
        page.set_viewport_size({"width": 320, "height": 600})
        page.add_style_tag(content=spaced)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_score_is_chosen_and_sent_by_keys(chromium: Browser, address: str) -> None:
    with seen(chromium, f"{address}/survey-nps", "phone") as page:
        page.keyboard.press("Tab")
        assert focused(page) == "score-1"
        page.keyboard.press("Space")
        for _ in range(8):
            page.keyboard.press("ArrowRight")
        assert page.locator("input:checked").get_attribute("value") == "8"
        page.keyboard.press("Tab")
        assert focused(page) == "comment"
        page.keyboard.press("Tab")
        assert focused(page) == "Send"
        with page.expect_request(lambda request: request.method == "POST") as sent:
            page.keyboard.press("Enter")
        assert sent.value.post_data == "score=8&comment="


def test_questions_are_answered_by_keys(chromium: Browser, address: str) -> None:
    with seen(chromium, f"{address}/survey-custom", "desk") as page:
        for name, key in (("q1-1", "Space"), ("q2-1", "ArrowDown"), ("q3-1", "Space"), ("q3-2", ""), ("q3-3", "Space")):
            page.keyboard.press("Tab")
            assert focused(page) == name
            if key:
                page.keyboard.press(key)
        page.keyboard.press("Tab")
        assert focused(page) == "q4-1"
        page.keyboard.type("More colours")
        page.keyboard.press("Tab")
        with page.expect_request(lambda request: request.method == "POST") as sent:
            page.keyboard.press("Enter")
        assert sent.value.post_data == (
            "answers.speed=1&answers.role=Engineer&answers.used=Campaigns&answers.used=Segments"
            "&answers.used=Referrals&answers.more=More+colours"
        )


def test_what_is_wrong_leads_to_its_place(chromium: Browser, address: str) -> None:
    with seen(chromium, f"{address}/survey-custom-faulty", "phone") as page:
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert focused(page) == "q2-1"


def test_the_chosen_score_shows_without_colours(chromium: Browser, address: str) -> None:
    """As people see it who have their own colours."""
    with seen(chromium, f"{address}/survey-nps-chosen", "phone", forced_colors="active") as page:
        page.screenshot(path="build/browser/page-survey-nps-forced-colors.png")
        widths = page.locator(".step span").evaluate_all(
            "all => all.map(each => getComputedStyle(each).borderTopWidth)"
        )
        assert [width for width in widths if width == "3px"] == [widths[9]]


def test_nothing_moves_where_people_want_it_still(chromium: Browser, address: str) -> None:
    with seen(chromium, f"{address}/survey-nps", "phone", reduced_motion="reduce") as page:
        durations = page.locator("*").evaluate_all("all => all.map(each => getComputedStyle(each).transitionDuration)")
        assert set(durations) == {"0s"}
