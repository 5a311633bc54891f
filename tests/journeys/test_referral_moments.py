"""What is told of one moment more than once, and what outlives the conversion that it came with."""

import pytest

from chalicelib.core import clock
from chalicelib.features.referrals import fraud
from chalicelib.features.referrals.model import Touch, counting, in_order, kept
from chalicelib.flows.referrals import decide
from tests.support.referral_world import ReferralWorld


@pytest.mark.parametrize("ips", [[None, "198.51.100.1"], ["198.51.100.1", None], ["198.51.100.1", "198.51.100.2"]])
def test_who_comes_twice_in_one_moment_and_tells_from_where_once_is_referred_once(
    referring: ReferralWorld, ips: list[str | None]
) -> None:
    code = referring.link(referring.contact("alice"))
    for ip in ips:
        referring.come("bob", code, ip=ip)
    referring.track("bob", "paid")
    assert [row["status"] for row in referring.conversions()] == ["approved"]
    assert referring.stats()["total_referrals"] == 1


def test_two_who_came_in_one_moment_are_merged_though_one_told_from_where(referring: ReferralWorld) -> None:
    code = referring.link(referring.contact("alice"))
    referring.come("bob", code)
    referring.come("rob", code, ip="198.51.100.1")
    merged(referring, referring.id_of("bob"), referring.id_of("rob"))
    assert referring.stats()["total_referrals"] == 1
    assert [row["referrals"] for row in referring.board()] == [1]


def merged(world: ReferralWorld, target: str, source: str) -> None:
    world.ok(world.client.post(f"/v1/contacts/{target}/merge", {"source_contact_id": source}))
    world.settle()


def test_of_two_touches_of_one_moment_the_one_that_tells_an_address_counts_in_either_order() -> None:
    plain = Touch(5, "l", "A-B-777", "c")
    told = Touch(5, "l", "A-B-777", "c", "198.51.100.1", "Firefox")
    assert counting([plain, told], 10) == counting([told, plain], 10) == told
    assert in_order([plain, told, plain]) == in_order([told, plain]) == (told, plain)
    assert kept([told], plain) == (told,)


def held(world: ReferralWorld, *tiers: int) -> str:
    """Alice's code, once rewards are pending for a week and each of these tiers has a bonus of 5."""
    fields = {"limits": {"hold_days": 7}, "tiers": [{"referrals": each, "bonus": 5} for each in tiers]}
    world.ok(world.client.patch(f"/v1/referrals/programs/{world.program}", fields))
    return world.link(world.contact("alice"))


def paid(world: ReferralWorld, code: str, *users: str) -> list[str]:
    """The conversions of these people, who have come by that code and paid."""
    for user in users:
        world.come(user, code)
        world.track(user, "paid")
    return [row["id"] for row in world.conversions()]


def test_a_bonus_that_stands_is_given_when_its_hold_is_over_though_the_conversion_it_came_with_was_reversed(
    referring: ReferralWorld,
) -> None:
    code = held(referring, 1)
    first, _ = paid(referring, code, "b1", "b2")
    referring.decide(first, "reverse")
    referring.advance(7 * clock.DAY - 1)
    assert [row["status"] for row in referring.rewards(kind="tier_bonus")] == ["pending"]
    referring.advance(1)
    assert [row["status"] for row in referring.rewards(kind="tier_bonus")] == ["issued"]
    assert referring.stats()["total_reward_amount"] == 20 + 15 + 5


def test_a_bonus_that_stands_keeps_its_moment_though_its_conversion_is_approved_anew(referring: ReferralWorld) -> None:
    code = held(referring, 1)
    first, _ = paid(referring, code, "b1", "b2")
    start = referring.now
    decide.suspect(referring.tenant, first, fraud.SAME_PERSON, start)
    referring.settle()
    referring.advance(clock.DAY)
    assert referring.decide(first, "approve").status == 200
    assert [row["status"] for row in referring.rewards(kind="tier_bonus")] == ["pending"]
    referring.advance(6 * clock.DAY)
    issued = {row["issued_at"] for row in referring.rewards(kind="tier_bonus")}
    assert issued == {clock.iso(start + 7 * clock.DAY)}
    statuses = [row["status"] for row in referring.rewards(kind="referrer")]
    assert sorted(statuses) == ["issued", "pending", "void"]
    referring.advance(clock.DAY)
    assert referring.stats()["total_reward_amount"] == 2 * (20 + 15) + 5


@pytest.mark.parametrize(("issuing", "ends"), [("manual", "approved"), ("automatic", "issued")])
def test_rewards_of_a_program_that_is_deleted_during_their_hold_are_issued_as_it_was_left(
    referring: ReferralWorld, issuing: str, ends: str
) -> None:
    path = f"/v1/referrals/programs/{referring.program}"
    referring.ok(referring.client.patch(path, {"reward_issuing": issuing}))
    paid(referring, held(referring), "b1")
    referring.ok(referring.client.delete(path))
    referring.advance(7 * clock.DAY)
    assert {row["status"] for row in referring.rewards()} == {ends}
