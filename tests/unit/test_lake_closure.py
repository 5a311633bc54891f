"""Whose events are whose: the closure against a walk along the contacts' rows, as the table's own rule has it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.features.lake.closure import Edge, resolve

CONTACTS = ("a", "b", "c", "d", "e")
VISITORS = ("v", "w")


@st.composite
def edges(draw: st.DrawFn) -> list[Edge]:
    """Contacts that are merged into later ones or gone, and anonymous ids that went to later ones: none circle."""
    found: list[Edge] = []
    for n, contact in enumerate(CONTACTS):
        status = draw(st.sampled_from(("active", "active", "merged", "gone")))
        later = CONTACTS[n + 1 :]
        if status == "merged" and later:
            found.append(Edge(contact, "", draw(st.integers(1, 5)), "merged", draw(st.sampled_from(later))))
        elif status == "gone":
            found.append(Edge(contact, "", draw(st.integers(1, 5)), "gone", None))
        for visitor in VISITORS:
            if draw(st.booleans()) and later:
                found.append(Edge(contact, visitor, draw(st.integers(1, 5)), "ceded", draw(st.sampled_from(later))))
    return found


def walked(told: list[Edge], gone: set[str], contact: str, visitor: str | None) -> str | None:
    """Step by step: first an anonymous id that was lost, then a merge, then whether anybody is left."""
    ceded = {(each.contact_id, each.visitor): each.heir for each in told if each.status == "ceded"}
    merged = {each.contact_id: each.heir for each in told if each.status == "merged"}
    dead = gone | {each.contact_id for each in told if each.status == "gone"}
    at: str | None = contact
    while at is not None:
        if visitor is not None and (at, visitor) in ceded:
            at = ceded[at, visitor]
        elif at in dead:
            return None
        elif at in merged:
            at = merged[at]
        else:
            return at
    return None


@settings(max_examples=500)
@given(edges(), st.sets(st.sampled_from(CONTACTS), max_size=2))
def test_each_event_has_the_owner_that_a_walk_finds(told: list[Edge], gone: set[str]) -> None:
    moved = {(each.contact_id, each.visitor): each.owner for each in resolve(told, gone)}
    for contact in CONTACTS:
        for visitor in (None, *VISITORS):
            default = moved.get((contact, ""), contact)
            found = default if visitor is None else moved.get((contact, visitor), default)
            assert found == walked(told, gone, contact, visitor), (contact, visitor)


def test_the_latest_row_of_a_contact_counts() -> None:
    told = [Edge("a", "v", 3, "ceded", "a"), Edge("a", "v", 2, "ceded", "b")]
    assert [tuple(each) for each in resolve(told, [])] == [("a", "v", "a")]


def test_what_went_and_came_home_is_at_home_though_the_rows_circle() -> None:
    told = [Edge("a", "v", 2, "ceded", "b"), Edge("b", "v", 5, "ceded", "a")]
    assert {each.owner for each in resolve(told, []) if each.contact_id == "a"} == {"a"}


def test_nobody_is_told_of_where_all_are_who_they_are() -> None:
    assert resolve([], []) == []
