"""The fold of what is said of a contact, against an oracle that looks at everything at once."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import strict_json
from chalicelib.core.events import FIRST_TOUCH, LAST_TOUCH
from chalicelib.features.contacts import fold, packing
from chalicelib.features.contacts.model import (
    MAX_TRAIT_BYTES,
    MAX_TRAIT_KEYS,
    Contact,
    Stamp,
)

KEYS = ("plan", "name")


@dataclass(frozen=True)
class Said:
    """One statement as it was received: `receipt` is its place in that order."""

    receipt: int
    moment: int
    key: str
    value: int | None
    message_id: str | None
    by_api: bool

    @property
    def stamp(self) -> Stamp:
        given = self.message_id is not None and not self.by_api
        return Stamp(self.moment, not given, self.message_id or "" if given else "", f"{self.receipt:026d}")


CORE = "cntct_x"


def contact() -> Contact:
    return Contact(id=CORE, created_at=0, updated_at=0)


def fold_in(statements: list[Said]) -> Contact:
    person = contact()
    for said in statements:
        if said.by_api:
            fold.settle_traits(person, {said.key: said.value}, said.stamp)
        else:
            fold.merge_traits(person, CORE, {said.key: said.value}, said.stamp)
    return person


def oracle(statements: list[Said]) -> dict[str, int]:
    """The value of each key by the contract: nothing before the last API call counts, then the greatest stamp."""
    traits = {}
    for key in KEYS:
        about = [said for said in statements if said.key == key]
        floor = max((said.receipt for said in about if said.by_api), default=-1)
        counting = [said for said in about if said.receipt >= floor]
        if counting:
            winner = max(
                counting,
                key=lambda s: (s.moment, s.stamp.server_made, s.stamp.message_id, s.receipt),
            )
            if winner.value is not None:
                traits[key] = winner.value
    return traits


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Said], list[Said]]:
    """Statements in the order of receipt, and an order in which they may be worked on.

    The API acts at its receipt, so it is never overtaken by what is received after it.
    """
    statement = st.tuples(
        st.integers(0, 6),
        st.sampled_from(KEYS),
        st.none() | st.integers(0, 9),
        st.none() | st.sampled_from("abc"),
        st.booleans(),
    )
    received = [
        Said(receipt, *fields) for receipt, fields in enumerate(draw(st.lists(statement, min_size=1, max_size=12)))
    ]
    ahead = {said.receipt: draw(st.integers(0, 12)) for said in received if not said.by_api}
    worked = sorted(received, key=lambda said: (said.receipt + ahead.get(said.receipt, 0), not said.by_api))
    return received, worked


@given(histories())
def test_traits_end_the_same_in_every_order_of_work(history: tuple[list[Said], list[Said]]) -> None:
    received, worked = history
    assert fold_in(worked).traits == oracle(received)


@given(st.permutations(range(6)), st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_first_touch_is_the_earliest_and_last_touch_the_latest_in_every_order(
    order: list[int], moments: list[int]
) -> None:
    person = contact()
    stamps = [Stamp(moment, True, "", f"{n}") for n, moment in enumerate(moments)]
    for n in order:
        fold.touch(person, CORE, {"source": str(n), "ignored": n}, stamps[n])
    by_stamp = sorted(range(6), key=lambda n: (moments[n], n))
    assert person.traits[FIRST_TOUCH] == {"source": str(by_stamp[0])}
    assert person.traits[LAST_TOUCH] == {"source": str(by_stamp[-1])}


def test_the_501st_key_overflows_and_the_rest_stays() -> None:
    person = contact()
    stamp = Stamp(1, True, "", "1")
    _, overflow = fold.merge_traits(person, CORE, {f"k{n}": n for n in range(MAX_TRAIT_KEYS + 1)}, stamp)
    assert overflow == [f"k{MAX_TRAIT_KEYS}"]
    assert len(person.traits) == MAX_TRAIT_KEYS


def test_a_value_that_does_not_fit_overflows_and_a_smaller_one_after_it_is_kept() -> None:
    person = contact()
    traits = {f"k{n}": "x" * 10_000 for n in range(6)} | {"big": "x" * 10_000, "small": 1}
    _, overflow = fold.merge_traits(person, CORE, traits, Stamp(1, True, "", "1"))
    assert overflow == ["big"]
    assert person.traits["small"] == 1
    assert len(strict_json.dumps(person.traits)) <= MAX_TRAIT_BYTES + 100


def test_a_removed_trait_is_not_brought_back_by_an_older_value() -> None:
    person = contact()
    fold.merge_traits(person, CORE, {"plan": None}, Stamp(2, True, "", "2"))
    fold.merge_traits(person, CORE, {"plan": "old"}, Stamp(1, True, "", "1"))
    assert person.traits == {}


def test_memory_of_removed_traits_is_bounded() -> None:
    person = contact()
    for n in range(3 * MAX_TRAIT_KEYS):
        fold.merge_traits(person, CORE, {f"k{n}": None}, Stamp(n, True, "", f"{n:05d}"))
    assert len(person.parts[CORE].says) == 2 * MAX_TRAIT_KEYS


@pytest.mark.parametrize("filling", ["é" * 125, '"' * 250, "m" * 250])
def test_whatever_is_said_of_a_contact_its_row_stays_below_what_the_table_takes(filling: str) -> None:
    person = contact()
    for n in range(1500):
        key, message_id = f"{n:05d}{filling}", f"{n:05d}" + '"' * 251
        fold.merge_traits(person, CORE, {key: "x" * 100 if n % 3 else None}, Stamp(n, False, message_id, f"{n:026d}"))
        fold.touch(person, CORE, {"source": '"' * 10_000}, Stamp(n, False, message_id, f"{n:026d}"))
        fold.join_group(person, CORE, f"{n:05d}{filling}", n)
    assert written(person) < 350_000
    fold.settle_traits(person, {f"{n:05d}{filling}": None for n in range(500)}, Stamp(2000, True, "", "2" * 26))
    assert written(person) < 350_000


def test_one_call_of_the_api_that_removes_500_long_names_fits() -> None:
    person = contact()
    fold.settle_traits(person, {f"{n:04d}" + '"' * 252: None for n in range(500)}, Stamp(1, True, "", "1" * 26))
    assert written(person) < 350_000


def written(person: Contact) -> int:
    """Bytes of all that grows in a contact's row."""
    return sum(len(text.encode()) for text in packing.pack(person).values() if text is not None)


def test_what_a_call_removes_makes_room_for_what_it_sets() -> None:
    person = contact()
    fold.merge_traits(person, CORE, {f"k{n}": n for n in range(MAX_TRAIT_KEYS)}, Stamp(1, True, "", "1"))
    _, overflow = fold.merge_traits(person, CORE, {"new": 1, "k0": None}, Stamp(2, True, "", "2"))
    assert overflow == []
    assert person.traits["new"] == 1


def test_true_and_one_are_different_values() -> None:
    person = contact()
    fold.merge_traits(person, CORE, {"flag": 1}, Stamp(1, True, "", "1"))
    changed, _ = fold.merge_traits(person, CORE, {"flag": True}, Stamp(2, True, "", "2"))
    assert changed == {"flag"}
    assert person.traits["flag"] is True


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), max_size=8).flatmap(st.permutations))
def test_groups_are_joined_at_the_earliest_moment_told(joins: list[tuple[str, int]]) -> None:
    person = contact()
    for group_id, moment in joins:
        fold.join_group(person, CORE, group_id, moment)
    told = {group_id: min(m for g, m in joins if g == group_id) for group_id, _ in joins}
    assert {group.id: group.joined_at for group in person.groups} == told
