"""When a failed delivery is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import clock
from chalicelib.features.webhooks.schedule import ATTEMPTS, jitter, next_moment, parse_retry_after

NOW = 1_770_000_000_000
CONTRACTED_S = (300, 1_800, 10_800, 72_000)
SHIFTS = st.floats(0, 1, exclude_max=True)


def test_there_are_five_attempts_within_24_hours() -> None:
    assert ATTEMPTS == len(CONTRACTED_S) + 1 == 5
    assert 0.9 * 86_400 < sum(CONTRACTED_S) <= 86_400


@given(attempt=st.integers(1, 4), shift=SHIFTS)
def test_the_wait_is_the_contracts_less_a_tenth_at_the_most(attempt: int, shift: float) -> None:
    wait = (next_moment(attempt, NOW, shift) or 0) - NOW
    assert 0.9 * CONTRACTED_S[attempt - 1] * 1_000 <= wait <= CONTRACTED_S[attempt - 1] * 1_000


def test_nothing_follows_the_fifth_attempt() -> None:
    assert next_moment(5, NOW, 0.5) is None
    assert next_moment(5, NOW, 0.5, 60_000) is None


@given(attempt=st.integers(1, 4), shift=SHIFTS, asked=st.integers(0, 10**12))
def test_a_receiver_is_called_no_sooner_than_it_asks_and_within_a_day(attempt: int, shift: float, asked: int) -> None:
    moment = next_moment(attempt, NOW, shift, asked) or 0
    assert moment >= NOW + min(asked, clock.DAY)
    assert moment <= NOW + clock.DAY


@given(attempt=st.integers(1, 4), shift=SHIFTS, asked=st.integers(0, 10**6))
def test_a_short_wait_that_is_asked_for_does_not_use_the_attempts_up(attempt: int, shift: float, asked: int) -> None:
    plain = next_moment(attempt, NOW, shift) or 0
    assert next_moment(attempt, NOW, shift, asked) == max(plain, NOW + asked)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("0", 0),
        ("120", 120_000),
        (" 7 ", 7_000),
        ("99999999999999999999", clock.DAY),
        ("Mon, 02 Feb 2026 02:41:40 GMT", 100_000),
        ("Mon, 02 Feb 2026 02:41:40", 100_000),
        ("Sun, 01 Feb 2026 00:00:00 GMT", 0),
        ("", None),
        (None, None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("Mon, 01 Jan 2026 00:00:00 +9999999999999", None),
        ("Mon, 1 Jan 111111111111111111111111 0:0:0", None),
        ("\u0661\u0662", None),
    ],
)
def test_retry_after_is_read_in_seconds_or_as_a_date(text: str | None, wait: int | None) -> None:
    assert parse_retry_after(text, NOW) == wait


def test_what_failed_together_does_not_come_back_together() -> None:
    shifts = [jitter("whep_1", f"evt_{n}", 1) for n in range(1_000)]
    assert all(0 <= shift < 1 for shift in shifts)
    assert all(80 <= sum(low / 10 <= shift < (low + 1) / 10 for shift in shifts) <= 120 for low in range(10))
    assert shifts == [jitter("whep_1", f"evt_{n}", 1) for n in range(1_000)]
