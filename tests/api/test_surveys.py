"""Surveys over the API: what is kept, which statuses follow each other, and what is refused with its field."""

from typing import Any

import pytest

from chalicelib.features.surveys import service as surveys
from tests.support.client import Response
from tests.support.referral_world import PROGRAM
from tests.support.survey_world import NPS, SurveyWorld

PATH = "/v1/surveys"
RULES = {"operator": "AND", "conditions": [{"field": "traits.plan", "op": "eq", "value": "trial"}]}
NEVER = {"event": "never"}
REFERENCE = {
    "name": "Post-Trial NPS",
    "type": "nps",
    "question": "How likely are you to recommend us to a friend or colleague?",
    "follow_up": "What could we do better?",
    "trigger": {"segment_id": "seg_trial_ended", "event": "trial_expired", "delay": "1h"},
    "frequency_cap": {"max_surveys_per_contact": 1, "cooldown_days": 90},
    "status": "draft",
}
CUSTOM = {
    "name": "Churn",
    "type": "custom",
    "questions": [
        {"type": "rating", "text": "How easy?", "required": True},
        {"id": "role", "type": "single_choice", "text": "Role?", "options": ["Dev", "Ops"]},
    ],
}


def made(world: SurveyWorld, body: dict[str, Any] | None = None, **fields: Any) -> Any:
    """A new survey, as a draft."""
    answer = world.client.post(PATH, (NPS if body is None else body) | fields)
    assert answer.status == 201, answer.text
    return answer.json


def test_the_survey_of_the_reference_is_kept_as_it_was_given(surveying: SurveyWorld) -> None:
    shown = made(surveying, REFERENCE)
    assert shown | REFERENCE == shown | {"trigger": REFERENCE["trigger"]}
    assert shown["trigger"] == {
        "event": "trial_expired",
        "segment_id": "seg_trial_ended",
        "filters": None,
        "delay": "1h",
        "include_existing": False,
    }
    assert (shown["channels"], shown["actions"], shown["activated_at"]) == (["email", "widget"], {}, None)
    assert surveying.get(f"{PATH}/{shown['id']}") == shown
    body = {"question": "How likely are you to recommend Acme to a colleague?", "trigger": {"delay": "2h"}}
    changed = surveying.ok(surveying.client.patch(f"{PATH}/{shown['id']}", body))
    assert changed["question"] == body["question"]
    assert changed["trigger"] == shown["trigger"] | {"delay": "2h"}
    same = ("name", "follow_up", "frequency_cap", "status", "created_at")
    assert {name: changed[name] for name in same} == {name: shown[name] for name in same}


def test_all_of_a_survey_is_kept(surveying: SurveyWorld) -> None:
    action = {
        "add_tags": ["fan", "loud"],
        "start_campaign_id": "cmpgn_1",
        "referral_program_id": "ref_prog_1",
        "pause_marketing_days": 30,
    }
    given = {
        "trigger": {"event": None, "segment_id": "seg_1", "filters": RULES, "delay": "3d", "include_existing": False},
        "frequency_cap": {"max_surveys_per_contact": None, "cooldown_days": 3_650},
        "channels": ["email"],
        "remind_after": "3d",
        "repeat": "90d",
        "email_template_id": "tmpl_1",
        "subject": "Hi {{ contact.name }}",
        "actions": {"promoter": action, "detractor": action | {"add_tags": []}},
    }
    shown = made(surveying, NPS | given)
    assert {name: shown[name] for name in given} == given
    assert surveying.get(f"{PATH}/{shown['id']}") == shown


def test_a_survey_of_ones_own_questions_names_those_that_have_no_name(surveying: SurveyWorld) -> None:
    shown = made(surveying, CUSTOM)
    assert [(each["id"], each["required"], each["options"]) for each in shown["questions"]] == [
        ("q1", True, []),
        ("role", False, ["Dev", "Ops"]),
    ]
    assert (shown["question"], shown["frequency_cap"]) == (None, {"max_surveys_per_contact": 1, "cooldown_days": 0})


def test_a_survey_that_recurs_has_no_bound_but_its_own(surveying: SurveyWorld) -> None:
    recurs: dict[str, Any] = {"repeat": "30d", "trigger": {"segment_id": "seg_1"}}
    assert made(surveying, **recurs)["frequency_cap"]["max_surveys_per_contact"] is None
    bounded = made(surveying, **recurs, frequency_cap={"max_surveys_per_contact": 3})
    assert bounded["frequency_cap"]["max_surveys_per_contact"] == 3


@pytest.mark.parametrize(
    ("given", "shown"), [("0s", "0m"), ("60m", "1h"), ("24h", "1d"), ("7d", "1w"), ("365d", "365d")]
)
def test_a_delay_is_shown_in_the_largest_unit_that_fits(surveying: SurveyWorld, given: str, shown: str) -> None:
    assert made(surveying, trigger=NEVER | {"delay": given})["trigger"]["delay"] == shown


def test_the_same_idempotency_key_makes_one(surveying: SurveyWorld) -> None:
    first, second = (surveying.client.post(PATH, NPS, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json == second.json
    assert second.headers["idempotency-replayed"] == "true"
    assert len(surveying.get(PATH)["data"]) == 1
    other = surveying.client.post(PATH, CUSTOM, headers={"Idempotency-Key": "k"})
    assert other.status == 409


MERGED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"name": "Other"}, {"name": "Other"}),
    ({"follow_up": None}, {"follow_up": None}),
    ({"trigger": {"delay": "2h"}}, {"trigger": {"event": "ended", "filters": RULES, "delay": "2h"}}),
    ({"trigger": {"delay": None}}, {"trigger": {"event": "ended", "filters": RULES, "delay": "0m"}}),
    ({"trigger": {"filters": None}}, {"trigger": {"event": "ended", "filters": None, "delay": "1h"}}),
    (
        {"trigger": {"event": None, "segment_id": "seg_1", "include_existing": True}},
        {"trigger": {"event": None, "segment_id": "seg_1", "filters": RULES, "delay": "1h", "include_existing": True}},
    ),
    ({"frequency_cap": {"cooldown_days": 5}}, {"frequency_cap": {"max_surveys_per_contact": 2, "cooldown_days": 5}}),
    (
        {"frequency_cap": {"max_surveys_per_contact": None}},
        {"frequency_cap": {"max_surveys_per_contact": None, "cooldown_days": 7}},
    ),
    ({"frequency_cap": {"cooldown_days": None}}, {"frequency_cap": {"max_surveys_per_contact": 2, "cooldown_days": 0}}),
    ({"actions": {"passive": {"add_tags": ["ok"]}}}, {"actions": {"promoter": ["fan"], "passive": ["ok"]}}),
    ({"actions": {"promoter": None}}, {"actions": {}}),
    ({"actions": {"promoter": {"add_tags": ["vip", "vip"]}}}, {"actions": {"promoter": ["vip"]}}),
    ({"actions": {}}, {"actions": {"promoter": ["fan"]}}),
    ({"channels": ["email"]}, {"channels": ["email"]}),
    ({"remind_after": None}, {"remind_after": None}),
    ({"remind_after": "48h"}, {"remind_after": "2d"}),
    ({"subject": None, "email_template_id": None}, {"subject": None, "email_template_id": None}),
    ({"type": "csat"}, {"type": "csat"}),
    ({}, {}),
]


@pytest.mark.parametrize(("patch", "changes"), MERGED)
def test_a_change_merges_key_by_key(surveying: SurveyWorld, patch: dict[str, Any], changes: dict[str, Any]) -> None:
    before = made(
        surveying,
        trigger={"event": "ended", "filters": RULES, "delay": "1h"},
        frequency_cap={"max_surveys_per_contact": 2, "cooldown_days": 7},
        actions={"promoter": {"add_tags": ["fan"]}},
        remind_after="3d",
        subject="Hi",
        email_template_id="tmpl_1",
    )
    after = surveying.ok(surveying.client.patch(f"{PATH}/{before['id']}", patch))
    expected = before | changes | {"updated_at": after["updated_at"]}
    if "trigger" in changes:
        expected["trigger"] = before["trigger"] | changes["trigger"]
    if "actions" in changes:
        nothing = {"start_campaign_id": None, "referral_program_id": None, "pause_marketing_days": None}
        expected["actions"] = {name: {"add_tags": tags} | nothing for name, tags in changes["actions"].items()}
    assert after == expected == surveying.get(f"{PATH}/{before['id']}")


def test_questions_are_replaced_as_a_whole(surveying: SurveyWorld) -> None:
    before = made(surveying, CUSTOM)
    asked = [{"type": "text", "text": "Why?"}]
    after = surveying.ok(surveying.client.patch(f"{PATH}/{before['id']}", {"questions": asked}))
    assert [(each["id"], each["text"]) for each in after["questions"]] == [("q1", "Why?")]
    refused = surveying.client.patch(f"{PATH}/{before['id']}", {"questions": []})
    assert (refused.status, refused.fields) == (422, ["questions"])


REACHED = {"draft": (), "active": ("activate",), "paused": ("activate", "pause"), "archived": ("archive",)}
MOVES = {
    ("draft", "activate"): "active",
    ("draft", "archive"): "archived",
    ("active", "pause"): "paused",
    ("active", "archive"): "archived",
    ("paused", "activate"): "active",
    ("paused", "archive"): "archived",
}


def reach(world: SurveyWorld, status: str, **fields: Any) -> str:
    """The path of a new survey in that status."""
    path = f"{PATH}/{made(world, **{'trigger': NEVER} | fields)['id']}"
    for verb in REACHED[status]:
        world.ok(world.client.post(f"{path}/{verb}"))
    return path


@pytest.mark.parametrize("verb", ["activate", "pause", "archive"])
@pytest.mark.parametrize("status", REACHED)
def test_statuses_follow_each_other(surveying: SurveyWorld, status: str, verb: str) -> None:
    path = reach(surveying, status)
    answer = surveying.client.post(f"{path}/{verb}")
    expected = MOVES.get((status, verb))
    assert answer.status == (409 if expected is None else 200)
    assert surveying.get(path)["status"] == (expected or status)


@pytest.mark.parametrize("verb", ["activate", "pause", "archive"])
def test_a_move_that_is_sent_twice_with_one_key_is_one(surveying: SurveyWorld, verb: str) -> None:
    path = reach(surveying, "active" if verb == "pause" else "draft")
    first, second = (surveying.client.post(f"{path}/{verb}", headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status, first.json) == (200, second.json)
    assert "idempotency-replayed" in second.headers


def test_a_survey_goes_on_as_of_its_first_activation(surveying: SurveyWorld) -> None:
    path = reach(surveying, "active")
    began = surveying.get(path)["activated_at"]
    surveying.ok(surveying.client.post(f"{path}/pause"))
    surveying.advance(60_000)
    assert surveying.ok(surveying.client.post(f"{path}/activate"))["activated_at"] == began is not None


@pytest.mark.parametrize("status", ["draft", "active", "paused"])
def test_the_type_stands_from_the_first_activation_on(surveying: SurveyWorld, status: str) -> None:
    path = reach(surveying, status)
    answer = surveying.client.patch(path, {"type": "csat"})
    assert answer.status == (200 if status == "draft" else 409)
    assert surveying.get(path)["type"] == ("csat" if status == "draft" else "nps")


def test_what_has_ended_is_changed_in_nothing_but_its_name(surveying: SurveyWorld) -> None:
    path = reach(surveying, "archived")
    assert surveying.ok(surveying.client.patch(path, {"name": "Old"}))["name"] == "Old"
    for patch in ({"question": "?"}, {"trigger": {"delay": "1d"}}, {"name": "Older", "channels": ["email"]}):
        assert surveying.client.patch(path, patch).status == 409
    assert surveying.get(path)["name"] == "Old"


ABSENT = "01j00000000000000000000000"


def lacking(answer: Response) -> list[str]:
    assert (answer.status, answer.code) == (422, "validation_error"), answer.text
    return sorted(answer.fields)


def test_an_activation_tells_all_that_is_missing(surveying: SurveyWorld) -> None:
    broadcast = {"name": "B", "type": "broadcast", "segment_id": "seg_1", "steps": [{"template_id": "tmpl_1"}]}
    news = surveying.ok(surveying.client.post("/v1/campaigns", broadcast))["id"]
    naming = {"operator": "AND", "conditions": [{"field": "segments", "op": "contains", "value": f"seg_{ABSENT}"}]}
    body: dict[str, Any] = {
        "trigger": {"event": "x", "segment_id": f"seg_{ABSENT}", "filters": naming},
        "email_template_id": f"tmpl_{ABSENT}",
        "actions": {
            "promoter": {"start_campaign_id": news, "referral_program_id": f"ref_prog_{ABSENT}"},
            "detractor": {"start_campaign_id": f"cmpgn_{ABSENT}"},
        },
    }
    path = f"{PATH}/{made(surveying, **body)['id']}"
    surveying.ok(surveying.client.patch("/v1/settings", {"default_from_email": None}))
    named = [
        "actions.detractor.start_campaign_id",
        "actions.promoter.referral_program_id",
        "actions.promoter.start_campaign_id",
        "email_template_id",
        "trigger.filters",
        "trigger.segment_id",
    ]
    assert lacking(surveying.client.post(f"{path}/activate")) == sorted(["default_from_email", *named])
    # Who asks by widgets alone needs no sender.
    surveying.ok(surveying.client.patch(path, {"channels": ["widget"]}))
    assert lacking(surveying.client.post(f"{path}/activate")) == named
    assert surveying.get(path)["status"] == "draft"


@pytest.mark.parametrize("status", ["active", "paused"])
def test_what_goes_on_is_not_changed_to_what_cannot_be_sent(surveying: SurveyWorld, status: str) -> None:
    path = reach(surveying, status)
    before = surveying.get(path)
    answer = surveying.client.patch(path, {"trigger": {"segment_id": f"seg_{ABSENT}"}, "email_template_id": "tmpl_1"})
    assert lacking(answer) == ["email_template_id", "trigger.segment_id"]
    assert surveying.get(path) == before


NAMED = ("segment", "rules", "template", "program")


@pytest.mark.parametrize("what", NAMED)
def test_what_a_survey_needs_is_not_deleted_before_it_ends(surveying: SurveyWorld, what: str) -> None:
    segment = surveying.segment()
    program = surveying.ok(surveying.client.post("/v1/referrals/programs", PROGRAM))["id"]
    template = surveying.template()
    naming = {"operator": "AND", "conditions": [{"field": "segments", "op": "contains", "value": segment}]}
    needs: dict[str, tuple[str, dict[str, Any]]] = {
        "segment": (f"/v1/segments/{segment}", {"trigger": {"segment_id": segment}}),
        "rules": (f"/v1/segments/{segment}", {"trigger": NEVER | {"filters": naming}}),
        "template": (f"/v1/templates/{template}", {"email_template_id": template}),
        "program": (
            f"/v1/referrals/programs/{program}",
            {"actions": {"passive": {"referral_program_id": program}}},
        ),
    }
    path, fields = needs[what]
    survey = reach(surveying, "active", **fields)
    for verb in ("pause", "archive"):
        refused = surveying.client.delete(path)
        assert (refused.status, survey.rpartition("/")[2] in refused.text) == (409, True)
        surveying.get(path)
        surveying.ok(surveying.client.post(f"{survey}/{verb}"))
    assert surveying.client.delete(path).status == 200
    assert surveying.client.delete(path).status == 404


def test_a_project_has_so_many_surveys_at_the_most(surveying: SurveyWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "MAX_ACTIVE", 2)
    monkeypatch.setattr(surveys, "MAX_SURVEYS", 4)
    going = [reach(surveying, "active") for _ in range(2)]
    third = reach(surveying, "draft")
    assert surveying.client.post(f"{third}/activate").status == 409
    surveying.ok(surveying.client.post(f"{going[0]}/pause"))
    surveying.ok(surveying.client.post(f"{third}/activate"))
    assert surveying.client.post(f"{going[0]}/activate").status == 409
    made(surveying)
    assert surveying.client.post(PATH, NPS).status == 409
    assert len(surveying.get(PATH)["data"]) == 4


SCOPES = [
    ("GET", "", "surveys:write"),
    ("GET", "/x", "surveys:write"),
    ("GET", "/x/sends", "surveys:write"),
    ("GET", "/x/responses", "surveys:write"),
    ("GET", "/x/stats", "surveys:write"),
    ("GET", "/x/explain", "surveys:write"),
    ("POST", "", "surveys:read"),
    ("PATCH", "/x", "surveys:read"),
    ("POST", "/x/activate", "surveys:read"),
    ("POST", "/x/pause", "surveys:read"),
    ("POST", "/x/archive", "surveys:read"),
    ("POST", "/x/responses", "surveys:read"),
    ("POST", "/x/responses", "contacts:write"),
]


@pytest.mark.parametrize(("method", "path", "scope"), SCOPES)
def test_a_key_of_another_scope_is_refused(surveying: SurveyWorld, method: str, path: str, scope: str) -> None:
    narrow = surveying.ok(surveying.client.post("/v1/settings/keys", {"name": "narrow", "scopes": [scope]}))["key"]
    answer = surveying.client.request(method, f"{PATH}{path}", {}, key=narrow)
    needed = "surveys:read" if method == "GET" else "surveys:write"
    assert (answer.status, answer.code, needed in answer.text) == (403, "insufficient_scope", True)


@pytest.mark.parametrize("name", [f"srvy_{ABSENT}", "nowhere", "x" * 300, "..", "%00"])
def test_a_survey_that_is_not_there_is_found_by_nobody(surveying: SurveyWorld, name: str) -> None:
    contact = surveying.contact("ada")
    client, one = surveying.client, f"{PATH}/{name}"
    for path in (one, f"{one}/sends", f"{one}/responses", f"{one}/stats", f"{one}/explain?contact_id={contact}"):
        assert client.get(path).status == 404
    for verb in ("activate", "pause", "archive"):
        assert client.post(f"{one}/{verb}").status == 404
    assert client.patch(one, {"name": "x"}).status == 404
    assert client.post(f"{one}/responses", {"contact_id": contact, "score": 9}).status == 404
