"""Callers who do the same, or the opposite, in one moment: one of them acts, and the ledger is of what stands."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.core.errors import ValidationFailed
from chalicelib.features.referrals.model import Conversion
from chalicelib.features.referrals.schemas import NewConversion
from chalicelib.flows.referrals import record
from chalicelib.platform.idempotency import Receipt
from tests.support.client import Client
from tests.support.referral_calls import CONVERSIONS, PROGRAMS, REWARDS, code_of, contact, made
from tests.support.referral_world import PROGRAM, ReferralWorld, assert_ledger_adds_up, shown_lines
from tests.support.wait_world import at_once

PAIR = [("referee", 15), ("referrer", 20)]
CALLS_OF_A_CONVERSION = 29
CALLS_OF_A_DECISION = 12


def recording(world: ReferralWorld, code: str, referred: str) -> Callable[[], tuple[Conversion, bool]]:
    """As the endpoint does, without the edge, so that many threads may."""
    body = NewConversion(link_code=code, referred_contact_id=referred)
    return lambda: record.run(world.tenant, body, world.now, Receipt(world.tenant, world.now))


def counted(world: ReferralWorld, act: Callable[[], object]) -> int:
    """How many calls of the table it takes."""
    calls: list[str] = []
    world.table.on_call = calls.append
    act()
    world.table.on_call = lambda _name: None
    return len(calls)


def test_a_conversion_is_recorded_and_decided_of_by_so_many_calls(referring: ReferralWorld) -> None:
    """The tests at each call rest on it."""
    code, bob = referring.link(referring.contact("alice")), referring.contact("bob")
    assert counted(referring, recording(referring, code, bob)) == CALLS_OF_A_CONVERSION
    path = f"{CONVERSIONS}/{held(referring, code)}"
    assert counted(referring, lambda: referring.client.post(f"{path}/approve")) == CALLS_OF_A_DECISION
    assert counted(referring, lambda: referring.client.post(f"{path}/reverse")) <= CALLS_OF_A_DECISION


def test_a_hundred_who_record_one_conversion_at_once_record_it_once(referring: ReferralWorld) -> None:
    code, bob = referring.link(referring.contact("alice")), referring.contact("bob")
    answers = at_once([recording(referring, code, bob)] * 100, threads=100)
    referring.settle()
    assert len({conversion.id for conversion, _ in answers}) == 1
    assert [is_new for _, is_new in answers].count(True) == 1
    assert len(referring.conversions()) == 1
    assert shown_lines(referring, "issued") == PAIR
    assert_ledger_adds_up(referring)


def test_many_who_record_different_conversions_of_one_referrer_at_once_cross_each_tier_once(
    referring: ReferralWorld,
) -> None:
    """So many at once as a dozen instances would."""
    code = referring.link(referring.contact("alice"))
    people = [referring.contact(f"b{n}") for n in range(8)]
    answers = at_once([recording(referring, code, each) for each in people * 2], threads=4)
    referring.settle()
    assert [is_new for _, is_new in answers].count(True) == len(people)
    assert shown_lines(referring, "issued") == sorted([*PAIR * 8, ("tier_bonus", 50), ("tier_bonus", 150)])
    assert [(row["conversions"], row["tier"]) for row in referring.board()] == [(8, "silver")]
    assert_ledger_adds_up(referring)


@pytest.mark.parametrize(
    ("number", "after"), [(number, after) for number in range(CALLS_OF_A_CONVERSION) for after in (False, True)]
)
def test_of_two_who_record_one_conversion_one_records_it(referring: ReferralWorld, number: int, *, after: bool) -> None:
    """While the first is at one of its calls, the second does all of it."""
    code, bob = referring.link(referring.contact("alice")), referring.contact("bob")
    act, answers = recording(referring, code, bob), list[tuple[Conversion, bool]]()
    with referring.halted_at(number, lambda: answers.append(act()), after=after) as halted:
        answers.append(act())
    assert halted
    referring.settle()
    assert len({conversion.id for conversion, _ in answers}) == 1
    assert [is_new for _, is_new in answers].count(True) == 1
    assert shown_lines(referring, "issued") == PAIR
    assert_ledger_adds_up(referring)


@pytest.mark.parametrize(
    ("number", "after"), [(number, after) for number in range(CALLS_OF_A_CONVERSION) for after in (False, True)]
)
def test_what_is_recorded_while_another_s_code_is_heard_of_is_of_the_code_it_names_or_refused(
    referring: ReferralWorld, number: int, *, after: bool
) -> None:
    alice = referring.contact("alice")
    code, other = referring.link(alice), referring.link(referring.contact("carol"))
    bob = referring.contact("bob")
    referring.advance(1_000)
    act = recording(referring, code, bob)

    def come() -> None:
        """A moment ago, as it turns out."""
        context, at = {"referral_code": other}, clock.iso(referring.now - 500)
        referring.receive({"user_id": "bob", "traits": {}, "context": context, "timestamp": at}, "identify")
        referring.settle()

    with referring.halted_at(number, come, after=after) as halted, suppress(ValidationFailed):
        act()
    assert halted
    referring.settle()
    assert {row["referrer_contact_id"] for row in referring.conversions()} <= {alice}
    assert_ledger_adds_up(referring)


def test_two_referrers_who_claim_one_contact_at_once_do_not_both_get_it(referring: ReferralWorld) -> None:
    codes, bob = [referring.link(referring.contact(each)) for each in ("alice", "carol")], referring.contact("bob")

    def claim(code: str) -> int:
        body = {"link_code": code, "referred_contact_id": bob}
        return int(referring.client.post(CONVERSIONS, body).status)

    assert sorted(at_once([lambda code=code: claim(code) for code in codes], threads=2)) == [201, 422]  # type: ignore[misc]
    referring.settle()
    assert len(referring.conversions()) == 1
    assert_ledger_adds_up(referring)


def test_on_the_mock_of_the_service_a_few_who_record_one_conversion_at_once_record_it_once(client: Client) -> None:
    code, bob = code_of(client, made(client.post(PROGRAMS, PROGRAM))), contact(client, "bob")
    body = {"link_code": code, "referred_contact_id": bob}
    answers = at_once([lambda: client.post(CONVERSIONS, body)] * 6, threads=6)
    assert sorted(each.status for each in answers) == [200] * 5 + [201]
    assert len({each.json["id"] for each in answers}) == len(client.get(CONVERSIONS).json["data"]) == 1
    assert sorted(row["kind"] for row in client.get(REWARDS).json["data"]) == ["referee", "referrer"]


def held(world: ReferralWorld, code: str | None = None) -> str:
    by = code or world.link(world.contact("alice"))
    answer = world.convert(by, world.contact("held", email="held@mailinator.com"))
    assert answer.json["status"] == "review"
    return str(answer.json["id"])


@pytest.mark.parametrize(
    ("verb", "meanwhile", "ends"),
    [
        ("approve", "approve", {"approved"}),
        ("approve", "reverse", {"approved", "reversed"}),
        ("approve", "reject", {"approved", "rejected"}),
        ("reject", "approve", {"approved", "rejected"}),
        ("reverse", "reverse", {"reversed"}),
        ("reverse", "approve", {"reversed"}),
    ],
)
@pytest.mark.parametrize(
    ("number", "after"), [(number, after) for number in range(CALLS_OF_A_DECISION) for after in (False, True)]
)
def test_of_two_decisions_at_once_one_is_taken_and_the_ledger_is_its(
    referring: ReferralWorld, number: int, *, after: bool, verb: str, meanwhile: str, ends: set[str]
) -> None:
    conversion = held(referring)
    if verb == "reverse":
        referring.decide(conversion, "approve")
    answers: list[Any] = []

    def decide(what: str) -> None:
        answers.append(referring.client.post(f"{CONVERSIONS}/{conversion}/{what}"))

    with referring.halted_at(number, lambda: decide(meanwhile), after=after):
        decide(verb)
    referring.settle()
    assert {each.status for each in answers} <= {200, 409}
    (row,) = referring.conversions()
    assert row["status"] in ends
    taken = [each.json["status"] for each in answers if each.status == 200]
    assert row["status"] in taken
    assert shown_lines(referring, "issued") == (PAIR if row["status"] == "approved" else [])
    assert len(referring.rewards()) in (0, 2)
    assert_ledger_adds_up(referring)


def test_approvals_and_reversals_by_many_leave_one_pair_of_rewards_at_most(referring: ReferralWorld) -> None:
    conversion = held(referring)
    verbs = ["approve", "reverse"] * 10
    paths = [f"{CONVERSIONS}/{conversion}/{verb}" for verb in verbs]
    answers = at_once([lambda path=path: referring.client.post(path) for path in paths])  # type: ignore[misc]
    referring.settle()
    assert {each.status for each in answers} <= {200, 409}
    (row,) = referring.conversions()
    assert row["status"] in ("approved", "reversed")
    assert len(referring.rewards()) == 2
    assert shown_lines(referring, "issued") == (PAIR if row["status"] == "approved" else [])
    assert_ledger_adds_up(referring)
