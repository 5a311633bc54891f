"""From what callers write to questions. Pure."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import partial
from typing import Any

from chalicelib.core.clock import DAY
from chalicelib.core.durations import parse_duration
from chalicelib.core.errors import Detail, ValidationFailed, detail
from chalicelib.features.analytics.buckets import buckets
from chalicelib.features.analytics.model import (
    DEFAULT_PERIODS,
    MAX_BUCKETS,
    MAX_HOURLY_DAYS,
    CohortQuestion,
    Filter,
    FunnelQuestion,
    Path,
    Question,
    Series,
    Span,
    Step,
)
from chalicelib.features.analytics.spans import Asked, SpanFault, days_before, periods_before, span

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "event_count": (),
    "unique_contacts": (),
    "funnel": ("steps", "window"),
    "cohort_retention": ("entry_event", "return_event", "interval"),
}
_TAKEN: Mapping[str, tuple[str, ...]] = {
    "event_count": ("event", "interval", "filters", "group_by"),
    "unique_contacts": ("event", "interval", "filters", "group_by"),
    "funnel": ("steps", "window"),
    "cohort_retention": ("entry_event", "return_event", "interval", "periods"),
}
_ALL = frozenset(name for names in _TAKEN.values() for name in names)
_MAX_MONTHS = 400
_LONGEST_MONTH = 31 * DAY


def question(asked: Mapping[str, Any], zone: str, now: int) -> Question:
    """The question that the fields of a query stand for. Raises ValidationFailed with each fault."""
    kind = asked["type"]
    faults = [detail(name, "missing", f"{kind} needs {name}.") for name in _NEEDED[kind] if asked.get(name) is None]
    faults += [
        detail(name, "unexpected", f"{kind} takes no {name}.")
        for name in sorted(_ALL.difference(_TAKEN[kind]))
        if asked.get(name) is not None
    ]
    if kind == "cohort_retention" and asked.get("interval") in ("hour", "day"):
        faults.append(detail("interval", "choice", "The interval of a cohort is week or month."))
    when = _span(asked, zone, now, faults)
    if when is None or faults:
        raise ValidationFailed("The question can't be answered.", details=faults)
    if kind == "funnel":
        return funnel(asked, when)
    if kind == "cohort_retention":
        return cohort(asked, when)
    group_by = asked.get("group_by")
    return Series(
        measure=kind,
        event=asked.get("event"),
        interval=asked.get("interval") or "day",
        span=when,
        filters=_filters(asked.get("filters") or {}),
        group_by=None if group_by is None else _path(group_by),
    )


def funnel(fields: Mapping[str, Any], when: Span) -> FunnelQuestion:
    """The question of a funnel's fields."""
    steps = tuple(Step(each["event"], _filters(each.get("filters") or {})) for each in fields["steps"])
    return FunnelQuestion(steps, parse_duration(fields["window"]), when)


def cohort(fields: Mapping[str, Any], when: Span) -> CohortQuestion:
    """The question of a cohort's fields."""
    interval = fields["interval"]
    periods = fields.get("periods") or DEFAULT_PERIODS[interval]
    return CohortQuestion(Step(fields["entry_event"]), Step(fields["return_event"]), interval, periods, when)


def asked_span(since: str | None, until: str | None, fields: Mapping[str, Any], zone: str, now: int) -> Span:
    """The time that the parameters of an analysis stand for, given what is defined. Raises ValidationFailed."""
    faults: list[Detail] = []
    when = _span({**fields, "from": since, "to": until}, zone, now, faults)
    if when is None:
        raise ValidationFailed("The question can't be answered.", details=faults)
    return when


def _span(asked: Mapping[str, Any], zone: str, now: int, faults: list[Detail]) -> Span | None:
    """None where there is a fault, which is then among the others."""
    try:
        when = span(Asked(asked.get("from"), asked.get("to")), zone, now, _first(asked))
    except SpanFault as fault:
        faults.append(detail(fault.field, fault.reason, fault.message))
        return None
    if (message := _too_long(asked.get("interval"), when)) is not None:
        faults.append(detail("interval", "range", message))
        return None
    return when


def _first(asked: Mapping[str, Any]) -> Callable[[date], date]:
    """With which day answers begin that are asked for without one: a cohort's with the oldest that is told of whole."""
    if asked.get("entry_event") is None or asked.get("interval") not in DEFAULT_PERIODS:
        return days_before
    interval = asked["interval"]
    return partial(periods_before, interval=interval, periods=asked.get("periods") or DEFAULT_PERIODS[interval])


def _too_long(interval: str | None, when: Span) -> str | None:
    days = (when.until - when.since) / DAY
    if interval == "hour" and days > MAX_HOURLY_DAYS + 1 / 24:
        return f"By hour, at most {MAX_HOURLY_DAYS} days are told of."
    if interval == "month" and when.until - when.since > _MAX_MONTHS * _LONGEST_MONTH:
        return f"At most {_MAX_MONTHS} months are told of."
    if interval in ("day", "week") and len(buckets("week", when)) > MAX_BUCKETS // (7 if interval == "day" else 1):
        return f"At most {MAX_BUCKETS:,} intervals are told of."
    return None


def _filters(given: Mapping[str, Any]) -> tuple[Filter, ...]:
    return tuple(Filter(_path(path), tuple(_listed(value))) for path, value in given.items())


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def _path(text: str) -> Path:
    place, _, name = text.partition(".")
    return Path("traits" if place == "traits" else "properties", name)
