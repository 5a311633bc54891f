"""The times that callers ask for: a date is a whole day of the project's zone, an instant is exact. Pure."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import NamedTuple

from chalicelib.core import clock
from chalicelib.core.clock import parse_instant
from chalicelib.features.analytics.buckets import midnight
from chalicelib.features.analytics.model import DEFAULT_DAYS, Span

FIRST_DAY, LAST_DAY = date(1, 1, 2), date(9999, 12, 30)
"""The days whose midnights have a date in every zone."""

_DATE_LENGTH = len("2026-02-23")
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
"""Of which answers can be asked for."""


class SpanFault(Exception):
    """No time is asked for: in which field the fault is, what it is, and what to tell of it."""

    def __init__(self, field: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.field, self.reason, self.message = field, reason, message


class Asked(NamedTuple):
    """`from` and `to` as a caller wrote them."""

    since: str | None
    until: str | None


def is_date(text: str) -> bool:
    """True for a date without a time."""
    return len(text) == _DATE_LENGTH


def moment(text: str, zone: str, *, ends: bool = False) -> int | None:
    """The moment in ms at which a date or an instant begins, or, where it `ends` a time, before which that lies.

    None for the end of a day behind which there is no other. Raises ValueError.
    """
    if not is_date(text):
        return parse_instant(text)
    day = date.fromisoformat(text)
    if not FIRST_DAY <= day <= LAST_DAY:
        return parse_instant(text) if day < FIRST_DAY or not ends else None
    return midnight(day + timedelta(days=int(ends)), zone)


def days_before(last: date) -> date:
    """The first of 30 days of which that is the last one."""
    return last - timedelta(days=DEFAULT_DAYS - 1)


def periods_before(last: date, interval: str, periods: int) -> date:
    """The first day of the week or month that is so many before that of the last day."""
    if interval == "week":
        return last - timedelta(days=last.weekday() + 7 * periods)
    months = last.year * 12 + last.month - 1 - periods
    return date(months // 12, months % 12 + 1, 1)


def span(asked: Asked, zone: str, now: int, first: Callable[[date], date] = days_before) -> Span:
    """The time asked for; without an end it ends with today, and without a begin it begins with the `first` day.

    `first` is given the last day; by itself it goes 30 days back. Raises SpanFault.
    """
    today = date.fromisoformat(clock.local_day(now, zone))
    until = midnight(today + timedelta(days=1), zone)
    if asked.until is not None:
        until = _checked("to", asked.until, moment(asked.until, zone, ends=True))
    if asked.since is not None:
        since = _checked("from", asked.since, moment(asked.since, zone))
    else:
        last = date.fromisoformat(clock.local_day(until - 1, zone))
        since = midnight(first(last), zone)
    if since >= until:
        raise SpanFault("from", "range", "from lies before to.")
    return Span(since, until, zone)


def _checked(field: str, text: str, found: int | None) -> int:
    if found is None or not _FIRST_YEAR <= int(text[:4]) <= _LAST_YEAR or found < 0:
        raise SpanFault(field, "range", f"Answers are of the years {_FIRST_YEAR} to {_LAST_YEAR}.")
    return found
