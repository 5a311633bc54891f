"""Send a sample of a step to its makers. It counts nowhere, and its links lead nobody out of the list.

Order: the sample is claimed by a row of its own before it is sent, so a second delivery of the message sends nothing,
but where the mail service surely did not take it.
"""

from chalicelib.core import clock, events, ids
from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.service import Sample
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Person
from chalicelib.features.messaging import service as messaging
from chalicelib.features.projects import service as projects
from chalicelib.features.templates import service as templates
from chalicelib.platform import definitions, mail, observability, outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.mail import MailRefused, MailUnknown
from chalicelib.platform.table import ConditionFailed, Op
from chalicelib.readings import compose, referral_link
from chalicelib.readings.compose import Composed

_WAIT_MAX = 5_000
"""Milliseconds for which a sample waits for its turn; where mails queue up for longer it does not."""

_SAMPLE = "sample"
"""What merge tags read as the name of the event that started it."""


def ask(tenant: Tenant, campaign_id: str, email: str, step_index: int, now: int, receipt: Receipt) -> Sample:
    """Have a sample sent. Raises NotFound, and ValidationFailed where there is no such step, or it can't be sent."""
    campaign = campaigns.get(tenant, campaign_id)
    if step_index >= len(campaign.steps):
        message = f"The campaign has {len(campaign.steps)} steps, of which the first is 0."
        raise ValidationFailed(message, details=[detail("step_index", "unknown", message)])
    address = contacts.normal_email(email)
    if address is None:
        raise ValidationFailed("Not an email address.", details=[detail("email", "invalid", "Not an email address.")])
    if messaging.suppressions(tenant, [address]):
        message = "Mail to this address has bounced, or was complained of."
        raise ValidationFailed(message, details=[detail("email", "suppressed", message)])
    made = _composed(tenant, campaign_id, step_index, address, now)
    if not isinstance(made, Composed):
        message = "The mail can't be made as the step, its template and the settings are now."
        raise ValidationFailed(message, details=[detail("step_index", made, message)])
    asked = Sample(messaging.new_id(), campaign_id, step_index, address)
    data = {name: getattr(asked, name) for name in asked.__slots__}
    answer = {
        "id": asked.message_id,
        "campaign_id": campaign_id,
        "step_index": step_index,
        "email": address,
        "queued": True,
    }
    receipt.commit([outbox.emit(tenant, events.MAIL_TEST_ASKED, data, now)], 200, answer)
    return asked


def run(tenant: Tenant, asked: Sample) -> None:
    """Send the sample, unless that was begun before. Raises MailRefused where it may be tried again."""
    now = projects.now(tenant)
    composed = _composed(tenant, asked.campaign_id, asked.step_index, asked.email, now)
    if not isinstance(composed, Composed):
        observability.metric("SampleNotMade")
        return
    claim: list[Op] = [messaging.sample_claim(tenant, asked.message_id)]
    if tenant.is_test:
        kept = composed.kept(asked.message_id, None, asked.campaign_id, asked.step_index, now)
        claim.append(messaging.keep(tenant, asked.message_id, kept, now))
    else:
        wait = mail.take_turn() - clock.system_ms()
        clock.sleep(min(max(wait, 0), _WAIT_MAX) / clock.SECOND)
    try:
        table.transact(claim)
    except ConditionFailed:
        return
    if not tenant.is_test:
        _hand_over(tenant, asked, composed)


def _hand_over(tenant: Tenant, asked: Sample, composed: Composed) -> None:
    try:
        mail.send(composed.raw, composed.sender, composed.to, composed.ref)
    except (MailRefused, MailUnknown) as failed:
        if isinstance(failed, MailRefused) and not failed.is_lasting:
            # It was surely not sent, so the next delivery may.
            table.write(messaging.sample_release(tenant, asked.message_id))
            raise
        observability.log_failure("sample was not sent")


def _composed(tenant: Tenant, campaign_id: str, step_index: int, address: str, now: int) -> Composed | str:
    campaign, project = campaigns.get(tenant, campaign_id), projects.get(tenant)
    if step_index >= len(campaign.steps):
        return "no_step"
    found, _ = contacts.listing(tenant, contacts.Filter(email=address), 1, None)
    like = found[0] if found else None
    # Under an id of nobody: what is done with a sample concerns no contact.
    reader = Person(
        id=ids.new_id("cntct"),
        created_at=now if like is None else like.created_at,
        updated_at=now,
        external_id=None if like is None else like.external_id,
        email=address,
        traits={"email": address} if like is None else like.traits,
        tags=[] if like is None else like.tags,
    )
    step = campaign.steps[step_index]
    template = templates.find(tenant, step.template_id, definitions.version(tenant))
    event = compose.event_tags(_SAMPLE, now, {})
    link = None if like is None else referral_link.known_url(tenant, like.id, project)
    link = link or str(templates.SAMPLE["referral_link"])
    return compose.run(
        tenant,
        template,
        reader,
        project,
        event,
        now,
        subject=step.subject,
        referral_link=link,
        survey_link=str(templates.SAMPLE["survey_link"]),
    )
