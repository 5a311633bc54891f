"""What webhooks say of campaigns and their mails."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from chalicelib.core import events
from chalicelib.core.schema import Answer
from chalicelib.features.campaigns.model import Type
from chalicelib.flows.webhooks.kinds import OF_CONTACT, ULID, Around, Kind, OfContact
from chalicelib.platform.outbox import DomainEvent


class CampaignMoved(Answer):
    """A campaign was activated, paused, or is completed."""

    campaign_id: str
    campaign_name: str
    type: Type


class MailTold(OfContact):
    """Something became of a mail."""

    message_id: str
    campaign_id: str
    campaign_name: Annotated[str | None, Field(description="Null where the campaign is not there any more.")]
    step_index: int
    step_id: str
    reason: Annotated[str | None, Field(description="`permanent` or `transient` of a bounce; of a complaint its kind.")]


def _moved(event: DomainEvent, _around: Around) -> Answer:
    return CampaignMoved(
        campaign_id=event.data["campaign_id"], campaign_name=event.data["name"], type=event.data["type"]
    )


def _mail(event: DomainEvent, around: Around) -> Answer:
    data = event.data
    return MailTold(
        message_id=data["message_id"],
        campaign_id=data["campaign_id"],
        campaign_name=around.campaign_names.get(data["campaign_id"]),
        step_index=data["step_index"],
        step_id=data["step_id"],
        reason=data["reason"],
        **around.of_contact(event),
    )


_MOVED = CampaignMoved(campaign_id=f"cmpgn_{ULID}", campaign_name="Onboarding Sequence", type="lifecycle")


def _sample(reason: str | None = None) -> MailTold:
    return MailTold(
        message_id=f"msg_{ULID}",
        campaign_id=_MOVED.campaign_id,
        campaign_name=_MOVED.campaign_name,
        step_index=0,
        step_id="welcome",
        reason=reason,
        **OF_CONTACT,
    )


KINDS: Mapping[str, Kind] = {
    **{
        name: Kind(CampaignMoved, _moved, _MOVED)
        for name in (events.CAMPAIGN_ACTIVATED, events.CAMPAIGN_PAUSED, events.CAMPAIGN_COMPLETED)
    },
    **{
        name: Kind(MailTold, _mail, _sample(reason))
        for name, reason in {
            events.MAIL_SENT: None,
            events.MAIL_DELIVERED: None,
            events.MAIL_OPENED: None,
            events.MAIL_CLICKED: None,
            events.MAIL_BOUNCED: "permanent",
            events.MAIL_COMPLAINED: "abuse",
            events.MAIL_UNSUBSCRIBED: None,
        }.items()
    },
}
