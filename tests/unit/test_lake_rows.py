"""Rows of the lake: what of a contact's change is told, and what flat values find."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import strict_json
from chalicelib.core.flat import flat, number_text
from chalicelib.core.rules.values import find, same
from chalicelib.features.lake import rows

CONTACT: dict[str, Any] = {
    "id": "cntct_a",
    "status": "active",
    "version": 3,
    "traits": '{"plan":"pro"}',
    "last_seen_at": 5,
    "parts": '[5,["a:v",0,5]]',
}
KEYS = st.sampled_from(["a", "b", "a.b", "a.b.c", "b.c", "", ".", "ü", '"'])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS | st.lists(SCALARS, max_size=2), lambda inner: st.dictionaries(KEYS, inner, max_size=3))


def told(new: dict[str, Any] | None, old: dict[str, Any] | None) -> list[tuple[str, str, Any]]:
    changes = rows.changes("proj_p", "cntct_a", new, old, 7)
    return [(each["visitor"], each["status"], each["heir"]) for each in changes]


def paths(values: dict[str, Any], before: str = "") -> set[str]:
    """All ways of keys through objects."""
    found: set[str] = set()
    for key, value in values.items():
        found.add(before + key)
        if isinstance(value, dict):
            found |= paths(value, f"{before}{key}.")
    return found


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_flat_values_are_those_that_rules_find(values: dict[str, Any]) -> None:
    text = flat(values)
    found = strict_json.stored(text) if text is not None else {}
    for path in paths(values) | set(found):
        value = find(values, path)
        if isinstance(value, str | int | float):
            assert same(found[path], value)
        else:
            assert path not in found


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False), st.data())
def test_equal_numbers_have_one_text_and_others_another(number: float, data: st.DataObject) -> None:
    other = data.draw(st.sampled_from([number, number + 1, -number, int(number), float(min(abs(number), 1e300))]))
    assert (number_text(number) == number_text(other)) == (number == other) or number == 0 == other


def test_a_new_contact_is_told_of() -> None:
    assert told(CONTACT, None) == [("", "active", None)]


def test_one_that_was_only_seen_is_not() -> None:
    assert told(CONTACT | {"version": 4, "last_seen_at": 6}, CONTACT) == []


def test_other_traits_are() -> None:
    assert told(CONTACT | {"version": 4, "traits": '{"plan":"free"}'}, CONTACT) == [("", "active", None)]


def test_a_merge_names_the_heir_and_no_traits() -> None:
    (row,) = rows.changes("p", "cntct_a", CONTACT | {"status": "merged", "merged_into": "cntct_b"}, CONTACT, 7)
    assert (row["status"], row["heir"], row["traits"]) == ("merged", "cntct_b", None)


def test_deleted_purged_and_removed_ones_are_gone() -> None:
    for status in ("deleted", "purging", "purged"):
        assert told(CONTACT | {"status": status}, CONTACT) == [("", "gone", None)]
    (row,) = rows.changes("p", "cntct_a", None, CONTACT, 7)
    assert (row["status"], row["version"] > CONTACT["version"]) == ("gone", True)


def test_an_anonymous_id_that_is_lost_is_told_with_who_has_it() -> None:
    lost = CONTACT | {"version": 4, "ceding": {"v": "cntct_b"}, "parts": "[5]"}
    assert told(lost, CONTACT) == [("v", "ceded", "cntct_b")]
    assert told(lost | {"version": 5}, lost) == []
    moved_on = lost | {"version": 5, "ceding": {"v": "cntct_c"}}
    assert told(moved_on, lost) == [("v", "ceded", "cntct_c")]


def test_that_its_rows_were_moved_tells_nothing_and_that_it_came_home_does() -> None:
    lost = CONTACT | {"ceding": {"v": "cntct_b"}, "parts": "[5]"}
    forgotten = {name: value for name, value in lost.items() if name != "ceding"} | {"version": 4}
    assert told(forgotten, lost) == []
    assert told(CONTACT | {"version": 4}, lost) == [("v", "ceded", "cntct_a")]


def test_the_same_rows_have_one_name_in_any_order_and_others_another() -> None:
    event = {"event_id": "evt_1"}
    states = list(rows.changes("p", "cntct_a", CONTACT, None, 7))
    one = rows.digest(rows.Rows([event, {"event_id": "evt_2"}], states))
    assert one == rows.digest(rows.Rows([{"event_id": "evt_2"}, event], states))
    assert one != rows.digest(rows.Rows([event], states))
    assert one != rows.digest(rows.Rows([event, {"event_id": "evt_2"}], []))
