"""What is packed into a contact's row comes out as it was, and most contacts pay nothing for what they do not have."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.features.contacts import fold, kinship, packing
from chalicelib.features.contacts.model import Alias, Contact, Merge, Stamp

stamps = st.builds(Stamp, st.integers(0, 9), st.booleans(), st.text(max_size=3), st.text("012", min_size=1, max_size=3))
values = st.none() | st.integers(0, 3) | st.sampled_from(["a@x.io", " A@X.io ", "b@x.io"])
traits = st.dictionaries(st.sampled_from(["email", "plan", "$x"]), values, max_size=3)


@st.composite
def contacts(draw: st.DrawFn) -> Contact:
    contact = Contact(id="cntct_x", created_at=0, updated_at=0)
    for user, core in draw(st.dictionaries(st.sampled_from("uv"), st.sampled_from(["cntct_x", "cntct_y"]))).items():
        contact.users[user] = core
    if draw(st.booleans()):
        contact.merges = [Merge(draw(stamps), "prefer_source", "cntct_x", "cntct_y")]
    contact.aliases = [Alias(stamp, "v", "u") for stamp in draw(st.lists(stamps, max_size=2))]
    for name in draw(st.lists(st.sampled_from(["cntct_x", "cntct_y", "a:1", "a:2"]), max_size=6)):
        part = (
            name
            if not name.startswith("a:")
            else kinship.part_of(contact, name[2:], draw(st.sampled_from(["cntct_x", "cntct_y"])))
        )
        fold.merge_traits(contact, part, draw(traits), draw(stamps))
        fold.join_group(contact, part, draw(st.sampled_from("gh")), draw(st.integers(0, 9)))
        fold.touch(contact, part, {"source": draw(st.sampled_from("st"))}, draw(stamps))
        fold.see(contact, part, draw(st.integers(0, 9)))
        if draw(st.booleans()):
            fold.settle_traits(contact, draw(traits), draw(stamps))
    fold.settle(contact)
    return contact


@given(contacts())
def test_a_contact_comes_out_of_its_row_as_it_went_in(contact: Contact) -> None:
    row = {name: text for name, text in packing.pack(contact).items() if text is not None}
    read = replace(contact, parts={}, stands={}, users={}, aliases=[], merges=[])
    packing.unpack(read, row)
    assert read.stands == contact.stands
    assert (read.users, read.aliases, read.merges) == (contact.users, contact.aliases, contact.merges)
    for name, part in contact.parts.items():
        assert read.parts[name] == part
    assert all(not part.says and part.seen is None for name, part in read.parts.items() if name not in contact.parts)


def test_a_contact_of_one_part_has_nothing_in_its_row_but_traits_stamps_and_groups() -> None:
    contact = Contact(id="cntct_x", created_at=0, updated_at=0, external_id="u", users={"u": "cntct_x"})
    fold.merge_traits(contact, "cntct_x", {"email": "a@x.io", "plan": 1}, Stamp(1, False, "m", "r"))
    fold.see(contact, "cntct_x", 1)
    assert names(packing.pack(contact)) == {"traits", "stamps"}


def names(attrs: dict[str, Any]) -> set[str]:
    return {name for name, value in attrs.items() if value is not None}
