"""Move the runs of a contact that was merged to the one that has absorbed it.

What: of two runs in one campaign the further goes on and the other ends; what either has handled is not handled again.
Each run moves in one transaction that removes it where it was, so nobody gets a step twice. It is done on the bus when
a merge is told, and before anything is decided of a contact that still absorbs others. May be repeated.
"""

from collections.abc import Sequence
from dataclasses import replace

from chalicelib.core import events
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.model import Campaign, Run, joined
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.messaging import service as messaging
from chalicelib.features.projects import service as projects
from chalicelib.features.timers import service as timers
from chalicelib.flows.campaigns import timing
from chalicelib.platform import outbox, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Check, Op, attr
from chalicelib.readings import doubt


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Move the runs of those who were merged, on the bus."""
    for event in told:
        _move_all(tenant, str(event.data["source_contact_id"]))


def absorb(tenant: Tenant, contact: Contact) -> bool:
    """Move the runs of all whom the contact still absorbs; True where there was one to move."""
    has_moved = False
    for source in contact.absorbing:
        if source.anonymous_id is None:
            has_moved |= _move_all(tenant, source.contact_id)
    return has_moved


def _move_all(tenant: Tenant, source_id: str) -> bool:
    theirs = campaigns.runs_of(tenant, source_id)
    for each in theirs:
        retried(lambda each=each: _move(tenant, each.contact_id, each.campaign_id))  # type: ignore[misc]
    return bool(theirs)


def _move(tenant: Tenant, source_id: str, campaign_id: str) -> None:
    heir = contacts.heir(tenant, source_id)
    if heir is None or heir.id == source_id:
        return
    keys = [campaigns.run_key(tenant, each, campaign_id) for each in (source_id, heir.id)]
    rows = table.batch_get(keys)
    theirs, ours = (campaigns.run(tenant, rows.get(key)) for key in keys)
    if theirs is None:
        return
    # The queue's message of the run that ends finds it no more: what either left in doubt is noted here.
    for each in (theirs, *([] if ours is None else [ours])):
        if each.claimed is not None:
            doubt.note(tenant, messaging.load(tenant, each.contact_id, each.claimed), projects.now(tenant))
    campaign, now = campaigns.catalog(tenant).campaigns.get(campaign_id), projects.now(tenant)
    stays = replace(theirs, contact_id=heir.id, version=0) if ours is None else joined(campaign, ours, theirs)
    table.transact(
        [
            Check(contacts.key(tenant, heir.id), attr("version").eq(heir.version)),
            campaigns.remove_run(tenant, theirs),
            campaigns.save_run(tenant, stays),
            *_timer_ops(tenant, theirs, ours, stays, now),
            *_ended_ops(tenant, campaign, [each for each in (ours, theirs) if each is not None], stays, now),
        ]
    )


def _timer_ops(tenant: Tenant, theirs: Run, ours: Run | None, stays: Run, now: int) -> list[Op]:
    """The timer of the run that goes on stands with the heir, and none of the other's is left."""
    source = contacts.key(tenant, theirs.contact_id).pk
    gone = timers.clear_ops(tenant, source, campaigns.timer_name(theirs.campaign_id), before=theirs.due_at)
    return [*gone, *timing.follow_ops(tenant, stays, now, before=None if ours is None else ours.due_at)]


def _ended_ops(tenant: Tenant, campaign: Campaign | None, both: Sequence[Run], stays: Run, now: int) -> list[Op]:
    """What tells of a run that was going on and ends here."""
    ended = [each for each in both if each.is_running and each.id != stays.id]
    if campaign is None:
        return []
    return [
        outbox.emit(
            tenant,
            events.RUN_ENDED,
            {"campaign_id": campaign.id, "contact_id": each.contact_id, "run_id": each.id, "reason": "merged"},
            now,
        )
        for each in ended
    ]
