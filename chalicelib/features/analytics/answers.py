"""What the rows of a query say, as callers are answered. Pure. Moments in ms."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chalicelib.core.clock import SECOND, iso
from chalicelib.features.analytics.buckets import buckets, reach
from chalicelib.features.analytics.model import (
    DEFAULT_DAYS,
    CohortQuestion,
    Figures,
    FunnelQuestion,
    Question,
    Series,
)

NONE = "(none)"
OTHER = "other"

Row = Sequence[Any]


def answer(question: Question, rows: Iterable[Row], as_of: int) -> dict[str, Any]:
    """The answer to the question, which was asked at `as_of`."""
    if isinstance(question, Series):
        told = _series(question, rows)
    elif isinstance(question, FunnelQuestion):
        told = _funnel(question, rows)
    elif isinstance(question, Figures):
        told = _figures(rows)
    else:
        told = _cohort(question, rows, as_of)
    return told | {"as_of": iso(as_of)}


def _series(question: Series, rows: Iterable[Row]) -> dict[str, Any]:
    total = 0
    counts: dict[int, int] = {}
    groups: dict[int, dict[str, int]] = {}
    for key, kind, label, number in rows:
        if key is None:
            total = number
            continue
        counts[key] = number
        name = label if kind == 1 else (OTHER if kind else NONE)
        inside = groups.setdefault(key, {})
        # A value may happen to be called as the rest is.
        inside[name] = inside.get(name, 0) + number
    data: list[dict[str, Any]] = []
    for bucket in buckets(question.interval, question.span):
        if question.group_by is None:
            data.append({"date": bucket.label, "count": counts.get(bucket.key, 0)})
        else:
            data.append({"date": bucket.label, "groups": _by_size(groups.get(bucket.key, {}))})
    return {"type": question.measure, "data": data, "total": total}


def _by_size(groups: Mapping[str, int]) -> dict[str, int]:
    """The greatest first, and what is no group of its own last."""
    return dict(sorted(groups.items(), key=lambda each: (each[0] in (OTHER, NONE), -each[1], each[0])))


def _funnel(question: FunnelQuestion, rows: Iterable[Row]) -> dict[str, Any]:
    by_depth: dict[int, int] = {}
    still_open: dict[int, int] = {}
    medians: dict[int, float] = {}
    for step, contacts, running, median in rows:
        if contacts is None:
            medians[step] = median
        else:
            by_depth[step], still_open[step] = contacts, running
    last = len(question.steps)
    counts = [sum(number for depth, number in by_depth.items() if depth >= n) for n in range(1, last + 1)]
    steps = []
    for n, (step, count) in enumerate(zip(question.steps, counts, strict=True), 1):
        told = {
            "event": step.event,
            "count": count,
            "conversion_rate": rate(count, counts[0]),
            "step_conversion_rate": rate(count, counts[max(0, n - 2)]),
            "median_time_to_convert": _seconds(medians.get(n)),
            "still_open": still_open.get(n, 0) if n < last else 0,
        }
        steps.append(told)
    return {"type": "funnel", "steps": steps}


def _cohort(question: CohortQuestion, rows: Iterable[Row], as_of: int) -> dict[str, Any]:
    sizes: dict[int, int] = {}
    returned: dict[tuple[int, int], int] = {}
    for cohort, period, contacts in rows:
        if period is None:
            sizes[cohort] = contacts
        else:
            returned[cohort, period] = contacts
    periods = buckets(question.interval, reach(question))
    data = []
    for n, cohort in enumerate(buckets(question.interval, question.span)):
        size = sizes.get(cohort.key, 0)
        retention = []
        for place, period in enumerate(periods[n : n + 1 + question.periods]):
            if period.start <= as_of:
                count = returned.get((cohort.key, period.key), 0) if place else size
                retention.append({"period": place, "count": count, "rate": rate(count, size)})
        data.append({"cohort": cohort.label, "size": size, "retention": retention})
    return {"type": "cohort_retention", "data": data}


def _figures(rows: Iterable[Row]) -> dict[str, Any]:
    contacts, today, before = next(iter(rows), (0, None, None))
    daily = round((before or 0) / DEFAULT_DAYS, 2)
    return {
        "contacts_30d": contacts,
        "events_today": int(today or 0),
        "events_avg_daily": int(daily) if daily.is_integer() else daily,
    }


def rate(part: int, whole: int) -> float | None:
    """The share, to four decimals; None of nothing."""
    return round(part / whole, 4) if whole else None


def _seconds(milliseconds: float | None) -> float | None:
    if milliseconds is None:
        return None
    seconds = milliseconds / SECOND
    return int(seconds) if seconds.is_integer() else round(seconds, 4)
