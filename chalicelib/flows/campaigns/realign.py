"""Bring the runs of a campaign in line with its definition, in resumable pages: after a pause, or a change of steps.

What: a run whose next step is due by now is queued; one whose step is due at another moment than its timer stands at
has its timer moved; one without a next step ends. May be repeated: each step is claimed once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.model import Campaign, Run, due_moment, next_step
from chalicelib.features.campaigns.service import Due
from chalicelib.features.projects import service as projects
from chalicelib.flows.campaigns import timing
from chalicelib.platform import jobs, listing, table
from chalicelib.platform.jobs import HasTime
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried

KIND: Final = "realign_campaign"
"""The kind of the job."""


def start(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin the walk over the runs of campaigns that were resumed or changed, on the bus; may be repeated.

    Lists lag a write by a second: runs that were begun just before are to be seen.
    """
    for event in told:
        data = {"campaign_id": event.data["campaign_id"], "version": event.data["version"]}
        jobs.send(tenant, KIND, data, delay_s=0 if tenant.is_test else listing.LAGS_S)


def run(tenant: Tenant, data: Mapping[str, Any], has_time: HasTime) -> Mapping[str, Any] | None:
    """Go over runs as long as there is time; returns where to go on, None at the end or once it is not active.

    `data` is `{campaign_id, version, position?}`; the version tells one change from the next, whose walk is its own.
    """
    campaign_id = str(data["campaign_id"])
    while True:
        campaign = campaigns.catalog(tenant).campaigns.get(campaign_id)
        if campaign is None or campaign.status != "active":
            return None
        page, position = campaigns.running(tenant, campaign_id, data.get("position"))
        due = [each for each in page if _is_due(tenant, campaign, each)]
        campaigns.dispatch(tenant, [Due(each.contact_id, campaign_id, each.id) for each in due])
        if position is None:
            return None
        data = dict(data) | {"position": position}
        if not has_time():
            return data


def _is_due(tenant: Tenant, campaign: Campaign, listed: Run) -> bool:
    """True where the run's next step is due; else its timer is where it belongs afterwards."""

    def act() -> bool:
        key = campaigns.run_key(tenant, listed.contact_id, campaign.id)
        stands = campaigns.run(tenant, table.batch_get([key]).get(key))
        if stands is None or not stands.is_running:
            return False
        now, following = projects.now(tenant), next_step(campaign, stands)
        due = now if following is None else due_moment(stands, following[1])
        if due <= now:
            return True
        if due != stands.due_at:
            later = replace(stands, due_at=due)
            follows = timing.follow_ops(tenant, later, now, before=stands.due_at)
            table.transact([campaigns.save_run(tenant, later), *follows])
        return False

    return retried(act)
