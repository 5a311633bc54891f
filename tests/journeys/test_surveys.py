"""Who is asked, when and by what, and who not and why."""

import pytest

from chalicelib.core.clock import DAY, HOUR, MINUTE, iso
from chalicelib.flows.segments import define as define_segments
from tests.support.survey_world import SurveyWorld


def test_an_event_asks_after_its_delay_to_the_millisecond(surveying: SurveyWorld) -> None:
    survey = surveying.survey(trigger={"event": "trial_expired", "delay": "1h"})
    ada = surveying.contact("ada")
    surveying.track("ada", "trial_expired")
    surveying.advance(HOUR - 1)
    assert surveying.mailbox() == []
    (waiting,) = surveying.rows(survey)
    assert (waiting["state"], waiting["contact_id"], waiting["event"]) == ("waiting", ada, "trial_expired")
    assert waiting["due_at"] == iso(surveying.now + 1)
    surveying.advance(1)
    (mail,) = surveying.mailbox()
    assert (mail["to"], mail["subject"]) == ("ada@example.com", "How likely are you to recommend us?")
    (sent,) = surveying.rows(survey)
    assert (sent["state"], sent["channels"], sent["sent_at"]) == ("sent", ["email", "widget"], iso(surveying.now))
    assert [note["channels"] for note in surveying.notes(ada, "$survey_sent")] == [["email", "widget"]]
    assert surveying.figures(survey)["total_sent"] == 1


def test_the_mail_has_a_link_for_each_score_and_none_of_them_is_tracked(surveying: SurveyWorld) -> None:
    surveying.survey()
    surveying.contact("ada")
    surveying.track("ada", "trial_expired")
    (mail,) = surveying.mailbox()
    assert [link.rpartition("=")[2] for link in surveying.links(mail)] == [str(score) for score in range(11)]
    assert {link.partition("?")[0] for link in surveying.links(mail)} == {f"/s/{surveying.token(mail)}"}
    assert mail["links"] == []
    assert "/c/" not in mail["html"]
    assert f"/s/{surveying.token(mail)}?score=10" in mail["text"]


def test_an_event_of_somebody_outside_the_segment_asks_nobody(surveying: SurveyWorld) -> None:
    trial = surveying.segment({"field": "traits.plan", "op": "eq", "value": "trial"})
    survey = surveying.survey(trigger={"event": "trial_expired", "segment_id": trial})
    surveying.contact("ada", plan="trial")
    surveying.contact("bob", plan="pro")
    for user in ("ada", "bob"):
        surveying.track(user, "trial_expired")
    assert [mail["to"] for mail in surveying.mailbox()] == ["ada@example.com"]
    assert surveying.states(survey) == [("sent", None)]


def test_whoever_leaves_the_segment_before_the_send_is_not_asked(surveying: SurveyWorld) -> None:
    trial = surveying.segment({"field": "traits.plan", "op": "eq", "value": "trial"})
    survey = surveying.begun(
        {
            "name": "CSAT",
            "type": "csat",
            "question": "How was it?",
            "trigger": {"segment_id": trial, "delay": "2d"},
        }
    )
    ada = surveying.contact("ada", plan="trial")
    surveying.contact("bob", plan="trial")
    surveying.settle()
    surveying.advance(DAY)
    surveying.ok(surveying.client.patch(f"/v1/contacts/{ada}", {"traits": {"plan": "pro"}}))
    surveying.settle()
    surveying.advance(DAY)
    assert [mail["to"] for mail in surveying.mailbox()] == ["bob@example.com"]
    assert sorted(surveying.states(survey)) == [("sent", None), ("skipped", "left_segment")]
    assert surveying.explain(survey, ada)["reason"] == "left_segment"


def test_nobody_is_asked_more_often_than_the_cap(surveying: SurveyWorld) -> None:
    survey = surveying.survey(frequency_cap={"max_surveys_per_contact": 2})
    ada = surveying.contact("ada")
    for _ in range(4):
        surveying.track("ada", "trial_expired")
        surveying.advance(DAY)
    assert surveying.states(survey) == [("sent", None)] * 2
    told = surveying.explain(survey, ada)
    assert (told["may_be_asked"], told["reason"], told["sends_counted"]) == (False, "max_surveys", 2)


def test_a_send_of_any_survey_starts_the_cooldown_of_each(surveying: SurveyWorld) -> None:
    surveying.survey(trigger={"event": "a"})
    cool = surveying.survey(trigger={"event": "b"}, frequency_cap={"max_surveys_per_contact": 9, "cooldown_days": 3})
    ada = surveying.contact("ada")
    surveying.track("ada", "a")
    start = surveying.now
    surveying.advance(3 * DAY - 1)
    surveying.track("ada", "b")
    told = surveying.explain(cool, ada)
    assert (told["reason"], told["until"]) == ("cooldown", iso(start + 3 * DAY))
    surveying.advance(1)
    surveying.track("ada", "b")
    assert surveying.states(cool) == [("skipped", "cooldown"), ("sent", None)]


def test_two_surveys_that_are_due_together_do_not_both_pass_the_cooldown(surveying: SurveyWorld) -> None:
    capped = {"frequency_cap": {"cooldown_days": 1}}
    both = [surveying.survey(name=name, **capped) for name in ("one", "two")]
    surveying.contact("ada")
    surveying.track("ada", "trial_expired")
    found = sorted(state for survey in both for state in surveying.states(survey))
    assert found == [("sent", None), ("skipped", "cooldown")]


@pytest.mark.parametrize("channels", [["email"], ["email", "widget"]])
def test_who_has_unsubscribed_is_asked_by_widgets_alone(surveying: SurveyWorld, channels: list[str]) -> None:
    survey = surveying.survey(channels=channels)
    ada = surveying.contact("ada")
    surveying.ok(surveying.client.patch(f"/v1/contacts/{ada}", {"unsubscribed": True}))
    surveying.track("ada", "trial_expired")
    assert surveying.mailbox() == []
    (send,) = surveying.rows(survey)
    told = surveying.explain(survey, ada)
    if channels == ["email"]:
        assert (send["state"], send["reason"], told["reason"]) == ("skipped", "unsubscribed", "unsubscribed")
    else:
        assert (send["state"], send["channels"]) == ("sent", ["widget"])
        assert surveying.notes(ada, "$survey_sent")[0]["no_mail"] == "unsubscribed"


def test_an_event_of_the_past_asks_nobody(surveying: SurveyWorld) -> None:
    survey = surveying.survey()
    surveying.contact("ada")
    late = {"user_id": "ada", "event": "trial_expired", "timestamp": iso(surveying.now - DAY - 1)}
    surveying.receive(late, "track")
    surveying.settle()
    assert surveying.states(survey) == []


def test_what_came_before_the_activation_asks_nobody(surveying: SurveyWorld) -> None:
    made = surveying.ok(
        surveying.client.post(
            "/v1/surveys", {"name": "N", "type": "nps", "question": "?", "trigger": {"event": "trial_expired"}}
        )
    )["id"]
    surveying.contact("ada")
    surveying.track("ada", "trial_expired")
    surveying.do(made, "activate")
    assert surveying.states(made) == []


def test_filters_read_what_the_event_says(surveying: SurveyWorld) -> None:
    rules = {"operator": "AND", "conditions": [{"field": "event.properties.plan", "op": "eq", "value": "pro"}]}
    survey = surveying.survey(
        trigger={"event": "closed", "filters": rules}, frequency_cap={"max_surveys_per_contact": None}
    )
    surveying.contact("ada")
    for plan in ("pro", "free"):
        surveying.track("ada", "closed", plan=plan)
    assert len(surveying.states(survey)) == 1


def test_what_falls_due_in_a_pause_goes_out_once_when_the_survey_goes_on(surveying: SurveyWorld) -> None:
    survey = surveying.survey(trigger={"event": "trial_expired", "delay": "1h"})
    surveying.contact("ada")
    surveying.track("ada", "trial_expired")
    surveying.do(survey, "pause")
    surveying.advance(DAY)
    assert surveying.mailbox() == []
    assert surveying.states(survey) == [("waiting", None)]
    for _ in range(2):
        surveying.do(survey, "activate")
        surveying.do(survey, "pause")
    assert len(surveying.mailbox()) == 1


def test_an_archived_survey_ends_what_waits(surveying: SurveyWorld) -> None:
    survey = surveying.survey(trigger={"event": "trial_expired", "delay": "1h"})
    for user in ("ada", "bob"):
        surveying.contact(user)
    surveying.track("ada", "trial_expired")
    surveying.do(survey, "pause")
    surveying.advance(2 * HOUR)
    surveying.do(survey, "activate")
    surveying.track("bob", "trial_expired")
    surveying.do(survey, "archive")
    surveying.advance(DAY)
    assert surveying.states(survey) == [("sent", None), ("skipped", "archived")]


def test_quiet_hours_hold_the_mail_until_they_end(surveying: SurveyWorld) -> None:
    now = surveying.now
    hour = now // HOUR % 24
    quiet = {"start": f"{hour:02d}:00", "end": f"{(hour + 2) % 24:02d}:00"}
    surveying.ok(surveying.client.patch("/v1/settings", {"quiet_hours": quiet}))
    surveying.survey()
    surveying.contact("ada")
    surveying.track("ada", "trial_expired")
    assert surveying.mailbox() == []
    end = (now // HOUR + 2) * HOUR
    surveying.advance(end - now)
    (mail,) = surveying.mailbox()
    assert mail["sent_at"] == iso(end)


def test_whoever_does_not_answer_is_reminded_once(surveying: SurveyWorld) -> None:
    survey = surveying.survey(remind_after="3d")
    for user in ("ada", "bob"):
        surveying.contact(user)
        surveying.track(user, "trial_expired")
    (first, _) = surveying.mailbox()
    surveying.press(surveying.token(first), score="9")
    surveying.advance(30 * DAY)
    reminders = surveying.mailbox()[2:]
    assert [(mail["to"], mail["subject"]) for mail in reminders] == [
        ("bob@example.com", "Reminder: How likely are you to recommend us?")
    ]
    assert surveying.token(reminders[0])
    bob, ada = surveying.rows(survey)
    assert ada["reminded_at"] is None
    assert bob["reminded_at"] is not None
    assert surveying.figures(survey)["total_sent"] == 2


def test_who_has_unsubscribed_meanwhile_is_not_reminded_and_the_send_says_why(surveying: SurveyWorld) -> None:
    survey = surveying.survey(remind_after="1d")
    ada = surveying.contact("ada")
    surveying.track("ada", "trial_expired")
    surveying.ok(surveying.client.patch(f"/v1/contacts/{ada}", {"unsubscribed": True}))
    surveying.advance(2 * DAY)
    assert len(surveying.mailbox()) == 1
    assert surveying.rows(survey)[0]["not_reminded"] == "unsubscribed"


def test_a_recurring_survey_asks_all_members_each_time(surveying: SurveyWorld) -> None:
    trial = surveying.segment({"field": "traits.plan", "op": "eq", "value": "trial"})
    for n in range(25):
        surveying.contact(f"u{n}", plan="trial")
    surveying.settle()
    survey = surveying.survey(trigger={"segment_id": trial}, repeat="90d")
    assert len(surveying.mailbox()) == 25
    surveying.contact("late", plan="trial")
    surveying.settle()
    surveying.advance(90 * DAY - 1)
    assert len(surveying.mailbox()) == 25
    surveying.advance(1)
    assert len(surveying.mailbox()) == 51
    assert surveying.get(f"/v1/surveys/{survey}")["next_sweep_at"] == iso(surveying.now + 90 * DAY)
    surveying.do(survey, "pause")
    surveying.advance(90 * DAY)
    surveying.do(survey, "activate")
    assert len(surveying.mailbox()) == 51


def test_who_is_in_the_segment_already_is_asked_where_that_is_wanted(surveying: SurveyWorld) -> None:
    trial = surveying.segment({"field": "traits.plan", "op": "eq", "value": "trial"})
    surveying.contact("ada", plan="trial")
    surveying.settle()
    surveying.survey(trigger={"segment_id": trial})
    assert surveying.mailbox() == []
    surveying.survey(trigger={"segment_id": trial, "include_existing": True})
    assert len(surveying.mailbox()) == 1


def test_merged_contacts_are_asked_as_one(surveying: SurveyWorld) -> None:
    survey = surveying.survey(
        trigger={"event": "trial_expired", "delay": "1d"}, frequency_cap={"max_surveys_per_contact": 2}
    )
    ada, ida = surveying.contact("ada"), surveying.contact("ida")
    surveying.track("ida", "trial_expired")
    surveying.advance(2 * DAY)
    surveying.track("ida", "trial_expired")
    surveying.advance(MINUTE)
    surveying.track("ada", "trial_expired")
    surveying.ok(surveying.client.post(f"/v1/contacts/{ada}/merge", {"source_contact_id": ida}))
    surveying.settle()
    assert {row["contact_id"] for row in surveying.rows(survey)} == {ada}
    assert surveying.states(survey) == [("sent", None), ("waiting", None), ("skipped", "merged")]
    surveying.advance(DAY)
    assert [mail["to"] for mail in surveying.mailbox()] == ["ida@example.com", "ada@example.com"]
    assert surveying.explain(survey, ada)["sends_counted"] == 2
    # The mail that the other one got is answered for the one that both are now.
    surveying.press(surveying.token(surveying.mailbox()[0]), score="3")
    assert surveying.rows(survey, "responses")[0]["contact_id"] == ada


def test_a_deleted_contact_is_not_asked_and_is_in_no_figure(surveying: SurveyWorld) -> None:
    survey = surveying.survey(frequency_cap={"max_surveys_per_contact": None}, trigger={"event": "a", "delay": "1h"})
    ada = surveying.contact("ada")
    surveying.track("ada", "a")
    surveying.advance(HOUR)
    surveying.press(surveying.token(surveying.mailbox()[0]), score="10")
    surveying.track("ada", "a")
    assert surveying.figures(survey)["nps_score"] == 100
    surveying.ok(surveying.client.delete(f"/v1/contacts/{ada}"))
    surveying.settle()
    surveying.advance(DAY)
    assert len(surveying.mailbox()) == 1
    assert (surveying.rows(survey), surveying.rows(survey, "responses")) == ([], [])
    figures = surveying.figures(survey)
    assert (figures["total_sent"], figures["total_responses"], figures["by_day"]) == (0, 0, [])


def test_a_mail_of_a_campaign_may_have_the_survey(surveying: SurveyWorld) -> None:
    survey = surveying.survey(trigger={}, frequency_cap={"max_surveys_per_contact": 1})
    ask = surveying.template(html="<p>{% if survey_link %}<a href='{{ survey_link }}'>Tell us</a>{% endif %}</p>")
    campaign = surveying.lifecycle({"template_id": ask}, {"template_id": ask, "delay": "1d"})
    ada = surveying.contact("ada")
    surveying.track("ada", "signed_up")
    surveying.advance(DAY)
    _, second = (surveying.token(mail) for mail in surveying.mailbox())
    assert [(row["cause"], row["state"], row["channels"]) for row in surveying.rows(survey)] == [
        ("link", "sent", ["email"])
    ]
    surveying.press(second, score="8")
    surveying.settle()
    assert surveying.get(f"/v1/contacts/{ada}")["last_nps_score"] == 8
    # The cap is reached by then, so the next mail has no link.
    surveying.ok(surveying.client.patch(f"/v1/campaigns/{campaign}", {"reentry": True}))
    surveying.track("ada", "signed_up")
    assert surveying.links(surveying.mailbox()[2]) == []


def test_a_template_of_ones_own_links_to_the_page(surveying: SurveyWorld) -> None:
    own = surveying.template(
        subject="{{ event.question }}",
        html="<p>{% for n in event.scores %}<a href='{{ survey_link }}?score={{ n }}'>{{ n }}</a>{% endfor %}</p>",
    )
    surveying.survey(email_template_id=own, type="csat", question="How was it?")
    surveying.contact("ada")
    surveying.track("ada", "trial_expired")
    (mail,) = surveying.mailbox()
    assert mail["subject"] == "How was it?"
    assert [link[-1] for link in surveying.links(mail)] == list("12345")


def test_a_mail_that_cannot_be_made_leaves_the_widget(surveying: SurveyWorld) -> None:
    survey, by_mail = surveying.survey(), surveying.survey(channels=["email"])
    ada = surveying.contact("ada")
    surveying.ok(surveying.client.patch("/v1/settings", {"default_from_email": None}))
    surveying.track("ada", "trial_expired")
    assert surveying.rows(survey)[0]["channels"] == ["widget"]
    assert surveying.states(by_mail) == [("skipped", "no_sender")]
    told = surveying.explain(by_mail, ada)
    assert (told["may_be_asked"], told["reason"]) == (False, "no_sender")


def test_a_sweep_that_a_pause_interrupts_goes_on_with_those_who_were_not_asked(surveying: SurveyWorld) -> None:
    trial = surveying.segment({"field": "traits.plan", "op": "eq", "value": "trial"})
    for n in range(3):
        surveying.contact(f"u{n}", plan="trial")
    surveying.settle()
    body = {"name": "N", "type": "nps", "question": "?", "trigger": {"segment_id": trial, "include_existing": True}}
    survey = surveying.ok(surveying.client.post("/v1/surveys", body))["id"]
    for verb in ("activate", "pause"):
        surveying.ok(surveying.client.post(f"/v1/surveys/{survey}/{verb}", {}))
    surveying.settle()
    assert surveying.mailbox() == []
    for _ in range(2):
        surveying.do(survey, "activate")
        surveying.do(survey, "pause")
    assert len(surveying.mailbox()) == 3


def test_a_reminder_has_the_subject_of_the_survey(surveying: SurveyWorld) -> None:
    own = surveying.ok(surveying.client.post("/v1/templates", {"name": "T", "html": "<p>{{ survey_link }}</p>"}))["id"]
    body = {"name": "N", "type": "nps", "question": "?", "trigger": {"event": "trial_expired"}}
    draft = surveying.ok(surveying.client.post("/v1/surveys", body | {"email_template_id": own}))["id"]
    refused = surveying.client.post(f"/v1/surveys/{draft}/activate", {})
    assert (refused.status, refused.fields) == (422, ["subject"])
    surveying.survey(email_template_id=own, subject="Tell us", remind_after="1d")
    surveying.contact("ada")
    surveying.track("ada", "trial_expired")
    surveying.advance(DAY)
    assert [mail["subject"] for mail in surveying.mailbox()] == ["Tell us", "Reminder: Tell us"]


def test_a_sweep_waits_for_a_segment_that_is_being_built(
    surveying: SurveyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(define_segments, "_SMALL", -1)
    for n in range(3):
        surveying.contact(f"u{n}", plan="trial")
    rules = {"operator": "AND", "conditions": [{"field": "traits.plan", "op": "eq", "value": "trial"}]}
    made = surveying.ok(surveying.client.post("/v1/segments", {"name": "Trial", "rules": rules}))
    assert made["status"] == "building"
    body = {"name": "N", "type": "nps", "question": "?", "trigger": {"segment_id": made["id"]}, "repeat": "90d"}
    survey = surveying.ok(surveying.client.post("/v1/surveys", body))["id"]
    surveying.ok(surveying.client.post(f"/v1/surveys/{survey}/activate", {}))
    surveying.settle()
    assert len(surveying.mailbox()) == 3
