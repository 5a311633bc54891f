"""Time: the only module that reads the system's clock. Moments are integers, milliseconds since the epoch, UTC."""

import re
import time
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_LENGTH = len("2026-02-23")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


_FIRST_MOMENT = (datetime(1, 1, 1, tzinfo=UTC) - _EPOCH) // _MILLISECOND
LAST_MOMENT = (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC) - _EPOCH) // _MILLISECOND


def system_ms() -> int:
    """The real moment. Business rules take `now` as a parameter instead, by project."""
    return time.time_ns() // 1_000_000


def monotonic() -> float:
    """Seconds on a clock that never steps back, for measuring and for caches."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait, in seconds: between retries, and for what is about to come."""
    time.sleep(seconds)


def iso(moment: int) -> str:
    """`moment` as ISO 8601 in UTC with `Z`; to the second where its milliseconds are zero."""
    days, rest = divmod(moment, DAY)
    seconds, milliseconds = divmod(rest, SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    fraction = f".{milliseconds:03d}" if milliseconds else ""
    return f"{_date(days)}T{hour:02d}:{minute:02d}:{second:02d}{fraction}Z"


def day(moment: int) -> str:
    """The UTC day of `moment`, as `2026-02-23`."""
    return _date(moment // DAY)


def local_day(moment: int, zone: str) -> str:
    """The day of `moment` in an IANA time zone, as `2026-02-23`."""
    return datetime.fromtimestamp(moment / SECOND, ZoneInfo(zone)).date().isoformat()


@lru_cache(maxsize=1024)
def _date(days: int) -> str:
    """The date so many days after the epoch; lists show few different ones."""
    return (_EPOCH + timedelta(days=days)).date().isoformat()


def parse_instant(text: str) -> int:
    """The moment that an ISO 8601 text names; a date is midnight UTC, and a time without a zone is UTC.

    Raises ValueError where the text is no such moment or lies outside of the years 1 to 9999.
    """
    if len(text) <= _DATE_LENGTH:
        if not _DATE.fullmatch(text):
            raise ValueError("not a date")
        parsed = datetime.combine(date.fromisoformat(text), datetime.min.time(), tzinfo=UTC)
    else:
        # RFC 3339 allows both letters in lower case.
        parsed = datetime.fromisoformat(text.upper())
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
    moment = (parsed - _EPOCH) // _MILLISECOND
    # A zone may carry a moment over the edge of the years that have dates.
    if not _FIRST_MOMENT <= moment <= LAST_MOMENT:
        raise ValueError("out of range")
    return moment
