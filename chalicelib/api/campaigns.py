"""Campaigns: sequences and broadcasts, what they would send, and what became of what they sent."""

from chalicelib.core.clock import iso
from chalicelib.core.schema import EmptyBody, Page
from chalicelib.edge.call import Call
from chalicelib.edge.router import Router
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.schemas import (
    CampaignAnswer,
    CampaignPatch,
    CampaignsQuery,
    NewCampaign,
    SampleAnswer,
    SampleBody,
    SimulateBody,
    StatsAnswer,
    shown,
    until,
)
from chalicelib.features.messaging.schemas import MessageAnswer, MessagesQuery
from chalicelib.flows.campaigns import define, preview, read_stats, sample, simulate
from chalicelib.flows.campaigns.answers import PreviewAnswer, PreviewSample, SimulationAnswer, simulated

router = Router("Campaigns")


@router.post(
    "/v1/campaigns", scope="campaigns:write", body=NewCampaign, answer=CampaignAnswer, status=201, idempotent=True
)
def create_campaign(call: Call[None, NewCampaign]) -> CampaignAnswer:
    """Create a campaign. It is a draft until it is activated.

    A lifecycle campaign sends its steps to each contact that its trigger starts, a broadcast one mail to a segment.
    """
    return shown(define.create(call.tenant, call.body, call.now, call.receipt))


@router.get("/v1/campaigns", scope="campaigns:read", query=CampaignsQuery, answer=Page[CampaignAnswer])
def list_campaigns(call: Call[CampaignsQuery, None]) -> Page[CampaignAnswer]:
    """List campaigns, newest first."""
    query = call.query
    rows, following = campaigns.listing(call.tenant, query.type, query.status, query.limit, query.cursor)
    return Page(data=[shown(row) for row in rows], has_more=following is not None, next_cursor=following)


@router.get("/v1/campaigns/{campaign_id}", scope="campaigns:read", answer=CampaignAnswer)
def get_campaign(call: Call[None, None]) -> CampaignAnswer:
    """Get a campaign."""
    return shown(campaigns.get(call.tenant, call.path["campaign_id"]))


@router.patch("/v1/campaigns/{campaign_id}", scope="campaigns:write", body=CampaignPatch, answer=CampaignAnswer)
def update_campaign(call: Call[None, CampaignPatch]) -> CampaignAnswer:
    """Change a campaign. Contacts in an active one keep their place: a step is known by its id."""
    return shown(define.change(call.tenant, call.path["campaign_id"], call.body, call.now))


@router.post(
    "/v1/campaigns/{campaign_id}/activate",
    scope="campaigns:write",
    body=EmptyBody,
    may_be_empty=True,
    answer=CampaignAnswer,
    idempotent=True,
)
def activate_campaign(call: Call[None, EmptyBody]) -> CampaignAnswer:
    """Start a campaign, or go on with one that is paused: what is overdue goes out once."""
    return shown(define.activate(call.tenant, call.path["campaign_id"], call.now, call.receipt))


@router.post(
    "/v1/campaigns/{campaign_id}/pause",
    scope="campaigns:write",
    body=EmptyBody,
    may_be_empty=True,
    answer=CampaignAnswer,
    idempotent=True,
)
def pause_campaign(call: Call[None, EmptyBody]) -> CampaignAnswer:
    """Stop every mail of a campaign within 5 seconds. Contacts keep their place."""
    return shown(define.pause(call.tenant, call.path["campaign_id"], call.now, call.receipt))


@router.post(
    "/v1/campaigns/{campaign_id}/archive",
    scope="campaigns:write",
    body=EmptyBody,
    may_be_empty=True,
    answer=CampaignAnswer,
    idempotent=True,
)
def archive_campaign(call: Call[None, EmptyBody]) -> CampaignAnswer:
    """End a campaign for good. Its messages and figures stay."""
    return shown(define.archive(call.tenant, call.path["campaign_id"], call.now, call.receipt))


@router.post(
    "/v1/campaigns/{campaign_id}/test",
    scope="campaigns:write",
    body=SampleBody,
    answer=SampleAnswer,
    idempotent=True,
)
def test_campaign(call: Call[None, SampleBody]) -> SampleAnswer:
    """Send a sample of one step to an address. It counts in no figure."""
    asked = sample.ask(
        call.tenant, call.path["campaign_id"], call.body.email, call.body.step_index, call.now, call.receipt
    )
    return SampleAnswer(
        id=asked.message_id, campaign_id=asked.campaign_id, step_index=asked.step_index, email=asked.email
    )


@router.get("/v1/campaigns/{campaign_id}/stats", scope="campaigns:read", answer=StatsAnswer)
def get_campaign_stats(call: Call[None, None]) -> StatsAnswer:
    """Get a campaign's figures, in all and by step."""
    return read_stats.run(call.tenant, call.path["campaign_id"], call.now)


@router.get(
    "/v1/campaigns/{campaign_id}/messages", scope="campaigns:read", query=MessagesQuery, answer=Page[MessageAnswer]
)
def list_campaign_messages(call: Call[MessagesQuery, None]) -> Page[MessageAnswer]:
    """List a campaign's messages, newest first: what was sent, and what was not and why."""
    query = call.query
    rows, following = read_stats.messages(
        call.tenant, call.path["campaign_id"], query.status, query.limit, query.cursor
    )
    return Page(data=rows, has_more=following is not None, next_cursor=following)


@router.get("/v1/campaigns/{campaign_id}/preview", scope="campaigns:read", answer=PreviewAnswer)
def preview_campaign(call: Call[None, None]) -> PreviewAnswer:
    """Count who would get a broadcast now, and who not and why. Nothing is sent."""
    seen = preview.run(call.tenant, call.path["campaign_id"], call.now)
    return PreviewAnswer(
        recipients=seen.recipients,
        excluded=dict(seen.excluded),
        samples=[PreviewSample(contact_id=contact_id, email=email) for contact_id, email in seen.samples],
        as_of=iso(call.now),
    )


@router.post(
    "/v1/campaigns/{campaign_id}/simulate",
    scope="campaigns:read",
    body=SimulateBody,
    may_be_empty=True,
    answer=SimulationAnswer,
)
def simulate_campaign(call: Call[None, SimulateBody]) -> SimulationAnswer:
    """Play a campaign against the project as it stands: who gets what and when, who not and why. Nothing is sent."""
    end = until(call.body, call.now)
    result = simulate.run(call.tenant, call.path["campaign_id"], call.now, end)
    return simulated(result.mails, result.skipped, result.reasons, call.now, end)
