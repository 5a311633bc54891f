"""Hours, days, weeks and months of a zone, as labels and as SQL. Pure. Moments in ms.

A bucket has a key, which the SQL computes for an event and the answer looks up. Of an hour that is its true start; of a
day and a week its start on the wall clock, as if that were UTC; of a month its place among those asked for.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from chalicelib.core.clock import DAY, HOUR
from chalicelib.features.analytics.model import CohortQuestion, Interval, Span
from chalicelib.features.analytics.statement import Sql, fill, joined

WEEK = 7 * DAY
_LONGEST_MONTH = 31 * DAY

_FROM_THURSDAY = 3 * DAY
"""1970 began on a Thursday; weeks begin on Mondays."""

_STEP = 12 * HOUR
"""No zone has changed its offset twice within such a time."""


class Bucket(NamedTuple):
    """One interval; `label` is what the answer calls it, `start` its first moment, or that of the range."""

    key: int
    label: str
    start: int


class Stretch(NamedTuple):
    """A time in which a zone keeps its offset: from when, and how many ms its wall clock is ahead of UTC."""

    start: int
    offset: int


def buckets(interval: Interval, span: Span) -> list[Bucket]:
    """All intervals that the span touches, in order."""
    if span.since >= span.until:
        return []
    stretches = stretches_of(span)
    if interval == "hour":
        return list(_hours(stretches, span))
    first = _day(span.since + stretches[0].offset)
    last = _day(span.until - 1 + stretches[-1].offset)
    if interval == "month":
        months = _months(first, last)
        return [Bucket(n, each.isoformat(), midnight(each, span.zone)) for n, each in enumerate(months)]
    if interval == "week":
        first -= timedelta(days=first.weekday())
    days = range(0, (last - first).days + 1, 7 if interval == "week" else 1)
    dates = [first + timedelta(days=n) for n in days]
    return [Bucket(_wall_clock(each), each.isoformat(), midnight(each, span.zone)) for each in dates]


def key_of(interval: Interval, span: Span, moment: Sql) -> Sql:
    """The key of the bucket in which an event of the span lies, whose `moment` is that column."""
    stretches = stretches_of(span)
    if interval == "hour":
        return _by_stretch(stretches, moment, _hour_keys(stretches, moment))
    if interval == "month":
        starts = [bucket.start for bucket in buckets(interval, span)[1:]]
        cases = [fill("WHEN {moment} < :start THEN :n", moment=moment, start=at, n=n) for n, at in enumerate(starts)]
        last = fill(":n", n=len(starts))
        return fill("CASE {cases} ELSE {last} END", cases=joined(cases, " "), last=last) if cases else last
    local = _by_stretch(stretches, moment, [fill("{m} + :o", m=moment, o=each.offset) for each in stretches])
    template = "{local} - MOD({local}, :day)" if interval == "day" else "{local} - MOD({local} + :ahead, :week)"
    return fill(template, local=local, day=DAY, ahead=_FROM_THURSDAY, week=WEEK)


def reach(question: CohortQuestion) -> Span:
    """The time of all periods of all cohorts of the question."""
    span, interval = question.span, question.interval
    # A day more, for what clocks are put back.
    longest = (WEEK if interval == "week" else _LONGEST_MONTH) * (question.periods + 1) + DAY
    cohorts = buckets(interval, span)
    periods = buckets(interval, Span(span.since, span.until + longest, span.zone))
    return Span(span.since, periods[len(cohorts) + question.periods].start, span.zone) if cohorts else span


def stretches_of(span: Span) -> list[Stretch]:
    """The stretches of the span's zone that the span touches; the first is given from its `since`."""
    return list(_stretches(span.since, span.until, span.zone))


@lru_cache(maxsize=64)
def _stretches(since: int, until: int, zone: str) -> tuple[Stretch, ...]:
    found = [Stretch(since, offset_at(since, zone))]
    low = since
    while low < until - 1:
        high = min(low + _STEP, until - 1)
        if (ahead := offset_at(high, zone)) != found[-1].offset:
            found.append(Stretch(_change(low, high, zone), ahead))
        low = high
    return tuple(found)


def _change(low: int, high: int, zone: str) -> int:
    """The first moment with the offset of `high`, given that `low` has another one."""
    new = offset_at(high, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if offset_at(middle, zone) == new else (middle, high)
    return high


def offset_at(moment: int, zone: str) -> int:
    """Milliseconds that the zone's wall clock is ahead of UTC."""
    there = datetime.fromtimestamp(moment // 1000, ZoneInfo(zone))
    return int((there.utcoffset() or timedelta()) / timedelta(milliseconds=1))


def midnight(day: date, zone: str) -> int:
    """The first moment of the day in the zone; where clocks skip midnight, that to which they are put."""
    there = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return int(there.timestamp()) * 1000


def _hours(stretches: Sequence[Stretch], span: Span) -> Iterator[Bucket]:
    """An hour ends early where the offset changes by a part of an hour."""
    ends = [*(each.start for each in stretches[1:]), span.until]
    for n, (stretch, end) in enumerate(zip(stretches, ends, strict=True)):
        at = stretch.start
        if n == 0:
            at -= (at + stretch.offset) % HOUR
        while at < end:
            yield Bucket(at, _hour_label(at, stretch.offset), at)
            at += HOUR - (at + stretch.offset) % HOUR


def _hour_keys(stretches: Sequence[Stretch], moment: Sql) -> list[Sql]:
    keys = []
    for n, stretch in enumerate(stretches):
        plain = fill("{m} - MOD({m} + :offset, :hour)", m=moment, offset=stretch.offset, hour=HOUR)
        keys.append(fill("GREATEST({plain}, :start)", plain=plain, start=stretch.start) if n else plain)
    return keys


def _by_stretch(stretches: Sequence[Stretch], moment: Sql, each: Sequence[Sql]) -> Sql:
    """Of these that which belongs to the stretch of the moment."""
    if len(each) == 1:
        return fill("({only})", only=each[0])
    cases = [
        fill("WHEN {m} < :end THEN {then}", m=moment, end=following.start, then=then)
        for then, following in zip(each, stretches[1:], strict=False)
    ]
    return fill("(CASE {cases} ELSE {last} END)", cases=joined(cases, " "), last=each[-1])


def _hour_label(moment: int, offset: int) -> str:
    sign, minutes = ("+", offset // 60_000) if offset >= 0 else ("-", -offset // 60_000)
    local = datetime.fromtimestamp((moment + offset) // 1000, UTC)
    return f"{local:%Y-%m-%dT%H:%M:%S}{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def _months(first: date, last: date) -> list[date]:
    months = [first.replace(day=1)]
    while (following := (months[-1] + timedelta(days=32)).replace(day=1)) <= last:
        months.append(following)
    return months


def _day(local: int) -> date:
    return datetime.fromtimestamp(local // 1000, UTC).date()


def _wall_clock(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
