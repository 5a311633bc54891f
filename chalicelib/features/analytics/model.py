"""Questions of analytics, as funnels and cohorts define them and callers ask them. Pure. Moments in ms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Scalar = str | int | float | bool
Interval = Literal["hour", "day", "week", "month"]
Measure = Literal["event_count", "unique_contacts"]
Place = Literal["traits", "properties"]

MAX_STEPS = 10
MAX_FILTERS = 10
MAX_VALUES = 100
MAX_PATH = 256
"""Bytes of a path."""

MAX_PERIODS = 52
DEFAULT_PERIODS: Mapping[str, int] = {"week": 8, "month": 6}
MAX_WINDOW_DAYS = 365
MAX_HOURLY_DAYS = 400
MAX_DEFINITIONS = 1_000
"""Funnels of a project, and as many cohorts."""

MAX_BUCKETS = 9_625
"""Those of 400 days by hour, and of a day that is an hour longer."""

DEFAULT_DAYS = 30


@dataclass(frozen=True, slots=True)
class Path:
    """A trait of a contact, or a property of an event: `traits.plan` is `Path("traits", "plan")`."""

    place: Place
    name: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Holds where the value at the path is one of these, typed: 1 equals 1.0, true is not 1, text is not a number."""

    path: Path
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """An event of a funnel."""

    event: str
    filters: tuple[Filter, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """The moments asked for, `since` included and `until` excluded, and the IANA zone in which days begin."""

    since: int
    until: int
    zone: str


@dataclass(frozen=True, slots=True)
class Series:
    """How many events, or different contacts, in each interval; `event` None means any that a caller sent."""

    measure: Measure
    event: str | None
    interval: Interval
    span: Span
    filters: tuple[Filter, ...] = ()
    group_by: Path | None = None


@dataclass(frozen=True, slots=True)
class FunnelQuestion:
    """How far contacts get who do the first step within the span; `window` in ms runs from the first step."""

    steps: tuple[Step, ...]
    window: int
    span: Span


@dataclass(frozen=True, slots=True)
class CohortQuestion:
    """Which contacts come back, by the calendar period of their first entry event within the span."""

    entry: Step
    comeback: Step
    interval: Literal["week", "month"]
    periods: int
    span: Span


@dataclass(frozen=True, slots=True)
class Figures:
    """Contacts seen after `month_ago`, events from `today` on, and those of the `DEFAULT_DAYS` days before it, which
    begin with `first_day`. All lie in the span."""

    span: Span
    month_ago: int
    first_day: int
    today: int


Question = Series | FunnelQuestion | CohortQuestion | Figures


Kind = Literal["funnel", "cohort"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A funnel or a cohort as it was defined; `fields` are those of its question, as callers write them."""

    id: str
    kind: Kind
    name: str
    fields: Mapping[str, Any]
    created_at: int
    updated_at: int
    version: int = 1
