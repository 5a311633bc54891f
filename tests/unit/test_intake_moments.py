"""When an event happened: what the door makes of the moments that a client tells."""

from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.features.activity.intake import Arrival
from tests.support.door import NOW, refused, taken


def test_an_event_without_a_timestamp_happened_at_its_receipt() -> None:
    event = taken({})

    assert (event.timestamp, event.received_at, event.given) == (NOW, NOW, False)


def test_a_timestamp_of_the_caller_is_kept() -> None:
    event = taken({"timestamp": "2026-02-20T08:30:00.123+02:00"})

    assert (clock.iso(event.timestamp), event.given) == ("2026-02-20T06:30:00.123Z", True)


def test_on_a_clock_that_stands_events_sent_at_once_happened_at_their_receipt() -> None:
    """A test project's clock stands while its clients' clocks go on: their waits must not decide the order."""
    sent = {"timestamp": "2026-05-01T00:00:00Z", "sentAt": "2026-05-01T00:00:05Z"}
    past = {"timestamp": "2026-04-28T00:00:00Z", "sentAt": "2026-05-01T00:00:00Z"}
    standing = Arrival(NOW, stands=True)

    assert (taken(sent, arrival=standing).timestamp, taken(sent, arrival=standing).given) == (NOW, False)
    assert taken(past, arrival=standing).timestamp == NOW - 3 * clock.DAY
    assert taken(sent).timestamp == NOW - 5 * clock.SECOND


def test_letters_of_a_timestamp_may_be_small() -> None:
    assert taken({"timestamp": "2026-02-23t09:00:00z"}).timestamp == NOW - clock.HOUR


def test_a_timestamp_within_an_hour_of_the_future_is_kept() -> None:
    assert taken({"timestamp": "2026-02-23T11:00:00Z"}).timestamp == NOW + clock.HOUR


def test_a_timestamp_further_in_the_future_becomes_the_receipt_and_counts_as_the_servers() -> None:
    event = taken({"timestamp": "2026-02-23T11:00:00.001Z"})

    assert (event.timestamp, event.given) == (NOW, False)


def test_the_first_moment_of_1970_is_the_earliest() -> None:
    assert taken({"timestamp": "1970-01-01"}).timestamp == 0
    assert refused({"user_id": "u", "event": "e", "timestamp": "1969-12-31T23:59:59Z"}) == [("timestamp", "too_early")]


@pytest.mark.parametrize("value", ["yesterday", "", 1771840800000, 1.5, True, [], {}, "2026-13-01", "2026-02-30"])
def test_a_timestamp_that_is_no_iso_8601_is_refused(value: Any) -> None:
    assert refused({"user_id": "u", "event": "e", "timestamp": value}) == [("timestamp", "timestamp")]


@pytest.mark.parametrize("value", ["soon", 17, None, ""])
def test_a_sent_at_that_cannot_be_read_is_passed_over(value: Any) -> None:
    assert taken({"timestamp": "2026-02-23T09:00:00Z", "sentAt": value}).timestamp == NOW - clock.HOUR


def test_a_clock_that_is_an_hour_slow_is_corrected() -> None:
    event = taken({"timestamp": "2026-02-23T08:59:00Z", "sentAt": "2026-02-23T09:00:00Z"})

    assert event.timestamp == NOW - clock.MINUTE


def test_a_clock_that_is_ten_seconds_off_is_not() -> None:
    event = taken({"timestamp": "2026-02-23T08:59:00Z", "sentAt": "2026-02-23T09:59:50Z"})

    assert clock.iso(event.timestamp) == "2026-02-23T08:59:00Z"


def test_the_correction_starts_from_the_original_timestamp() -> None:
    event = taken(
        {
            "timestamp": "2026-02-23T09:00:00Z",
            "originalTimestamp": "2026-02-23T08:58:00Z",
            "sentAt": "2026-02-23T09:00:00Z",
        }
    )

    assert event.timestamp == NOW - 2 * clock.MINUTE


def test_an_original_timestamp_alone_is_the_timestamp() -> None:
    assert taken({"originalTimestamp": "2026-02-23T08:00:00Z"}).timestamp == NOW - 2 * clock.HOUR


def test_a_clock_that_stands_before_1970_is_corrected_before_it_is_judged() -> None:
    event = taken({"timestamp": "1969-12-31T23:59:00Z", "sentAt": "1970-01-01"})

    assert event.timestamp == NOW - clock.MINUTE


def test_ids_of_events_grow_with_their_receipt() -> None:
    made = [taken({}).id for _ in range(100)]

    assert made == sorted(set(made))
