"""Which events an endpoint asked for, and which secrets sign."""

from dataclasses import replace

import pytest

from chalicelib.core import events, ids
from chalicelib.features.webhooks.model import FORMER_SECRETS_MAX, KEPT, SECRET_LASTS, Endpoint, Parcel, Secret, matches

NOW = 1_770_000_000_000
ENDPOINT = Endpoint("whep_1", "https://x.io", ("contact.*",), (Secret(b"1"),), created_at=NOW, updated_at=NOW)


@pytest.mark.parametrize(
    ("pattern", "event", "does"),
    [
        ("*", "contact.created", True),
        ("contact.created", "contact.created", True),
        ("contact.created", "contact.updated", False),
        ("contact.*", "contact.created", True),
        ("referral.*", "referral.link.created", True),
        ("referral.link.*", "referral.link.created", True),
        ("referral.link.*", "referral.reward.issued", False),
        ("campaign.*", "campaign.email.sent", True),
        ("contact", "contact.created", False),
        ("cont*", "contact.created", False),
        (".*", "contact.created", False),
        ("*.created", "contact.created", False),
        ("*.*", "contact.created", False),
        ("contact.*", "contacts.created", False),
        ("referral.converted", "referral.link.converted", True),
    ],
)
def test_a_pattern_is_a_name_a_group_or_all(pattern: str, event: str, does: bool) -> None:
    assert matches(pattern, event) is does


def test_the_contracts_events_can_be_asked_for() -> None:
    assert len(set(events.WEBHOOKS)) == len(events.WEBHOOKS) == 29


def test_what_was_received_before_an_endpoint_was_made_is_not_told_to_it() -> None:
    before, made, after = (ids.new_id(prefix) for prefix in ("evt", "whep", "evt"))
    endpoint = replace(ENDPOINT, id=made)
    assert not endpoint.wants("contact.created", before, NOW)
    assert endpoint.wants("contact.created", after, NOW)


def test_an_endpoint_that_was_disabled_a_month_ago_is_given_up() -> None:
    endpoint, event = replace(ENDPOINT.disabled("gone", NOW), id=ids.new_id("whep")), ids.new_id("evt")
    assert endpoint.wants("contact.created", event, NOW + KEPT)
    assert not endpoint.wants("contact.created", event, NOW + KEPT + 1)


def test_a_former_secret_signs_for_24_hours_to_the_millisecond() -> None:
    rotated = ENDPOINT.rotated(b"2", NOW)
    assert rotated.signing(NOW + SECRET_LASTS - 1) == [b"2", b"1"]
    assert rotated.signing(NOW + SECRET_LASTS) == [b"2"]


def test_each_of_several_former_secrets_has_an_end_of_its_own() -> None:
    twice = ENDPOINT.rotated(b"2", NOW).rotated(b"3", NOW + 1)
    assert twice.signing(NOW + SECRET_LASTS - 1) == [b"3", b"2", b"1"]
    assert twice.signing(NOW + SECRET_LASTS) == [b"3", b"2"]
    assert len(twice.rotated(b"4", NOW + SECRET_LASTS).secrets) == 3 <= 1 + FORMER_SECRETS_MAX


def test_enabling_forgets_what_the_endpoint_was_disabled_for() -> None:
    assert ENDPOINT.disabled("failing", NOW).enabled() == ENDPOINT


def test_a_parcel_comes_out_of_the_wire_as_it_went_in() -> None:
    parcel = Parcel("whep_1", "evt_1", "contact.created", NOW, "cntct_1", 2, 3, "r", is_test=True)
    assert Parcel(**parcel.to_wire()) == parcel


def test_the_deliveries_of_an_endpoint_spread_over_four_lanes() -> None:
    lanes = {Parcel("whep_1", f"evt_{n:026d}", "contact.created", NOW).lane for n in range(100)}
    assert len(lanes) == 4
