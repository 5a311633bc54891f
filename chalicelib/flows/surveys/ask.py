"""Do what is due of a send: ask, remind, leave it with its reason, or wait.

What waited is judged anew by what the table holds when it is due. Whoever is asked is counted in the transaction that
claims the mail, over what the contact was sent until then: so two surveys that are due together can't both pass a cap.
Without a mail to be sent the send is there for widgets.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from chalicelib.core import clock, events
from chalicelib.features.activity import service as activity
from chalicelib.features.campaigns.schedule import quiet_until
from chalicelib.features.messaging import service as messaging
from chalicelib.features.messaging.model import Message
from chalicelib.features.projects import service as projects
from chalicelib.features.surveys import decision
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.decision import Ask, Decision, Facts, Hold, Paused, Skip
from chalicelib.features.surveys.model import Reason, Send, Survey
from chalicelib.features.surveys.service import SurveyMail
from chalicelib.flows.surveys import letters, on_events, standing, thank, timing
from chalicelib.flows.surveys.letters import Letter
from chalicelib.flows.surveys.standing import Standing
from chalicelib.platform import outbox, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Op
from chalicelib.readings import doubt, eligibility
from chalicelib.readings.compose import Composed


def run(tenant: Tenant, wanted: SurveyMail) -> None:
    """Do what is due; nothing where it was done before, or is not to be any more."""
    retried(lambda: _act(tenant, wanted))


def _act(tenant: Tenant, wanted: SurveyMail) -> None:
    at = standing.read(tenant, wanted.contact_id, wanted.survey_id, wanted.send_id)
    if at is None or at.send is None:
        return
    now = projects.now(tenant)
    if wanted.mail == "referral":
        thank.send(tenant, at, wanted, now)
        return
    claimed = at.send.message_of(wanted.mail)
    if claimed is not None:
        doubt.note(tenant, messaging.load(tenant, *claimed), now)
        return
    if wanted.mail == "reminder":
        _remind(tenant, at, at.send, wanted, now)
    elif at.send.state == "waiting":
        _ask(tenant, at, at.send, wanted, now)
    elif at.survey is not None and at.send.is_open(now) and "email" in at.send.by:
        # It was counted when its mail was claimed, and that mail was surely not sent.
        _mail_again(tenant, at, at.send, wanted, now)


def _ask(tenant: Tenant, at: Standing, send: Send, wanted: SurveyMail, now: int) -> None:
    survey = at.survey
    facts = Facts(
        lambda: survey is not None and on_events.is_member(tenant, at, survey, now),
        at.surveyed,
        standing.obstacle(tenant, at, now),
        quiet_until(eligibility.quiet(at.project), now),
    )
    decided = decision.decide(survey, send, facts, now)
    if isinstance(decided, Ask) and survey is not None:
        _ask_by(tenant, at, send, _letter(at, survey, wanted, now), decided)
    else:
        _leave(tenant, at, send, wanted, decided, now)


def _letter(at: Standing, survey: Survey, wanted: SurveyMail, now: int) -> Letter:
    return Letter(wanted, survey, at.contact, at.project, at.catalog.version, now)


def _ask_by(tenant: Tenant, at: Standing, send: Send, letter: Letter, decided: Ask) -> None:
    """Ask by these channels; a mail that can't be made leaves the others."""
    mail = letters.composed(tenant, letter) if "email" in decided.by else None
    if isinstance(mail, str):
        instead = decision.by_channels(letter.survey, cast("Reason", mail), letter.now, letter.now)
        if isinstance(instead, Ask):
            table.transact(_sent_ops(tenant, at, send, letter, instead, None))
        else:
            _leave(tenant, at, send, letter.wanted, instead, letter.now)
    elif mail is None:
        table.transact(_sent_ops(tenant, at, send, letter, decided, None))
    elif letters.has_turn(tenant, letter.wanted):
        _hand_over(tenant, letter, mail, lambda message: _sent_ops(tenant, at, send, letter, decided, message))


def _sent_ops(
    tenant: Tenant, at: Standing, send: Send, letter: Letter, decided: Ask, message: Message | None
) -> list[Op]:
    """The operations by which the contact is asked, and all that tells of it."""
    now, survey = letter.now, letter.survey
    sent = send.sent(decided.by, now, clock.local_day(now, at.project.timezone))
    if message is not None:
        sent = sent.with_message("ask", (message.contact_id, message.id))
        if survey.remind_after is not None:
            sent = replace(sent, due_at=now + survey.remind_after)
    told = {"survey_id": survey.id, "contact_id": at.contact.id, "send_id": send.id, "day": sent.day}
    said = {"survey_id": survey.id, "survey_name": survey.name, "send_id": send.id, "channels": list(decided.by)}
    if decided.no_mail is not None:
        said["no_mail"] = decided.no_mail
    return [
        standing.unchanged(tenant, at),
        surveys.save_send(tenant, sent),
        surveys.save_surveyed(tenant, at.surveyed.was_sent(sent, now)),
        outbox.emit(tenant, events.SURVEY_SENT, told, now),
        *activity.event_ops(tenant, activity.note(at.contact.id, events.NOTED_SENT, said, now)),
        *timing.follow_ops(tenant, sent, "reminder", now),
    ]


def _leave(tenant: Tenant, at: Standing, send: Send, wanted: SurveyMail, decided: Decision, now: int) -> None:
    """Write why it is not sent now."""
    if isinstance(decided, Paused) and at.survey is not None:
        table.transact(surveys.hold_ops(tenant, at.survey, send, wanted.mail))
    elif isinstance(decided, Hold):
        later = replace(send, due_at=decided.until)
        table.transact([surveys.save_send(tenant, later), *timing.follow_ops(tenant, later, wanted.mail, now)])
    elif isinstance(decided, Skip) and wanted.mail == "reminder":
        table.transact([surveys.save_send(tenant, send.without_reminder(decided.reason))])
    elif isinstance(decided, Skip):
        skipped = surveys.save_send(tenant, send.skipped(decided.reason))
        table.transact([skipped, surveys.save_surveyed(tenant, at.surveyed.waits_no_more(send))])


def _mail_again(tenant: Tenant, at: Standing, send: Send, wanted: SurveyMail, now: int) -> None:
    """Send the mail of a contact that was asked already, where the survey and quiet hours let it go by now; it is left
    out where there is an obstacle."""
    quiet = quiet_until(eligibility.quiet(at.project), now)
    decided = decision.by_mail(at.survey, standing.obstacle(tenant, at, now), quiet, now)
    if isinstance(decided, Hold):
        letters.queue_again(tenant, wanted, decided.until - now)  # the send's one timer is that of its reminder
    elif isinstance(decided, Paused):
        _leave(tenant, at, send, wanted, decided, now)
    elif isinstance(decided, Ask) and at.survey is not None:
        letter = _letter(at, at.survey, wanted, now)
        mail = letters.composed(tenant, letter)
        if isinstance(mail, Composed) and letters.has_turn(tenant, wanted):
            _hand_over(tenant, letter, mail, _claiming(tenant, at, send, wanted))


def _remind(tenant: Tenant, at: Standing, send: Send, wanted: SurveyMail, now: int) -> None:
    quiet = quiet_until(eligibility.quiet(at.project), now)
    decided = decision.remind(at.survey, send, standing.obstacle(tenant, at, now), quiet, now)
    if not isinstance(decided, Ask) or at.survey is None:
        _leave(tenant, at, send, wanted, decided, now)
        return
    letter = _letter(at, at.survey, wanted, now)
    mail = letters.composed(tenant, letter)
    if isinstance(mail, str):
        table.transact([surveys.save_send(tenant, send.without_reminder(cast("Reason", mail)))])
    elif letters.has_turn(tenant, wanted):
        reminded = replace(send, reminded_at=now, due_at=None)
        _hand_over(tenant, letter, mail, _claiming(tenant, at, reminded, wanted))


def _claiming(tenant: Tenant, at: Standing, send: Send, wanted: SurveyMail) -> Callable[[Message], list[Op]]:
    def ops(message: Message) -> list[Op]:
        noted = send.with_message(wanted.mail, (message.contact_id, message.id))
        return [standing.unchanged(tenant, at), surveys.save_send(tenant, noted)]

    return ops


def _hand_over(tenant: Tenant, letter: Letter, mail: Composed, ops: Callable[[Message], list[Op]]) -> None:
    wanted = letter.wanted

    def release(claimed: Message) -> Op | None:
        at = standing.read(tenant, letter.contact.id, wanted.survey_id, wanted.send_id)
        send = None if at is None else at.send
        if send is None or send.message_of(wanted.mail) != (claimed.contact_id, claimed.id):
            return None
        freed = send.with_message(wanted.mail, None)
        return surveys.save_send(tenant, replace(freed, reminded_at=None) if wanted.mail == "reminder" else freed)

    letters.hand_over(tenant, letter, mail, ops, release)
