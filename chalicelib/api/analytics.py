"""Analytics: what happened in a project, counted by time, by funnel, by cohort."""

from collections.abc import Mapping
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from chalicelib.core.schema import Page, PageQuery
from chalicelib.edge.call import Call, Reply
from chalicelib.edge.router import Router
from chalicelib.features.activity import service as activity
from chalicelib.features.activity.schemas import EventAnswer
from chalicelib.features.activity.schemas import shown as event_shown
from chalicelib.features.analytics import asking, charts, spans
from chalicelib.features.analytics import service as analytics
from chalicelib.features.analytics.model import Kind
from chalicelib.features.analytics.schemas import (
    AnalysisQuery,
    CohortAnalysis,
    CohortAnswer,
    CohortPatch,
    FormatQuery,
    FunnelAnalysis,
    FunnelAnswer,
    FunnelPatch,
    Moment,
    NewCohort,
    NewFunnel,
    OverviewAnswer,
    QueryAnswer,
    QueryBody,
    RemovedDefinition,
    SegmentBody,
    analysed,
    fields,
    shown,
)
from chalicelib.features.projects import service as projects
from chalicelib.features.segments.schemas import SegmentAnswer
from chalicelib.features.segments.schemas import shown as segment_shown
from chalicelib.flows.analytics import ask, overview
from chalicelib.flows.segments import define

router = Router("analytics")

_CSV = {"Content-Type": "text/csv; charset=utf-8", "X-Content-Type-Options": "nosniff"}
_SVG = {
    "Content-Type": "image/svg+xml; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
_TITLES = {"event_count": "Events", "unique_contacts": "Contacts", "funnel": "Funnel", "cohort_retention": "Retention"}


class EventsQuery(PageQuery):
    """Which events to list. A date is a whole day of the project's time zone, `to` included; an instant is exact."""

    event: Annotated[str | None, Field(max_length=256, description="Only events of this name.")] = None
    contact_id: Annotated[str | None, Field(max_length=64, description="Only events of this contact.")] = None
    from_: Annotated[Moment | None, Field(alias="from", description="From this moment or day on.")] = None
    to: Annotated[Moment | None, Field(description="Up to this moment (excluded) or day (included).")] = None


@router.get("/v1/analytics/events", scope="analytics:read", query=EventsQuery, answer=Page[EventAnswer])
def list_events(call: Call[EventsQuery, None]) -> Page[EventAnswer]:
    """List the project's events, newest first."""
    query = call.query
    zone = _zone(call) if any(text is not None and spans.is_date(text) for text in (query.from_, query.to)) else "UTC"
    only = activity.Filter(
        contact_id=query.contact_id,
        name=query.event,
        since=None if query.from_ is None else spans.moment(query.from_, zone),
        until=None if query.to is None else spans.moment(query.to, zone, ends=True),
    )
    rows, following = activity.listing(call.tenant, "analytics.events", only, query.limit, query.cursor)
    return Page(data=[event_shown(row) for row in rows], has_more=following is not None, next_cursor=following)


@router.post("/v1/analytics/query", scope="analytics:read", query=FormatQuery, body=QueryBody, answer=QueryAnswer)
def query_analytics(call: Call[FormatQuery, QueryBody]) -> Reply:
    """Ask how many events there were, how many contacts, how far they got, or who came back."""
    asked = call.body.model_dump(mode="json", by_alias=True, exclude_none=True)
    question = asking.question(asked, _zone(call), call.now)
    name = asked.get("event") or asked.get("entry_event")
    title = _TITLES[call.body.type] + (f": {name}" if name else "")
    return _answered(ask.run(call.tenant, question, call.now), call.query.format, title)


@router.get("/v1/analytics/overview", scope="analytics:read", answer=OverviewAnswer)
def get_overview(call: Call[None, None]) -> Reply:
    """Get what a dashboard begins with."""
    return Reply(overview.run(call.tenant, call.now))


@router.post(
    "/v1/analytics/funnels", scope="analytics:read", body=NewFunnel, answer=FunnelAnswer, status=201, idempotent=True
)
def create_funnel(call: Call[None, NewFunnel]) -> Reply:
    """Define a funnel."""
    return _created(call, "funnel")


@router.get("/v1/analytics/funnels", scope="analytics:read", query=PageQuery, answer=Page[FunnelAnswer])
def list_funnels(call: Call[PageQuery, None]) -> Reply:
    """List funnels, newest first."""
    return _listed(call, "funnel")


@router.get("/v1/analytics/funnels/{funnel_id}", scope="analytics:read", query=AnalysisQuery, answer=FunnelAnalysis)
def get_funnel(call: Call[AnalysisQuery, None]) -> Reply:
    """Get a funnel and how far contacts got who began it in the last 30 days, or in the time asked for."""
    return _analysed(call, "funnel", call.path["funnel_id"])


@router.patch("/v1/analytics/funnels/{funnel_id}", scope="analytics:read", body=FunnelPatch, answer=FunnelAnswer)
def update_funnel(call: Call[None, FunnelPatch]) -> Reply:
    """Change a funnel."""
    return _updated(call, "funnel", call.path["funnel_id"])


@router.delete("/v1/analytics/funnels/{funnel_id}", scope="analytics:read", answer=RemovedDefinition)
def delete_funnel(call: Call[None, None]) -> RemovedDefinition:
    """Delete a funnel. Segments that were made of it stay."""
    analytics.remove(call.tenant, "funnel", call.path["funnel_id"])
    return RemovedDefinition(id=call.path["funnel_id"])


@router.post(
    "/v1/analytics/funnels/{funnel_id}/segment",
    scope="segments:write",
    body=SegmentBody,
    answer=SegmentAnswer,
    status=201,
    idempotent=True,
)
def create_funnel_segment(call: Call[None, SegmentBody]) -> SegmentAnswer:
    """Make a live segment of those who stopped at a step, or reached it, of the last 30 days at any moment."""
    funnel = analytics.get(call.tenant, "funnel", call.path["funnel_id"])
    name, rules = analytics.segment_of(funnel, call.body.step, call.body.outcome)
    return segment_shown(*define.create(call.tenant, name, "dynamic", rules, [], call.now, call.receipt))


@router.post(
    "/v1/analytics/cohorts", scope="analytics:read", body=NewCohort, answer=CohortAnswer, status=201, idempotent=True
)
def create_cohort(call: Call[None, NewCohort]) -> Reply:
    """Define a cohort."""
    return _created(call, "cohort")


@router.get("/v1/analytics/cohorts", scope="analytics:read", query=PageQuery, answer=Page[CohortAnswer])
def list_cohorts(call: Call[PageQuery, None]) -> Reply:
    """List cohorts, newest first."""
    return _listed(call, "cohort")


@router.get("/v1/analytics/cohorts/{cohort_id}", scope="analytics:read", query=AnalysisQuery, answer=CohortAnalysis)
def get_cohort(call: Call[AnalysisQuery, None]) -> Reply:
    """Get a cohort and how many came back of those who entered in the last 30 days, or in the time asked for."""
    return _analysed(call, "cohort", call.path["cohort_id"])


@router.patch("/v1/analytics/cohorts/{cohort_id}", scope="analytics:read", body=CohortPatch, answer=CohortAnswer)
def update_cohort(call: Call[None, CohortPatch]) -> Reply:
    """Change a cohort."""
    return _updated(call, "cohort", call.path["cohort_id"])


@router.delete("/v1/analytics/cohorts/{cohort_id}", scope="analytics:read", answer=RemovedDefinition)
def delete_cohort(call: Call[None, None]) -> RemovedDefinition:
    """Delete a cohort."""
    analytics.remove(call.tenant, "cohort", call.path["cohort_id"])
    return RemovedDefinition(id=call.path["cohort_id"])


def _created(call: Call[None, NewFunnel] | Call[None, NewCohort], kind: Kind) -> Reply:
    made = analytics.create(call.tenant, kind, call.body.name, fields(call.body), call.now, call.receipt)
    return Reply(shown(made), status=201)


def _listed(call: Call[PageQuery, None], kind: Kind) -> Reply:
    rows, following = analytics.listing(call.tenant, kind, call.query.limit, call.query.cursor)
    data = [shown(row) for row in rows]
    return Reply({"data": data, "has_more": following is not None, "next_cursor": following})


def _updated(call: Call[None, FunnelPatch] | Call[None, CohortPatch], kind: Kind, ident: str) -> Reply:
    after = analytics.update(call.tenant, kind, ident, call.body.name, fields(call.body), call.now)
    return Reply(shown(after))


def _analysed(call: Call[AnalysisQuery, None], kind: Kind, ident: str) -> Reply:
    definition, query = analytics.get(call.tenant, kind, ident), call.query
    when = asking.asked_span(query.from_, query.to, definition.fields, _zone(call), call.now)
    read = asking.funnel if kind == "funnel" else asking.cohort
    answer = ask.run(call.tenant, read(definition.fields, when), call.now)
    return _answered(analysed(definition, answer), query.format, definition.name)


def _answered(answer: Mapping[str, Any], kind: str, title: str) -> Reply:
    if kind == "csv":
        return Reply(charts.to_csv(answer), headers=_CSV)
    if kind == "svg":
        return Reply(charts.to_svg(answer, title), headers=_SVG)
    return Reply(answer)


def _zone(call: Call[Any, Any]) -> str:
    """The project's zone; UTC where this machine does not know it, as it may be older than who set it."""
    name = projects.get(call.tenant).timezone
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return "UTC"
    return name
