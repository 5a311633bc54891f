"""The board of a program with thousands of referrers, page after page, while conversions come in."""

import random
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core import ids
from chalicelib.features.contacts import store as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.model import Standing
from chalicelib.platform import table
from tests.support.referral_world import ReferralWorld

MANY = 5_000
START = 1_800_000_000_000
PATH = "/v1/referrals/leaderboard"


class Board:
    """What stands on the board, and where by the contract's words: conversions, then referrals, then who came first."""

    def __init__(self, world: ReferralWorld, count: int) -> None:
        self.world = world
        self.rng = random.Random(7)
        self.standings: dict[str, Standing] = {}
        first_moments = self.rng.sample(range(START, START + 10 * count), count)
        for since in first_moments:
            conversions = min(self.rng.randrange(40), self.rng.randrange(40))
            self.add(since, conversions, conversions + self.rng.randrange(3))

    def add(self, since: int, conversions: int, made: int) -> str:
        who = ids.new_id("cntct")
        table.write(contacts.save(self.world.tenant, Contact(who, since, since, email=f"{who}@example.com")))
        self.save(Standing(self.world.program, who, since, made, conversions))
        return who

    def save(self, after: Standing) -> None:
        table.write(referrals.save_standing(self.world.tenant, after))
        self.standings[after.contact_id] = replace(after, version=after.version + 1)

    def place(self, who: str) -> tuple[int, int, int]:
        """The greater the higher up."""
        stands = self.standings[who]
        return stands.conversions, stands.referrals, -stands.since

    def expected(self) -> list[str]:
        shown = [who for who, stands in self.standings.items() if stands.referrals or stands.conversions]
        return sorted(shown, key=self.place, reverse=True)

    def page(self, limit: int, cursor: str | None) -> dict[str, Any]:
        query = {"program_id": self.world.program, "limit": str(limit)}
        page: dict[str, Any] = self.world.get(PATH, **query | ({} if cursor is None else {"cursor": cursor}))
        return page

    def walk(self, limit: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = self.page(limit, cursor)
            assert len(page["data"]) == limit or not page["has_more"], "a short page"
            rows += page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return rows


@pytest.fixture
def board(referring: ReferralWorld) -> Board:
    return Board(referring, 300)


def who(rows: list[dict[str, Any]]) -> list[str]:
    return [row["contact_id"] for row in rows]


def ranks(rows: list[dict[str, Any]]) -> list[int]:
    return [row["rank"] for row in rows]


def test_5_000_referrers_have_consecutive_ranks_that_stay_while_nothing_happens(referring: ReferralWorld) -> None:
    board = Board(referring, MANY)
    rows = board.walk(100)
    assert who(rows) == board.expected()
    assert ranks(rows) == list(range(1, len(rows) + 1))
    assert board.walk(99) == rows


@pytest.mark.parametrize("seed", range(3))
def test_of_5_000_nobody_who_does_not_cross_the_cursor_is_missed_or_shown_twice(
    referring: ReferralWorld, seed: int
) -> None:
    board = Board(referring, MANY)
    rng = random.Random(seed)
    names, on_it = list(board.standings), set(board.expected())
    crossed, rows = set[str](), list[dict[str, Any]]()
    cursor: str | None = None
    while True:
        page = board.page(100, cursor)
        rows += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        # A row is shown as it was read: where it stood then is where the next page goes on.
        last = board.place(rows[-1]["contact_id"])
        for name in rng.sample(names, 40):
            before, stands = board.place(name), board.standings[name]
            more = rng.choice([1, 1, 1, -1]) if stands.conversions else 1
            made = max(stands.referrals, stands.conversions + more)
            board.save(replace(stands, conversions=stands.conversions + more, referrals=made))
            if (before >= last) != (board.place(name) >= last):
                crossed.add(name)
    shown = who(rows)
    assert ranks(rows) == list(range(1, len(rows) + 1))
    fixed = on_it & set(board.expected()) - crossed
    seen = [name for name in shown if name in fixed]
    assert len(seen) == len(set(seen))
    assert fixed == set(seen)
    assert 0 < len(crossed) < MANY // 10


def test_of_equals_who_came_first_is_first(referring: ReferralWorld) -> None:
    board = Board(referring, 0)
    late, early, middle = (board.add(START + at, 2, 3) for at in (9, 1, 5))
    more, fewer = board.add(START + 20, 2, 4), board.add(START, 2, 2)
    assert who(board.walk(2)) == [more, early, middle, late, fewer]


def test_conversions_stand_above_any_number_of_referrals(referring: ReferralWorld) -> None:
    board = Board(referring, 0)
    many, few = board.add(START, 1, 900_000), board.add(START + 1, 2, 2)
    tens, nine = board.add(START, 10, 10), board.add(START, 9, 99)
    assert who(board.walk(100)) == [tens, nine, few, many]


def test_who_has_referred_nobody_any_more_is_not_on_it(board: Board) -> None:
    gone = board.expected()[17]
    board.save(replace(board.standings[gone], conversions=0, referrals=0))
    rows = board.walk(50)
    assert gone not in who(rows)
    assert who(rows) == board.expected()
    assert ranks(rows) == list(range(1, len(rows) + 1))


def test_those_who_are_deleted_leave_no_gap_in_ranks_or_pages(board: Board) -> None:
    left = board.expected()
    for gone in left[5:125:3]:
        board.world.client.delete(f"/v1/contacts/{gone}")
        board.standings.pop(gone)
    rows = board.walk(20)
    assert who(rows) == board.expected()
    assert ranks(rows) == list(range(1, len(rows) + 1))


def test_another_program_s_referrers_are_on_another_board(board: Board) -> None:
    other = board.world.made()
    name = next(iter(board.standings))
    table.write(referrals.save_standing(board.world.tenant, Standing(other, name, START, 1, 1)))
    assert who(board.world.board(other)) == [name]
    assert who(board.walk(100)) == board.expected()


def test_a_tier_is_shown_by_what_the_program_says_now(referring: ReferralWorld) -> None:
    board = Board(referring, 0)
    for conversions in (5, 2, 1):
        board.add(START, conversions, conversions)
    assert [row["tier"] for row in board.walk(100)] == ["silver", "bronze", None]
    tiers = [{"referrals": 1, "name": "Fan"}, {"referrals": 5}]
    referring.ok(referring.client.patch(f"/v1/referrals/programs/{referring.program}", {"tiers": tiers}))
    assert [row["tier"] for row in board.walk(100)] == ["silver", "Fan", "Fan"]
