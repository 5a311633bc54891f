"""Answers: one for each send, corrected within a day, and what follows from them."""

import re
from collections import Counter
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import pytest

from chalicelib.core.clock import DAY, HOUR, iso
from chalicelib.core.mail.agents import is_robot
from chalicelib.features.surveys.model import ANSWERABLE
from tests.support.referral_world import PROGRAM
from tests.support.survey_world import PERSON, SurveyWorld
from tests.support.wait_world import at_once

SCANNER = "Mozilla/5.0 (compatible; Barracuda Sentinel)"
ROUTES = ("page", "token", "contact")


def asked(world: SurveyWorld, **fields: Any) -> tuple[str, str, str]:
    """A survey, a contact that was asked, and the token of its mail."""
    survey = world.survey(**fields)
    ada = world.contact("ada")
    world.track("ada", "trial_expired")
    return survey, ada, world.token(world.mailbox()[-1])


@pytest.mark.parametrize("agent", [PERSON, SCANNER, "", "Mozilla/5.0"])
def test_a_get_of_every_link_of_a_mail_records_nothing(surveying: SurveyWorld, agent: str) -> None:
    survey, ada, _token = asked(surveying)
    (mail,) = surveying.mailbox()
    links = [urlsplit(unescape(url)) for url in re.findall(r'<a [^>]*href="([^"]*)"', mail["html"])]
    assert Counter(link.path[:3] for link in links) == {"/s/": 11, "/u/": 1}
    before = {key: dict(row) for key, row in surveying.table.rows.items()}
    for link in links:
        page = surveying.page(f"{link.path}?{link.query}" if link.query else link.path, agent=agent)
        assert page.status == 200
        if link.query:
            assert re.findall(r'value="(\d+)"\s+checked', page.text) == [link.query.removeprefix("score=")]
    assert surveying.table.rows == before
    assert surveying.figures(survey)["total_responses"] == 0
    profile = surveying.get(f"/v1/contacts/{ada}")
    assert (profile["last_nps_score"], profile["unsubscribed_at"]) == (None, None)


def test_the_page_takes_an_answer(surveying: SurveyWorld) -> None:
    survey, ada, token = asked(surveying)
    answer = surveying.press(token, score="9", comment="Love it")
    assert answer.status == 200
    assert "Thank you" in answer.text
    surveying.settle()
    (response,) = surveying.rows(survey, "responses")
    assert {name: response[name] for name in ("contact_id", "score", "comment", "category", "responded_at")} == {
        "contact_id": ada,
        "score": 9,
        "comment": "Love it",
        "category": "promoter",
        "responded_at": iso(surveying.now),
    }
    assert surveying.states(survey) == [("answered", None)]
    assert surveying.get(f"/v1/contacts/{ada}")["last_nps_score"] == 9
    assert surveying.figures(survey)["nps_score"] == 100
    assert [note["score"] for note in surveying.notes(ada, "$survey_answered")] == [9]


def test_a_program_that_checks_links_records_nothing_when_it_presses_the_button(surveying: SurveyWorld) -> None:
    survey, _, token = asked(surveying)
    assert is_robot(SCANNER)
    assert surveying.press(token, SCANNER, score="9").status == 403
    surveying.settle()
    assert surveying.rows(survey, "responses") == []


def given(world: SurveyWorld, route: str, survey: str, contact: str, token: str, **answer: Any) -> int:
    """The status of an answer that comes by that way."""
    if route == "page":
        answered = world.press(token, **answer)
        status = answered.status
    else:
        who = {"token": token} if route == "token" else {"contact_id": contact}
        key = world.write_key if route == "token" else None
        status = world.client.post(f"/v1/surveys/{survey}/responses", who | answer, key=key).status
    world.settle()
    return status


@pytest.mark.parametrize("route", ROUTES)
def test_a_second_answer_within_a_day_corrects_the_first(surveying: SurveyWorld, route: str) -> None:
    survey, ada, token = asked(surveying)
    score: Any = "3" if route == "page" else 3
    assert given(surveying, route, survey, ada, token, score=score, comment="Meh") == (200 if route == "page" else 201)
    surveying.advance(DAY - 1)
    again: Any = "9" if route == "page" else 9
    assert given(surveying, route, survey, ada, token, score=again) == 200
    (response,) = surveying.rows(survey, "responses")
    assert (response["score"], response["comment"], response["category"]) == (9, "Meh", "promoter")
    figures = surveying.figures(survey)
    assert (figures["nps_score"], figures["total_responses"]) == (100, 1)
    assert surveying.get(f"/v1/contacts/{ada}")["last_nps_score"] == 9
    (note,) = surveying.notes(ada, "$survey_corrected")
    assert note["before"] == {"score": 3, "category": "detractor"}


@pytest.mark.parametrize("route", ["page", "token"])
def test_after_a_day_the_answer_stands(surveying: SurveyWorld, route: str) -> None:
    survey, ada, token = asked(surveying)
    given(surveying, route, survey, ada, token, score="3" if route == "page" else 3)
    surveying.advance(DAY)
    assert given(surveying, route, survey, ada, token, score="9" if route == "page" else 9) == 409
    assert surveying.page(f"/s/{token}").status == 409
    assert [each["score"] for each in surveying.rows(survey, "responses")] == [3]


def test_a_server_may_answer_for_somebody_who_was_not_asked(surveying: SurveyWorld) -> None:
    survey = surveying.survey()
    ada = surveying.contact("ada")
    first = surveying.answer(survey, ada, 10)
    assert first["category"] == "promoter"
    surveying.advance(DAY)
    surveying.answer(survey, ada, 0)
    figures = surveying.figures(survey)
    assert (figures["total_sent"], figures["total_responses"], figures["response_rate"]) == (2, 2, 1.0)
    assert figures["breakdown"] == {"promoters": 1, "passives": 0, "detractors": 1}
    # It counts for the caps of what is sent later.
    surveying.track("ada", "trial_expired")
    assert len(surveying.states(survey)) == 2


@pytest.mark.parametrize("age", [ANSWERABLE - 1, ANSWERABLE])
def test_a_send_can_be_answered_for_ninety_days(surveying: SurveyWorld, age: int) -> None:
    survey, ada, token = asked(surveying)
    surveying.advance(age)
    is_open = age < ANSWERABLE
    assert surveying.page(f"/s/{token}").status == (200 if is_open else 410)
    assert given(surveying, "token", survey, ada, token, score=5) == (201 if is_open else 409)
    assert given(surveying, "page", survey, ada, token, score="5") == (200 if is_open else 410)
    assert surveying.states(survey) == [("answered" if is_open else "expired", None)]
    assert surveying.figures(survey)["total_responses"] == int(is_open)


def test_tokens_that_are_none_of_this_survey_answer_nothing(surveying: SurveyWorld) -> None:
    survey, ada, token = asked(surveying)
    other = surveying.survey(trigger={"event": "never"})
    path = f"/v1/surveys/{other}/responses"
    assert surveying.client.post(path, {"token": token, "score": 9}, key=surveying.write_key).status == 404
    for spoiled in (token[:-1], token[:-1] + ("A" if token[-1] != "A" else "B"), "%00", "x" * 5_000, f"{token}="):
        assert surveying.page(f"/s/{spoiled}").status == 404
        assert surveying.press(spoiled, score="9").status == 404
        body = {"token": spoiled[:1_024], "score": 9}
        assert surveying.client.post(path, body, key=surveying.write_key).status in (404, 422)
    surveying.ok(surveying.client.delete(f"/v1/contacts/{ada}"))
    surveying.settle()
    assert surveying.page(f"/s/{token}").status == 404
    assert surveying.press(token, score="9").status == 404
    assert surveying.rows(survey, "responses") == []


def test_concurrent_answers_to_one_token_are_one_response(live_surveys: SurveyWorld) -> None:
    survey = live_surveys.survey(channels=["widget"])
    live_surveys.contact("ada")
    live_surveys.receive({"user_id": "ada", "event": "trial_expired"}, "track")
    live_surveys.settle()
    (send,) = live_surveys.rows(survey)
    from chalicelib.platform import survey_tokens

    token = survey_tokens.make(survey_tokens.Token(live_surveys.tenant, send["contact_id"], survey, send["id"]))
    path, key = f"/v1/surveys/{survey}/responses", live_surveys.write_key
    post = [
        lambda score=score: live_surveys.client.post(path, {"token": token, "score": score}, key=key).status
        for score in (0, 3, 7, 8, 9, 10) * 3
    ]
    statuses = at_once(post)
    live_surveys.settle()
    assert sorted(statuses) == [200] * 17 + [201]
    (response,) = live_surveys.rows(survey, "responses")
    figures = live_surveys.figures(survey)
    assert figures["total_responses"] == 1
    assert figures["average_score"] == response["score"]
    assert sum(figures["breakdown"].values()) == 1


def test_a_promoter_gets_a_link_on_the_page_and_by_mail_once(surveying: SurveyWorld) -> None:
    program = surveying.ok(surveying.client.post("/v1/referrals/programs", PROGRAM))["id"]
    survey, ada, token = asked(surveying, actions={"promoter": {"referral_program_id": program}})
    page = surveying.press(token, score="10")
    assert "/r/" in page.text
    surveying.settle()
    for score in ("9", "10"):
        surveying.press(token, score=score)
        surveying.settle()
    mails = surveying.mailbox()
    assert [mail["subject"] for mail in mails[1:]] == ["Thank you! Here is your link to share"]
    assert [note["effect"] for note in surveying.notes(ada)] == ["referral_link", "referral_mail"]
    assert surveying.get(f"/v1/referrals/programs/{program}")["stats"]["total_links"] == 1
    effects = surveying.rows(survey, "responses")[0]["effects"]
    assert [(each["effect"], each["outcome"]) for each in effects] == [
        ("referral_link", "issued"),
        ("referral_mail", "sent"),
    ]


def detractors(world: SurveyWorld) -> tuple[str, str, str, str]:
    """A survey whose detractors get a campaign and no other marketing, that campaign, and who was asked."""
    campaign = world.lifecycle({"delay": "1d"}, trigger={"event": "nobody does this"})
    actions = {
        "detractor": {"start_campaign_id": campaign, "pause_marketing_days": 30, "add_tags": ["unhappy"]},
        "promoter": {"add_tags": ["fan"]},
    }
    survey, ada, token = asked(world, actions=actions)
    return survey, campaign, ada, token


def test_a_detractor_starts_the_campaign_and_pauses_marketing_once(surveying: SurveyWorld) -> None:
    _survey, campaign, ada, token = detractors(surveying)
    news = surveying.segment()
    surveying.press(token, score="3")
    surveying.settle()
    surveying.press(token, score="2")
    surveying.settle()
    profile = surveying.get(f"/v1/contacts/{ada}")
    assert profile["tags"] == ["unhappy"]
    assert profile["marketing_paused_until"] == iso(surveying.now + 30 * DAY)
    assert [note["effect"] for note in surveying.notes(ada)] == ["add_tags", "start_campaign", "pause_marketing"]
    assert {note["score"] for note in surveying.notes(ada)} == {3}
    broadcast = surveying.broadcast(news)
    assert surveying.stats(broadcast)["skipped"] == {"paused_marketing": 1}
    surveying.advance(2 * DAY)
    assert surveying.stats(campaign)["sent"] == 1


def test_a_correction_undoes_nothing_silently(surveying: SurveyWorld) -> None:
    survey, _campaign, ada, token = detractors(surveying)
    surveying.press(token, score="3")
    surveying.settle()
    surveying.advance(HOUR)
    surveying.press(token, score="9")
    surveying.settle()
    profile = surveying.get(f"/v1/contacts/{ada}")
    assert sorted(profile["tags"]) == ["fan", "unhappy"]
    assert profile["marketing_paused_until"] is not None
    (note,) = surveying.notes(ada, "$survey_corrected")
    assert note["stands"] == [
        "add_tags added (detractor)",
        "start_campaign started (detractor)",
        "pause_marketing paused (detractor)",
    ]
    assert [(each["effect"], each["category"]) for each in surveying.notes(ada)] == [
        ("add_tags", "detractor"),
        ("start_campaign", "detractor"),
        ("pause_marketing", "detractor"),
        ("add_tags", "promoter"),
    ]
    assert surveying.figures(survey)["breakdown"] == {"promoters": 1, "passives": 0, "detractors": 0}


def test_rules_read_the_last_score(surveying: SurveyWorld) -> None:
    low = surveying.segment({"field": "last_nps_score", "op": "lte", "value": 6}, name="Detractors")
    survey, ada, token = asked(surveying)
    del survey
    for score, members in (("3", [low]), ("9", []), ("6", [low])):
        surveying.press(token, score=score)
        surveying.settle()
        assert [each["id"] for each in surveying.get(f"/v1/contacts/{ada}/segments")["data"]] == members


CUSTOM: dict[str, Any] = {
    "name": "Churn",
    "type": "custom",
    "trigger": {"event": "trial_expired"},
    "questions": [
        {"id": "ease", "type": "rating", "text": "How easy?", "required": True},
        {"id": "why", "type": "text", "text": "Why?"},
        {"id": "role", "type": "single_choice", "text": "Role?", "options": ["Dev", "Ops"]},
        {"id": "used", "type": "multiple_choice", "text": "Used?", "options": ["A", "B", "C"]},
    ],
}


def test_a_custom_survey_is_answered_on_its_page(surveying: SurveyWorld) -> None:
    survey = surveying.begun(CUSTOM)
    surveying.contact("ada")
    surveying.track("ada", "trial_expired")
    token = surveying.token(surveying.mailbox()[0])
    refused = surveying.press(token, **{"answers.role": "Ops", "answers.used": ["A", "C"], "answers.why": "So <b>"})
    assert refused.status == 422
    assert "So &lt;b&gt;" in refused.text
    answers = {"answers.ease": "4", "answers.role": "Ops", "answers.used": ["A", "C"], "answers.why": "So"}
    assert surveying.press(token, **answers).status == 200
    surveying.settle()
    (response,) = surveying.rows(survey, "responses")
    assert response["answers"] == {"ease": 4, "role": "Ops", "used": ["A", "C"], "why": "So"}
    by_id = {each["id"]: each for each in surveying.figures(survey)["questions"]}
    assert (by_id["ease"]["average"], by_id["used"]["options"]) == (4.0, {"A": 1, "B": 0, "C": 1})
    assert by_id["role"]["options"] == {"Dev": 0, "Ops": 1}
    # An answer that is taken back is one no more.
    surveying.press(token, **{"answers.ease": "2", "answers.used": ["B"], "answers.role": "Ops", "answers.why": ""})
    surveying.settle()
    (response,) = surveying.rows(survey, "responses")
    assert response["answers"] == {"ease": 2, "role": "Ops", "used": ["B"]}
    by_id = {each["id"]: each for each in surveying.figures(survey)["questions"]}
    assert (by_id["why"]["responses"], by_id["used"]["options"]) == (0, {"A": 0, "B": 1, "C": 0})


def test_figures_are_told_by_day_of_the_project(surveying: SurveyWorld) -> None:
    surveying.ok(surveying.client.patch("/v1/settings", {"timezone": "Pacific/Auckland"}))
    survey = surveying.survey(frequency_cap={"max_surveys_per_contact": None})
    people = [surveying.contact(f"u{n}") for n in range(3)]
    for n, person in enumerate(people):
        surveying.answer(survey, person, 10 - 5 * n)
        surveying.advance(DAY)
    figures = surveying.figures(survey)
    assert [(day["sent"], day["responses"], day["nps_score"]) for day in figures["by_day"]] == [
        (1, 1, 100),
        (1, 1, -100),
        (1, 1, -100),
    ]
    assert sum(day["responses"] for day in figures["by_day"]) == figures["total_responses"] == 3
    first = figures["by_day"][0]["date"]
    only = surveying.get(f"/v1/surveys/{survey}/stats", **{"from": first, "to": first})["by_day"]
    assert [day["date"] for day in only] == [first]


def test_the_link_of_the_program_that_has_issued_one_is_mailed(surveying: SurveyWorld) -> None:
    paused, active = (surveying.ok(surveying.client.post("/v1/referrals/programs", PROGRAM))["id"] for _ in range(2))
    surveying.ok(surveying.client.patch(f"/v1/referrals/programs/{paused}", {"status": "paused"}))
    actions = {"passive": {"referral_program_id": paused}, "promoter": {"referral_program_id": active}}
    _survey, ada, token = asked(surveying, actions=actions)
    for score in ("8", "10"):
        surveying.press(token, score=score)
        surveying.settle()
    links = [surveying.get(f"/v1/referrals/programs/{each}")["stats"]["total_links"] for each in (paused, active)]
    assert (links, len(surveying.mailbox())) == ([0, 1], 2)
    assert [(note["effect"], note["outcome"], note["category"]) for note in surveying.notes(ada)] == [
        ("referral_link", "program_not_active", "passive"),
        ("referral_link", "issued", "promoter"),
        ("referral_mail", "sent", "promoter"),
    ]


def test_a_campaign_that_the_contact_has_run_through_is_not_told_as_started(surveying: SurveyWorld) -> None:
    campaign = surveying.lifecycle()
    _survey, ada, token = asked(surveying, actions={"detractor": {"start_campaign_id": campaign}})
    surveying.track("ada", "signed_up")
    surveying.press(token, score="1")
    surveying.settle()
    assert [(note["effect"], note["outcome"]) for note in surveying.notes(ada)] == [("start_campaign", "had_it_before")]
    assert surveying.stats(campaign)["sent"] == 1


def test_a_correction_keeps_what_was_answered_to_questions_that_have_changed(surveying: SurveyWorld) -> None:
    survey = surveying.begun(CUSTOM)
    ada = surveying.contact("ada")
    surveying.answer(survey, ada, answers={"ease": 4, "role": "Ops", "used": ["A"]})
    ease, _why, role, _used = CUSTOM["questions"]
    fewer = [ease, role | {"options": ["Dev", "CEO"]}]
    surveying.ok(surveying.client.patch(f"/v1/surveys/{survey}", {"questions": fewer}))
    corrected = surveying.answer(survey, ada, answers={"ease": 5})
    assert corrected["answers"] == {"ease": 5, "role": "Ops", "used": ["A"]}
    by_id = {each["id"]: each for each in surveying.figures(survey)["questions"]}
    assert (by_id["ease"]["average"], by_id["used"]["options"]) == (5.0, {"A": 1})
    assert by_id["role"]["options"] == {"Dev": 0, "CEO": 0, "Ops": 1}
