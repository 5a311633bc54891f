"""Bodies and answers of the analytics endpoints."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from chalicelib.core.bounds import has_control
from chalicelib.core.clock import DAY, iso, parse_instant
from chalicelib.core.durations import parse_duration
from chalicelib.core.schema import Answer, Body, Line, NotNull, Query
from chalicelib.features.analytics.model import (
    MAX_FILTERS,
    MAX_PATH,
    MAX_PERIODS,
    MAX_STEPS,
    MAX_VALUES,
    MAX_WINDOW_DAYS,
    Definition,
)

_NAME_MAX = 128
_EVENT_MAX = 256
_TEXT_MAX = 1_024
_PLACES = ("traits.", "properties.")


def _event(name: str) -> str:
    if not name.strip() or has_control(name):
        raise ValueError("an event's name is not blank, nor has it control characters")
    if len(name.encode(errors="replace")) > _EVENT_MAX:
        raise ValueError(f"an event's name has at most {_EVENT_MAX} bytes of UTF-8")
    return name


def _path(path: str) -> str:
    place = next((each for each in _PLACES if path.startswith(each)), None)
    if place is None or path == place:
        raise ValueError("traits.<path> or properties.<path>")
    if has_control(path) or len(path.removeprefix(place).encode(errors="replace")) > MAX_PATH:
        raise ValueError(f"a path has at most {MAX_PATH} bytes of UTF-8, and no control characters")
    return path


def _scalar(value: object) -> object:
    if not isinstance(value, str | int | float):
        raise ValueError("text, a number, true or false")  # noqa: TRY004 - pydantic takes ValueError
    if isinstance(value, str) and len(value) > _TEXT_MAX:
        raise ValueError(f"text in filters has at most {_TEXT_MAX:,} characters")
    return value


def _values(value: object) -> object:
    if not isinstance(value, list):
        return _scalar(value)
    if not 1 <= len(value) <= MAX_VALUES:
        raise ValueError(f"a list has 1 to {MAX_VALUES} values")
    return [_scalar(each) for each in value]


def _window(text: str) -> str:
    if not 0 < parse_duration(text) <= MAX_WINDOW_DAYS * DAY:
        raise ValueError(f"a window is longer than nothing, and at most {MAX_WINDOW_DAYS}d")
    return text


def _moment(text: str) -> str:
    parse_instant(text)
    return text


EventName = Annotated[str, AfterValidator(_event), Field(examples=["signup_completed"])]
ValuePath = Annotated[str, AfterValidator(_path), Field(examples=["traits.source"])]
Values = Annotated[Any, BeforeValidator(_values)]
Filters = Annotated[
    dict[ValuePath, Values],
    Field(
        max_length=MAX_FILTERS,
        description="What holds of the contact's traits, or of the event's properties: a value, or one of a list.",
        examples=[{"traits.plan": "growth"}],
    ),
]
Window = Annotated[
    str,
    AfterValidator(_window),
    Field(description=f"How long after the first step all others count, at most {MAX_WINDOW_DAYS}d.", examples=["7d"]),
]
Moment = Annotated[str, Field(max_length=64), AfterValidator(_moment)]
Period = Literal["week", "month"]
Periods = Annotated[
    int, Field(ge=1, le=MAX_PERIODS, description="How many are told of behind the first; 8 weeks, 6 months.")
]
Name = Annotated[Line, Field(min_length=1, max_length=_NAME_MAX)]
_From = Annotated[Moment | None, Field(alias="from", description="From this day of the project's zone, or moment, on.")]
_To = Annotated[Moment | None, Field(description="Up to this day (included) or moment (excluded).")]


class StepBody(Body):
    """An event of a funnel."""

    event: EventName
    filters: Filters = Field(default_factory=dict)


Steps = Annotated[list[StepBody], Field(min_length=1, max_length=MAX_STEPS)]


class NewFunnel(Body):
    """Steps that contacts take one after the other, all within the window of the first."""

    name: Annotated[Name, Field(examples=["Activation"])]
    steps: Steps
    window: Window


class FunnelPatch(Body):
    """What to change of a funnel."""

    name: Annotated[Name | None, NotNull] = None
    steps: Annotated[Steps | None, NotNull] = None
    window: Annotated[Window | None, NotNull] = None


class NewCohort(Body):
    """Who comes back, by the week or month of the first entry."""

    name: Annotated[Name, Field(examples=["Weekly retention"])]
    entry_event: EventName
    return_event: EventName
    interval: Period
    periods: Periods | None = None


class CohortPatch(Body):
    """What to change of a cohort."""

    name: Annotated[Name | None, NotNull] = None
    entry_event: Annotated[EventName | None, NotNull] = None
    return_event: Annotated[EventName | None, NotNull] = None
    interval: Annotated[Period | None, NotNull] = None
    periods: Annotated[Periods | None, NotNull] = None


class QueryBody(Body):
    """A question. Counts take `event`, `interval`, `filters` and `group_by`; a funnel and a cohort the fields of their
    definitions. Without `from` and `to` it is of the last 30 days."""

    type: Literal["event_count", "unique_contacts", "funnel", "cohort_retention"]
    event: Annotated[EventName | None, NotNull, Field(description="Any that a caller sent where it is left out.")] = (
        None
    )
    interval: Annotated[Literal["hour", "day", "week", "month"] | None, NotNull] = None
    from_: Annotated[_From, NotNull] = None
    to: Annotated[_To, NotNull] = None
    filters: Annotated[Filters | None, NotNull] = None
    group_by: Annotated[
        ValuePath | None, Field(description="The 50 most frequent values are told of, the rest as `other`.")
    ] = None
    steps: Annotated[Steps | None, NotNull] = None
    window: Annotated[Window | None, NotNull] = None
    entry_event: Annotated[EventName | None, NotNull] = None
    return_event: Annotated[EventName | None, NotNull] = None
    periods: Annotated[Periods | None, NotNull] = None


class SegmentBody(Body):
    """Whom a segment of a funnel has."""

    step: Annotated[int, Field(ge=1, le=MAX_STEPS, description="The first step is 1.")]
    outcome: Annotated[
        Literal["dropped", "converted"],
        Field(description="Those who stopped at the step, their window being over, or those who reached it."),
    ]


class FormatQuery(Query):
    """How to answer."""

    format: Annotated[Literal["json", "csv", "svg"], Field(description="JSON, a table as CSV, or a chart as SVG.")] = (
        "json"
    )


class AnalysisQuery(FormatQuery):
    """Of which time, and how to answer."""

    from_: _From = None
    to: _To = None


class FunnelAnswer(Answer):
    """A funnel."""

    id: str
    name: str
    steps: list[dict[str, Any]]
    window: str
    created_at: str
    updated_at: str


class CohortAnswer(Answer):
    """A cohort."""

    id: str
    name: str
    entry_event: str
    return_event: str
    interval: str
    periods: int
    created_at: str
    updated_at: str


class FunnelStep(Answer):
    """How many got to a step. Rates are null of nobody; the time is in seconds from the step before."""

    event: str
    filters: dict[str, Any] = Field(default_factory=dict)
    count: int
    conversion_rate: float | None = None
    step_conversion_rate: float | None = None
    median_time_to_convert: float | None = None
    still_open: Annotated[int, Field(description="Who is at this step, and may reach the next one in the window.")]


class FunnelAnalysis(FunnelAnswer):
    """A funnel with how many got how far."""

    steps: list[FunnelStep]  # type: ignore[assignment]
    as_of: str


class CohortAnalysis(CohortAnswer):
    """A cohort with how many came back."""

    data: Annotated[
        list[dict[str, Any]],
        Field(
            examples=[
                [{"cohort": "2026-02-02", "size": 40, "retention": [{"period": 0, "count": 40, "rate": 1.0}]}],
            ]
        ),
    ]
    as_of: str


class QueryAnswer(Answer):
    """The answer to a question: `data` and `total` of counts, `steps` of a funnel, `data` of a cohort."""

    type: str
    data: list[dict[str, Any]] | None = None
    total: int | None = None
    steps: list[FunnelStep] | None = None
    as_of: str


class OverviewAnswer(Answer):
    """What a dashboard begins with."""

    total_contacts: int
    contacts_30d: Annotated[int, Field(description="Seen in the last 30 days.")]
    events_today: Annotated[int, Field(description="Since midnight in the project's zone.")]
    events_avg_daily: Annotated[float, Field(description="Of the 30 days before today.")]
    active_campaigns: int
    nps_score: Annotated[int | None, Field(description="Of the last 90 days; null without responses.")]
    referral_conversion_rate: Annotated[float | None, Field(description="Of all time; null without referrals.")]
    as_of: str


class RemovedDefinition(Answer):
    """What was deleted."""

    id: str
    deleted: bool = True


def fields(body: NewFunnel | NewCohort | FunnelPatch | CohortPatch) -> dict[str, Any]:
    """What the body says of the definition, as it is kept; what a caller left out is not in it."""
    return body.model_dump(mode="json", exclude_unset=True, exclude={"name"})


def shown(definition: Definition) -> dict[str, Any]:
    """The definition as callers see it."""
    return {
        "id": definition.id,
        "name": definition.name,
        **definition.fields,
        "created_at": iso(definition.created_at),
        "updated_at": iso(definition.updated_at),
    }


def analysed(definition: Definition, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The definition with the answer to its question."""
    told = shown(definition) | {name: value for name, value in answer.items() if name != "type"}
    if definition.kind == "funnel":
        both = zip(definition.fields["steps"], answer["steps"], strict=True)
        told["steps"] = [step | dict(figures) for step, figures in both]
    return told
