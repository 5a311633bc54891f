"""The rates of a campaign's figures, by hand."""

import pytest

from chalicelib.features.campaigns.schemas import figures

COUNTED = {
    "sent": 1_004,
    "delivered": 1_000,
    "opened": 480,
    "clicked": 199,
    "bounced": 4,
    "complained": 3,
    "unsubscribed": 9,
    "failed": 2,
    "unconfirmed": 1,
    "skipped:no_email": 7,
    "skipped:exited": 0,
}


def test_rates_are_of_the_delivered_and_bounces_of_the_sent() -> None:
    shown = figures(COUNTED)
    rates = (shown.open_rate, shown.click_rate, shown.bounce_rate, shown.unsubscribe_rate, shown.complaint_rate)
    assert rates == (0.48, 0.199, 0.004, 0.009, 0.003)


def test_counts_are_shown_as_they_are_and_reasons_that_occurred() -> None:
    shown = figures(COUNTED).model_dump()
    assert {name: shown[name] for name in COUNTED if ":" not in name} == {
        name: count for name, count in COUNTED.items() if ":" not in name
    }
    assert shown["skipped"] == {"no_email": 7}


@pytest.mark.parametrize(("part", "rate"), [(1, 0.333), (2, 0.667), (3, 1.0)])
def test_rates_have_three_decimals(part: int, rate: float) -> None:
    assert figures({"delivered": 3, "opened": part}).open_rate == rate


def test_where_nothing_was_delivered_rates_are_zero() -> None:
    shown = figures({"opened": 1, "bounced": 1})
    assert (shown.open_rate, shown.bounce_rate) == (0.0, 0.0)
