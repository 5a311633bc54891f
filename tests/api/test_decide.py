"""What a page is told to show to one user: surveys that are due, the referral widget, the waitlist."""

import json
from collections import Counter
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.flows import create_project
from tests.support import documents
from tests.support.client import Client
from tests.support.decide_world import EVENT, DecideWorld
from tests.support.referral_world import PROGRAM

TWO_READS = Counter(batch_get=2)
NOTHING: dict[str, Any] = {"referral": {}, "waitlist": {}}


@pytest.fixture
def world(engine: str, monkeypatch: pytest.MonkeyPatch) -> DecideWorld:
    """A live project."""
    return DecideWorld(monkeypatch, is_test=False)


@pytest.fixture
def standing(engine: str, monkeypatch: pytest.MonkeyPatch) -> DecideWorld:
    """A test project."""
    return DecideWorld(monkeypatch, is_test=True)


def with_everything(world: DecideWorld) -> str:
    """The id of Ann, who has a survey to answer, a link, and a place in two waitlists."""
    ann = world.contact("ann", name="Ann")
    world.link(world.program(), ann)
    for slug in ("first", "second"):
        world.add(world.waitlist(slug), "ann@example.com")
    world.survey()
    world.track("ann", EVENT)
    return ann


def test_a_user_whom_nobody_knows_is_shown_nothing(world: DecideWorld) -> None:
    with_everything(world)
    answer = world.asks(user_id="nobody")
    assert answer.json == {
        "surveys": [],
        "widgets": NOTHING,
        "feature_flags": {},
        "active_experiments": [],
        "request_id": answer.headers["x-request-id"],
    }


@pytest.mark.parametrize("query", [{}, {"user_id": ""}, {"anonymousId": "", "other": "x"}])
def test_somebody_has_to_be_named(world: DecideWorld, query: dict[str, str]) -> None:
    answer = world.asks(**query)
    assert (answer.status, answer.fields) == (400, ["user_id"])


def test_a_survey_is_shown_with_all_that_a_widget_needs(world: DecideWorld) -> None:
    world.contact("ann")
    survey = world.survey()
    assert world.shown() == []
    world.track("ann", EVENT)
    (due,) = world.decide()["surveys"]
    token, page, expires = due.pop("token"), due.pop("page_url"), due.pop("expires_at")
    assert due == {
        "survey_id": survey,
        "type": "nps",
        "question": "How likely are you to recommend us?",
        "follow_up": "Why?",
        "questions": [],
        "scale": {"min": 0, "max": 10, "min_label": "Not at all likely", "max_label": "Extremely likely"},
    }
    assert page == f"https://mail.acme.test/s/{token}"
    (send,) = world.get(f"/v1/surveys/{survey}/sends")["data"]
    assert clock.parse_instant(expires) == clock.parse_instant(send["sent_at"]) + 90 * clock.DAY


def test_a_custom_survey_is_shown_with_its_questions(world: DecideWorld) -> None:
    world.contact("ann")
    questions: list[dict[str, Any]] = [
        {"id": "why", "type": "text", "text": "Why?"},
        {"id": "who", "type": "single_choice", "text": "Who?", "options": ["a", "b"], "required": True},
    ]
    world.survey(type="custom", question=None, follow_up=None, questions=questions)
    world.track("ann", EVENT)
    (due,) = world.decide()["surveys"]
    assert (due["question"], due["follow_up"], due["scale"]) == (None, None, None)
    assert due["questions"] == [questions[0] | {"options": [], "required": False}, questions[1]]


def test_an_answered_survey_is_shown_no_more(world: DecideWorld) -> None:
    world.contact("ann")
    survey = world.survey()
    world.track("ann", EVENT)
    (due,) = world.decide()["surveys"]
    body = {"token": due["token"], "score": 9}
    world.ok(world.client.post(f"/v1/surveys/{survey}/responses", body, key=world.write_key))
    assert world.shown() == []


def test_surveys_that_one_event_sends_are_all_shown_and_each_is_answered_alone(world: DecideWorld) -> None:
    both = {world.survey(), world.survey()}
    world.contact("ann")
    world.track("ann", EVENT)
    first, second = world.decide()["surveys"]
    assert {first["survey_id"], second["survey_id"]} == both
    body = {"token": first["token"], "score": 9}
    world.ok(world.client.post(f"/v1/surveys/{first['survey_id']}/responses", body, key=world.write_key))
    assert world.shown() == [second["survey_id"]]


def test_the_newest_survey_is_shown_first(standing: DecideWorld) -> None:
    standing.contact("ann")
    made = []
    for n in range(3):
        made.append(standing.survey(trigger={"event": f"e{n}"}))
        standing.track("ann", f"e{n}")
        standing.advance(clock.DAY)
    assert standing.shown() == made[::-1]


def test_a_survey_that_is_paused_is_hidden_and_comes_back(world: DecideWorld) -> None:
    world.contact("ann")
    survey = world.survey()
    world.track("ann", EVENT)
    world.move_survey(survey, "pause")
    assert world.shown() == []
    world.move_survey(survey, "activate")
    assert world.shown() == [survey]


def test_a_survey_that_goes_by_mail_only_is_not_shown(world: DecideWorld) -> None:
    world.contact("ann")
    survey = world.survey()
    world.track("ann", EVENT)
    world.ok(world.client.patch(f"/v1/surveys/{survey}", {"channels": ["email"]}))
    assert world.shown() == []


def test_a_survey_is_shown_until_it_expires(standing: DecideWorld) -> None:
    standing.contact("ann")
    survey = standing.survey()
    standing.track("ann", EVENT)
    standing.advance(90 * clock.DAY - 1)
    assert standing.shown() == [survey]
    standing.advance(1)
    assert standing.shown() == []


def test_without_a_program_no_referrals_are_shown(world: DecideWorld) -> None:
    world.contact("ann")
    assert world.referral() == {}
    program = world.program()
    world.ok(world.client.patch(f"/v1/referrals/programs/{program}", {"status": "paused"}))
    assert world.referral() == {}


def test_who_has_no_link_is_given_none(world: DecideWorld) -> None:
    ann = world.contact("ann")
    program = world.program()
    world.link(program, ann, channel="twitter")
    expected = {
        "program_id": program,
        "name": "Friends",
        "code": None,
        "share_url": None,
        "referrals": 0,
        "conversions": 0,
    }
    before = set(world.table.rows)
    assert [world.referral(), world.referral()] == [expected, expected]
    assert set(world.table.rows) == before


def test_a_link_is_shown_with_what_came_of_it(world: DecideWorld) -> None:
    world.ok(world.client.patch("/v1/settings", {"referral_base_url": "https://acme.test/refer"}))
    ann = world.contact("ann")
    program = world.program()
    link = world.link(program, ann)
    for n in range(2):
        world.receive({"user_id": f"friend{n}", "context": {"referral_code": link["code"]}}, "identify")
        world.settle()
    (friend,) = world.get("/v1/contacts", external_id="friend0")["data"]
    converted = {"link_code": link["code"], "referred_contact_id": friend["id"]}
    world.ok(world.client.post("/v1/referrals/conversions", converted))
    told = world.referral()
    assert (told["code"], told["share_url"]) == (link["code"], f"https://acme.test/refer/{link['code']}")
    assert (told["referrals"], told["conversions"]) == (2, 1)


def test_a_place_in_a_waitlist_is_shown_until_it_is_left(world: DecideWorld) -> None:
    world.contact("ann")
    waitlist = world.waitlist("early")
    assert world.waits() == {}
    entry = world.add(waitlist, "ann@example.com")
    told = world.waits()
    token = told.pop("status_token")
    expected = {"waitlist_id": waitlist, "slug": "early", "name": "Early", "status": "waiting"}
    assert told == expected | {"referral_code": entry["referral_code"], "share_url": entry["share_url"]}
    status = world.client.get("/v1/waitlists/early/status", query={"token": token}, key=world.write_key)
    assert (status.status, status.json["position"]) == (200, 1)
    world.approve(waitlist, entry["id"])
    assert world.waits()["status"] == "approved"
    world.ok(world.client.delete(f"/v1/waitlists/{waitlist}/entries/{entry['id']}"))
    assert world.waits() == {}


def test_who_is_approved_among_many_or_at_once_is_shown_so(world: DecideWorld) -> None:
    for user in ("ann", "bob"):
        world.contact(user)
    waitlist = world.waitlist("early")
    world.add(waitlist, "ann@example.com")
    world.approve_many(waitlist, 10)
    world.add(world.waitlist("open", auto_approve=True), "bob@example.com")
    assert [world.waits(each)["status"] for each in ("ann", "bob")] == ["approved", "approved"]


def test_of_several_waitlists_the_one_joined_last_is_shown(standing: DecideWorld) -> None:
    standing.contact("ann")
    made = {slug: standing.waitlist(slug) for slug in ("a", "b", "c")}
    for slug in ("b", "c", "a"):
        standing.add(made[slug], "ann@example.com")
        standing.advance(clock.MINUTE)
        assert standing.waits()["slug"] == slug
    standing.ok(standing.client.delete(f"/v1/waitlists/{made['a']}"))
    assert standing.waits()["slug"] == "c"


def test_a_visitor_is_shown_what_is_the_visitors(world: DecideWorld) -> None:
    survey = world.survey()
    world.receive({"anonymous_id": "v1", "event": EVENT}, "track")
    world.settle()
    for query in ({"anonymous_id": "v1"}, {"anonymousId": "v1"}, {"anonymousId": "v1", "userId": "not known yet"}):
        assert [each["survey_id"] for each in world.asks(**query).json["surveys"]] == [survey], query


def test_of_both_ids_that_of_the_user_counts(world: DecideWorld) -> None:
    world.contact("bob")
    survey = world.survey()
    world.receive({"anonymous_id": "v1", "event": EVENT}, "track")
    world.settle()
    assert world.asks(user_id="bob", anonymous_id="v1").json["surveys"] == []
    world.track("bob", EVENT)
    assert [each["survey_id"] for each in world.asks(userId="bob", anonymousId="v2").json["surveys"]] == [survey]


def test_a_new_user_is_not_shown_what_is_another_users_of_the_same_browser(world: DecideWorld) -> None:
    survey = world.survey()
    world.receive({"user_id": "ann", "anonymous_id": "v1", "event": EVENT}, "track")
    world.settle()
    assert [each["survey_id"] for each in world.asks(anonymous_id="v1").json["surveys"]] == [survey]
    answer = world.asks(user_id="not known yet", anonymous_id="v1").json
    assert (answer["surveys"], answer["widgets"]) == ([], NOTHING)


def test_who_was_merged_is_shown_what_its_heir_has(world: DecideWorld) -> None:
    ann, bob = with_everything(world), world.contact("bob", name="Bob")
    before = _lasting(world.decide())
    world.merge(bob, ann, settled=False)
    assert world.asks(user_id="ann").status == 200
    world.settle()
    assert _lasting(world.decide("ann")) == _lasting(world.decide("bob")) == before
    assert (world.calls(user_id="ann"), world.calls(user_id="bob")) == (Counter(batch_get=5), TWO_READS)
    (due,) = world.decide("ann")["surveys"]
    body = {"token": due["token"], "score": 9}
    world.ok(world.client.post(f"/v1/surveys/{due['survey_id']}/responses", body, key=world.write_key))
    assert world.shown("bob") == []


def test_of_two_entries_of_one_person_the_one_that_stays_is_shown(world: DecideWorld) -> None:
    ann, bob = world.contact("ann"), world.contact("bob")
    waitlist = world.waitlist("early")
    first, _ = world.add(waitlist, "bob@example.com"), world.add(waitlist, "ann@example.com")
    world.approve(waitlist, first["id"])
    world.merge(ann, bob)
    told = world.waits("ann")
    assert (told["referral_code"], told["status"]) == (first["referral_code"], "approved")


@pytest.mark.parametrize("query", [{}, {"purge": "true"}])
def test_who_was_deleted_is_shown_nothing(world: DecideWorld, query: dict[str, str]) -> None:
    ann = with_everything(world)
    world.ok(world.client.delete(f"/v1/contacts/{ann}", query=query))
    for _ in range(2):
        answer = world.decide()
        assert (answer["surveys"], answer["widgets"]) == ([], NOTHING)
        world.settle()


def test_another_projects_user_is_nobody(world: DecideWorld) -> None:
    with_everything(world)
    other = create_project.run("Globex", "live", "scale", now=clock.system_ms())
    answer = Client(other.write_key).get("/v1/decide", query={"user_id": "ann"})
    assert (answer.status, answer.json["surveys"], answer.json["widgets"]) == (200, [], NOTHING)


def test_no_address_trait_or_internal_name_is_told(world: DecideWorld) -> None:
    ann = with_everything(world)
    world.ok(world.client.patch(f"/v1/contacts/{ann}", {"traits": {"plan": "secret-plan"}}))
    text = world.asks(user_id="ann").text
    assert not [each for each in ("example.com", "secret-plan", "do not show", "score", "trait", ann) if each in text]


def test_the_answers_fit_the_document(world: DecideWorld) -> None:
    with_everything(world)
    for user in ("ann", "nobody"):
        documents.check(documents.ingest(), "GET", "/v1/decide", world.asks(user_id=user))


def test_two_reads_tell_everything(world: DecideWorld) -> None:
    with_everything(world)
    world.receive({"user_id": "ann", "anonymous_id": "v1", "event": "x"}, "track")
    world.settle()
    assert all(_lasting(world.decide()))
    assert world.calls(user_id="ann", anonymous_id="v1") == TWO_READS
    assert world.calls(anonymous_id="v1") == TWO_READS
    assert world.calls(user_id="nobody") == Counter(batch_get=1)


def test_more_waitlists_than_one_call_reads_cost_no_further_call(world: DecideWorld) -> None:
    with_everything(world)
    made = [world.waitlist(f"w{n}") for n in range(60)]
    world.add(made[-1], "ann@example.com")
    assert world.waits()["slug"] == "w59"
    assert world.calls(user_id="ann") == TWO_READS


def test_rows_of_old_are_completed_from_what_they_name(world: DecideWorld) -> None:
    with_everything(world)
    before = _lasting(world.decide())
    assert (world.grow_old("CHANNEL#"), world.grow_old("ENTRY#")) == (1, 2)
    assert _lasting(world.decide()) == before
    assert world.calls(user_id="ann").total() == 5


def test_a_row_of_old_is_whole_once_its_entry_is_approved(world: DecideWorld) -> None:
    world.contact("ann")
    waitlist = world.waitlist("early")
    entry = world.add(waitlist, "ann@example.com")
    assert world.grow_old("ENTRY#") == 1
    world.approve(waitlist, entry["id"])
    assert world.calls(user_id="ann") == TWO_READS
    assert world.waits()["status"] == "approved"


def test_a_row_of_old_is_taken_along_by_a_merge(world: DecideWorld) -> None:
    ann, bob = with_everything(world), world.contact("bob")
    before = _lasting(world.decide())
    world.grow_old("CHANNEL#")
    world.grow_old("ENTRY#")
    world.merge(bob, ann)
    assert _lasting(world.decide("bob")) == before
    assert world.calls(user_id="bob") == TWO_READS


def _lasting(answer: Any) -> tuple[Any, ...]:
    """What is shown, without tokens, which are made anew each time."""
    found = json.loads(json.dumps(answer))
    for each in (*found["surveys"], found["widgets"]["waitlist"]):
        for name in ("token", "page_url", "status_token"):
            each.pop(name, None)
    return found["surveys"], found["widgets"]["referral"], found["widgets"]["waitlist"]


def test_a_link_that_was_made_without_a_channel_is_shown_where_there_is_none_of_mails(world: DecideWorld) -> None:
    program = world.ok(world.client.post("/v1/referrals/programs", PROGRAM))["id"]
    ann = world.contact("ann")
    own = world.ok(world.client.post("/v1/referrals/links", {"program_id": program, "contact_id": ann}))["code"]
    assert world.decide()["widgets"]["referral"]["code"] == own
    body = {"program_id": program, "contact_id": ann, "channel": "email"}
    mails = world.ok(world.client.post("/v1/referrals/links", body))["code"]
    assert world.decide()["widgets"]["referral"]["code"] == mails
