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
from chalicelib.platform import definitions, survey_tokens, table
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.platform.survey_tokens import Token
from chalicelib.platform.table import Op
from chalicelib.readings import compose, outcome
from chalicelib.readings.compose import Composed

_AGAIN: Final = clock.MINUTE
"""How long a mail waits that the mail service did not take for the time being."""

_DELAY_MAX_S: Final = 900

LABELS: Final = {
    "nps": ("Not at all likely", "Extremely likely"),
    "csat": ("Very dissatisfied", "Very satisfied"),
    "custom": ("", ""),
}
"""What the lowest and the highest score of each type say."""

_BUTTON = (
    "display:inline-block;min-width:1.5em;margin:2px;padding:10px 8px;border:1px solid #595959;border-radius:6px;"
    "color:#1a1a1a;text-align:center;text-decoration:none"
)
_ASK = (
    "<p>Hello{% if contact.traits.name %} {{ contact.traits.name }}{% endif %},</p>"
    "{% if event.properties.scores.size > 0 %}"
    "<p><strong>{{ event.properties.question }}</strong></p>"
    "<p>{% for score in event.properties.scores %}"
    f'<a href="{{{{ survey_link }}}}?score={{{{ score }}}}" style="{_BUTTON}">{{{{ score }}}}</a> '
    "{% endfor %}</p>"
    "<p>{{ event.properties.scores.first }} = {{ event.properties.lowest }}, "
    "{{ event.properties.scores.last }} = {{ event.properties.highest }}</p>"
    "{% else %}"
    "<p>may we ask you a few questions?</p>"
    '<p><a href="{{ survey_link }}">Answer: {{ event.properties.survey_name }}</a></p>'
    "{% endif %}"
    "<p>Thank you, {{ project.name }}</p>"
)
_REFERRAL = (
    "<p>Hello{% if contact.traits.name %} {{ contact.traits.name }}{% endif %},</p>"
    "<p>thank you for your kind answer. If you know somebody who would like {{ project.name }} too, this is your own "
    "link to share:</p>"
    '<p><a href="{{ referral_link }}">{{ referral_link }}</a></p>'
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
    now: int


def link(tenant: Tenant, contact_id: str, survey_id: str, send_id: str) -> str:
    """The address of the page on which a send is answered."""
    return f"{settings().public_url}/s/{survey_tokens.make(Token(tenant, contact_id, survey_id, send_id))}"


def composed(tenant: Tenant, letter: Letter, referral_link: str | None = None) -> Composed | str:
    """The mail, or a word for why it can't be made."""
    survey, mail = letter.survey, letter.wanted.mail
    template: Template | None = _BUILT_IN[mail]
    if mail != "referral" and survey.email_template_id is not None:
        template = templates.find(tenant, survey.email_template_id, definitions.version(tenant))
    return compose.run(
        tenant,
        template,
        letter.contact,
        letter.project,
        compose.event_tags("survey.sent", letter.now, _tags(survey, mail)),
        letter.now,
        subject=survey.subject if mail == "ask" else None,
        referral_link=referral_link,
        survey_link=link(tenant, letter.contact.id, survey.id, letter.wanted.send_id),
    )


def _tags(survey: Survey, mail: Mail) -> dict[str, Any]:
    lowest, highest = LABELS[survey.type]
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

    if surveys.retried(act):
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
