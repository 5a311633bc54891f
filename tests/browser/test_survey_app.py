"""A survey from its mail to its figures, in a phone's browser and through the app itself."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.screens import BUILD, TARGET_MIN, WIDTHS, judge, launched, seen
from tests.browser.serving import Served, from_app, serve
from tests.support.referral_world import PROGRAM
from tests.support.survey_world import SurveyWorld

pytestmark = pytest.mark.browser

CUSTOM = {
    "name": "About your trial",
    "type": "custom",
    "trigger": {"event": "trial_expired"},
    "questions": [
        {"id": "ease", "type": "rating", "text": "How easy was it to get started?", "required": True},
        {"id": "role", "type": "single_choice", "text": "What is your role?", "options": ["Developer", "Founder"]},
        {"id": "used", "type": "multiple_choice", "text": "What did you use?", "options": ["Mail", "Referrals", "API"]},
        {"id": "why", "type": "text", "text": "Anything else?"},
    ],
}


@pytest.fixture(scope="module")
def person() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launched(playwright, is_person=True)
        yield browser
        browser.close()


@pytest.fixture
def served() -> Iterator[Served]:
    with serve(from_app()) as running:
        yield running


def asked(world: SurveyWorld, **fields: Any) -> str:
    """A survey whose mail is in the mailbox."""
    world.ok(world.client.patch("/v1/settings", {"brand_color": "#0b57d0"}))
    survey = world.survey(**fields)
    world.contact("ada", name="Ada")
    world.track("ada", "trial_expired")
    return survey


def scores(world: SurveyWorld, survey: str) -> list[tuple[int | None, str | None]]:
    world.settle()
    return [(row["score"], row["comment"]) for row in world.rows(survey, "responses")]


def press(page: Page, name: str | re.Pattern[str] = "Send") -> None:
    page.get_by_role("button", name=name).click()


def test_the_mail_shows_all_scores_on_a_phone(surveying: SurveyWorld, person: Browser) -> None:
    asked(surveying)
    (mail,) = surveying.mailbox()
    page = person.new_page(viewport={"width": WIDTHS["phone"], "height": 800})
    page.route("**/*", lambda route: route.abort())
    page.set_content(mail["html"], wait_until="domcontentloaded")
    page.screenshot(path=BUILD / "survey-mail-phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    boxes = [each.bounding_box() for each in page.get_by_role("link", name=re.compile(r"^\d+$")).all()]
    assert len(boxes) == 11
    assert all(box is not None and min(box["width"], box["height"]) >= TARGET_MIN for box in boxes)
    page.close()


@pytest.mark.parametrize("has_script", [True, False])
def test_a_person_answers_comments_and_corrects(
    surveying: SurveyWorld, person: Browser, served: Served, has_script: bool
) -> None:
    name = "script" if has_script else "plain"
    program = surveying.ok(surveying.client.post("/v1/referrals/programs", PROGRAM))["id"]
    survey = asked(surveying, actions={"promoter": {"referral_program_id": program}})
    link = surveying.links(surveying.mailbox()[0])[6]
    assert link.endswith("?score=6")
    with seen(person, f"{served.url}{link}", "phone", java_script_enabled=has_script) as page:
        if has_script:
            page.get_by_role("status").get_by_text("Your score, 6, is saved.").wait_for()
            assert scores(surveying, survey) == [(6, None)]
        page.get_by_label("Why?").fill("Too many clicks")
        press(page)
        page.get_by_role("heading", name="Thank you").wait_for()
        assert scores(surveying, survey) == [(6, "Too many clicks")]
        page.get_by_role("link", name="Change your answer").click()
        page.get_by_role("button").wait_for()
        if has_script:
            judge(page, f"app-survey-correct-{name}")
        page.locator("label", has_text=re.compile(r"^\s*9\s*$")).click()
        page.get_by_label("Why?").fill("Now it works")
        press(page, re.compile("Send|Change|Save"))
        page.get_by_role("heading", name="Thank you").wait_for()
        assert scores(surveying, survey) == [(9, "Now it works")]
        assert page.locator('a[href*="/r/"]').count() == 1
        if has_script:
            judge(page, f"app-survey-thanks-{name}")
    figures = surveying.figures(survey)
    assert (figures["total_responses"], figures["nps_score"]) == (1, 100)


def test_a_custom_survey_tells_what_is_missing_and_is_answered(
    surveying: SurveyWorld, person: Browser, served: Served
) -> None:
    surveying.ok(surveying.client.patch("/v1/settings", {"brand_color": "#0b57d0"}))
    survey = surveying.begun(CUSTOM)
    surveying.contact("ada")
    surveying.track("ada", "trial_expired")
    (link,) = surveying.links(surveying.mailbox()[0])
    with seen(person, f"{served.url}{link}", "phone") as page:
        judge(page, "app-survey-custom")
        page.get_by_label("Referrals").check()
        page.evaluate("document.querySelector('form').noValidate = true")
        press(page)
        page.get_by_text("This question wants an answer.").first.wait_for()
        judge(page, "app-survey-custom-missing")
        assert page.get_by_label("Referrals").is_checked()
        page.locator("label", has_text=re.compile(r"^\s*4\s*$")).click()
        page.get_by_label("Anything else?").fill("<b>Great</b>")
        press(page)
        page.get_by_role("heading", name="Thank you").wait_for()
    surveying.settle()
    (row,) = surveying.rows(survey, "responses")
    assert row["answers"] == {"ease": 4, "used": ["Referrals"], "why": "<b>Great</b>"}


@pytest.mark.parametrize("what", ["broken", "expired", "settled"])
def test_a_link_that_answers_nothing_any_more_is_told_kindly(
    surveying: SurveyWorld, person: Browser, served: Served, what: str
) -> None:
    asked(surveying)
    token = surveying.token(surveying.mailbox()[0])
    if what == "settled":
        surveying.press(token, score="3")
    if what != "broken":
        surveying.advance(91 * 24 * 3_600_000)
    path = f"/s/{token[:-2]}" if what == "broken" else f"/s/{token}?score=9"
    with seen(person, f"{served.url}{path}", "phone") as page:
        judge(page, f"app-survey-{what}")
        assert page.get_by_role("button").count() == 0
