"""Quiet hours: when a step may be sent. Pure; moments in ms."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from chalicelib.core import clock

_DAYS_AHEAD = 3


class Quiet(NamedTuple):
    """Local times as `HH:MM` between which nothing is sent, `end` not included; `end` may be on the next day."""

    start: str
    end: str
    zone: str


def quiet_until(quiet: Quiet | None, now: int) -> int:
    """The first moment from `now` on that is not in quiet hours; `now` itself where that is none.

    Where the clocks are changed it is by the local time as it is read: an hour that comes twice is quiet twice.
    """
    if quiet is None or not _is_quiet(quiet, now):
        return now
    # Quiet from `low` on, and not any more at `high`: between the two it ends once.
    low, high = now, min(each for each in _ends(quiet, now) if not _is_quiet(quiet, each))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _is_quiet(quiet, middle) else (low, middle)
    return high


def _is_quiet(quiet: Quiet, moment: int) -> bool:
    local = _local(quiet, moment).strftime("%H:%M")
    if quiet.start <= quiet.end:
        return quiet.start <= local < quiet.end
    return local >= quiet.start or local < quiet.end


def _local(quiet: Quiet, moment: int) -> datetime:
    return datetime.fromtimestamp(moment // clock.SECOND, UTC).astimezone(ZoneInfo(quiet.zone))


def _ends(quiet: Quiet, now: int) -> list[int]:
    """Moments after `now` at which the local time is that of the end, or jumps over it."""
    hour, minute = (int(part) for part in quiet.end.split(":"))
    first = _local(quiet, now).replace(hour=hour, minute=minute, second=0, tzinfo=None)
    ends = [
        (first + timedelta(days=days)).replace(tzinfo=ZoneInfo(quiet.zone), fold=fold)
        for days in range(_DAYS_AHEAD)
        for fold in (0, 1)
    ]
    return [moment for end in ends if (moment := int(end.timestamp()) * clock.SECOND) > now]
