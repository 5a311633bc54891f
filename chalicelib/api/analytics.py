"""Analytics: what happened in a project."""

from datetime import date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from chalicelib.core.clock import parse_instant
from chalicelib.core.schema import Page, PageQuery
from chalicelib.edge.call import Call
from chalicelib.edge.router import Router
from chalicelib.features.activity import service as activity
from chalicelib.features.activity.schemas import EventAnswer, shown
from chalicelib.features.projects import service as projects

router = Router("analytics")

_FIRST_DAY, _LAST_DAY = date(1, 1, 2), date(9999, 12, 30)
"""The days whose midnights have a date in every zone."""

_DATE_LENGTH = len("2026-02-23")


def _moment(text: str) -> str:
    try:
        parse_instant(text)
    except ValueError:
        raise ValueError("not an ISO 8601 date or moment") from None
    return text


Moment = Annotated[str, AfterValidator(_moment)]


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
    zone = _zone(call) if _has_date(query) else None
    only = activity.Filter(
        contact_id=query.contact_id,
        name=query.event,
        since=_bound(query.from_, zone, days=0),
        until=_bound(query.to, zone, days=1),
    )
    rows, following = activity.listing(call.tenant, "analytics.events", only, query.limit, query.cursor)
    return Page(data=[shown(row) for row in rows], has_more=following is not None, next_cursor=following)


def _has_date(query: EventsQuery) -> bool:
    return any(text is not None and len(text) == _DATE_LENGTH for text in (query.from_, query.to))


def _zone(call: Call[EventsQuery, None]) -> ZoneInfo:
    return ZoneInfo(projects.get(call.tenant).timezone)


def _bound(text: str | None, zone: ZoneInfo | None, *, days: int) -> int | None:
    """The moment in ms; a date stands for the midnight of the zone that many days later."""
    if text is None:
        return None
    if len(text) != _DATE_LENGTH or zone is None:
        return parse_instant(text)
    day = date.fromisoformat(text)
    if not _FIRST_DAY <= day <= _LAST_DAY:
        return parse_instant(text) if day < _FIRST_DAY or not days else None
    midnight = datetime.combine(day + timedelta(days=days), datetime.min.time(), tzinfo=zone)
    return parse_instant(midnight.isoformat())
