"""A survey as it is answered: by the page's script where a person sees it, by one button without, by no scanner."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from chalicelib.edge import pages
from chalicelib.edge.pages import Brand, SurveyForm, Thanks
from tests.browser.screens import judge, launched, seen
from tests.browser.serving import Asked, Served, Told, serve, told

pytestmark = pytest.mark.browser

ACME = Brand("Acme", "#0b57d0")
FORM = SurveyForm(
    question="How likely are you to recommend Acme?",
    scale=list(range(11)),
    low_label="not at all likely",
    high_label="extremely likely",
    follow_up="What is the main reason for your score?",
)
SEEN_MS = 1_000
LONG_MS = SEEN_MS + 700
"""By then whatever sends itself has done so."""

SENT = {"score": ["9"], "by": ["script"]}


@dataclass
class Survey:
    """A survey that answers as the app does: GET records nothing, POST does."""

    is_broken: bool = False
    slow_s: float = 0.0
    """How long the answer to a form takes."""
    recorded: list[dict[str, list[str]]] = field(default_factory=list)

    def answer(self, asked: Asked) -> Told:
        if asked.method == "POST":
            return self._post(asked)
        chosen = parse_qs(urlsplit(asked.path).query).get("score")
        score = int(chosen[0]) if chosen else None
        return told(pages.survey(replace(FORM, chosen=score, sends_itself=True), ACME))

    def _post(self, asked: Asked) -> Told:
        time.sleep(self.slow_s)
        if self.is_broken and asked.form.get("by"):
            return Told(503, {}, "")
        self.recorded.append(asked.form)
        is_whole = bool(asked.form.get("comment", [""])[0])
        return told(pages.thanks(Thanks(int(asked.form["score"][0]), follow_up=None if is_whole else "Why?"), ACME))


@pytest.fixture
def survey() -> Survey:
    return Survey()


@pytest.fixture
def served(survey: Survey) -> Iterator[Served]:
    with serve(survey.answer) as running:
        yield running


@pytest.fixture(scope="module")
def browsers() -> Iterator[tuple[Browser, Browser]]:
    """A person's and a scanner's."""
    with sync_playwright() as playwright:
        both = launched(playwright, is_person=True), launched(playwright, is_person=False)
        yield both
        for browser in both:
            browser.close()


@pytest.fixture
def person(browsers: tuple[Browser, Browser]) -> Browser:
    return browsers[0]


@pytest.fixture
def scanner(browsers: tuple[Browser, Browser]) -> Browser:
    return browsers[1]


def link(served: Served) -> str:
    """As it stands in the mail."""
    return f"{served.url}/s/token?score=9"


def saved(page: Page) -> None:
    page.get_by_role("status").get_by_text("Your score, 9, is saved.").wait_for()


def test_a_score_is_sent_once_when_a_person_sees_it_and_a_comment_may_follow(person: Browser, served: Served) -> None:
    with seen(person, link(served), "phone") as page:
        assert not page.evaluate("navigator.webdriver")
        assert served.posts == [], "a GET records nothing"
        saved(page)
        page.wait_for_timeout(LONG_MS)
        assert served.posts == [SENT]
        judge(page, "survey-sent-phone")
        page.get_by_label("What is the main reason for your score?").fill("It saves me hours.")
        page.get_by_role("button", name="Send").click()
        page.get_by_role("heading", name="Thank you").wait_for()
        assert served.posts[1:] == [{"score": ["9"], "comment": ["It saves me hours."]}]
        assert {each.path for each in served.asked if each.method == "POST"} == {"/s/token", "/s/token?"}
        page.wait_for_timeout(LONG_MS)
        assert len(served.posts) == 2


def test_it_is_not_sent_before_it_was_seen_for_a_while(person: Browser, served: Served) -> None:
    with seen(person, link(served), "desk") as page:
        page.wait_for_timeout(SEEN_MS / 2)
        assert served.posts == []


def test_a_person_who_acts_need_not_wait(person: Browser, served: Served) -> None:
    with seen(person, link(served), "phone", has_touch=True) as page:
        with page.expect_response(lambda answer: answer.request.method == "POST", timeout=SEEN_MS * 0.8):
            page.touchscreen.tap(10, 300)
        saved(page)
        page.wait_for_timeout(LONG_MS)
        assert served.posts == [SENT]


def test_who_chooses_another_score_at_once_has_that_sent_alone(person: Browser, served: Served) -> None:
    with seen(person, link(served), "phone") as page:
        page.locator("label", has_text="3").click()
        page.get_by_role("status").get_by_text("Your score, 3, is saved.").wait_for()
        assert served.posts == [{"score": ["3"], "by": ["script"]}]


def test_who_goes_through_the_scores_by_keys_has_the_last_one_sent_alone(person: Browser, served: Served) -> None:
    with seen(person, link(served), "phone") as page:
        page.keyboard.press("Tab")
        for _ in range(6):
            page.keyboard.press("ArrowLeft")
            page.wait_for_timeout(SEEN_MS / 4)
        page.get_by_role("status").get_by_text("Your score, 3, is saved.").wait_for()
        assert served.posts == [{"score": ["3"], "by": ["script"]}]


def test_who_presses_the_button_at_once_sends_once(person: Browser, served: Served, survey: Survey) -> None:
    survey.slow_s = LONG_MS / 1_000
    with seen(person, link(served), "phone") as page:
        page.get_by_role("button", name="Send").press("Enter")
        page.get_by_role("heading", name="Thank you").wait_for()
        page.wait_for_timeout(LONG_MS)
        assert served.posts == [{"score": ["9"], "comment": [""]}]


def test_a_page_that_nobody_sees_sends_nothing_until_somebody_does(person: Browser, served: Served) -> None:
    hidden = "Object.defineProperty(document, 'visibilityState', {get: () => window.shown ? 'visible' : 'hidden'})"
    with seen(person, "about:blank", "desk") as page:
        page.add_init_script(hidden)
        page.goto(link(served))
        page.wait_for_timeout(LONG_MS)
        assert served.posts == []
        page.evaluate("window.shown = true; document.dispatchEvent(new Event('visibilitychange'))")
        saved(page)
        assert served.posts == [SENT]


def test_a_page_that_is_left_before_it_was_seen_sends_nothing(person: Browser, served: Served) -> None:
    leave = "Object.defineProperty(document, 'visibilityState', {get: () => 'hidden'})"
    with seen(person, link(served), "desk") as page:
        page.wait_for_timeout(SEEN_MS / 2)
        page.evaluate(f"{leave}; document.dispatchEvent(new Event('visibilitychange'))")
        page.wait_for_timeout(LONG_MS)
        assert served.posts == []


def test_a_scanner_that_runs_scripts_sends_nothing(scanner: Browser, served: Served) -> None:
    with seen(scanner, link(served), "desk") as page:
        assert page.evaluate("navigator.webdriver")
        page.wait_for_timeout(LONG_MS)
        page.mouse.click(10, 300)
        page.wait_for_timeout(LONG_MS)
        assert served.posts == []


def test_without_a_score_in_the_link_nothing_is_sent(person: Browser, served: Served) -> None:
    with seen(person, f"{served.url}/s/token", "phone") as page:
        page.wait_for_timeout(LONG_MS)
        assert served.posts == []


def test_without_script_one_button_does_it(person: Browser, served: Served) -> None:
    with seen(person, link(served), "phone", java_script_enabled=False) as page:
        page.wait_for_timeout(LONG_MS)
        assert served.posts == []
        page.get_by_role("button", name="Send").click()
        page.get_by_role("heading", name="Thank you").wait_for()
        assert served.posts == [{"score": ["9"], "comment": [""]}]
        page.get_by_label("Why?").fill("It saves me hours.")
        page.get_by_role("button", name="Send").click()
        page.get_by_text("Your score, 9, is saved.").wait_for()
        assert served.posts[1:] == [{"score": ["9"], "comment": ["It saves me hours."]}]


def test_a_failure_is_silent_and_the_button_stays(person: Browser, served: Served, survey: Survey) -> None:
    survey.is_broken = True
    with seen(person, link(served), "phone") as page:
        with page.expect_response(lambda answer: answer.status == 503):
            page.wait_for_timeout(LONG_MS)
        assert page.get_by_role("status").text_content() == ""
        page.get_by_role("button", name="Send").click()
        page.get_by_role("heading", name="Thank you").wait_for()
        assert survey.recorded == [{"score": ["9"], "comment": [""]}]
