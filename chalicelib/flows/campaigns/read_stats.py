"""How a campaign does, in all and by step, and what became of each of its messages. Reads only."""

from collections import defaultdict

from chalicelib.core.clock import iso
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.schemas import StatsAnswer, StepFigures, figures
from chalicelib.features.contacts import service as contacts
from chalicelib.features.messaging import service as messaging
from chalicelib.features.messaging.schemas import MessageAnswer, shown
from chalicelib.platform.keys import Tenant

_MESSAGES = "campaigns.messages"


def run(tenant: Tenant, campaign_id: str, now: int) -> StatsAnswer:
    """The figures at `now` (ms); they lag by less than 2 s. Raises NotFound."""
    campaign = campaigns.get(tenant, campaign_id)
    by_step: dict[str, dict[str, int]] = {step.id: {} for step in campaign.steps}
    whole: dict[str, int] = defaultdict(int)
    for name, count in campaigns.tallied(tenant, campaign_id).items():
        step_id, is_outcome, outcome = name.partition("/")
        if is_outcome:
            by_step.setdefault(step_id, {})[outcome] = count
            whole[outcome] += count
    return StatsAnswer(
        campaign_id=campaign_id,
        status=campaign.status,
        stats=figures(whole),
        steps=[
            StepFigures(step_id=step_id, step_index=campaign.index(step_id), stats=figures(counted))
            for step_id, counted in by_step.items()
        ],
        updated_at=iso(now),
    )


def messages(
    tenant: Tenant, campaign_id: str, status: str | None, limit: int, after: str | None
) -> tuple[list[MessageAnswer], str | None]:
    """A page of a campaign's messages, newest first, and the cursor of the next one.

    Raises NotFound, and BadRequest on a foreign cursor.
    """
    campaigns.get(tenant, campaign_id)
    rows, following = messaging.listing(tenant, _MESSAGES, campaign_id, status, limit, after)
    heirs = contacts.heirs(tenant, {each.contact_id for each in rows})
    return [shown(each, heirs.get(each.contact_id, each.contact_id)) for each in rows], following
