"""Start and end runs by what happened, on the bus; after segments, so that memberships follow from the event itself.

What: an event ends the runs of campaigns that it exits, then starts those that it triggers; so does entering a segment.
A run that was started by an event, or ended by one, is told from a second delivery by that event's id. May be repeated.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from chalicelib.core import events, ids, strict_json
from chalicelib.features.activity import service as activity
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.catalog import Catalog
from chalicelib.features.campaigns.decision import Skip
from chalicelib.features.campaigns.model import Campaign, Cause, Run, is_after, moved_on, next_step
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.messaging import service as messaging
from chalicelib.features.projects import service as projects
from chalicelib.features.timers import service as timers
from chalicelib.flows.campaigns import send, standing, timing
from chalicelib.flows.campaigns.send import Position
from chalicelib.flows.campaigns.standing import Standing
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Check, Op, attr
from chalicelib.readings import doubt, eligibility


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """End and start the runs that these events concern."""
    catalog = campaigns.catalog(tenant)
    for event in told:
        if event.name == events.SEGMENT_ENTERED:
            starts, is_merge = event.data["starts"], event.data["reason"] == "merge"
            started = [
                each
                for each in catalog.started_in(str(event.data["segment_id"]))
                if (trigger := catalog.campaigns[each].trigger) is not None and trigger.takes(starts)
            ]
            cause = Cause(event.id, event.created_at)
            for campaign_id in started:
                who = str(event.data["contact_id"])
                start(tenant, who, campaign_id, cause, event.created_at, is_merge=is_merge)
        else:
            _on_activity(tenant, catalog, event)


def _on_activity(tenant: Tenant, catalog: Catalog, event: DomainEvent) -> None:
    name, moment = str(event.data["event"]), int(event.data["timestamp"])
    contact_id = str(event.data["contact_id"])
    for campaign_id in catalog.left_by(name):
        retried(lambda one=campaign_id: _leave(tenant, contact_id, one, event.id, moment))  # type: ignore[misc]
    started = catalog.started_by(name)
    if started and not activity.is_past(event):
        said = event.data["properties"]
        cause = Cause(event.id, moment, name, {} if said is None else strict_json.stored(said))
        for campaign_id in started:
            start(tenant, contact_id, campaign_id, cause, event.created_at)


def start(
    tenant: Tenant, contact_id: str, campaign_id: str, cause: Cause, entered_at: int, *, is_merge: bool = False
) -> None:
    """Begin the contact's run, if the campaign takes it by this cause. May be repeated."""
    retried(lambda: _begin(tenant, contact_id, campaign_id, cause, entered_at, is_merge=is_merge))


def _begin(tenant: Tenant, contact_id: str, campaign_id: str, cause: Cause, entered_at: int, *, is_merge: bool) -> None:
    heir = contacts.heir(tenant, contact_id)
    if heir is None or heir.status != "active":
        return
    read = standing.read(tenant, heir.id, [campaign_id])
    campaign, before, now = read.catalog.campaigns.get(campaign_id), read.runs.get(campaign_id), projects.now(tenant)
    if campaign is None or read.contact is None or not _may_begin(campaign, before, cause, is_merge=is_merge):
        return
    if _is_wanted(tenant, read, campaign, read.contact, cause, now):
        if before is not None and before.claimed is not None:
            # The queue's message of the run before will not find it any more: what it left in doubt is noted here.
            doubt.note(tenant, messaging.load(tenant, before.contact_id, before.claimed), now)
        begun = begin(read.contact, campaign, cause, entered_at, before)
        table.transact(begin_ops(tenant, read.contact, begun, before, now))


def _may_begin(campaign: Campaign, before: Run | None, cause: Cause, *, is_merge: bool) -> bool:
    """True where the campaign was active when the cause was received, and the contact may enter it by that.

    A merge starts first runs only: what the moved events caused was caused before.
    """
    received = ids.ulid_of(cause.id)
    if campaign.status != "active" or campaign.since is None or received < campaign.since:
        return False
    if before is None:
        return True
    return campaign.reentry and not is_merge and not before.is_running and received > ids.ulid_of(before.cause.id)


def _is_wanted(tenant: Tenant, read: Standing, campaign: Campaign, contact: Contact, cause: Cause, now: int) -> bool:
    """True where the trigger's filters hold, and its segment has the contact, where it takes an event of a member; or
    where the run is asked for by name."""
    if cause.is_asked:
        return True
    trigger = campaign.trigger
    of = trigger.segment_id if trigger is not None and trigger.event is not None else None
    if of is not None and not eligibility.is_member(tenant, contact, of, now):
        return False
    filters = read.catalog.compiled(campaign.id).filters
    return filters is None or eligibility.holds(tenant, contact, {"": filters}, now, cause.properties)[""]


def asked(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin runs that something else than the campaign's trigger asks for by name, on the bus; may be repeated."""
    for event in told:
        data = event.data
        cause = Cause(event.id, int(data["moment"]), str(data["event"]), dict(data["properties"]), is_asked=True)
        start(tenant, str(data["contact_id"]), str(data["campaign_id"]), cause, event.created_at)


def begin(contact: Contact, campaign: Campaign, cause: Cause, entered_at: int, before: Run | None) -> Run:
    """The contact's new run, from the moment at which it was caused."""
    begun = Run(
        id=ids.new_ulid(),
        contact_id=contact.id,
        campaign_id=campaign.id,
        cause=cause,
        entered_at=entered_at,
        anchor=entered_at,
        due_at=entered_at,
        number=1 if before is None else before.number + 1,
        happened=frozenset() if before is None else before.happened,
        version=0 if before is None else before.version,
    )
    return moved_on(campaign, begun)


def begin_ops(tenant: Tenant, contact: Contact, begun: Run, before: Run | None, now: int) -> list[Op]:
    """The operations that begin a run, over the contact and the run before that were read."""
    return [
        Check(contacts.key(tenant, contact.id), attr("version").eq(contact.version)),
        campaigns.save_run(tenant, begun),
        *timing.follow_ops(tenant, begun, now, before=None if before is None else before.due_at),
    ]


def deleted(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """End all runs of contacts that were deleted, on the bus; may be repeated."""
    for event in told:
        for each in campaigns.runs_of(tenant, str(event.data["contact_id"])):
            retried(lambda one=each: _end(tenant, one.contact_id, one.campaign_id, "deleted"))  # type: ignore[misc]


def _leave(tenant: Tenant, contact_id: str, campaign_id: str, event_id: str, moment: int) -> None:
    """End the contact's run by an event that came after what started it."""
    heir = contacts.heir(tenant, contact_id)
    if heir is not None and heir.status == "active":
        _end(tenant, heir.id, campaign_id, "exited", lambda found: is_after(found.cause, event_id, moment))


def _end(
    tenant: Tenant,
    contact_id: str,
    campaign_id: str,
    reason: Literal["exited", "deleted"],
    is_ended: Callable[[Run], bool] = lambda _: True,
) -> None:
    """End the run, if it goes on; its next step is told as skipped."""
    read = standing.read(tenant, contact_id, [campaign_id])
    campaign, found, now = read.catalog.campaigns.get(campaign_id), read.runs.get(campaign_id), projects.now(tenant)
    if campaign is None or found is None or read.contact is None or not found.is_running or not is_ended(found):
        return
    following = next_step(campaign, found)
    owner = contacts.key(tenant, contact_id).pk
    gone = timers.clear_ops(tenant, owner, campaigns.timer_name(campaign_id), before=found.due_at)
    if following is None:
        table.transact([campaigns.save_run(tenant, found.ended("completed")), *gone])
        return
    at = Position(campaign, read.contact, found, read, now)
    skipped = send.skipped_ops(tenant, at, Skip(*following, reason))
    table.transact([*skipped, campaigns.save_run(tenant, found.ended(reason)), *gone])
