"""Answers of analytics, counted in the plainest way: all rows in a list, loops over them, a calendar that is walked.

It knows of the product only how a question is written down. What it is given is the final state: whose event each is by
now, and nothing of those who were deleted. Moments in ms.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.features.analytics.model import (
    CohortQuestion,
    Filter,
    FunnelQuestion,
    Interval,
    Path,
    Question,
    Scalar,
    Series,
    Span,
    Step,
)

SECOND = 1_000
QUARTER = 15 * 60 * SECOND
"""All offsets of these years are whole quarters of an hour, and change at one."""

DAY = 24 * 60 * 60 * SECOND
TOP = 50
NONE, OTHER = "(none)", "other"
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Happened:
    """An event, and whose it is; `type` is that of the call, or `system` where the server noted it."""

    event_id: str
    contact_id: str
    name: str
    type: str
    timestamp: int
    received_at: int
    properties: dict[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, int, str]:
        return self.timestamp, self.received_at, self.event_id


@dataclass(frozen=True, slots=True)
class World:
    """All that has happened, and the traits that each contact has now."""

    events: list[Happened]
    traits: dict[str, dict[str, Any]]

    def said(self) -> list[Happened]:
        """What callers sent, in order."""
        return sorted((each for each in self.events if each.type != "system"), key=lambda each: each.order)

    def named(self, name: str | None) -> list[Happened]:
        """The events of a name, or all that callers sent, in order."""
        if name is None:
            return self.said()
        return sorted((each for each in self.events if each.name == name), key=lambda each: each.order)


def answer(world: World, question: Question, now: int) -> Answer:
    """What the product has to say."""
    if isinstance(question, Series):
        return series(world, question, now)
    if isinstance(question, FunnelQuestion):
        return funnel(world, question, now)
    assert isinstance(question, CohortQuestion)
    return cohort(world, question, now)


# Values.


def find(values: dict[str, Any], path: str) -> Any:
    """The value of the key that is called so, else of the rest of the path in the object of its first name."""
    if path in values:
        return values[path]
    if "." in path:
        first, rest = path.split(".", 1)
        if isinstance(values.get(first), dict):
            return find(values[first], rest)
    return None


def value_of(world: World, event: Happened, path: Path) -> Any:
    if path.place == "traits":
        return find(world.traits.get(event.contact_id, {}), path.name)
    return find(event.properties, path.name)


def equal(one: Any, other: Scalar) -> bool:
    """Typed: numbers by their value, true and false only with themselves, text exactly."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str) and one == other
    return isinstance(one, int | float) and one == other


def passes(world: World, event: Happened, filters: Iterable[Filter]) -> bool:
    return all(any(equal(value_of(world, event, each.path), wanted) for wanted in each.values) for each in filters)


def matches(world: World, event: Happened, step: Step) -> bool:
    return event.name == step.event and passes(world, event, step.filters)


def label(value: Any) -> str:
    """What a group is called."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value == int(value) else repr(value).replace("e-0", "e-")
    return NONE


# The calendar.


def at(moment: int, zone: str) -> datetime:
    """The local time of a moment."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)).astimezone(ZoneInfo(zone))


def midnight(day: date, zone: str) -> int:
    """The moment at which a day begins."""
    return round(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def first_day(day: date, interval: Interval) -> date:
    """The day on which the week or month of a day begins; of a day, itself."""
    if interval == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval == "month" else day


def following(day: date, interval: Interval) -> date:
    """The first day of the next day, week or month."""
    if interval == "month":
        return date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return day + timedelta(days=7 if interval == "week" else 1)


def begins_hour(moment: int, zone: str) -> bool:
    """True where an hour begins at a moment: by the clock on the wall, or since that was just set."""
    here, before = at(moment, zone), at(moment - 1, zone)
    return (here.minute, here.second, here.microsecond) == (0, 0, 0) or here.utcoffset() != before.utcoffset()


def hours(span: Span) -> list[int]:
    """The beginnings of the real hours of a span, of the one that it begins in first."""
    moment = span.since - span.since % QUARTER
    while not begins_hour(moment, span.zone):
        moment -= QUARTER
    found = []
    while moment < span.until:
        if begins_hour(moment, span.zone):
            found.append(moment)
        moment += QUARTER
    return found


def days(span: Span, interval: Interval) -> list[date]:
    """The first days of the calendar's periods that a span touches."""
    if span.since >= span.until:
        return []
    day = first_day(at(span.since, span.zone).date(), interval)
    last = at(span.until - 1, span.zone).date()
    found = []
    while day <= last:
        found.append(day)
        day = following(day, interval)
    return found


def buckets(span: Span, interval: Interval) -> tuple[list[str], Callable[[int], str]]:
    """The labels of all buckets of a span, and in which of them a moment is."""
    if interval != "hour":
        labels = [each.isoformat() for each in days(span, interval)]
        return labels, lambda moment: first_day(at(moment, span.zone).date(), interval).isoformat()
    begun = hours(span) if span.since < span.until else []
    written = {each: at(each, span.zone).isoformat(timespec="seconds") for each in begun}
    return list(written.values()), lambda moment: written[max(each for each in begun if each <= moment)]


def within(moment: int, span: Span) -> bool:
    return span.since <= moment < span.until


def iso(moment: int) -> str:
    """A moment as text: in UTC, to the second where it is a whole one."""
    text = at(moment, "UTC").isoformat(timespec="milliseconds" if moment % SECOND else "seconds")
    return text.replace("+00:00", "Z")


def rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


# The answers.


def series(world: World, question: Series, now: int) -> Answer:
    """How often, or by how many, in each bucket, or in each group of it."""
    labels, bucket_of = buckets(question.span, question.interval)
    counted = [
        each
        for each in world.named(question.event)
        if within(each.timestamp, question.span) and passes(world, each, question.filters)
    ]
    by_bucket: dict[str, list[Happened]] = {each: [] for each in labels}
    for each in counted:
        by_bucket[bucket_of(each.timestamp)].append(each)
    data: list[Answer] = []
    if question.group_by is None:
        data = [{"date": each, "count": _measured(question, its)} for each, its in by_bucket.items()]
    else:
        path = question.group_by
        kept = _top(question, _grouped(counted, lambda each: label(value_of(world, each, path))))

        def group_of(event: Happened) -> str:
            name = label(value_of(world, event, path))
            return name if name in kept else OTHER

        for day, its in by_bucket.items():
            groups = _grouped(its, group_of)
            data.append({"date": day, "groups": {name: _measured(question, own) for name, own in groups.items()}})
    return {"type": question.measure, "data": data, "total": _measured(question, counted), "as_of": iso(now)}


def _measured(question: Series, events: list[Happened]) -> int:
    if question.measure == "event_count":
        return len(events)
    return len({each.contact_id for each in events})


def _grouped(events: list[Happened], group_of: Callable[[Happened], str]) -> dict[str, list[Happened]]:
    groups: dict[str, list[Happened]] = {}
    for each in events:
        groups.setdefault(group_of(each), []).append(each)
    return groups


def _top(question: Series, groups: dict[str, list[Happened]]) -> set[str]:
    """The names that are told of: the greatest of the whole span, and those who have none."""
    named = [name for name in groups if name != NONE]
    named.sort(key=lambda name: (-_measured(question, groups[name]), name))
    return {*named[:TOP], NONE}


def funnel(world: World, question: FunnelQuestion, now: int) -> Answer:
    """How many get how far."""
    best: list[list[Happened]] = []
    open_at: list[int] = [0] * len(question.steps)
    for own in _by_contact(world).values():
        tried = _attempts(world, question, own)
        if not tried:
            continue
        furthest = max(tried, key=len)
        best.append(furthest)
        alike = [each for each in tried if len(each) == len(furthest)]
        is_open = any(now <= each[0].timestamp + question.window for each in alike)
        if is_open and len(furthest) < len(question.steps):
            open_at[len(furthest) - 1] += 1
    counts = [sum(len(each) > n for each in best) for n in range(len(question.steps))]
    steps = []
    for n, step in enumerate(question.steps):
        took = [each[n].timestamp - each[n - 1].timestamp for each in best if len(each) > n] if n else []
        steps.append(
            {
                "event": step.event,
                "count": counts[n],
                "conversion_rate": rate(counts[n], counts[0]),
                "step_conversion_rate": rate(counts[n], counts[max(0, n - 1)]),
                "median_time_to_convert": median(took) / SECOND if took else None,
                "still_open": open_at[n],
            }
        )
    return {"type": "funnel", "steps": steps, "as_of": iso(now)}


def _by_contact(world: World) -> dict[str, list[Happened]]:
    """Each contact's events in order."""
    return _grouped(sorted(world.events, key=lambda each: each.order), lambda each: each.contact_id)


def _attempts(world: World, question: FunnelQuestion, own: list[Happened]) -> list[list[Happened]]:
    """What a contact has fulfilled from each of its starts on, the earliest start first."""
    tried = []
    for n, start in enumerate(own):
        if not within(start.timestamp, question.span) or not matches(world, start, question.steps[0]):
            continue
        done = [start]
        for each in own[n + 1 :]:
            if len(done) == len(question.steps) or each.timestamp > start.timestamp + question.window:
                break
            if matches(world, each, question.steps[len(done)]):
                done.append(each)
        tried.append(done)
    return tried


def cohort(world: World, question: CohortQuestion, now: int) -> Answer:
    """How many of those who came in a period came back in each of the next ones."""
    zone = question.span.zone
    members: dict[date, list[list[Happened]]] = {each: [] for each in days(question.span, question.interval)}
    for own in _by_contact(world).values():
        entries = [n for n, each in enumerate(own) if _enters(world, question, each)]
        if entries:
            entered = own[entries[0]]
            later = own[entries[0] + 1 :]
            members[first_day(at(entered.timestamp, zone).date(), question.interval)].append(later)
    data = []
    for day, those in members.items():
        retention = []
        begins = day
        for period in range(question.periods + 1):
            if midnight(begins, zone) > now:
                break
            ends = following(begins, question.interval)
            count = len(those)
            if period:
                count = sum(_comes_back(world, question, later, begins, ends) for later in those)
            retention.append({"period": period, "count": count, "rate": rate(count, len(those))})
            begins = ends
        data.append({"cohort": day.isoformat(), "size": len(those), "retention": retention})
    return {"type": "cohort_retention", "data": data, "as_of": iso(now)}


def _enters(world: World, question: CohortQuestion, event: Happened) -> bool:
    return within(event.timestamp, question.span) and matches(world, event, question.entry)


def _comes_back(world: World, question: CohortQuestion, later: list[Happened], begins: date, ends: date) -> bool:
    zone = question.span.zone
    return any(
        begins <= at(each.timestamp, zone).date() < ends and matches(world, each, question.comeback) for each in later
    )


def figures(world: World, zone: str, now: int) -> Answer:
    """What the overview tells of events: in the last 30 days, today, and on the 30 days before today."""
    said = world.said()
    today = at(now, zone).date()
    begins, began = midnight(today, zone), midnight(today - timedelta(days=30), zone)
    return {
        "contacts_30d": len({each.contact_id for each in said if now - 30 * DAY < each.timestamp <= now}),
        "events_today": sum(begins <= each.timestamp <= now for each in said),
        "events_avg_daily": round(sum(began <= each.timestamp < begins for each in said) / 30, 2),
    }
