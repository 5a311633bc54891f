"""Give everybody of a segment a run in a broadcast, in resumable pages, or in a lifecycle that takes who is in already.

What: those who were members when the broadcast began, newest contact first, each with the moment of its turn in the
campaign's rate. Runs, their count and the event that queues them are written in one transaction, so each is counted and
queued once, however often a page is done again. It goes on while the campaign is paused: runs alone send nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from chalicelib.core import events
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.model import Campaign, Cause, Run
from chalicelib.features.campaigns.service import Due
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects import service as projects
from chalicelib.features.segments import service as segments
from chalicelib.features.segments.service import Memberships
from chalicelib.features.timers import service as timers
from chalicelib.flows.campaigns import on_events
from chalicelib.platform import jobs, listing, outbox, table
from chalicelib.platform.jobs import HasTime, Later
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Check, Op, attr
from chalicelib.readings import eligibility

KIND: Final = "broadcast"
"""The kind of the job."""

_AT_ONCE = 20
"""Runs of one transaction: up to four operations each in a test project."""

_BUILDING_S = 2
"""Seconds until the next look, where the segment is still being built."""


def start(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin broadcasts that are due, on the bus; may be repeated.

    Lists lag a write by a second: who has just entered is to be seen.
    """
    for event in told:
        data = {"campaign_id": event.data["campaign_id"]}
        jobs.send(tenant, KIND, data, delay_s=0 if tenant.is_test else listing.LAGS_S)


def queue(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Queue the runs that are due at once, on the bus; may be repeated."""
    for event in told:
        campaign_id = event.data["campaign_id"]
        due = [Due(contact_id, campaign_id, run_id) for contact_id, run_id, now in event.data["runs"] if now]
        campaigns.dispatch(tenant, due)


def run(tenant: Tenant, data: Mapping[str, Any], has_time: HasTime) -> Mapping[str, Any] | Later | None:
    """Give runs to members as long as there is time; returns where to go on, None once all have one.

    `data` is `{campaign_id, position?, was_building?}`. It begins once the segment is built: who the builder finds is a
    member from then on.
    """
    while True:
        campaign = campaigns.find(tenant, str(data["campaign_id"]))
        segment_id = None if campaign is None else _audience(campaign)
        if campaign is None or segment_id is None:
            return None
        # By its row: the catalog is not told that a segment has been built.
        segment = segments.find(tenant, segment_id)
        if segment is not None and segment.status == "building":
            return Later(dict(data) | {"was_building": True}, _BUILDING_S)
        if data.get("was_building"):
            # Whom the builder put in last is to be seen in the list.
            return Later({name: value for name, value in data.items() if name != "was_building"}, listing.LAGS_S)
        campaign = _begun(tenant, campaign.id)
        if campaign is None or campaign.started_at is None:
            return None
        page, position = segments.members_page(
            tenant, segment_id, _AT_ONCE, position=data.get("position"), entered_by=campaign.started_at
        )
        if campaign.type == "broadcast":
            _give_runs(tenant, campaign, page)
        else:
            _take_in(tenant, campaign, page)
        if position is None:
            _walked(tenant, campaign)
            return None
        data = dict(data) | {"position": position}
        if not has_time():
            return data


def _audience(campaign: Campaign) -> str | None:
    """The segment whose members get it; None where nothing is left to be done."""
    if campaign.status not in ("active", "paused") or campaign.is_walked:
        return None
    if campaign.type == "broadcast":
        return campaign.segment_id
    # Nobody enters a paused lifecycle; whoever activates it again lets the walk begin anew.
    return campaign.trigger.segment_id if campaign.trigger is not None and campaign.status == "active" else None


def _begun(tenant: Tenant, campaign_id: str) -> Campaign | None:
    """The campaign, with the moment at which it began to be sent."""

    def act() -> Campaign | None:
        campaign = campaigns.find(tenant, campaign_id)
        if campaign is None or campaign.started_at is not None:
            return campaign
        if campaign.status != "active":
            return None  # whoever activates it begins it
        now = projects.now(tenant)
        begun = replace(campaign, started_at=now, version=campaign.version + 1)
        table.transact(campaigns.change_ops(tenant, begun, now))
        return begun

    return retried(act)


def _give_runs(tenant: Tenant, campaign: Campaign, contact_ids: Sequence[str]) -> None:
    def act() -> None:
        keys = {each: contacts.key(tenant, each) for each in contact_ids}
        own = {each: campaigns.run_key(tenant, each, campaign.id) for each in contact_ids}
        member = {each: segments.memberships_key(tenant, each) for each in contact_ids}
        rows = table.batch_get([*keys.values(), *own.values(), *member.values()])
        people = [contacts.read(rows.get(key)) for each, key in keys.items() if own[each] not in rows]
        wanted = [
            each
            for each in people
            if each is not None
            and each.status == "active"
            and _was_member(tenant, campaign, each, segments.memberships(rows.get(member[each.id])))
        ]
        now = projects.now(tenant)
        if wanted:
            turns = campaigns.take_turn(tenant, campaign, now, len(wanted))
            table.transact(_run_ops(tenant, campaign, list(zip(wanted, turns, strict=True)), now))

    retried(act)


def _was_member(tenant: Tenant, campaign: Campaign, contact: Contact, known: Memberships) -> bool:
    """False where it had left when the broadcast began: by time that nobody has noted, or while the list lagged."""
    segment_id, began = campaign.segment_id or "", campaign.started_at or 0
    is_member, flips_at = known.of(segment_id)
    is_still = is_member and (flips_at is None or flips_at > began)
    return is_still or eligibility.is_member(tenant, contact, segment_id, began)


def _run_ops(tenant: Tenant, campaign: Campaign, wanted: Sequence[tuple[Contact, int]], now: int) -> list[Op]:
    ops: list[Op] = []
    told: list[tuple[str, str, bool]] = []
    for contact, turn in wanted:
        begun = first_run(campaign, contact, turn, now)
        ops.append(Check(contacts.key(tenant, contact.id), attr("version").eq(contact.version)))
        ops.append(campaigns.save_run(tenant, begun))
        if turn > now:
            owner, name = contacts.key(tenant, contact.id).pk, campaigns.timer_name(campaign.id)
            ops += timers.set_ops(tenant, owner, name, campaigns.STEP, turn, data={"run_id": begun.id})
        told.append((contact.id, begun.id, turn <= now))
    queued = outbox.emit(tenant, events.BROADCAST_QUEUED, {"campaign_id": campaign.id, "runs": told}, now)
    return [*ops, campaigns.given_op(tenant, campaign.id, len(wanted)), queued]


def first_run(campaign: Campaign, contact: Contact, turn: int, now: int) -> Run:
    """The contact's run in a broadcast, whose turn in the rate comes at that moment."""
    begun = on_events.begin(contact, campaign, Cause(campaign.id, now), now, None)
    return begun if campaign.rate_per_second is None else begun.waiting(campaign.steps[0].id, turn, "campaign")


def _take_in(tenant: Tenant, campaign: Campaign, contact_ids: Sequence[str]) -> None:
    """Begin runs of a lifecycle for those who were in its segment already."""
    now = projects.now(tenant)
    for contact_id in contact_ids:
        on_events.start(tenant, contact_id, campaign.id, Cause(f"evt_{campaign.since}", now), now)


def _walked(tenant: Tenant, campaign: Campaign) -> None:
    def act() -> None:
        stands = campaigns.find(tenant, campaign.id)
        if stands is not None and not stands.is_walked:
            now = projects.now(tenant)
            after = replace(stands, is_walked=True, version=stands.version + 1)
            table.transact(campaigns.change_ops(tenant, after, now, events.BROADCAST_WALKED))

    retried(act)
