"""Put a question to the function that has the engine; where there is none beside this one, answer here."""

from datetime import date, timedelta
from typing import Any

from chalicelib.core import clock
from chalicelib.core.errors import ValidationFailed
from chalicelib.features.analytics.buckets import midnight
from chalicelib.features.analytics.model import DEFAULT_DAYS, Figures, Question, Span
from chalicelib.features.analytics.wire import of_wire, to_wire
from chalicelib.flows.analytics import answer
from chalicelib.platform import functions
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant

_REFUSED = "refused"


def run(tenant: Tenant, question: Question, now: int) -> dict[str, Any]:
    """The answer as of `now`, in ms of the project's time. Raises Unavailable, ValidationFailed."""
    if not settings().analytics_function:
        return answer.run(tenant, question, now)
    payload = {"project": tenant.project_id, "question": to_wire(question), "now": now}
    told = functions.invoke(settings().analytics_function, payload)
    if _REFUSED in told:
        raise ValidationFailed(told[_REFUSED]["message"], details=told[_REFUSED]["details"])
    return told


def asked(payload: dict[str, Any]) -> dict[str, Any]:
    """The same in the function that was called. Raises Unavailable."""
    try:
        return answer.run(Tenant(payload["project"]), of_wire(payload["question"]), payload["now"])
    except ValidationFailed as refused:
        return {_REFUSED: {"message": refused.message, "details": refused.details}}


def figures(tenant: Tenant, now: int, zone: str) -> dict[str, Any]:
    """`contacts_30d`, `events_today` and `events_avg_daily`, for the overview, in the project's zone."""
    today = date.fromisoformat(clock.local_day(now, zone))
    first = midnight(today - timedelta(days=DEFAULT_DAYS), zone)
    month_ago = now - DEFAULT_DAYS * clock.DAY
    span = Span(min(first, month_ago), now + 1, zone)
    return run(tenant, Figures(span, month_ago, first, midnight(today, zone)), now)
