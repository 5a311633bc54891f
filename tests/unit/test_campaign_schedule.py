"""Quiet hours and turns of a rate, against a plain walk over the minutes and a plain list of seconds."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import clock
from chalicelib.core.pacing import Turns, take_turns
from chalicelib.features.campaigns.schedule import Quiet, quiet_until

ZONES = ("UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
_hours = st.builds(lambda hour, minute: f"{hour:02d}:{minute:02d}", st.integers(0, 23), st.integers(0, 59))
_moments = st.integers(clock.parse_instant("2026-01-01"), clock.parse_instant("2026-12-31"))


def _at(text: str) -> int:
    return clock.parse_instant(text)


def _is_quiet(quiet: Quiet, moment: int) -> bool:
    """The same said in minutes of the local day."""
    local = datetime.fromtimestamp(moment / 1000, UTC).astimezone(ZoneInfo(quiet.zone))
    start, end = (int(text[:2]) * 60 + int(text[3:]) for text in (quiet.start, quiet.end))
    return (local.hour * 60 + local.minute - start) % 1440 < (end - start) % 1440


@given(start=_hours, end=_hours, zone=st.sampled_from(ZONES), moment=_moments)
def test_a_send_waits_for_the_first_minute_that_is_not_quiet(start: str, end: str, zone: str, moment: int) -> None:
    quiet = Quiet(start, end, zone)
    expected = moment
    if _is_quiet(quiet, moment):
        expected -= moment % clock.MINUTE
        while _is_quiet(quiet, expected):
            expected += clock.MINUTE

    assert quiet_until(quiet, moment) == expected


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"),  # 01:59 becomes 03:00: the end, 02:30, is jumped over
        ("2026-10-25T00:10:00Z", "2026-10-25T02:30:00Z"),  # 02:10 comes twice: quiet up to the only 02:30 of winter
        ("2026-10-24T23:59:59Z", "2026-10-25T00:30:00Z"),  # 01:59:59, before the hour that comes twice
    ],
)
def test_quiet_hours_follow_the_local_clock_when_it_is_changed(moment: str, until: str) -> None:
    quiet = Quiet("01:00", "02:30", "Europe/Berlin")
    reached = quiet_until(quiet, _at(moment))

    assert not _is_quiet(quiet, reached)
    assert _is_quiet(quiet, reached - 1)
    assert reached in (_at(until), _at("2026-10-25T00:30:00Z"))


def test_without_quiet_hours_nothing_waits() -> None:
    assert quiet_until(None, 12_345) == 12_345


@given(
    rate=st.integers(1, 5),
    asked=st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 7)), min_size=1, max_size=30),
)
def test_no_second_has_more_turns_than_the_rate_and_none_is_earlier_than_asked(
    rate: int, asked: list[tuple[int, int]]
) -> None:
    turns: Turns | None = None
    now = 1_000_000
    by_second: dict[int, int] = {}
    last = 0
    for later, count in asked:
        now += later
        moments, turns = take_turns(turns, rate, now, count)
        assert len(moments) == count
        for moment in moments:
            assert moment >= max(now, last)
            last = moment
            by_second[moment // 1000] = by_second.get(moment // 1000, 0) + 1
    assert max(by_second.values(), default=0) <= rate


def test_turns_are_given_as_early_as_the_rate_allows() -> None:
    moments, turns = take_turns(None, 2, 10_400, 5)
    assert moments == [10_400, 10_400, 11_000, 11_000, 12_000]
    assert take_turns(turns, 2, 10_900, 1)[0] == [12_000]
    assert take_turns(turns, 2, 20_000, 1)[0] == [20_000]
