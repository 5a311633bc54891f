"""Make a mail for one contact: rendered, its links leading through the tracker, and as bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.core.clock import iso
from chalicelib.core.mail import links, mime
from chalicelib.core.mail.notifications import message_ref
from chalicelib.features.contacts.model import Person
from chalicelib.features.messaging import service as messaging
from chalicelib.features.projects.model import Project
from chalicelib.features.templates import service as templates
from chalicelib.features.templates.model import RenderFailed, Template
from chalicelib.platform import mail_tokens
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.platform.mail_tokens import Kind, Token


@dataclass(frozen=True, slots=True)
class Composed:
    """A mail that is ready to be sent. `links` are the URLs that were in it; `ref` names it to the mail service."""

    message_id: str
    sender: str
    to: str
    subject: str
    html: str
    text: str
    links: list[str]
    raw: bytes
    ref: str

    def kept(
        self, message_id: str, contact_id: str | None, campaign_id: str | None, step_index: int | None, now: int
    ) -> dict[str, Any]:
        """The mail as the mailbox of a test project shows it; a sample is of no contact."""
        return {
            "id": message_id,
            "to": self.to,
            "subject": self.subject,
            "html": self.html,
            "text": self.text,
            "headers": [{"name": name, "value": value} for name, value in mime.headers_of(self.raw)],
            "links": self.links,
            "contact_id": contact_id,
            "campaign_id": campaign_id,
            "step_index": step_index,
            "sent_at": iso(now),
        }


def run(
    tenant: Tenant,
    template: Template | None,
    contact: Person,
    project: Project,
    event: Mapping[str, Any],
    now: int,
    *,
    subject: str | None = None,
    referral_link: str | None = None,
    survey_link: str | None = None,
) -> Composed | str:
    """The mail, or a word for why it can't be made. `event` is what merge tags read as what caused it; `subject` stands
    in the place of the template's. Links to a survey's page are left as they are: that one is followed says nothing.
    Nothing is written."""
    if project.default_from_email is None:
        return "no_sender"
    if template is None:
        return "no_template"
    message_id = messaging.new_id()
    tokens = _Tokens(tenant, contact.id, message_id)
    leave = tokens.url("unsubscribe")
    try:
        own = {"unsubscribe_url": leave, "referral_link": referral_link, "survey_link": survey_link}
        rendered = templates.rendered(template, _context(contact, project, event, now) | own, subject)
    except RenderFailed:
        return "render_failed"
    tracked = links.tracked(
        rendered.html,
        rendered.text,
        lambda urls: [tokens.url("click", n, len(urls), url) for n, url in enumerate(urls)],
        tokens.url("open"),
        keep=(leave,) if survey_link is None else (leave, survey_link),
    )
    ref = message_ref(tenant.project_id, contact.id, message_id)
    raw = mime.compose(
        mime.Mail(
            from_address=project.default_from_email,
            from_name=project.sender_name or project.name,
            to=contact.email or "",
            subject=rendered.subject,
            html=tracked.html,
            text=tracked.text,
            unsubscribe_url=leave,
            ref=ref,
            sent_at=now,
        )
    )
    return Composed(
        message_id,
        project.default_from_email,
        contact.email or "",
        rendered.subject,
        tracked.html,
        tracked.text,
        tracked.links,
        raw,
        ref,
    )


def _context(contact: Person, project: Project, event: Mapping[str, Any], now: int) -> dict[str, Any]:
    return {"now": now, "contact": contact_tags(contact), "event": dict(event), "project": project_tags(project)}


def event_tags(name: str | None, moment: int, properties: Mapping[str, Any]) -> dict[str, Any]:
    """What merge tags may read of what caused a mail; `moment` in ms."""
    return {"name": name, "timestamp": iso(moment), "properties": dict(properties)}


def contact_tags(contact: Person) -> dict[str, Any]:
    """What merge tags may read of a contact."""
    return {
        "id": contact.id,
        "email": contact.email,
        "external_id": contact.external_id,
        "created_at": iso(contact.created_at),
        "traits": contact.traits,
        "tags": contact.tags,
    }


def project_tags(project: Project) -> dict[str, Any]:
    """What merge tags may read of the project."""
    return {
        "name": project.name,
        "domain": project.domain,
        "sender_name": project.sender_name,
        "postal_address": project.postal_address,
    }


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Makes the public links of one message."""

    tenant: Tenant
    contact_id: str
    message_id: str

    def url(self, kind: Kind, link: int | None = None, count: int = 0, url: str | None = None) -> str:
        token = Token(kind, self.tenant, self.contact_id, self.message_id, link, count, url)
        return f"{settings().public_url}/{kind[0]}/{mail_tokens.make(token)}"
