"""What is decided of entries without asking anybody: which joins are counted together, and who stays."""

import pytest

from chalicelib.core import clock, ids
from chalicelib.features.waitlists.model import Entry, heir, joins_before, with_join
from chalicelib.platform import entry_tokens
from chalicelib.platform.entry_tokens import Named
from chalicelib.platform.keys import Tenant
from chalicelib.platform.token_text import BadToken

NOW = 1_770_000_000_000
TENANT = Tenant("proj_one")


@pytest.mark.parametrize(
    ("moments", "count"),
    [
        ([NOW] * 9, 9),
        ([NOW - clock.DAY] * 10, 0),
        ([NOW - clock.DAY + 1] * 10, 10),
        ([NOW - clock.DAY, *[NOW - 5] * 9], 9),
        ([NOW + 1], 0),
    ],
)
def test_joins_from_one_place_count_for_a_day(moments: list[int], count: int) -> None:
    assert joins_before(moments, NOW) == count


def test_of_the_joins_from_one_place_the_last_ones_are_kept() -> None:
    moments: list[int] = []
    for n in range(50):
        moments = with_join(moments, NOW + (n * 37) % 50)
    assert moments == [NOW + n for n in range(40, 50)]


def test_a_ulid_follows_another_machines_whose_clock_goes_before() -> None:
    ahead = ids.new_ulid()
    ahead = ids.ulid_after("1" + ahead[1:])
    following = ids.ulid_after(ahead)
    assert following > ahead
    assert len(following) == 26
    assert ids.ulid_after("0" * 26) > "0" * 26


@pytest.mark.parametrize(("ours_is_better", "stays"), [(True, "ours"), (False, "theirs")])
def test_of_two_who_wait_the_better_place_stays_and_has_what_both_had(stays: str, *, ours_is_better: bool) -> None:
    ours = Entry("ours", "wl", "cntct_heir", NOW, ("A",), leaf="x", referral_count=2, welcome=("cntct_heir", "msg_1"))
    theirs = Entry("theirs", "wl", "cntct_gone", NOW, ("B",), leaf="y", referral_count=3)
    kept, gone = heir(ours, theirs, ours_is_better)
    assert (kept.id, kept.contact_id, kept.referral_count) == (stays, "cntct_heir", 5)
    assert (sorted(kept.codes), kept.welcome) == (["A", "B"], ("cntct_heir", "msg_1"))
    assert {kept.id, gone.id} == {"ours", "theirs"}


def test_a_token_is_read_for_its_own_waitlist_and_project_only(table: str) -> None:
    entry = ids.new_id("wl_entry")
    token = entry_tokens.make(TENANT, "wl_one", entry)
    assert entry_tokens.read(token, TENANT, "wl_one") == entry
    for tenant, waitlist in ((TENANT, "wl_two"), (Tenant("proj_two"), "wl_one")):
        with pytest.raises(BadToken):
            entry_tokens.read(token, tenant, waitlist)
    assert entry_tokens.make(TENANT, "wl_one", entry) != token


def test_a_pages_token_says_all_that_there_is_and_a_widgets_is_none(table: str) -> None:
    named = Named(Tenant(ids.new_id("proj")), ids.new_id("wl"), ids.new_id("wl_entry"))
    token = entry_tokens.make_for_page(named)
    assert entry_tokens.read_of_page(token) == named
    with pytest.raises(BadToken):
        entry_tokens.read(token, named.tenant, named.waitlist_id)
    with pytest.raises(BadToken):
        entry_tokens.read_of_page(entry_tokens.make(named.tenant, named.waitlist_id, named.entry_id))
