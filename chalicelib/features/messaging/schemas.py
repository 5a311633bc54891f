"""Answers of the endpoints that list messages."""

from typing import Annotated, Any

from pydantic import Field

from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer, PageQuery
from chalicelib.features.messaging.model import Message, Status


class MessagesQuery(PageQuery):
    """Which messages to list."""

    status: Status | None = None


class MessageAnswer(Answer):
    """One mail to one contact, or the step that was skipped."""

    id: Annotated[str, Field(examples=["msg_01j8x2m4k00000000000000000"])]
    contact_id: Annotated[str, Field(description="Where the contact was merged, the one that has absorbed it.")]
    step_index: int
    step_id: str
    status: Annotated[
        Status,
        Field(
            description=(
                "`sending`: on its way to the mail service. `unconfirmed`: whether it was sent is not known; it is not "
                "sent again, and counts as `failed` after 24 hours without a word of the mail service."
            )
        ),
    ]
    reason: Annotated[str | None, Field(description="Why it was skipped, bounced or failed.")]
    sent_at: str | None
    delivered_at: str | None
    opened_at: str | None
    clicked_at: str | None
    bounced_at: str | None


class HeldMessage(MessageAnswer):
    """A message as what is held on a contact has it."""

    campaign_id: Annotated[str, Field(description="The campaign that sent it, or the waitlist, or the survey.")]
    to: Annotated[str | None, Field(description="The address, where it came to be sent.")]


class KeptHeader(Answer):
    """One header of a mail."""

    name: str
    value: str


class KeptMail(Answer):
    """A mail that a test project has sent: it is kept here instead."""

    id: str
    to: str
    subject: str
    html: str
    text: str
    headers: list[KeptHeader]
    links: Annotated[list[str], Field(description="The links that it led to before they went through the tracker.")]
    contact_id: Annotated[str | None, Field(description="Null of a sample.")]
    campaign_id: str | None
    step_index: int | None
    sent_at: str


def shown(message: Message, contact_id: str) -> MessageAnswer:
    """The message as its callers see it, of the contact that it is by now."""
    return MessageAnswer(
        id=message.id,
        contact_id=contact_id,
        step_index=message.step_index,
        step_id=message.step_id,
        status=message.status,
        reason=message.reason,
        sent_at=_iso(message.sent_at),
        delivered_at=_iso(message.delivered_at),
        opened_at=_iso(message.opened_at),
        clicked_at=_iso(message.clicked_at),
        bounced_at=_iso(message.bounced_at),
    )


def held(message: Message) -> HeldMessage:
    """The message as an export shows it."""
    return HeldMessage(
        **shown(message, message.contact_id).model_dump(), campaign_id=message.campaign_id, to=message.to
    )


def kept(mail: dict[str, Any]) -> KeptMail:
    """A kept mail as its callers see it."""
    return KeptMail.model_validate(mail)


def _iso(moment: int | None) -> str | None:
    return None if moment is None else iso(moment)
