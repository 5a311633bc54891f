"""Cursors, scopes, idempotency keys and changes of the referral endpoints."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import Client, Response
from tests.support.keys import key_with
from tests.support.referral_calls import BOARD, CONVERSIONS, LINKS, PROGRAMS, REWARDS, code_of, contact, made
from tests.support.referral_world import PROGRAM


@pytest.fixture
def program(client: Client) -> str:
    return made(client.post(PROGRAMS, PROGRAM))


def walk(client: Client, path: str) -> list[Any]:
    """All rows, one a page."""
    rows: list[Any] = []
    following: str | None = None
    while True:
        page = client.get(path, query={"limit": 1} | ({} if following is None else {"cursor": following}))
        assert page.status == 200, page.text
        rows += page.json["data"]
        following = page.json["next_cursor"]
        if following is None:
            return rows


def full(client: Client, program: str) -> str:
    """Three conversions by one link, whose code is returned."""
    code = code_of(client, program)
    for user in ("b1", "b2", "b3"):
        made(client.post(CONVERSIONS, {"link_code": code, "referred_contact_id": contact(client, user)}))
    for user in ("a1", "a2"):
        client.post(LINKS, {"program_id": program, "contact_id": contact(client, user)})
        client.post(PROGRAMS, PROGRAM)
    return code


def lists(program: str, code: str) -> list[str]:
    return [
        PROGRAMS,
        f"{PROGRAMS}/{program}/links",
        f"{LINKS}/{code}/conversions",
        CONVERSIONS,
        f"{CONVERSIONS}?status=approved",
        f"{CONVERSIONS}?program_id={program}",
        REWARDS,
        f"{REWARDS}?kind=referee",
    ]


def test_every_list_is_walked_in_pages_of_one(client: Client, program: str) -> None:
    code = full(client, program)
    for path in lists(program, code):
        rows = walk(client, path)
        assert len(rows) == len({row["id"] for row in rows}) >= 3
        assert rows == client.get(path).json["data"]


def test_a_cursor_of_another_list_or_another_project_is_refused(
    client: Client, other_client: Client, program: str
) -> None:
    code = full(client, program)
    paths = lists(program, code)
    for path in paths:
        cursor = client.get(path, query={"limit": 1}).json["next_cursor"]
        for other in {*paths, f"{BOARD}?program_id={program}", "/v1/contacts"} - {path}:
            assert client.get(other, query={"cursor": cursor}).status == 400, (path, other)
        shared = (PROGRAMS, CONVERSIONS, REWARDS)
        if path in shared:
            assert other_client.get(path, query={"cursor": cursor}).status == 400
        assert client.get(path, query={"cursor": cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")}).status == 400


READS = [PROGRAMS, f"{PROGRAMS}/x", f"{PROGRAMS}/x/links", f"{LINKS}/x", f"{LINKS}/x/conversions"]
READS += [CONVERSIONS, REWARDS, f"{BOARD}?program_id=x"]
POSTS = [PROGRAMS, LINKS, CONVERSIONS, f"{REWARDS}/x/issue"]
POSTS += [f"{CONVERSIONS}/x/{verb}" for verb in ("approve", "reject", "reverse")]


def refusal(answer: Response) -> tuple[int, str, str]:
    return answer.status, answer.code, answer.json["error"]["details"][0]["required_scope"]


def test_who_may_only_write_reads_nothing(client: Client) -> None:
    writer = key_with(client, "referrals:write", "contacts:read", "waitlists:read")
    for path in READS:
        assert refusal(client.get(path, key=writer)) == (403, "insufficient_scope", "referrals:read")


def test_who_may_only_read_writes_nothing(client: Client) -> None:
    reader = key_with(client, "referrals:read", "contacts:write", "waitlists:write")
    answers = [client.post(path, {}, key=reader) for path in POSTS]
    answers += [client.patch(f"{PROGRAMS}/x", {}, key=reader), client.delete(f"{PROGRAMS}/x", key=reader)]
    for answer in answers:
        assert refusal(answer) == (403, "insufficient_scope", "referrals:write")


def test_a_write_key_is_none_for_referrals(client: Client, project: Any) -> None:
    assert {client.get(path, key=project.write_key).status for path in READS} == {401}
    assert {client.post(path, {}, key=project.write_key).status for path in POSTS} == {401}


def idempotent(client: Client, path: str, body: Any, key: str = "k") -> Response:
    return client.post(path, body, headers={"Idempotency-Key": key})


def assert_replayed(client: Client, path: str, body: Any, other: Any) -> Response:
    """The second call gets the first answer, and another body, or what is none, is refused."""
    first, second = idempotent(client, path, body), idempotent(client, path, body)
    assert "idempotency-replayed" not in first.headers
    assert (second.status, second.json) == (first.status, first.json)
    assert second.headers["idempotency-replayed"] == "true"
    assert idempotent(client, path, other).code == "conflict"
    return first


def test_a_program_is_made_once_for_an_idempotency_key(client: Client) -> None:
    answer = assert_replayed(client, PROGRAMS, PROGRAM, PROGRAM | {"name": "Other"})
    assert [row["id"] for row in client.get(PROGRAMS).json["data"]] == [answer.json["id"]]


def test_a_link_is_made_once_for_an_idempotency_key(client: Client, program: str) -> None:
    body = {"program_id": program, "contact_id": contact(client)}
    assert assert_replayed(client, LINKS, body, body | {"channel": "sms"}).status == 201
    assert len(client.get(f"{PROGRAMS}/{program}/links").json["data"]) == 1


def test_a_link_that_was_there_is_the_answer_that_is_remembered(client: Client, program: str) -> None:
    body = {"program_id": program, "contact_id": contact(client)}
    made(client.post(LINKS, body))
    assert assert_replayed(client, LINKS, body, body | {"channel": "sms"}).status == 200
    assert len(client.get(f"{PROGRAMS}/{program}/links").json["data"]) == 1


def test_a_conversion_is_recorded_once_for_an_idempotency_key(client: Client, program: str) -> None:
    body = {"link_code": code_of(client, program), "referred_contact_id": contact(client, "bob")}
    other = body | {"referred_contact_id": contact(client, "rob")}
    assert assert_replayed(client, CONVERSIONS, body, other).status == 201
    assert (len(client.get(CONVERSIONS).json["data"]), len(client.get(REWARDS).json["data"])) == (1, 2)


def test_a_conversion_that_was_there_is_the_answer_that_is_remembered(client: Client, program: str) -> None:
    body = {"link_code": code_of(client, program), "referred_contact_id": contact(client, "bob")}
    other = body | {"referred_contact_id": contact(client, "rob")}
    made(client.post(CONVERSIONS, body))
    assert assert_replayed(client, CONVERSIONS, body, other).status == 200
    assert len(client.get(CONVERSIONS).json["data"]) == 1


@pytest.mark.parametrize("verb", ["approve", "reject", "reverse"])
def test_a_decision_is_taken_once_for_an_idempotency_key(client: Client, program: str, verb: str) -> None:
    code = code_of(client, program)
    body = {"email": "bob@mailinator.com" if verb != "reverse" else "bob@example.com"}
    bob = made(client.post("/v1/contacts", body))
    conversion = made(client.post(CONVERSIONS, {"link_code": code, "referred_contact_id": bob}))
    assert_replayed(client, f"{CONVERSIONS}/{conversion}/{verb}", {}, {"more": 1})
    status = {"approve": "approved", "reject": "rejected", "reverse": "reversed"}[verb]
    assert [row["status"] for row in client.get(CONVERSIONS).json["data"]] == [status]


def test_a_reward_is_issued_once_for_an_idempotency_key(client: Client) -> None:
    program = made(client.post(PROGRAMS, PROGRAM | {"reward_issuing": "manual"}))
    code, bob = code_of(client, program), contact(client, "bob")
    made(client.post(CONVERSIONS, {"link_code": code, "referred_contact_id": bob}))
    reward = client.get(REWARDS).json["data"][0]["id"]
    answer = assert_replayed(client, f"{REWARDS}/{reward}/issue", {}, {"more": 1})
    assert answer.json["status"] == "issued"


FULL = {
    "max_referrals_per_contact": 50,
    "conversion_window_days": 10,
    "conversions_per_ip": 5,
    "hold_days": 2,
    "review_score": 80,
}
PLAIN = {
    "max_referrals_per_contact": None,
    "conversion_window_days": 30,
    "conversions_per_ip": 10,
    "hold_days": 0,
    "review_score": 50,
}


@pytest.fixture
def change(client: Client) -> Callable[..., Any]:
    """Changes a program whose limits are FULL, and returns it."""
    program = made(client.post(PROGRAMS, PROGRAM | {"limits": FULL}))

    def patch(**body: Any) -> Any:
        answer = client.patch(f"{PROGRAMS}/{program}", body)
        assert answer.status == 200, answer.text
        assert client.get(f"{PROGRAMS}/{program}").json == answer.json
        return answer.json

    return patch


@pytest.mark.parametrize("name", FULL)
def test_one_limit_is_changed_alone_and_null_is_its_default(change: Callable[..., Any], name: str) -> None:
    assert change(limits={name: 7})["limits"] == FULL | {name: 7}
    assert change(limits={name: None})["limits"] == FULL | {name: PLAIN[name]}
    assert change(limits={})["limits"] == FULL | {name: PLAIN[name]}


def test_a_change_of_nothing_leaves_all_as_it_was(change: Callable[..., Any]) -> None:
    assert change() == change(name=PROGRAM["name"]) == change(limits=FULL)


def test_tiers_are_replaced_and_named_by_their_place(change: Callable[..., Any]) -> None:
    tiers = change(tiers=[{"referrals": 3, "bonus": 1.5, "name": "Fan"}, {"referrals": 9}])["tiers"]
    assert tiers == [{"referrals": 3, "bonus": 1.5, "name": "Fan"}, {"referrals": 9, "bonus": 0, "name": "silver"}]
    assert change(tiers=[])["tiers"] == []


def reward(program: dict[str, Any]) -> tuple[Any, ...]:
    return program["reward_type"], program["reward_amount"], program["reward_currency"]


def test_the_fields_of_a_reward_are_changed_one_by_one_and_it_goes_with_its_amount(change: Callable[..., Any]) -> None:
    assert reward(change(reward_amount=25)) == ("credit", 25, "USD")
    assert reward(change(reward_type="points")) == ("points", 25, "USD")
    assert reward(change(reward_currency=None)) == ("points", 25, None)
    assert reward(change(reward_amount=None)) == (None, None, None)
    assert reward(change(reward_amount=3)) == ("credit", 3, None)


def test_the_referee_s_reward_is_replaced_and_goes_by_null(change: Callable[..., Any]) -> None:
    assert change(referee_reward={"type": "points", "amount": 3})["referee_reward"] == {
        "type": "points",
        "amount": 3,
        "currency": None,
    }
    assert change(referee_reward=None)["referee_reward"] is None


@pytest.mark.parametrize("name", ["conversion_event", "landing_url"])
def test_what_a_program_may_lack_goes_by_null(change: Callable[..., Any], name: str) -> None:
    assert change(**{name: None})[name] is None


@pytest.mark.parametrize("name", ["name", "status", "tiers", "limits", "reward_issuing"])
def test_what_a_program_can_not_lack_does_not_go_by_null(client: Client, program: str, name: str) -> None:
    answer = client.patch(f"{PROGRAMS}/{program}", {name: None})
    assert (answer.status, answer.fields) == (422, [name])
