"""How a send of a survey is reached, by a mail or a widget, and what both write at the ends of a scale."""

from typing import Final

from chalicelib.core import clock, events, ids
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects.model import Project
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.decision import bound
from chalicelib.features.surveys.model import Cause, Send
from chalicelib.platform import outbox, survey_tokens, table
from chalicelib.platform.address import public_url
from chalicelib.platform.keys import Tenant
from chalicelib.platform.survey_tokens import Token
from chalicelib.platform.table import Check, attr

LABELS: Final = {
    "nps": ("Not at all likely", "Extremely likely"),
    "csat": ("Very dissatisfied", "Very satisfied"),
    "custom": ("", ""),
}
"""What the lowest and the highest score of each type say."""


def token(tenant: Tenant, contact_id: str, survey_id: str, send_id: str) -> str:
    """By this a send is answered."""
    return survey_tokens.make(Token(tenant, contact_id, survey_id, send_id))


def page(token: str) -> str:
    """The address of the page on which a send is answered, by its token."""
    return f"{public_url()}/s/{token}"


def url(tenant: Tenant, contact: Contact, project: Project, now: int) -> str | None:
    """The address at which the contact answers the oldest active survey that goes by email, for a mail that is about
    something else; None where there is none, or a cap keeps the contact from being asked.

    That is its newest send that is open, or one that is made and counts as sent by this. Raises ConditionFailed where
    the contact was changed meanwhile, or asked.
    """
    survey = surveys.catalog(tenant).main
    if survey is None:
        return None
    sends = [each for each in surveys.sends_of(tenant, contact.id, survey.id) if each.is_open(now)]
    send = max(sends, key=lambda each: (each.sent_at or 0, each.id), default=None)
    if send is None:
        key = surveys.surveyed_key(tenant, contact.id)
        surveyed = surveys.surveyed(contact.id, table.batch_get([key]).get(key))
        if bound(survey, surveyed, now) is not None:
            return None
        own = ids.new_ulid()
        made = Send(own, contact.id, survey.id, Cause("link", f"evt_{own}", now), now)
        send = made.sent(("email",), now, clock.local_day(now, project.timezone))
        told = {"survey_id": survey.id, "contact_id": contact.id, "send_id": own, "day": send.day}
        said = {"survey_id": survey.id, "survey_name": survey.name, "send_id": own, "channels": ["email"]}
        table.transact(
            [
                Check(contacts.key(tenant, contact.id), attr("version").eq(contact.version)),
                surveys.save_send(tenant, send),
                surveys.save_surveyed(tenant, surveyed.was_sent(send, now)),
                outbox.emit(tenant, events.SURVEY_SENT, told, now),
                *activity.event_ops(tenant, activity.note(contact.id, events.NOTED_SENT, said, now)),
            ]
        )
    return page(token(tenant, contact.id, survey.id, send.id))
