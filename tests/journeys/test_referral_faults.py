"""What dies, comes twice or happens at once in referrals: the ledger is what one undisturbed run gives."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest

from chalicelib.core import clock, events
from chalicelib.features.referrals import service as referrals
from chalicelib.flows.referrals import attribute, convert, decide, follow_merge
from chalicelib.platform import outbox
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.workers import timers
from tests.support import pipeline
from tests.support.referral_world import ReferralWorld, assert_ledger_adds_up, merge_of, shown_lines

Flow = Callable[[Tenant, Sequence[DomainEvent]], None]
HOLD = 7 * clock.DAY
PAIR = [("referee", 15), ("referrer", 20)]
CALLS = {"comes": 12, "comes late": 23, "pays": 14, "one of two": 26, "oneself": 23, "two referrers": 19, "bounce": 12}
"""Calls of the table by which the bus does each."""

CALLS_OF_A_HOLD = 10


class Story:
    """What the bus is about to be told; `expected` are the lines of the ledger that are issued in the end."""

    def __init__(self, world: ReferralWorld, name: str, flow: Flow, expected: Sequence[tuple[str, int]]) -> None:
        self.world, self.flow, self.expected = world, flow, sorted(expected)
        records = world.table.records[world.done :]
        found = [event for record in records for event in outbox.told_by(record) if event.name == name]
        self.event = found[-1]

    def act(self) -> None:
        self.flow(self.world.tenant, [self.event])

    def check(self) -> None:
        """All that was told is told once more, and once more; then the ledger is as it should be."""
        self.world.settle()
        for _ in range(2):
            self.act()
            self.world.settle()
        assert shown_lines(self.world, "issued") == self.expected
        assert_ledger_adds_up(self.world)


def come(world: ReferralWorld, user: str, code: str) -> None:
    """As the world's, without anybody having heard of it."""
    world.receive({"user_id": user, "traits": {}, "context": {"referral_code": code}}, "identify")


def pay(world: ReferralWorld, user: str) -> None:
    world.receive({"user_id": user, "event": "paid"}, "track")


def referred(world: ReferralWorld, *users: str, by: str = "alice") -> str:
    """The code by which these have come, and paid."""
    code = world.link(world.contact(by))
    for user in users:
        world.come(user, code)
        world.track(user, "paid")
    return code


def comes(world: ReferralWorld) -> Story:
    come(world, "bob", referred(world))
    return Story(world, events.REFERRAL_NAMED, attribute.named, [])


def comes_late(world: ReferralWorld) -> Story:
    """What bob has paid is in the history when the bus hears who referred him."""
    code = referred(world)
    come(world, "bob", code)
    pay(world, "bob")
    return Story(world, events.REFERRAL_NAMED, attribute.named, PAIR)


def pays(world: ReferralWorld) -> Story:
    """The second to pay: alice gets a bonus."""
    code = referred(world, "rob")
    world.come("bob", code)
    pay(world, "bob")
    return Story(world, events.ACTIVITY_RECORDED, convert.on_activity, [*PAIR * 2, ("tier_bonus", 50)])


def one_of_two(world: ReferralWorld) -> Story:
    """Two who paid are one: the later conversion goes, with the bonus that it brought."""
    referred(world, "rob", "bob")
    merge_of(world, "rob", "bob")
    return Story(world, events.CONTACT_MERGED, follow_merge.run, PAIR)


def oneself(world: ReferralWorld) -> Story:
    referred(world, "rob", "bob")
    merge_of(world, "alice", "bob")
    return Story(world, events.CONTACT_MERGED, follow_merge.run, PAIR)


def two_referrers(world: ReferralWorld) -> Story:
    """Each has one conversion; together they reach the first tier."""
    referred(world, "rob")
    referred(world, "bob", by="carol")
    merge_of(world, "alice", "carol")
    return Story(world, events.CONTACT_MERGED, follow_merge.run, [*PAIR * 2, ("tier_bonus", 50)])


def bounce(world: ReferralWorld) -> Story:
    world.come("bob", referred(world), email="bob@example.com")
    world.track("bob", "paid")
    world.broadcast(world.segment())
    (posted,) = [each for each in world.office.taken if each.to == "bob@example.com"]
    world.tell(posted, "Bounce", settled=False, bounceType="Permanent", bounceSubType="General")
    return Story(world, events.MAIL_BOUNCED, decide.bounced, [])


STORIES: dict[str, Callable[[ReferralWorld], Story]] = {
    "comes": comes,
    "comes late": comes_late,
    "pays": pays,
    "one of two": one_of_two,
    "oneself": oneself,
    "two referrers": two_referrers,
    "bounce": bounce,
}
AT_EACH_CALL = pytest.mark.parametrize(
    ("name", "number", "after"),
    [(name, number, after) for name, calls in CALLS.items() for number in range(calls) for after in (False, True)],
)


def told(monkeypatch: pytest.MonkeyPatch, name: str) -> Story:
    """The story in a project of its own; what its mails are told of is a live one."""
    return STORIES[name](ReferralWorld(monkeypatch, is_test=name != "bounce"))


@pytest.mark.parametrize("name", STORIES)
def test_each_is_done_by_so_many_calls(engine: str, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The tests at each call rest on it."""
    story = told(monkeypatch, name)
    calls: list[str] = []
    story.world.table.on_call = calls.append
    story.act()
    story.world.table.on_call = lambda _name: None
    assert len(calls) == CALLS[name]
    story.check()


@AT_EACH_CALL
def test_a_bus_that_dies_at_a_call_leaves_the_ledger_of_an_undisturbed_run(
    engine: str, monkeypatch: pytest.MonkeyPatch, name: str, number: int, *, after: bool
) -> None:
    story = told(monkeypatch, name)
    with story.world.dying_at(number, after=after) as died, suppress(pipeline.Killed):
        story.act()
    assert died
    story.check()


@AT_EACH_CALL
def test_two_of_the_bus_with_the_same_event_leave_the_ledger_of_one(
    engine: str, monkeypatch: pytest.MonkeyPatch, name: str, number: int, *, after: bool
) -> None:
    """While the first is at one of its calls, the second does all of it."""
    story = told(monkeypatch, name)
    with story.world.halted_at(number, story.act, after=after) as halted:
        story.act()
    assert halted
    story.check()


@pytest.mark.parametrize(("number", "after"), [(n, after) for n in range(CALLS["pays"]) for after in (False, True)])
def test_of_two_who_pay_at_once_at_a_tier_s_threshold_one_brings_the_bonus(
    referring: ReferralWorld, number: int, *, after: bool
) -> None:
    code = referred(referring, "rob")
    referring.come("other", code)
    referring.come("bob", code)
    pay(referring, "other")
    first = Story(referring, events.ACTIVITY_RECORDED, convert.on_activity, [])
    pay(referring, "bob")
    second = Story(referring, events.ACTIVITY_RECORDED, convert.on_activity, [*PAIR * 3, ("tier_bonus", 50)])
    with referring.halted_at(number, first.act, after=after) as halted:
        second.act()
    assert halted
    second.check()


@pytest.fixture
def waiting(referring: ReferralWorld) -> ReferralWorld:
    """Two have paid, and all rewards wait for the end of their hold."""
    fields = {"limits": {"hold_days": HOLD // clock.DAY}}
    referring.ok(referring.client.patch(f"/v1/referrals/programs/{referring.program}", fields))
    referred(referring, "rob", "bob")
    assert shown_lines(referring, "pending") == sorted([*PAIR * 2, ("tier_bonus", 50)])
    return referring


def hold_end(world: ReferralWorld) -> Callable[[], None]:
    """The timer of the conversion that brought the bonus, which fires at its moment whenever this is called."""
    owner = referrals.conversion_timers(world.tenant, world.conversions()[-1]["id"])
    timed = [row for row in world.table.rows.values() if row["PK"] == owner and row.get("kind") == referrals.HOLD]
    (row,) = timed
    return lambda: timers.fire_due(world.tenant, owner, row["SK"].removeprefix("TIMER#"), row["moment"], row["moment"])


AT_EACH_CALL_OF_A_HOLD = pytest.mark.parametrize(
    ("number", "after"), [(number, after) for number in range(CALLS_OF_A_HOLD) for after in (False, True)]
)


def assert_all_was_given(world: ReferralWorld) -> None:
    end = world.now + HOLD
    world.advance(HOLD)
    assert shown_lines(world, "issued") == sorted([*PAIR * 2, ("tier_bonus", 50)])
    assert {row["issued_at"] for row in world.rewards()} == {clock.iso(end)}
    assert_ledger_adds_up(world)


def test_the_end_of_a_hold_is_done_by_so_many_calls(waiting: ReferralWorld) -> None:
    calls: list[str] = []
    end = hold_end(waiting)
    waiting.table.on_call = calls.append
    end()
    waiting.table.on_call = lambda _name: None
    assert len(calls) == CALLS_OF_A_HOLD
    assert_all_was_given(waiting)


@AT_EACH_CALL_OF_A_HOLD
def test_a_timer_s_worker_that_dies_at_a_call_gives_all_once(
    waiting: ReferralWorld, number: int, *, after: bool
) -> None:
    end = hold_end(waiting)
    with waiting.dying_at(number, after=after) as died, suppress(pipeline.Killed):
        end()
    assert died
    end()
    assert_all_was_given(waiting)


@AT_EACH_CALL_OF_A_HOLD
def test_two_workers_with_one_timer_give_all_once(waiting: ReferralWorld, number: int, *, after: bool) -> None:
    end = hold_end(waiting)
    with waiting.halted_at(number, end, after=after) as halted:
        end()
    assert halted
    assert_all_was_given(waiting)


@AT_EACH_CALL_OF_A_HOLD
def test_what_is_reversed_while_its_hold_ends_is_void(waiting: ReferralWorld, number: int, *, after: bool) -> None:
    end, made = hold_end(waiting), waiting.conversions()[-1]["id"]
    path = f"/v1/referrals/conversions/{made}/reverse"
    with waiting.halted_at(number, lambda: waiting.ok(waiting.client.post(path)), after=after) as halted:
        end()
    assert halted
    waiting.settle()
    assert shown_lines(waiting, "void") == sorted([*PAIR, ("tier_bonus", 50)])
    waiting.advance(HOLD)
    assert shown_lines(waiting, "issued") == PAIR
    assert_ledger_adds_up(waiting)
