"""Where a run comes to next, whatever becomes of the steps, and which of two runs goes on after a merge."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import clock
from chalicelib.features.campaigns.model import (
    Campaign,
    Cause,
    Run,
    Step,
    is_after,
    joined,
    keyed,
    moved_on,
    next_step,
)

_CAUSE = Cause("evt_01j8x2m4k00000000000000000", 1_000, "signed_up")


def _campaign(*step_ids: str) -> Campaign:
    steps = tuple(Step(each, n * clock.DAY, "tmpl_1") for n, each in enumerate(step_ids))
    return Campaign("cmpgn_1", "Onboarding", "lifecycle", "active", steps, 0, 0)


def _run(campaign: Campaign, *done: str, **more: object) -> Run:
    run = Run("run", "cntct_1", campaign.id, _CAUSE, 1_000, 1_000, 1_000)
    for each in done:
        run = run.handled(each, campaign.index(each) or 0, 5_000)
    return replace(run, **more)  # type: ignore[arg-type]


def _next(campaign: Campaign, run: Run) -> str | None:
    following = next_step(campaign, run)
    return None if following is None else following[1].id


def test_steps_come_in_their_order() -> None:
    campaign = _campaign("a", "b", "c")
    assert [_next(campaign, _run(campaign, *done)) for done in ((), "a", "ab", "abc")] == ["a", "b", "c", None]


@pytest.mark.parametrize(
    ("now", "after_a_and_b"),
    [
        (("a", "b", "new", "c"), "new"),  # put behind where the contact stands
        (("new", "a", "b", "c"), "c"),  # put before it: the contact is past it
        (("a", "c"), "c"),  # the step that it has got last is gone
        (("c", "a", "b"), None),  # what comes after it was put before it
        (("b", "a", "c"), "c"),  # never twice, though it stands after the last one
        (("x", "y", "z"), "y"),  # all others: it goes on where the last one stood
        (("x",), None),
    ],
)
def test_a_changed_campaign_keeps_contacts_in_their_place(now: tuple[str, ...], after_a_and_b: str | None) -> None:
    before = _campaign("a", "b", "c")
    run = _run(before, "a", "b")
    assert _next(_campaign(*now), run) == after_a_and_b


@given(
    first=st.lists(st.sampled_from("abcdef"), unique=True, min_size=1),
    later=st.lists(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1), max_size=4),
)
def test_no_step_is_ever_handled_twice_however_often_they_are_changed(first: list[str], later: list[list[str]]) -> None:
    run = _run(_campaign(*first))
    seen: list[str] = []
    for steps in [first, *later]:
        campaign = _campaign(*steps)
        following = next_step(campaign, run)
        if following is not None:
            index, step = following
            seen.append(step.id)
            run = run.handled(step.id, index, 1)
    assert len(seen) == len(set(seen))


def test_the_next_step_is_due_by_its_delay_after_the_one_before_as_it_really_happened() -> None:
    campaign = _campaign("a", "b")
    run = moved_on(campaign, _run(campaign).handled("a", 0, 7_000, claimed="msg_1"))
    assert (run.due_at, run.status, run.happened) == (7_000 + clock.DAY, "running", frozenset({"sent"}))
    assert moved_on(campaign, run.handled("b", 1, 9_000)).status == "completed"


def test_a_step_held_back_is_due_when_it_was_told_to_wait_for() -> None:
    campaign = _campaign("a", "b")
    held = _run(campaign).waiting("a", 90_000, "campaign")
    assert moved_on(campaign, held).due_at == 90_000
    assert [held.has_turn("a", "campaign", at) for at in (89_999, 90_000, 94_999, 95_000)] == [
        False,
        True,
        True,
        False,
    ]
    assert not held.has_turn("b", "campaign", 90_000)
    assert not held.has_turn("a", "account", 90_000)
    assert _run(campaign).waiting("a", 90_000, "account").has_turn("a", "campaign", 90_000)
    assert not _run(campaign).waiting("a", 90_000, None).has_turn("a", "campaign", 90_000)
    assert moved_on(_campaign("b", "a"), held).due_at == 1_000  # it was held for another step


def test_of_two_runs_the_further_goes_on_and_nothing_is_handled_again() -> None:
    campaign = _campaign("a", "b", "c", "d")
    ours = _run(campaign, "a", id="ours", version=4, number=2, happened=frozenset({"sent"}))
    theirs = _run(campaign, "a", "b", id="theirs", contact_id="cntct_2", happened=frozenset({"opened"}))
    stays = joined(campaign, ours, theirs)
    assert (stays.id, stays.contact_id, stays.version, stays.number) == ("theirs", "cntct_1", 4, 2)
    assert _next(campaign, stays) == "c"
    assert stays.happened == {"sent", "opened"}


def test_a_run_that_has_come_to_the_end_is_the_further_one() -> None:
    campaign = _campaign("a", "b")
    ours = _run(campaign, "a", id="ours")
    theirs = _run(campaign, "a", "b", id="theirs").ended("completed")
    assert joined(campaign, ours, theirs).status == "completed"
    assert joined(campaign, ours, _run(campaign, "a", id="theirs")).id == "ours"


def test_what_only_the_run_that_ends_has_handled_is_not_handled_by_the_other() -> None:
    campaign = _campaign("a", "b", "c", "d")
    behind = _run(_campaign("c", "a", "b", "d"), "c", "a", id="theirs")
    further = _run(campaign, "a", "b", id="ours")
    assert (_next(campaign, behind), _next(campaign, further)) == ("b", "c")
    assert _next(campaign, joined(campaign, further, behind)) == "d"


def test_a_step_without_an_id_takes_that_of_the_step_in_its_place() -> None:
    before = _campaign("a", "b", "c").steps
    step = Step("", 0, "tmpl_2")
    steps = keyed([(None, step), ("c", step), (None, step), (None, step)], before)
    assert [each.id for each in steps][:2] == ["a", "c"]
    assert len({each.id for each in steps}) == 4
    assert steps[2].id not in {"a", "b", "c"}


def test_between_equal_moments_the_order_of_receipt_decides_what_came_after() -> None:
    earlier, later = "evt_01j8x2m4j00000000000000000", "evt_01j8x2m4m00000000000000000"
    assert is_after(_CAUSE, later, 1_000)
    assert not is_after(_CAUSE, earlier, 1_000)
    assert is_after(_CAUSE, earlier, 1_001)
    assert not is_after(_CAUSE, later, 999)
    assert not is_after(_CAUSE, _CAUSE.id, _CAUSE.moment)
