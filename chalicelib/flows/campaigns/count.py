"""Count what became of messages, on the bus, and let a broadcast end whose last mail is out. Each event counts once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from chalicelib.core import events
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.model import Campaign
from chalicelib.features.campaigns.service import DONE
from chalicelib.features.projects import service as projects
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried

_OUTCOMES = frozenset({events.MAIL_SENT, events.MAIL_SKIPPED, events.MAIL_FAILED, events.MAIL_UNCONFIRMED})
_PREFIX = "campaign.email."


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Count these events, by campaign and step."""
    changes: dict[str, dict[str, Mapping[str, int]]] = defaultdict(dict)
    for event in told:
        changes[str(event.data["campaign_id"])][event.id] = _deltas(event)
        if event.name in _OUTCOMES or event.name == events.RUN_ENDED:
            # Of a broadcast a run has one step: whatever is told of it first is its end, however often it is told.
            changes[str(event.data["campaign_id"])][f"{event.data['run_id']}#{DONE}"] = {DONE: 1}
    for campaign_id, some in changes.items():
        campaigns.tally(tenant, campaign_id, some)
        complete(tenant, campaign_id)


def walked(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Look whether broadcasts of which everybody was queued are over already."""
    for event in told:
        complete(tenant, str(event.data["campaign_id"]))


def complete(tenant: Tenant, campaign_id: str) -> None:
    """End a broadcast whose runs have all ended, once everybody of its segment has one."""
    campaign = campaigns.catalog(tenant).campaigns.get(campaign_id)
    if campaign is None or not _may_end(campaign) or not campaigns.is_over(tenant, campaign_id):
        return

    def act() -> None:
        stands = campaigns.find(tenant, campaign_id)
        if stands is not None and _may_end(stands):
            now = projects.now(tenant)
            after = campaigns.moved(stands, "completed", now)
            table.transact(campaigns.change_ops(tenant, after, now, events.CAMPAIGN_COMPLETED))

    retried(act)


def _may_end(campaign: Campaign) -> bool:
    return campaign.type == "broadcast" and campaign.is_walked and campaign.status in ("active", "paused")


def _deltas(event: DomainEvent) -> Mapping[str, int]:
    """What an event adds to the campaign's counter; what it was counted as before is taken back."""
    if event.name == events.RUN_ENDED:
        return {}
    step, outcome = event.data["step_id"], event.name.removeprefix(_PREFIX)
    if event.name == events.MAIL_SKIPPED:
        outcome = f"{outcome}:{event.data['reason']}"
    deltas = {f"{step}/{outcome}": 1}
    was = event.data.get("was")
    return deltas if was is None else deltas | {f"{step}/{was}": -1}
