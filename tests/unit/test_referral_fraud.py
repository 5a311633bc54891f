"""Each reason that speaks against a conversion: a case that it catches, and one that looks alike and is none."""

from typing import Any

import pytest

from chalicelib.features.referrals.fraud import Evidence, Known, canonical, is_disposable, is_self, phone, reasons
from chalicelib.features.referrals.model import REVIEW_SCORE, Limits


def known(*emails: str, **others: Any) -> Known:
    sets: dict[str, Any] = {name: value if name == "phone" else frozenset(value) for name, value in others.items()}
    return Known(emails=frozenset(emails), **sets)


ALICE, BOB = known("alice@acme.io"), known("bob@corp.io")


def names(referrer: Known = ALICE, referred: Known = BOB, **others: Any) -> list[str]:
    return [reason.name for reason in reasons(Evidence(referrer, referred, **others))]


def score(referrer: Known = ALICE, referred: Known = BOB, **others: Any) -> int:
    return sum(reason.score for reason in reasons(Evidence(referrer, referred, **others)))


def test_two_who_have_nothing_in_common_have_nothing_against_them() -> None:
    assert names(took=60_000) == []


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"phone": "4915112345678"}, {"phone": "4915112345678"}),
        ({"devices": ["d1", "d2"]}, {"devices": ["d2"]}),
    ],
)
def test_one_telephone_or_one_device_is_one_person(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    referrer, referred = known("alice@acme.io", **ours), known("bob@corp.io", **theirs)
    assert names(referrer, referred) == ["same_person"]
    assert score(referrer, referred) >= REVIEW_SCORE


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"phone": "4915112345678"}, {"phone": "4915112345679"}),
        ({"phone": None}, {"phone": None}),
        ({"phone": "4915112345678"}, {"devices": ["4915112345678"]}),
        ({"devices": ["d1"]}, {"devices": ["d11"]}),
        ({"devices": []}, {"devices": []}),
    ],
)
def test_another_telephone_or_another_device_is_another_person(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert names(known("alice@acme.io", **ours), known("bob@corp.io", **theirs)) == []


@pytest.mark.parametrize("text", ["+49 151 123-45678", "0049 (151) 12345678", "4915112345678"])
def test_a_telephone_number_is_the_same_however_it_is_written(text: str) -> None:
    assert phone(text) == "4915112345678"


@pytest.mark.parametrize(
    "value", ["", "123456", "call me", "00 12345", None, 4915112345678, ["4915112345678"], "٠١٢٣٤٥٦٧٨٩"]
)
def test_what_can_be_no_telephone_number_is_none(value: object) -> None:
    assert phone(value) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@acme.io", "ann+friend@acme.io"),
        ("ann+a@acme.io", "ann+b@acme.io"),
        ("ann@acme.io", "ann+a+b@acme.io"),
        ("ann.lee@gmail.com", "annlee@gmail.com"),
        ("a.n.n.lee@gmail.com", "annlee@googlemail.com"),
        ("ann.lee+x@googlemail.com", "annlee@gmail.com"),
    ],
)
def test_two_spellings_of_one_mailbox_are_told(one: str, other: str) -> None:
    for ours, theirs in ((one, other), (other, one)):
        assert names(known(ours), known(theirs)) == ["email_variant"]
        assert score(known(ours), known(theirs)) >= REVIEW_SCORE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann.lee@acme.io", "annlee@acme.io"),
        ("ann.lee@notgmail.com", "annlee@notgmail.com"),
        ("ann.lee@mail.gmail.com", "annlee@mail.gmail.com"),
        ("ann@acme.io", "ann@corp.io"),
        ("ann@gmail.com", "ann@gmail.io"),
        ("ann@acme.io", "anna@acme.io"),
        ("ann-a@acme.io", "ann-b@acme.io"),
        ("+a@acme.io", "+b@acme.io"),
        ("...@gmail.com", "..@gmail.com"),
    ],
)
def test_two_mailboxes_that_look_alike_are_two(one: str, other: str) -> None:
    assert names(known(one), known(other)) == []


def test_any_address_of_either_may_be_the_one_that_both_have() -> None:
    assert names(known("x@a.io", "ann@acme.io"), known("y@b.io", "ann+1@acme.io")) == ["email_variant"]


@pytest.mark.parametrize(
    ("address", "is_so"),
    [
        ("x@mailinator.com", True),
        ("x@eu.mailinator.com", True),
        ("x@a.b.mailinator.com", True),
        ("x@acme-mailinator.com", False),
        ("x@mailinator.com.acme.io", False),
        ("mailinator.com@acme.io", False),
        ("x@acme.io", False),
        ("x@com", False),
    ],
)
def test_a_domain_gives_addresses_away_or_only_ends_alike(address: str, is_so: bool) -> None:
    assert is_disposable(address) is is_so
    assert names(referred=known(address)) == (["disposable_domain"] if is_so else [])
    assert (score(referred=known(address)) >= REVIEW_SCORE) is is_so


def test_the_referrer_s_own_disposable_address_says_nothing_of_the_referred_one() -> None:
    assert names(referrer=known("x@mailinator.com")) == []


@pytest.mark.parametrize(("earlier", "found"), [(9, []), (10, ["many_from_one_ip"]), (11, ["many_from_one_ip"])])
def test_many_from_one_address_are_so_many_before_this_one(earlier: int, found: list[str]) -> None:
    assert names(earlier={"ip": earlier}) == found
    assert names(earlier={"ip": earlier}, per_source=100) == []


def test_the_contract_s_ten_are_the_default() -> None:
    assert Limits().conversions_per_ip == 10
    assert score(earlier={"ip": 10}) >= REVIEW_SCORE


def test_many_by_one_browser_are_noted_and_not_held() -> None:
    assert names(earlier={"agent": 9}) == []
    assert names(earlier={"agent": 10_000}) == ["many_from_one_user_agent"]
    assert 0 < score(earlier={"agent": 10_000}) < REVIEW_SCORE


@pytest.mark.parametrize(("took", "found"), [(0, True), (2_999, True), (3_000, False), (None, False)])
def test_faster_than_a_human_is_less_than_three_seconds(took: int | None, found: bool) -> None:
    assert names(took=took) == (["faster_than_human"] if found else [])
    assert score(took=took) < REVIEW_SCORE


def test_haste_from_a_browser_that_many_have_is_not_held() -> None:
    assert names(took=0, earlier={"agent": 10}) == ["many_from_one_user_agent", "faster_than_human"]
    assert score(took=0, earlier={"agent": 10}) < REVIEW_SCORE


def test_what_was_done_before_the_contact_was_known_was_not_done_in_haste() -> None:
    assert names(took=-1) == []


@pytest.mark.parametrize("has_bounced", [True, False])
def test_whose_first_mail_came_back_is_held(has_bounced: bool) -> None:
    assert names(has_bounced=has_bounced) == (["first_mail_bounced"] if has_bounced else [])
    assert (score(has_bounced=has_bounced) >= REVIEW_SCORE) is has_bounced


@pytest.mark.parametrize(
    ("ours", "theirs", "is_one"),
    [
        (known("a@x.io", "b@x.io"), known("b@x.io"), True),
        (known(external_ids=["u1", "u2"]), known(external_ids=["u2"]), True),
        (known("a@x.io", external_ids=["u1"]), known("b@x.io", external_ids=["u11"]), False),
        (known("a@x.io"), known("a+1@x.io"), False),
        (known("u1@x.io"), known(external_ids=["u1@x.io"]), False),
        (known(devices=["d"], phone="4915112345678"), known(devices=["d"], phone="4915112345678"), False),
        (known(), known(), False),
    ],
)
def test_an_address_or_an_external_id_in_common_is_oneself_and_no_more_than_that(
    ours: Known, theirs: Known, is_one: bool
) -> None:
    assert is_self(ours, theirs) is is_self(theirs, ours) is is_one


def test_all_that_speaks_against_it_is_told_together() -> None:
    ours = known("ann@mailinator.com", devices=["d"])
    theirs = known("ann+1@mailinator.com", devices=["d"])
    told = names(ours, theirs, earlier={"ip": 10, "agent": 10}, took=1, has_bounced=True)
    assert told == [
        "same_person",
        "email_variant",
        "disposable_domain",
        "many_from_one_ip",
        "many_from_one_user_agent",
        "faster_than_human",
        "first_mail_bounced",
    ]


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("ann@acme.io", "ann@acme.io"),
        ("a.b+c.d@gmail.com", "ab@gmail.com"),
        ("a.b@googlemail.com", "ab@gmail.com"),
        ("+only@acme.io", "+only@acme.io"),
        ("...@gmail.com", "...@gmail.com"),
        ("a+b@c@acme.io", "a@acme.io"),
    ],
)
def test_the_mailbox_behind_an_address(address: str, mailbox: str) -> None:
    assert canonical(address) == mailbox
