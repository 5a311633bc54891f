"""Campaigns over the API: what is kept, which statuses follow each other, and what is refused with its field."""

from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.features.campaigns import service as campaigns
from tests.support import pipeline
from tests.support.client import Client

PATH = "/v1/campaigns"
STEP: dict[str, Any] = {"template_id": "tmpl_1"}
LIFECYCLE: dict[str, Any] = {"name": "L", "type": "lifecycle", "trigger": {"event": "signed_up"}, "steps": [STEP]}
BROADCAST: dict[str, Any] = {"name": "B", "type": "broadcast", "segment_id": "seg_1", "steps": [STEP]}
RULES = {"operator": "AND", "conditions": [{"field": "traits.plan", "op": "eq", "value": "growth"}]}
NO_RULES = {"operator": "AND", "conditions": [{"field": "nowhere", "op": "eq", "value": 1}]}
NO_CAUSE = {"operator": "AND", "conditions": [{"field": "event.properties.x", "op": "between", "value": 1}]}


def step(**fields: Any) -> dict[str, Any]:
    return STEP | fields


def made(client: Client, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(PATH, body)
    assert answer.status == 201, answer.text
    shown: dict[str, Any] = answer.json
    return shown


@pytest.fixture
def ready(client: Client) -> dict[str, Any]:
    """A draft of a sequence that could be activated."""
    client.patch("/v1/settings", {"default_from_email": "hello@acme.test"})
    template = client.post("/v1/templates", {"name": "T", "html": "<p>Hi</p>"}).json["id"]
    return made(client, LIFECYCLE | {"steps": [{"template_id": template}]})


def test_a_campaign_is_kept_as_it_was_given(client: Client) -> None:
    steps = [step(id="a", delay="0m", subject="Hi"), step(delay="36h", conditions=RULES)]
    trigger = {"event": "signed_up", "segment_id": "seg_1", "filters": RULES}
    shown = made(client, LIFECYCLE | {"steps": steps, "trigger": trigger, "exit_on": ["paid", "paid"], "reentry": True})
    assert shown["status"] == "draft"
    assert shown["trigger"] == trigger | {"include_existing": False}
    assert (shown["exit_on"], shown["reentry"], shown["rate_per_second"]) == (["paid"], True, None)
    assert [(each["delay"], each["subject"], each["conditions"]) for each in shown["steps"]] == [
        ("0m", "Hi", None),
        ("36h", None, RULES),
    ]
    assert shown["steps"][0]["id"] == "a"
    assert shown["steps"][1]["id"].startswith("step_")
    assert client.get(f"{PATH}/{shown['id']}").json == shown


@pytest.mark.parametrize(
    ("given", "shown"), [("0m", "0m"), ("60s", "1m"), ("24h", "1d"), ("14d", "2w"), ("90m", "90m")]
)
def test_a_delay_is_shown_in_the_largest_unit_that_fits(client: Client, given: str, shown: str) -> None:
    body = LIFECYCLE | {"steps": [step(delay=given)]}
    assert made(client, body)["steps"][0]["delay"] == shown


def test_the_same_idempotency_key_makes_one(client: Client) -> None:
    first, second = (client.post(PATH, LIFECYCLE, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json == second.json
    assert len(client.get(PATH).json["data"]) == 1


def test_campaigns_are_listed_newest_first_by_type_and_status(client: Client, ready: dict[str, Any]) -> None:
    news = made(client, BROADCAST)
    client.post(f"{PATH}/{ready['id']}/activate")

    def listed(**query: str) -> list[str]:
        return [each["id"] for each in client.get(PATH, query=query).json["data"]]

    assert listed() == [news["id"], ready["id"]]
    assert listed(type="broadcast") == [news["id"]]
    assert listed(status="active") == listed(type="lifecycle", status="active") == [ready["id"]]
    assert listed(type="broadcast", status="active") == []
    first = client.get(PATH, query={"limit": "1"}).json
    assert (first["has_more"], len(first["data"])) == (True, 1)
    assert client.get(PATH, query={"cursor": first["next_cursor"], "type": "broadcast"}).status == 400
    assert listed(cursor=first["next_cursor"]) == [ready["id"]]
    assert client.get(PATH, query={"type": "other"}).status == 400


REACHED = {"draft": (), "active": ("activate",), "paused": ("activate", "pause"), "archived": ("archive",)}
MOVES = {
    ("draft", "activate"): "active",
    ("draft", "archive"): "archived",
    ("active", "pause"): "paused",
    ("active", "archive"): "archived",
    ("paused", "activate"): "active",
    ("paused", "archive"): "archived",
    ("completed", "archive"): "archived",
}
"""Every other move is 409 (contract, section 4)."""


def reach(client: Client, campaign: dict[str, Any], status: str) -> str:
    """The path of the campaign, brought to that status."""
    path = f"{PATH}/{campaign['id']}"
    for verb in REACHED.get(status, ("activate",)):
        assert client.post(f"{path}/{verb}").status == 200
    if status == "completed":
        pipeline.drain()
    assert client.get(path).json["status"] == status
    return path


@pytest.mark.parametrize("verb", ["activate", "pause", "archive"])
@pytest.mark.parametrize(
    ("type_", "status"),
    [("lifecycle", status) for status in REACHED] + [("broadcast", status) for status in (*REACHED, "completed")],
)
def test_statuses_follow_each_other_as_the_contract_says(
    client: Client, ready: dict[str, Any], type_: str, status: str, verb: str
) -> None:
    campaign = ready if type_ == "lifecycle" else scheduled(client, ready, has_come=status == "completed")
    path = reach(client, campaign, status)
    answer = client.post(f"{path}/{verb}")
    expected = MOVES.get((status, verb))
    assert answer.status == (409 if expected is None else 200)
    assert client.get(path).json["status"] == (expected or status)


def scheduled(client: Client, ready: dict[str, Any], *, has_come: bool) -> dict[str, Any]:
    """A broadcast to a segment of nobody, for now or for later."""
    segment = client.post("/v1/segments", {"name": "None", "rules": RULES}).json["id"]
    pipeline.drain()
    moment = {} if has_come else {"scheduled_at": clock.iso(clock.system_ms() + clock.DAY)}
    body = {"steps": [{"template_id": ready["steps"][0]["template_id"]}], "segment_id": segment}
    return made(client, BROADCAST | body | moment)


@pytest.mark.parametrize(
    ("status", "answers"), [("draft", 200), ("active", 200), ("paused", 200), ("completed", 409), ("archived", 409)]
)
def test_what_has_ended_is_changed_in_nothing_but_its_name(
    client: Client, ready: dict[str, Any], status: str, answers: int
) -> None:
    campaign = scheduled(client, ready, has_come=True) if status == "completed" else ready
    path = reach(client, campaign, status)
    assert client.patch(path, {"name": "Old"}).json["name"] == "Old"
    assert client.patch(path, {"rate_per_second": 5}).status == answers


def test_an_activation_tells_all_that_is_missing(client: Client) -> None:
    naming = {
        "operator": "AND",
        "conditions": [{"field": "segments", "op": "contains", "value": "seg_01j8x2m4k00000000000000000"}],
    }
    body = LIFECYCLE | {
        "trigger": {"event": "x", "segment_id": "seg_1", "filters": naming},
        "steps": [STEP, step(template_id="tmpl_2", conditions=naming)],
    }
    answer = client.post(f"{PATH}/{made(client, body)['id']}/activate")
    assert (answer.status, sorted(answer.fields)) == (
        422,
        [
            "default_from_email",
            "steps.0.template_id",
            "steps.1.conditions",
            "steps.1.template_id",
            "trigger.filters",
            "trigger.segment_id",
        ],
    )
    answer = client.post(f"{PATH}/{made(client, BROADCAST)['id']}/activate")
    assert sorted(answer.fields) == ["default_from_email", "segment_id", "steps.0.template_id"]


def test_a_project_has_so_many_active_campaigns_at_the_most(
    client: Client, ready: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns, "MAX_ACTIVE", 1)
    other = made(client, LIFECYCLE | {"steps": [{"template_id": ready["steps"][0]["template_id"]}]})
    assert client.post(f"{PATH}/{ready['id']}/activate").status == 200
    assert client.post(f"{PATH}/{other['id']}/activate").status == 409
    client.post(f"{PATH}/{ready['id']}/pause")
    assert client.post(f"{PATH}/{other['id']}/activate").status == 200
    assert client.post(f"{PATH}/{ready['id']}/activate").status == 409


def test_a_project_has_so_many_campaigns_at_the_most(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaigns, "MAX_CAMPAIGNS", 2)
    assert [client.post(PATH, LIFECYCLE).status for _ in range(3)] == [201, 201, 409]


def test_a_segment_in_use_is_not_deleted(client: Client, ready: dict[str, Any]) -> None:
    segment = client.post("/v1/segments", {"name": "S", "type": "static"}).json["id"]
    client.patch(f"{PATH}/{ready['id']}", {"trigger": {"segment_id": segment}})
    client.post(f"{PATH}/{ready['id']}/activate")
    assert client.delete(f"/v1/segments/{segment}").status == 409
    client.post(f"{PATH}/{ready['id']}/archive")
    assert client.delete(f"/v1/segments/{segment}").status == 200


def test_a_patch_merges_the_trigger_and_replaces_lists(client: Client) -> None:
    one = made(client, LIFECYCLE | {"trigger": {"event": "a", "filters": RULES}, "exit_on": ["x", "y"]})
    path = f"{PATH}/{one['id']}"
    changed = client.patch(path, {"trigger": {"segment_id": "seg_1", "filters": None}, "exit_on": ["z"]}).json
    assert changed["trigger"] == {"event": "a", "segment_id": "seg_1", "filters": None, "include_existing": False}
    assert changed["exit_on"] == ["z"]
    assert client.patch(path, {}).json == changed


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "name"),
    (LIFECYCLE | {"name": ""}, "name"),
    (LIFECYCLE | {"name": "x" * 129}, "name"),
    (LIFECYCLE | {"name": "a\nb"}, "name"),
    (LIFECYCLE | {"type": "other"}, "type"),
    (LIFECYCLE | {"status": "active"}, "status"),
    (LIFECYCLE | {"steps": []}, "steps"),
    (LIFECYCLE | {"steps": [STEP] * 51}, "steps"),
    (LIFECYCLE | {"steps": {}}, "steps"),
    (LIFECYCLE | {"steps": [{}]}, "steps.0.template_id"),
    (LIFECYCLE | {"steps": [step(template_id="")]}, "steps.0.template_id"),
    (LIFECYCLE | {"steps": [step(delay="2 days")]}, "steps.0.delay"),
    (LIFECYCLE | {"steps": [step(delay="-1d")]}, "steps.0.delay"),
    (LIFECYCLE | {"steps": [step(delay="366d")]}, "steps.0.delay"),
    (LIFECYCLE | {"steps": [step(delay=5)]}, "steps.0.delay"),
    (LIFECYCLE | {"steps": [step(subject="a\r\nBcc: x")]}, "steps.0.subject"),
    (LIFECYCLE | {"steps": [step(subject="x" * 501)]}, "steps.0.subject"),
    (LIFECYCLE | {"steps": [step(id="a b")]}, "steps.0.id"),
    (LIFECYCLE | {"steps": [step(id="")]}, "steps.0.id"),
    (LIFECYCLE | {"steps": [step(id="a"), step(id="a")]}, "steps"),
    (LIFECYCLE | {"steps": [step(conditions=[])]}, "steps.0.conditions"),
    (LIFECYCLE | {"steps": [STEP, step(conditions=NO_RULES)]}, "steps.1.conditions.conditions.0.field"),
    (LIFECYCLE | {"steps": [step(conditions=NO_CAUSE)]}, "steps.0.conditions.conditions.0.op"),
    (LIFECYCLE | {"steps": [step(color="red")]}, "steps.0.color"),
    ({name: value for name, value in LIFECYCLE.items() if name != "trigger"}, "trigger"),
    (LIFECYCLE | {"trigger": {}}, "trigger"),
    (LIFECYCLE | {"trigger": {"event": ""}}, "trigger.event"),
    (LIFECYCLE | {"trigger": {"event": "x" * 257}}, "trigger.event"),
    (LIFECYCLE | {"trigger": {"event": "a\tb"}}, "trigger.event"),
    (LIFECYCLE | {"trigger": {"segment_id": ""}}, "trigger.segment_id"),
    (LIFECYCLE | {"trigger": {"event": "x", "filters": NO_RULES}}, "trigger.filters.conditions.0.field"),
    (LIFECYCLE | {"trigger": {"event": "x", "filters": {}}}, "trigger.filters.operator"),
    (LIFECYCLE | {"trigger": {"event": "x", "include_existing": True}}, "trigger.include_existing"),
    (LIFECYCLE | {"trigger": {"event": "x", "include_existing": "yes"}}, "trigger.include_existing"),
    (LIFECYCLE | {"trigger": {"event": "x", "color": "red"}}, "trigger.color"),
    (LIFECYCLE | {"segment_id": "seg_1"}, "segment_id"),
    (LIFECYCLE | {"scheduled_at": "2027-01-01"}, "scheduled_at"),
    (LIFECYCLE | {"exit_on": "paid"}, "exit_on"),
    (LIFECYCLE | {"exit_on": [""]}, "exit_on.0"),
    (LIFECYCLE | {"exit_on": ["x"] * 21}, "exit_on"),
    (LIFECYCLE | {"reentry": "yes"}, "reentry"),
    (LIFECYCLE | {"rate_per_second": 0}, "rate_per_second"),
    (LIFECYCLE | {"rate_per_second": 1_001}, "rate_per_second"),
    (LIFECYCLE | {"rate_per_second": 1.5}, "rate_per_second"),
    ({name: value for name, value in BROADCAST.items() if name != "segment_id"}, "segment_id"),
    (BROADCAST | {"steps": [STEP, STEP]}, "steps"),
    (BROADCAST | {"steps": [step(delay="1d")]}, "steps.0.delay"),
    (BROADCAST | {"trigger": {"event": "x"}}, "trigger"),
    (BROADCAST | {"exit_on": ["x"]}, "exit_on"),
    (BROADCAST | {"reentry": True}, "reentry"),
    (BROADCAST | {"scheduled_at": "tomorrow"}, "scheduled_at"),
    (BROADCAST | {"scheduled_at": 5}, "scheduled_at"),
]


@pytest.mark.parametrize(("body", "field"), BAD, ids=range(len(BAD)))
def test_what_is_no_campaign_is_told_by_its_field(client: Client, body: dict[str, Any], field: str) -> None:
    answer = client.post(PATH, body)
    assert (answer.status, answer.code) == (422, "validation_error")
    assert field in answer.fields
    assert client.get(PATH).json["data"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": None}, "name"),
        ({"steps": None}, "steps"),
        ({"steps": []}, "steps"),
        ({"type": "broadcast"}, "type"),
        ({"trigger": None}, "trigger"),
        ({"trigger": {"event": None}}, "trigger"),
        ({"segment_id": "seg_1"}, "segment_id"),
        ({"scheduled_at": "2027-01-01"}, "scheduled_at"),
        ({"exit_on": None}, "exit_on"),
        ({"steps": [step(conditions=NO_RULES)]}, "steps.0.conditions.conditions.0.field"),
    ],
)
def test_a_patch_that_makes_none_is_refused(client: Client, body: dict[str, Any], field: str) -> None:
    one = made(client, LIFECYCLE)
    answer = client.patch(f"{PATH}/{one['id']}", body)
    assert answer.status == 422
    assert field in answer.fields
    assert client.get(f"{PATH}/{one['id']}").json == one


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("test", {}, "email"),
        ("test", {"email": "nobody"}, "email"),
        ("test", {"email": "a@b.c, d@e.f"}, "email"),
        ("test", {"email": "a@example.com", "step_index": 1}, "step_index"),
        ("test", {"email": "a@example.com", "step_index": -1}, "step_index"),
        ("test", {"email": "a@example.com", "step_index": "0"}, "step_index"),
        ("simulate", {"until": "forever"}, "until"),
        ("simulate", {"until": "400d"}, "until"),
        ("simulate", {"from": "1d"}, "from"),
        ("activate", {"now": True}, "now"),
    ],
)
def test_what_can_t_be_asked_of_a_campaign_is_told_by_its_field(
    client: Client, ready: dict[str, Any], path: str, body: dict[str, Any], field: str
) -> None:
    answer = client.post(f"{PATH}/{ready['id']}/{path}", body)
    assert answer.status == 422
    assert field in answer.fields


def test_only_a_broadcast_has_a_preview_and_what_has_ended_no_simulation(client: Client, ready: dict[str, Any]) -> None:
    assert client.get(f"{PATH}/{ready['id']}/preview").status == 422
    client.post(f"{PATH}/{ready['id']}/archive")
    assert client.post(f"{PATH}/{ready['id']}/simulate", {}).status == 422


def test_a_campaign_that_never_was_is_not_found(client: Client) -> None:
    path = f"{PATH}/cmpgn_01j8x2m4k00000000000000000"
    gets = [client.get(f"{path}{rest}").status for rest in ("", "/stats", "/messages", "/preview")]
    posts = [client.post(f"{path}/{verb}", {}).status for verb in ("activate", "pause", "archive", "simulate")]
    assert [*gets, *posts, client.patch(path, {"name": "x"}).status] == [404] * 9


def test_the_figures_of_a_campaign_that_sent_nothing_are_zero(client: Client, ready: dict[str, Any]) -> None:
    answer = client.get(f"{PATH}/{ready['id']}/stats").json
    assert (answer["campaign_id"], answer["status"]) == (ready["id"], "draft")
    assert {name: value for name, value in answer["stats"].items() if value} == {}
    assert [each["step_index"] for each in answer["steps"]] == [0]


def test_a_messages_cursor_is_bound_to_its_campaign(client: Client, ready: dict[str, Any]) -> None:
    path = f"{PATH}/{ready['id']}/messages"
    assert client.get(path).json == {"data": [], "has_more": False, "next_cursor": None}
    assert client.get(path, query={"status": "lost"}).status == 400
    assert client.get(path, query={"cursor": "abc"}).status == 400
