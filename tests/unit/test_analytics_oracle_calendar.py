"""The calendar of analytics' oracle on days that were worked out by hand."""

from datetime import date
from typing import Any

import pytest

from chalicelib.core.clock import parse_instant
from chalicelib.features.analytics.model import Interval, Span
from tests.support import analytics_oracle as oracle
from tests.support.analytics_histories import CHANGES, changes

NEW_YORK = "America/New_York"


def labels(zone: str, first: date, last: date, interval: Interval) -> list[str]:
    span = Span(oracle.midnight(first, zone), oracle.midnight(last, zone), zone)
    return oracle.buckets(span, interval)[0]


@pytest.mark.parametrize("zone", sorted(CHANGES))
def test_the_clock_changes_when_the_histories_say(zone: str) -> None:
    def offset(moment: int) -> Any:
        return oracle.at(moment, zone).utcoffset()

    does = zone not in ("Asia/Kolkata", "Asia/Kathmandu")
    assert [offset(each) != offset(each - 1) for each in changes(zone)] == [does] * len(CHANGES[zone])


def test_a_day_in_spring_has_23_hours() -> None:
    found = labels(NEW_YORK, date(2026, 3, 8), date(2026, 3, 9), "hour")
    assert found[:4] == [
        "2026-03-08T00:00:00-05:00",
        "2026-03-08T01:00:00-05:00",
        "2026-03-08T03:00:00-04:00",
        "2026-03-08T04:00:00-04:00",
    ]
    assert len(found) == 23


def test_a_day_in_autumn_has_25_hours_and_one_of_them_twice() -> None:
    found = labels("Europe/London", date(2026, 10, 25), date(2026, 10, 26), "hour")
    assert found[:4] == [
        "2026-10-25T00:00:00+01:00",
        "2026-10-25T01:00:00+01:00",
        "2026-10-25T01:00:00+00:00",
        "2026-10-25T02:00:00+00:00",
    ]
    assert len(found) == 25


def test_hours_of_half_an_hour_where_the_clock_moves_by_that() -> None:
    back = labels("Australia/Lord_Howe", date(2026, 4, 5), date(2026, 4, 6), "hour")
    assert back[1:4] == ["2026-04-05T01:00:00+11:00", "2026-04-05T01:30:00+10:30", "2026-04-05T02:00:00+10:30"]
    ahead = labels("Australia/Lord_Howe", date(2026, 10, 4), date(2026, 10, 5), "hour")
    assert ahead[1:4] == ["2026-10-04T01:00:00+10:30", "2026-10-04T02:30:00+11:00", "2026-10-04T03:00:00+11:00"]
    assert (len(back), len(ahead)) == (25, 24)


def test_hours_begin_by_the_clock_on_the_wall() -> None:
    span = Span(parse_instant("2026-11-02T10:00:00Z"), parse_instant("2026-11-02T11:16:00Z"), "Asia/Kathmandu")
    found, bucket_of = oracle.buckets(span, "hour")
    assert found == ["2026-11-02T15:00:00+05:45", "2026-11-02T16:00:00+05:45", "2026-11-02T17:00:00+05:45"]
    turn = parse_instant("2026-11-02T10:15:00Z")
    assert (bucket_of(turn - 1), bucket_of(turn)) == (found[0], found[1])


def test_the_clock_of_casablanca_goes_back_for_the_fast() -> None:
    found = labels("Africa/Casablanca", date(2026, 2, 15), date(2026, 2, 16), "hour")
    assert found[2:4] == ["2026-02-15T02:00:00+01:00", "2026-02-15T02:00:00+00:00"]
    assert len(found) == 25


def test_weeks_begin_on_monday_and_are_told_by_it_wherever_the_span_begins() -> None:
    assert labels("Asia/Kolkata", date(2026, 10, 28), date(2026, 11, 10), "week") == [
        "2026-10-26",
        "2026-11-02",
        "2026-11-09",
    ]
    assert labels(NEW_YORK, date(2026, 10, 31), date(2027, 1, 1), "month") == ["2026-10-01", "2026-11-01", "2026-12-01"]
    assert labels(NEW_YORK, date(2026, 10, 31), date(2026, 11, 2), "day") == ["2026-10-31", "2026-11-01"]


@pytest.mark.parametrize(
    ("zone", "begins"),
    [
        (NEW_YORK, "2026-11-01T04:00:00Z"),
        ("Europe/London", "2026-11-01T00:00:00Z"),
        ("Asia/Kolkata", "2026-10-31T18:30:00Z"),
        ("Australia/Lord_Howe", "2026-10-31T13:00:00Z"),
        ("America/St_Johns", "2026-11-01T02:30:00Z"),
    ],
)
def test_days_begin_at_the_zones_midnight(zone: str, begins: str) -> None:
    assert oracle.midnight(date(2026, 11, 1), zone) == parse_instant(begins)
