"""Do what is due for one contact in one campaign: send the next step, skip it, or wait.

Order: the step is claimed in one transaction, which moves the run on, writes the message as being sent, and sets the
timer of the step after it; it holds only over the contact and the run that were read, and where the address may get
mail. Then the mail is given to the mail service, and then the outcome is recorded. A death before the claim leads to
the same again. A death after it leaves a message in doubt, which is never sent again by itself: the next delivery of
the queue's message notes so, and the mail service's own word settles it.
"""

from dataclasses import dataclass, replace
from typing import TypeGuard

from chalicelib.core import clock, events
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.decision import Decision, Finished, Hold, NotYet, Send, Skip, decide
from chalicelib.features.campaigns.model import Campaign, Pace, Run, SkipReason, Step, moved_on
from chalicelib.features.campaigns.service import Due
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.messaging import model as messages
from chalicelib.features.messaging import service as messaging
from chalicelib.features.messaging.model import Message
from chalicelib.features.projects import service as projects
from chalicelib.features.templates import service as templates
from chalicelib.flows.campaigns import standing, timing
from chalicelib.flows.campaigns.standing import Standing
from chalicelib.platform import mail, outbox, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Check, Op, attr
from chalicelib.readings import compose, doubt, eligibility, outcome, referral_link, survey_link
from chalicelib.readings.compose import Composed

_WAITED_FOR = 1_500
"""Milliseconds for which a worker waits for the turn of a mail; what has to wait longer is set aside."""

_AGAIN = clock.MINUTE
"""How long a mail waits that the mail service did not take for the time being."""


@dataclass(frozen=True, slots=True)
class Position:
    """One run as it was read, with all that decides of it; `now` in ms."""

    campaign: Campaign
    contact: Contact
    run: Run
    read: Standing
    now: int


def run(tenant: Tenant, due: Due) -> None:
    """Do what is due for the run; nothing where it was done before, or the campaign is not active."""
    campaigns.retried(lambda: _act(tenant, due))


def _act(tenant: Tenant, due: Due) -> None:
    read = standing.read(tenant, due.contact_id, [due.campaign_id])
    campaign, found = read.catalog.campaigns.get(due.campaign_id), read.runs.get(due.campaign_id)
    now = projects.now(tenant)
    if campaign is None:
        return
    if found is None or found.id != due.run_id:
        _note_purged(tenant, read, campaign, due, now)
        return
    if read.contact is None or read.contact.status == "merged":
        return
    last, suppressed = messaging.last_and_suppression(tenant, found.contact_id, found.claimed, read.contact.email)
    doubt.note(tenant, last, now)
    if campaign.status == "active" and found.is_running:
        position = Position(campaign, read.contact, found, read, now)
        _do(tenant, position, _decided(tenant, position, suppressed))


def _decided(tenant: Tenant, at: Position, suppressed: SkipReason | None) -> Decision:
    def holds(step: Step) -> bool:
        rules = at.read.catalog.compiled(at.campaign.id).conditions[step.id]
        return eligibility.holds(tenant, at.contact, {"": rules}, at.now, at.run.cause.properties)[""]

    person = eligibility.person(at.contact, suppressed)
    return decide(at.campaign, at.run, person, at.now, eligibility.quiet(at.read.project), holds)


def _do(tenant: Tenant, at: Position, decided: Decision) -> None:
    if isinstance(decided, NotYet):
        if decided.due != at.run.due_at:
            _wait(tenant, at, replace(at.run, due_at=decided.due))
    elif isinstance(decided, Finished):
        table.transact([campaigns.save_run(tenant, at.run.ended("completed"))])
    elif isinstance(decided, Hold):
        _wait(tenant, at, at.run.waiting(decided.step.id, decided.until, None))
    elif isinstance(decided, Skip):
        _skip(tenant, at, decided)
    else:
        _send_in_turn(tenant, at, decided)


def _wait(tenant: Tenant, at: Position, later: Run) -> None:
    ops = timing.follow_ops(tenant, later, at.now, before=at.run.due_at)
    table.transact([campaigns.save_run(tenant, later), *ops])


def _send_in_turn(tenant: Tenant, at: Position, decided: Send) -> None:
    """Send the step, if it is its turn now, in the campaign's rate and in the account's."""
    turn, pace = _turn(tenant, at, decided.step.id)
    if turn > at.now:
        _wait(tenant, at, at.run.waiting(decided.step.id, turn, pace))
        return
    cause, subject = at.run.cause, decided.step.subject
    template = templates.find(tenant, decided.step.template_id, at.read.catalog.version)
    names_link = template is not None and template.reads("referral_link", subject)
    names_survey = template is not None and template.reads("survey_link", subject)
    composed = compose.run(
        tenant,
        template,
        at.contact,
        at.read.project,
        compose.event_tags(cause.name, cause.moment, cause.properties),
        at.now,
        subject=subject,
        referral_link=referral_link.url(tenant, at.contact, at.read.project, at.now) if names_link else None,
        survey_link=survey_link.url(tenant, at.contact, at.read.project, at.now) if names_survey else None,
    )
    if not isinstance(composed, Composed):
        _fail(tenant, at, decided, composed)
        return
    _hand_over(tenant, at, _claim(tenant, at, decided, composed), composed)


def _turn(tenant: Tenant, at: Position, step_id: str) -> tuple[int, Pace]:
    """When it is the mail's turn, and in whose rate; for a turn that comes in a moment it is waited here."""
    if not at.run.has_turn(step_id, "campaign", at.now):
        (turn,) = campaigns.take_turn(tenant, at.campaign, at.now)
        if turn > at.now:
            return turn, "campaign"
    if tenant.is_test or at.run.has_turn(step_id, "account", at.now):
        return at.now, "account"
    turn = mail.take_turn()
    wait = turn - clock.system_ms()
    if 0 < wait <= _WAITED_FOR:
        clock.sleep(wait / clock.SECOND)
    return (turn if wait > _WAITED_FOR else at.now), "account"


def _claim(tenant: Tenant, at: Position, decided: Send, composed: Composed) -> Message:
    message = _message(at, decided, "sending", composed)
    after = at.run.handled(decided.step.id, decided.index, at.now, claimed=message.id)
    table.transact(
        [
            messaging.not_suppressed(tenant, composed.to),
            Check(contacts.key(tenant, at.contact.id), attr("version").eq(at.contact.version)),
            messaging.save(tenant, message),
            *_moved_on(tenant, at, after),
        ]
    )
    return replace(message, version=1)


def _moved_on(tenant: Tenant, at: Position, after: Run) -> list[Op]:
    """The run after a step, with what the next step is heard of by."""
    moved = moved_on(at.campaign, after)
    return [campaigns.save_run(tenant, moved), *timing.follow_ops(tenant, moved, at.now, before=at.run.due_at)]


def _hand_over(tenant: Tenant, at: Position, claimed: Message, composed: Composed) -> None:
    """Give the mail to the mail service, once; one that was surely not sent is tried again."""
    if not outcome.hand_over(tenant, claimed, composed, at.now):
        _release(tenant, at, claimed)


def _release(tenant: Tenant, at: Position, claimed: Message) -> None:
    """Undo the claim of a mail that was surely not sent, and try again in a while."""

    def act() -> None:
        stands = campaigns.run(tenant, table.get(campaigns.run_key(tenant, at.contact.id, at.campaign.id)))
        known = messaging.load(tenant, claimed.contact_id, claimed.id)
        if known is None or known.status != "sending" or not _stands_behind(stands, at.run, claimed):
            # The run went on, ended or moved meanwhile, or the message was told as one in doubt.
            messaging.amend(
                tenant, claimed.contact_id, claimed.id, lambda one: messages.refused(one, at.now, "throttled"), at.now
            )
            return
        # What the contact did of earlier mails meanwhile stays noted.
        happened = at.run.happened | (stands.happened - {"sent"})
        later = replace(
            at.run,
            due_at=at.now + _AGAIN,
            held=claimed.step_id,
            paced_by=None,
            happened=happened,
            version=stands.version,
        )
        follows = timing.follow_ops(tenant, later, at.now, before=stands.due_at)
        table.transact([messaging.removal(tenant, known), campaigns.save_run(tenant, later), *follows])

    campaigns.retried(act)


def _stands_behind(stands: Run | None, before: Run, claimed: Message) -> TypeGuard[Run]:
    """True where the message is still the last that was claimed in its run, which nothing else has ended."""
    if stands is None or stands.id != before.id or stands.status not in ("running", "completed"):
        return False
    return stands.claimed == claimed.id and len(stands.done) == len(before.done) + 1


def _skip(tenant: Tenant, at: Position, decided: Skip) -> None:
    """Write that the step is not sent, and why; a contact that is gone leaves the campaign with it."""
    after = at.run.handled(decided.step.id, decided.index, at.now)
    is_gone = decided.reason == "deleted"
    moved = [campaigns.save_run(tenant, after.ended("deleted"))] if is_gone else _moved_on(tenant, at, after)
    table.transact([*skipped_ops(tenant, at, decided), *moved])


def skipped_ops(tenant: Tenant, at: Position, decided: Skip) -> list[Op]:
    """The operations that write and tell that a step is not sent, and why."""
    message = replace(_message(at, decided, "skipped", None), reason=decided.reason)
    told = messages.Change(message, (events.MAIL_SKIPPED,))
    return [messaging.save(tenant, message), *messaging.told(tenant, None, told, at.now)]


def _fail(tenant: Tenant, at: Position, decided: Send, reason: str) -> None:
    """Write that the step can't be made into a mail, and go on to the next one."""
    change = messages.refused(_message(at, decided, "sending", None), at.now, reason)
    after = at.run.handled(decided.step.id, decided.index, at.now)
    told = messaging.told(tenant, None, change, at.now)
    table.transact([messaging.save(tenant, change.message), *told, *_moved_on(tenant, at, after)])


def _message(at: Position, decided: Send | Skip, status: messages.Status, composed: Composed | None) -> Message:
    return Message(
        id=messaging.new_id() if composed is None else composed.message_id,
        contact_id=at.contact.id,
        campaign_id=at.campaign.id,
        run_id=at.run.id,
        step_id=decided.step.id,
        step_index=decided.index,
        status=status,
        created_at=at.now,
        to=None if composed is None else composed.to,
        links=0 if composed is None else len(composed.links),
    )


def _note_purged(tenant: Tenant, read: Standing, campaign: Campaign, due: Due, now: int) -> None:
    """A broadcast is over when each of its runs has ended, those too that went with a contact that was purged."""
    if read.contact is not None and read.contact.status not in ("purging", "purged"):
        return
    data = {"campaign_id": campaign.id, "contact_id": due.contact_id, "run_id": due.run_id, "reason": "deleted"}
    table.transact([outbox.emit(tenant, events.RUN_ENDED, data, now)])
