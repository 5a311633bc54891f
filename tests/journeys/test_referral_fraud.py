"""Conversions that are held until a person has decided, and what was approved and is doubted afterwards."""

from typing import Any

import pytest

from chalicelib.core import clock
from tests.support.mail_world import MailWorld
from tests.support.referral_world import ReferralWorld

HERE, THERE = "198.51.100.7", "198.51.100.8"
PER_IP = 10
"""Of the contract."""


def paid(world: ReferralWorld, code: str, *users: str, ip: str | None = None, **traits: Any) -> None:
    """These people come with the code, from there, and pay."""
    for user in users:
        world.come(user, code, ip, **traits)
        world.track(user, "paid")


def crowd(world: ReferralWorld, code: str, count: int = PER_IP, ip: str = HERE, name: str = "u") -> None:
    paid(world, code, *(f"{name}{n}" for n in range(count)), ip=ip)


def statuses(world: ReferralWorld) -> list[str]:
    return [row["status"] for row in world.conversions()]


def reasons(row: dict[str, Any]) -> list[str]:
    return [reason["name"] for reason in row["reasons"]]


def lines(world: ReferralWorld, status: str) -> list[tuple[str, int]]:
    """Kind and amount of each reward with that status."""
    return sorted((row["kind"], row["amount"]) for row in world.rewards(status=status))


def merged(world: ReferralWorld, target: str, source: str) -> None:
    world.ok(world.client.post(f"/v1/contacts/{target}/merge", {"source_contact_id": source}))
    world.settle()


def assert_figures_are_those_of_the_ledger(world: ReferralWorld) -> None:
    issued = [row["amount"] for row in world.rewards(status="issued")]
    figures = world.stats()
    assert (figures["total_rewards_issued"], figures["total_reward_amount"]) == (len(issued), sum(issued))
    approved = len(world.conversions(status="approved"))
    assert figures["total_conversions"] == approved == sum(row["conversions"] for row in world.board())


@pytest.fixture
def code(referring: ReferralWorld) -> str:
    """Alice's, in a program without tiers."""
    world = referring
    world.ok(world.client.patch(f"/v1/referrals/programs/{world.program}", {"tiers": []}))
    return world.link(world.contact("alice"))


def test_of_eleven_from_one_address_the_eleventh_is_held(referring: ReferralWorld, code: str) -> None:
    crowd(referring, code, PER_IP + 1)
    assert statuses(referring) == ["approved"] * PER_IP + ["review"]
    (held,) = referring.conversions(status="review")
    assert held["referred_contact_id"] == referring.id_of(f"u{PER_IP}")
    assert "many_from_one_ip" in reasons(held)
    assert len(referring.rewards()) == 2 * PER_IP
    assert_figures_are_those_of_the_ledger(referring)


def test_conversions_that_are_recorded_by_hand_count_by_the_address_the_contact_was_last_seen_at(
    referring: ReferralWorld, code: str
) -> None:
    crowd(referring, code)
    referring.receive({"user_id": "late", "traits": {}, "context": {"ip": HERE}}, "identify")
    referring.settle()
    answer = referring.convert(code, referring.id_of("late"))
    assert (answer.status, answer.json["status"], "many_from_one_ip" in reasons(answer.json)) == (201, "review", True)


@pytest.mark.parametrize(("later", "is_held"), [(clock.DAY - 1, True), (clock.DAY + 1, False)])
def test_a_day_later_the_eleventh_is_not_held(referring: ReferralWorld, code: str, later: int, is_held: bool) -> None:
    crowd(referring, code)
    referring.advance(later)
    paid(referring, code, "late", ip=HERE)
    assert statuses(referring)[-1] == ("review" if is_held else "approved")


def test_only_those_of_the_same_day_count_together(referring: ReferralWorld, code: str) -> None:
    """Five now, five twelve hours later, and again after the first five have passed."""
    crowd(referring, code, 5, name="a")
    referring.advance(12 * clock.HOUR)
    crowd(referring, code, 5, name="b")
    referring.advance(12 * clock.HOUR + 1)
    crowd(referring, code, 6, name="c")
    assert statuses(referring) == ["approved"] * 15 + ["review"]


def test_those_of_another_referrer_do_not_count_together(referring: ReferralWorld, code: str) -> None:
    crowd(referring, code)
    other = referring.link(referring.contact("carol"))
    crowd(referring, other, name="o")
    assert set(statuses(referring)) == {"approved"}


def test_those_from_another_address_do_not_count_together(referring: ReferralWorld, code: str) -> None:
    crowd(referring, code)
    paid(referring, code, "elsewhere", ip=THERE)
    paid(referring, code, "nowhere")
    assert set(statuses(referring)) == {"approved"}


def test_those_of_another_program_do_not_count_together(referring: ReferralWorld, code: str) -> None:
    crowd(referring, code)
    program = referring.made(conversion_event="signed", tiers=[])
    other = referring.link(referring.id_of("alice"), program=program)
    referring.come("new", other, HERE)
    referring.track("new", "signed")
    assert set(statuses(referring)) == {"approved"}


def test_the_limit_is_the_program_s(referring: ReferralWorld, code: str) -> None:
    path = f"/v1/referrals/programs/{referring.program}"
    referring.ok(referring.client.patch(path, {"limits": {"conversions_per_ip": 1}}))
    crowd(referring, code, 2)
    assert statuses(referring) == ["approved", "review"]


def visit(world: ReferralWorld, user: str, device: str) -> None:
    world.receive({"user_id": user, "anonymous_id": device, "name": "home"}, "page")
    world.settle()


@pytest.mark.parametrize("order", [["alice", "bob"], ["bob", "alice"]])
def test_who_comes_by_the_referrer_s_own_device_is_held(referring: ReferralWorld, code: str, order: list[str]) -> None:
    for user in order:
        visit(referring, user, "laptop")
        referring.advance(clock.MINUTE)
    paid(referring, code, "bob")
    (row,) = referring.conversions()
    assert (row["status"], reasons(row)) == ("review", ["same_person"])


def test_who_comes_by_another_device_is_not_held(referring: ReferralWorld, code: str) -> None:
    for user in ("alice", "bob"):
        visit(referring, user, f"{user}'s")
        referring.advance(clock.MINUTE)
    paid(referring, code, "bob")
    assert statuses(referring) == ["approved"]


@pytest.mark.parametrize(("theirs", "status"), [("0049 30 1234567", "review"), ("+49 30 1234568", "approved")])
def test_who_has_the_referrer_s_telephone_is_held(
    referring: ReferralWorld, code: str, theirs: str, status: str
) -> None:
    referring.receive({"user_id": "alice", "traits": {"phone": "+49 (30) 1234567"}}, "identify")
    paid(referring, code, "bob", phone_number=theirs)
    assert statuses(referring) == [status]


@pytest.fixture
def held(referring: ReferralWorld, code: str) -> str:
    """The conversion of bob, whose address is a disposable one."""
    paid(referring, code, "bob", email="bob@mailinator.com")
    (row,) = referring.conversions(status="review")
    assert "disposable_domain" in reasons(row)
    assert referring.rewards() == []
    return str(row["id"])


def test_an_approval_gives_the_rewards_once(referring: ReferralWorld, held: str) -> None:
    answers = [referring.decide(held, "approve") for _ in range(3)]
    assert [(each.status, each.json["status"]) for each in answers] == [(200, "approved")] * 3
    assert lines(referring, "issued") == [("referee", 15), ("referrer", 20)]
    assert_figures_are_those_of_the_ledger(referring)


def test_a_rejection_gives_none_and_stands(referring: ReferralWorld, held: str) -> None:
    assert [referring.decide(held, "reject").status for _ in range(2)] == [200, 200]
    assert [referring.decide(held, verb).status for verb in ("approve", "reverse")] == [409, 409]
    referring.track("bob", "paid")
    assert (referring.rewards(), statuses(referring)) == ([], ["rejected"])
    assert referring.board()[0]["conversions"] == 0
    assert_figures_are_those_of_the_ledger(referring)


def test_a_reversal_takes_back_and_stands(referring: ReferralWorld, held: str) -> None:
    assert referring.decide(held, "reverse").status == 409
    referring.decide(held, "approve")
    assert [referring.decide(held, "reverse").status for _ in range(2)] == [200, 200]
    assert [referring.decide(held, verb).status for verb in ("approve", "reject")] == [409, 409]
    assert (lines(referring, "issued"), lines(referring, "void")) == ([], [("referee", 15), ("referrer", 20)])
    assert_figures_are_those_of_the_ledger(referring)


@pytest.mark.parametrize("verb", ["approve", "reject", "reverse"])
def test_a_conversion_that_is_not_there_is_not_decided_of(referring: ReferralWorld, verb: str) -> None:
    assert referring.decide("ref_conv_01j8x2m4k00000000000000000", verb).status == 404


@pytest.mark.parametrize("referee_stays", [True, False])
def test_a_merge_of_both_sides_holds_what_was_approved_and_an_approval_after_that_stands(
    referring: ReferralWorld, code: str, referee_stays: bool
) -> None:
    paid(referring, code, "bob")
    sides = [referring.id_of("alice"), referring.id_of("bob")]
    merged(referring, *(sides[::-1] if referee_stays else sides))
    (row,) = referring.conversions()
    assert (row["status"], "merged_with_referrer" in reasons(row)) == ("review", True)
    assert (lines(referring, "issued"), lines(referring, "void")) == ([], [("referee", 15), ("referrer", 20)])
    assert_figures_are_those_of_the_ledger(referring)
    assert referring.decide(row["id"], "approve").json["status"] == "approved"
    referring.track("bob", "paid")
    merged(referring, referring.id_of("alice"), referring.contact("third"))
    assert statuses(referring) == ["approved"]
    assert lines(referring, "issued") == [("referee", 15), ("referrer", 20)]
    assert_figures_are_those_of_the_ledger(referring)


def test_a_merge_of_both_sides_before_anything_was_paid_is_no_referral(referring: ReferralWorld, code: str) -> None:
    referring.come("bob", code)
    merged(referring, referring.id_of("alice"), referring.id_of("bob"))
    referring.track("bob", "paid")
    assert (referring.conversions(), referring.board(), referring.stats()["total_referrals"]) == ([], [], 0)


@pytest.mark.parametrize("last_stays", [True, False])
def test_of_two_who_are_one_and_both_paid_the_later_conversion_is_reversed(
    referring: ReferralWorld, code: str, last_stays: bool
) -> None:
    paid(referring, code, "first")
    referring.advance(clock.HOUR)
    paid(referring, code, "last")
    ids = [referring.id_of("first"), referring.id_of("last")]
    merged(referring, *(ids[::-1] if last_stays else ids))
    earlier, later = referring.conversions()
    assert (earlier["status"], later["status"]) == ("approved", "reversed")
    assert ("duplicate_person" in reasons(earlier), "duplicate_person" in reasons(later)) == (False, True)
    assert lines(referring, "issued") == lines(referring, "void") == [("referee", 15), ("referrer", 20)]
    assert referring.stats()["total_referrals"] == 1
    assert [(row["referrals"], row["conversions"]) for row in referring.board()] == [(1, 1)]
    assert_figures_are_those_of_the_ledger(referring)


def test_of_two_who_are_one_by_different_referrers_the_earlier_one_s_stands(
    referring: ReferralWorld, code: str
) -> None:
    carol = referring.contact("carol")
    other = referring.link(carol)
    paid(referring, other, "first")
    referring.advance(clock.HOUR)
    paid(referring, code, "last")
    merged(referring, referring.id_of("last"), referring.id_of("first"))
    assert [row["status"] for row in referring.conversions()] == ["approved", "reversed"]
    assert [(row["contact_id"], row["referrals"], row["conversions"]) for row in referring.board()] == [(carol, 1, 1)]
    assert_figures_are_those_of_the_ledger(referring)


def mailed(world: MailWorld) -> None:
    """A mail to everybody, with all that comes of it."""
    world.broadcast(world.segment(), name="News")


def test_a_first_mail_that_comes_back_holds_what_was_approved(referring: ReferralWorld, code: str) -> None:
    paid(referring, code, "bob", email="bounce@simulator.amazonses.com")
    assert statuses(referring) == ["approved"]
    mailed(referring)
    (row,) = referring.conversions()
    assert (row["status"], "first_mail_bounced" in reasons(row)) == ("review", True)
    assert (lines(referring, "issued"), lines(referring, "void")) == ([], [("referee", 15), ("referrer", 20)])
    referring.decide(row["id"], "approve")
    mailed(referring)
    assert statuses(referring) == ["approved"]
    assert_figures_are_those_of_the_ledger(referring)


def test_who_pays_after_the_first_mail_came_back_is_held_at_once(referring: ReferralWorld, code: str) -> None:
    referring.come("bob", code, email="bounce@simulator.amazonses.com")
    mailed(referring)
    referring.track("bob", "paid")
    (row,) = referring.conversions()
    assert (row["status"], "first_mail_bounced" in reasons(row)) == ("review", True)


def test_a_mail_that_comes_back_from_somebody_else_holds_nothing(referring: ReferralWorld, code: str) -> None:
    paid(referring, code, "bob")
    referring.contact("eve", email="bounce@simulator.amazonses.com")
    mailed(referring)
    assert statuses(referring) == ["approved"]


def real(monkeypatch: pytest.MonkeyPatch) -> ReferralWorld:
    """A live project, in which bob was referred by alice and has paid, and one mail went to each."""
    world = ReferralWorld(monkeypatch, is_test=False, tiers=[])
    paid(world, world.link(world.contact("alice")), "bob", email="bob@example.com")
    mailed(world)
    return world


@pytest.mark.parametrize(
    ("kind", "is_delivered", "expected"),
    [("Permanent", False, "review"), ("Transient", False, "approved"), ("Permanent", True, "approved")],
)
def test_a_mail_holds_it_that_came_back_for_good_before_any_had_arrived(
    engine: str, monkeypatch: pytest.MonkeyPatch, kind: str, is_delivered: bool, expected: str
) -> None:
    world = real(monkeypatch)
    (first,) = [each for each in world.office.taken if each.to == "bob@example.com"]
    if is_delivered:
        world.tell(first, "Delivery")
        mailed(world)
    last = [each for each in world.office.taken if each.to == "bob@example.com"][-1]
    world.tell(last, "Bounce", bounceType=kind, bounceSubType="General")
    assert statuses(world) == [expected]
    assert_figures_are_those_of_the_ledger(world)
