"""Make sends by what happened, on the bus; after segments, so that memberships follow from the event itself.

What: an event, or entering a segment, makes a send of each survey that it triggers, unless one waits already or the
contact has had its number. The send is judged again when it is due. A cause names its send, so it makes one however
often it is told. May be repeated.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core import events, ids, strict_json
from chalicelib.features.activity import service as activity
from chalicelib.features.projects import service as projects
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.catalog import Catalog
from chalicelib.features.surveys.decision import may_wait
from chalicelib.features.surveys.model import Cause, Send, Survey
from chalicelib.flows.surveys import standing, timing
from chalicelib.flows.surveys.standing import Standing
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried
from chalicelib.readings import eligibility


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Make the sends that these events cause."""
    catalog = surveys.catalog(tenant)
    for event in told:
        if event.name == events.SEGMENT_ENTERED:
            _on_entered(tenant, catalog, event)
        else:
            _on_activity(tenant, catalog, event)


def _on_entered(tenant: Tenant, catalog: Catalog, event: DomainEvent) -> None:
    for survey_id in catalog.asked_in(str(event.data["segment_id"])):
        if catalog.surveys[survey_id].trigger.takes(event.data["starts"]):
            cause = Cause("segment", event.id, event.created_at)
            is_merge = event.data["reason"] == "merge"
            begin(tenant, str(event.data["contact_id"]), survey_id, cause, event.created_at, is_merge=is_merge)


def _on_activity(tenant: Tenant, catalog: Catalog, event: DomainEvent) -> None:
    name = str(event.data["event"])
    asked = catalog.asked_by(name)
    if not asked or activity.is_past(event):
        return
    said = event.data["properties"]
    properties = {} if said is None else strict_json.stored(said)
    cause = Cause("event", event.id, int(event.data["timestamp"]), name)
    for survey_id in asked:
        begin(tenant, str(event.data["contact_id"]), survey_id, cause, event.created_at, properties)


def begin(
    tenant: Tenant,
    contact_id: str,
    survey_id: str,
    cause: Cause,
    received_at: int,
    properties: Mapping[str, Any] | None = None,
    *,
    is_merge: bool = False,
) -> None:
    """Make the contact's send by this cause, if the survey takes it; `received_at` is when its delay begins.

    May be repeated.
    """
    retried(lambda: _begin(tenant, contact_id, survey_id, cause, received_at, properties or {}, is_merge=is_merge))


def _begin(
    tenant: Tenant,
    contact_id: str,
    survey_id: str,
    cause: Cause,
    received_at: int,
    properties: Mapping[str, Any],
    *,
    is_merge: bool,
) -> None:
    send_id = send_id_of(cause, contact_id)
    at = standing.read(tenant, contact_id, survey_id, send_id)
    if at is None or at.send is not None or at.survey is None or not at.survey.takes(cause):
        return
    # What moved events caused is not caused again by the merge that moved them.
    if not may_wait(at.survey, at.surveyed) or (is_merge and at.surveyed.count(survey_id)):
        return
    now = projects.now(tenant)
    if not _is_wanted(tenant, at, at.survey, cause, properties, now):
        return
    due_at = received_at + at.survey.trigger.delay
    send = Send(send_id, at.contact.id, survey_id, cause, now, due_at=due_at)
    table.transact(
        [
            standing.unchanged(tenant, at),
            surveys.save_send(tenant, send),
            surveys.save_surveyed(tenant, at.surveyed.waits(survey_id, send_id)),
            *timing.follow_ops(tenant, send, "ask", now),
        ]
    )


def send_id_of(cause: Cause, contact_id: str) -> str:
    """The id of the send that a cause makes. One sweep asks many, whose sends may come together in one contact."""
    own = ids.ulid_of(cause.id)
    return f"{own}-{ids.ulid_of(contact_id)}" if cause.kind == "sweep" else own


def _is_wanted(
    tenant: Tenant, at: Standing, survey: Survey, cause: Cause, properties: Mapping[str, Any], now: int
) -> bool:
    """True where the trigger's segment has the contact, unless it has just entered it, and its filters hold."""
    segment_id = survey.trigger.segment_id
    if segment_id is not None and cause.kind != "segment" and not is_member(tenant, at, survey, now):
        return False
    filters = at.catalog.filters(survey.id)
    return filters is None or eligibility.holds(tenant, at.contact, {"": filters}, now, properties)[""]


def is_member(tenant: Tenant, at: Standing, survey: Survey, now: int) -> bool:
    """True where the trigger's segment has the contact at `now`, or it names none."""
    segment_id = survey.trigger.segment_id
    return segment_id is None or eligibility.is_member(tenant, at.contact, segment_id, now)
