"""The mails of a survey: how each is made, claimed, and given to the mail service, once.

Order: the mail is claimed in one transaction with what it is about, which holds only over what was read, and where the
address may get mail. Then it is given to the mail service, and then the outcome is recorded. A death after the claim
leaves a message in doubt, which is never sent again by itself; one that was surely not sent is released and queued
again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from chalicelib.core import clock
from chalicelib.features.contacts.model import Contact
from chalicelib.features.messaging import model as messages
from chalicelib.features.messaging import service as messaging
from chalicelib.features.messaging.model import Message
from chalicelib.features.projects.model import Project
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.model import Mail, Survey
from chalicelib.features.surveys.service import SurveyMail
from chalicelib.features.templates import service as templates
from chalicelib.features.templates.model import Template
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Op
from chalicelib.readings import compose, outcome, survey_link
from chalicelib.readings import referral_link as links
from chalicelib.readings.compose import Composed

_AGAIN: Final = clock.MINUTE
"""How long a mail waits that the mail service did not take for the time being."""

_DELAY_MAX_S: Final = 900

_FRAME = (
    '<div style="max-width:36em;margin:0 auto;padding:16px;color:#1a1a1a;line-height:1.5;'
    'font-family:-apple-system,BlinkMacSystemFont,Segoe UI,Helvetica,Arial,sans-serif">'
)
_BUTTON = (
    "display:inline-block;box-sizing:border-box;width:44px;margin:0 2px 8px 0;padding:9px 0;border:1px solid #595959;"
    "border-radius:8px;color:#1a1a1a;text-align:center;text-decoration:none;font-weight:bold"
)
_WIDE = (
    "display:inline-block;padding:12px 20px;border-radius:8px;background:#1a1a1a;color:#ffffff;text-decoration:none;"
    "font-weight:bold"
)
_ASK = (
    f"{_FRAME}"
    "<p>Hello{% if contact.traits.name %} {{ contact.traits.name }}{% endif %},</p>"
    "{% if event.properties.scores.size > 0 %}"
    '<p style="font-size:20px;line-height:1.3;font-weight:bold">{{ event.properties.question }}</p>'
    '<p style="margin:0">{% for score in event.properties.scores %}'
    f'<a href="{{{{ survey_link }}}}?score={{{{ score }}}}" style="{_BUTTON}">{{{{ score }}}}</a> '
    "{% endfor %}</p>"
    '<p style="margin-top:0;color:#595959;font-size:14px">{{ event.properties.scores.first }}: '
    "{{ event.properties.lowest }}. {{ event.properties.scores.last }}: {{ event.properties.highest }}.</p>"
    "{% else %}"
    "<p>{{ event.properties.question | default: 'May we ask you a few questions?' }}</p>"
    f'<p><a href="{{{{ survey_link }}}}" style="{_WIDE}">Answer the questions</a></p>'
    "{% endif %}"
    "<p>Thank you<br>{{ project.sender_name | default: project.name }}</p></div>"
)
_REFERRAL = (
    f"{_FRAME}"
    "<p>Hello{% if contact.traits.name %} {{ contact.traits.name }}{% endif %},</p>"
    "<p>thank you for your kind answer. If you know somebody who would like {{ project.name }} too, this is your own "
    "link to share:</p>"
    '<p><a href="{{ referral_link }}">{{ referral_link }}</a></p></div>'
)


def _built_in(name: str, source: str, subject: str) -> Template:
    return Template(id="", name=name, format="html", source=source, subject=subject, created_at=0, updated_at=0)


_SUBJECT = (
    "{% if event.properties.is_reminder %}Reminder: {% endif %}"
    "{% if event.properties.question %}{{ event.properties.question }}"
    "{% else %}A few questions from {{ project.name }}{% endif %}"
)
_BUILT_IN: dict[Mail, Template] = {
    "ask": _built_in("Survey", _ASK, _SUBJECT),
    "reminder": _built_in("Survey", _ASK, _SUBJECT),
    "referral": _built_in("Referral link", _REFERRAL, "Thank you! Here is your link to share"),
}
"""What is sent where the survey has no template of its own."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail and what it is about, as it was read; `now` in ms on the project's clock."""

    wanted: SurveyMail
    survey: Survey
    contact: Contact
    project: Project
    version: int
    """Of the definitions."""
    now: int


def composed(tenant: Tenant, letter: Letter, referral_link: str | None = None) -> Composed | str:
    """The mail, or a word for why it can't be made."""
    survey, mail = letter.survey, letter.wanted.mail
    template: Template | None = _BUILT_IN[mail]
    if mail != "referral" and survey.email_template_id is not None:
        template = templates.find(tenant, survey.email_template_id, letter.version)
    if template is not None and referral_link is None and template.reads("referral_link", survey.subject):
        referral_link = links.url(tenant, letter.contact, letter.project, letter.now)
    return compose.run(
        tenant,
        template,
        letter.contact,
        letter.project,
        compose.event_tags("survey.sent", letter.now, _tags(survey, mail)),
        letter.now,
        subject=_subject(survey, mail),
        referral_link=referral_link,
        survey_link=survey_link.page(survey_link.token(tenant, letter.contact.id, survey.id, letter.wanted.send_id)),
    )


def _subject(survey: Survey, mail: Mail) -> str | None:
    """What stands in the place of the template's subject."""
    if survey.subject is None or mail == "referral":
        return None
    return survey.subject if mail == "ask" else f"Reminder: {survey.subject}"


def _tags(survey: Survey, mail: Mail) -> dict[str, Any]:
    lowest, highest = survey_link.LABELS[survey.type]
    return {
        "survey_id": survey.id,
        "survey_name": survey.name,
        "question": survey.question,
        "scores": list(survey.scale),
        "lowest": lowest,
        "highest": highest,
        "is_reminder": mail == "reminder",
    }


def has_turn(tenant: Tenant, wanted: SurveyMail) -> bool:
    """True where it is the mail's turn in the account's rate; else it is queued until then."""
    return outcome.has_turn(
        tenant,
        wanted.turn,
        lambda turn, delay_s: surveys.dispatch(tenant, [replace(wanted, turn=turn)], delay_s=delay_s),
    )


def hand_over(
    tenant: Tenant,
    letter: Letter,
    mail: Composed,
    ops: Callable[[Message], Sequence[Op]],
    release: Callable[[Message], Op | None],
) -> None:
    """Claim the mail in the transaction of `ops`, and give it to the mail service.

    Where it was surely not sent, `release` gives what takes the claim back, None where that has gone on meanwhile.
    """
    message = _message(letter, mail)
    table.transact([messaging.not_suppressed(tenant, mail.to), messaging.save(tenant, message), *ops(message)])
    claimed = replace(message, version=1)
    if not outcome.hand_over(tenant, claimed, mail, letter.now):
        _release(tenant, letter, claimed, release)


def queue_again(tenant: Tenant, wanted: SurveyMail, wait: int = _AGAIN) -> None:
    """Queue a mail that can't go now for `wait` ms later, or as long as a queue can wait; it is judged again then."""
    delay_s = min(-(-wait // clock.SECOND), _DELAY_MAX_S)
    surveys.dispatch(tenant, [replace(wanted, turn=None)], delay_s=delay_s)


def _release(tenant: Tenant, letter: Letter, claimed: Message, release: Callable[[Message], Op | None]) -> None:
    def act() -> bool:
        known = messaging.load(tenant, claimed.contact_id, claimed.id)
        freed = None if known is None or known.status != "sending" else release(claimed)
        if known is None or freed is None:
            # It was told as one in doubt, or what it is of has gone: nothing sends it any more.
            messaging.amend(
                tenant,
                claimed.contact_id,
                claimed.id,
                lambda one: messages.refused(one, letter.now, "throttled"),
                letter.now,
            )
            return False
        table.transact([messaging.removal(tenant, known), freed])
        return True

    if retried(act):
        queue_again(tenant, letter.wanted)


def _message(letter: Letter, mail: Composed) -> Message:
    return Message(
        id=mail.message_id,
        contact_id=letter.contact.id,
        campaign_id=letter.survey.id,
        run_id=letter.wanted.send_id,
        step_id=letter.wanted.mail,
        step_index=0,
        status="sending",
        created_at=letter.now,
        to=mail.to,
        links=len(mail.links),
    )
