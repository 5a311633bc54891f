"""What is told of one moment more than once, and what outlives the conversion that it came with."""

import pytest

from chalicelib.features.referrals.model import Touch, counting, in_order, kept
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
