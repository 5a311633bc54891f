"""The ledger by hand: tiers that are edited between conversions, amounts of nothing, and what a merge crosses."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.features.referrals import ledger
from chalicelib.features.referrals.ledger import Change
from chalicelib.features.referrals.model import (
    MAX_TOUCHES,
    Conversion,
    Limits,
    Prize,
    Program,
    Reward,
    Standing,
    Tier,
    Touch,
    counting,
    kept,
    tier_name,
)

NOW = 1_800_000_000_000
DAY = 86_400_000
TWENTY = Prize("credit", 200_000, "USD")


def program(*tiers: Tier, reward: Prize | None = TWENTY, **others: Any) -> Program:
    return Program("p", "Friends", 0, 0, reward=reward, tiers=tiers, **others)


def conversion(name: str = "c1") -> Conversion:
    return Conversion(name, "p", "l", "alice", f"of {name}", NOW, NOW, NOW, "review")


def numbered(prefix: str = "r") -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"{prefix}{next(numbers)}"


def grant(of: Program, standing: Standing, name: str = "c1") -> Change:
    return ledger.granted(of, conversion(name), standing, NOW, numbered(f"{name}-"))


def bonuses(change: Change) -> list[tuple[int | None, int, str]]:
    """Tier, amount and status of each bonus that is written."""
    return [(each.tier, each.prize.amount, each.status) for each in change.rewards if each.kind == "tier_bonus"]


def stands(change: Change) -> Standing:
    assert change.standing is not None
    return change.standing


NOBODY = Standing("p", "alice", NOW)


def test_a_program_without_rewards_counts_and_gives_nothing() -> None:
    change = grant(program(reward=None), NOBODY)
    assert (change.rewards, stands(change).conversions, dict(change.figures)) == ([], 1, {"conversions": 1})


@pytest.mark.parametrize("side", ["reward", "referee_reward"])
def test_an_amount_of_nothing_is_no_reward(side: str) -> None:
    nothing = {"reward": None} | {side: Prize("credit", 0, "USD")}
    assert grant(program(Tier(1, 0), **nothing), NOBODY).rewards == []


def test_a_tier_with_a_bonus_of_nothing_gives_none_and_takes_none_from_the_next() -> None:
    change = grant(program(Tier(1, 0), Tier(2, 70_000), reward=None), replace(NOBODY, conversions=1))
    assert bonuses(change) == [(2, 70_000, "issued")]


def test_a_bonus_is_of_the_referrer_s_own_kind_and_currency_or_credit() -> None:
    points = grant(program(Tier(1, 50_000), reward=Prize("points", 30_000)), NOBODY)
    assert [each.prize for each in points.rewards] == [Prize("points", 30_000), Prize("points", 50_000)]
    alone = grant(program(Tier(1, 50_000), reward=None), NOBODY)
    assert [each.prize for each in alone.rewards] == [Prize("credit", 50_000)]


def test_figures_are_of_what_is_issued() -> None:
    of = program(Tier(1, 50_000), referee_reward=Prize("discount", 150_000, "USD"))
    change = grant(of, NOBODY)
    assert dict(change.figures) == {"conversions": 1, "rewards_issued": 3, "reward_amount": 400_000}
    for held in (replace(of, issuing="manual"), replace(of, limits=Limits(hold_days=1))):
        assert dict(grant(held, NOBODY).figures) == {"conversions": 1}


def test_a_hold_ends_so_many_days_later() -> None:
    change = grant(program(Tier(1, 50_000), limits=Limits(hold_days=3)), NOBODY)
    assert {(each.status, each.due_at) for each in change.rewards} == {("pending", NOW + 3 * DAY)}
    assert change.due_at == NOW + 3 * DAY


def test_a_tier_that_is_lowered_below_the_count_gives_nothing_afterwards() -> None:
    before = grant(program(Tier(3, 50_000), reward=None), replace(NOBODY, conversions=1))
    after = grant(program(Tier(2, 50_000), reward=None), stands(before), "c2")
    assert (bonuses(before), bonuses(after)) == ([], [])
    assert dict(stands(after).bonuses) == {}


def test_a_tier_that_is_raised_after_its_bonus_gives_the_new_one_s_once() -> None:
    at_two = grant(program(Tier(2, 50_000), reward=None), replace(NOBODY, conversions=1))
    at_three = grant(program(Tier(3, 60_000), reward=None), stands(at_two), "c2")
    assert (bonuses(at_two), bonuses(at_three)) == ([(2, 50_000, "issued")], [(3, 60_000, "issued")])
    assert sorted(stands(at_three).bonuses) == [2, 3]


def test_a_tier_whose_bonus_is_edited_gives_the_one_of_now_and_keeps_what_was_given() -> None:
    given = grant(program(Tier(1, 50_000), reward=None), NOBODY)
    again = grant(program(Tier(1, 90_000), Tier(2, 10_000), reward=None), stands(given), "c2")
    assert bonuses(again) == [(2, 10_000, "issued")]


def taken(standing: Standing, known: Sequence[Reward], rewards: Sequence[str]) -> Change:
    before = replace(conversion(), status="approved", rewards=tuple(rewards))
    return ledger.taken_back(before, standing, {each.id: each for each in known}, "reversed", NOW + 5)


def test_a_reversal_takes_the_bonus_below_whose_tier_the_count_falls_whoever_came_with_it() -> None:
    of = program(Tier(1, 10_000), Tier(2, 20_000), reward=None)
    one = grant(of, NOBODY, "c1")
    two = grant(of, stands(one), "c2")
    back = taken(stands(two), [*one.rewards, *two.rewards], [each.id for each in one.rewards])
    assert [(each.tier, each.status) for each in back.rewards] == [(2, "void")]
    assert sorted(stands(back).bonuses) == [1]
    assert dict(back.figures) == {"conversions": -1, "rewards_issued": -1, "reward_amount": -20_000}


def test_a_reversal_of_one_whose_referrer_is_gone_takes_what_it_gave_itself() -> None:
    one = grant(program(), NOBODY)
    before = replace(conversion(), status="approved", rewards=tuple(each.id for each in one.rewards))
    back = ledger.taken_back(before, None, {each.id: each for each in one.rewards}, "reversed", NOW)
    assert ([each.status for each in back.rewards], back.standing) == (["void"], None)


def test_what_was_never_issued_is_taken_back_without_a_figure() -> None:
    held = grant(program(limits=Limits(hold_days=1)), NOBODY)
    back = taken(stands(held), held.rewards, [each.id for each in held.rewards])
    assert [(each.status, each.due_at) for each in back.rewards] == [("void", None)]
    assert (dict(back.figures), back.due_at) == ({"conversions": -1}, None)


def test_a_void_reward_is_not_taken_back_twice() -> None:
    one = grant(program(), NOBODY)
    voided = [ledger.void(each) for each in one.rewards]
    back = taken(stands(one), voided, [each.id for each in voided])
    assert (back.rewards, dict(back.figures)) == ([], {"conversions": -1})


def standing(conversions: int, **given: str) -> Standing:
    tiers = {int(name.removeprefix("tier")): reward for name, reward in given.items()}
    return Standing("p", "alice", NOW, conversions, conversions, tiers)


def bonus(name: str, tier: int, status: Any = "issued") -> Reward:
    return Reward(name, "p", "alice", "c", "tier_bonus", Prize("credit", 10_000 * tier), status, NOW, tier=tier)


def test_two_tiers_that_a_merge_crosses_at_once_give_a_bonus_each() -> None:
    of = program(Tier(2, 20_000), Tier(4, 40_000), Tier(5, 50_000), Tier(6, 60_000))
    ours, theirs = standing(3, tier2="a2"), standing(2, tier2="b2")
    known = {"a2": bonus("a2", 2), "b2": bonus("b2", 2)}
    change = ledger.joined(of, ours, theirs, known, NOW, numbered())
    assert sorted(bonuses(change)) == [(2, 20_000, "void"), (4, 40_000, "issued"), (5, 50_000, "issued")]
    assert [each.id for each in change.rewards if each.status == "void"] == ["b2"]
    after = stands(change)
    assert (after.conversions, after.referrals, sorted(after.bonuses), after.bonuses[2]) == (5, 5, [2, 4, 5], "a2")
    assert dict(change.figures) == {"rewards_issued": 2 - 1, "reward_amount": 90_000 - 20_000}


def test_a_merge_takes_the_bonus_over_that_only_the_other_has() -> None:
    change = ledger.joined(program(Tier(2, 20_000)), standing(1), standing(2, tier2="b2"), {}, NOW, numbered())
    assert (change.rewards, dict(stands(change).bonuses)) == ([], {2: "b2"})


@pytest.mark.parametrize(("ours", "theirs"), [(1, 4), (4, 1)])
def test_a_tier_that_one_of_two_had_reached_before_it_was_set_is_not_crossed_by_their_merge(
    ours: int, theirs: int
) -> None:
    of = program(Tier(3, 30_000), Tier(5, 50_000))
    change = ledger.joined(of, standing(ours), standing(theirs), {}, NOW, numbered())
    assert bonuses(change) == [(5, 50_000, "issued")]


def test_of_two_bonuses_a_void_one_is_not_taken_back_twice() -> None:
    known = {"a2": bonus("a2", 2), "b2": bonus("b2", 2, "void")}
    change = ledger.joined(program(), standing(2, tier2="a2"), standing(2, tier2="b2"), known, NOW, numbered())
    assert (change.rewards, dict(change.figures)) == ([], {})


def test_a_merge_in_a_program_that_is_gone_adds_up_and_gives_nothing() -> None:
    change = ledger.joined(None, standing(1), standing(1), {}, NOW, numbered())
    assert (change.rewards, stands(change).conversions) == ([], 2)


def test_who_came_first_stays_so_in_a_merge() -> None:
    later = replace(standing(1), since=NOW + 9)
    for ours, theirs in ((standing(1), later), (later, standing(1))):
        assert stands(ledger.joined(None, ours, theirs, {}, NOW, numbered())).since == NOW


@pytest.mark.parametrize(
    ("conversions", "name"), [(0, None), (1, None), (2, "bronze"), (4, "Hero"), (5, "gold"), (99, "gold")]
)
def test_the_tier_of_a_count_is_the_highest_reached_by_its_own_name_or_its_place(
    conversions: int, name: str | None
) -> None:
    assert program(Tier(2, 0), Tier(4, 0, "Hero"), Tier(5, 0)).tier_name(conversions) == name


def test_tiers_beyond_the_five_names_go_by_their_number() -> None:
    tiers = tuple(Tier(n, 0) for n in range(1, 8))
    named = [tier_name(tiers, n) for n in range(7)]
    assert named == ["bronze", "silver", "gold", "platinum", "diamond", "tier 6", "tier 7"]


def test_a_program_without_tiers_has_none() -> None:
    assert program().tier_name(1_000) is None


def touch(at: int, link: str = "l1") -> Touch:
    return Touch(at, link, f"A-B-{link}", "alice")


@pytest.mark.parametrize(("second", "counts"), [(10, 0), (11, 11)])
def test_the_first_counts_to_the_last_millisecond_of_its_window(second: int, counts: int) -> None:
    found = counting([touch(second, "l2"), touch(0)], 10)
    assert found is not None
    assert found.at == counts


def test_after_its_window_the_next_counts_for_a_window_of_its_own() -> None:
    found = counting([touch(0), touch(11), touch(20), touch(21), touch(22)], 10)
    assert found == touch(22)
    assert counting([], 10) is None


@pytest.mark.parametrize(("later", "is_kept"), [(0, False), (clock.DAY - 1, False), (clock.DAY, True)])
def test_of_one_link_s_touches_one_a_day_is_kept(later: int, is_kept: bool) -> None:
    assert len(kept([touch(5)], touch(5 + later))) == 1 + is_kept


def test_an_earlier_touch_and_one_by_another_link_are_kept() -> None:
    assert kept([touch(5)], touch(4)) == (touch(4), touch(5))
    assert kept([touch(5)], touch(6, "l2")) == (touch(5), touch(6, "l2"))


def test_of_too_many_touches_the_earliest_are_kept() -> None:
    many = [touch(n * DAY) for n in range(1, MAX_TOUCHES + 1)]
    assert kept(many, touch(10**13)) == tuple(many)
    assert kept(many, touch(0)) == (touch(0), *many[:-1])
