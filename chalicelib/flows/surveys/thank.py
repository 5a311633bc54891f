"""Send a referral link to somebody whose answer has issued one, once for a response."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from chalicelib.features.codes import service as codes
from chalicelib.features.messaging import service as messaging
from chalicelib.features.messaging.model import Message
from chalicelib.features.referrals import service as referrals
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.model import Effect, Response, Survey
from chalicelib.features.surveys.service import SurveyMail
from chalicelib.flows.surveys import effects, letters, standing
from chalicelib.flows.surveys.letters import Letter
from chalicelib.flows.surveys.standing import Standing
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Op
from chalicelib.readings import doubt, referral_link
from chalicelib.readings.compose import Composed

_SENT: Final = "sent"


def send(tenant: Tenant, at: Standing, wanted: SurveyMail, now: int) -> None:
    """Send the mail, unless that was begun before; one that can't be sent is told on the timeline, with why."""
    response = at.response
    issued = None if response is None else response.issued_link
    if response is None or issued is None or at.survey is None:
        return
    if response.mail is not None:
        doubt.note(tenant, messaging.load(tenant, *response.mail), now)
        return
    told = response.effect("referral_mail")
    if told is not None and told.outcome != _SENT:
        return
    reason = standing.obstacle(tenant, at, now)
    if reason == "paused_marketing":
        # The answer itself may have paused it a moment ago or after; what it has caused is sent, as its campaign is.
        reason = None
    mail = None if reason is not None else _composed(tenant, at, at.survey, issued, wanted, now)
    if isinstance(mail, Composed):
        if letters.has_turn(tenant, wanted):
            _hand_over(
                tenant, at, Letter(wanted, at.survey, at.contact, at.project, at.catalog.version, now), mail, issued
            )
        return
    ended = _mailed(issued, reason or mail or "no_link", now)
    after, ops = effects.effect_ops(tenant, response.without("referral_mail"), ended)
    table.transact([surveys.save_response(tenant, after), *ops])


def _mailed(issued: Effect, how: str, now: int) -> Effect:
    return Effect("referral_mail", issued.about, issued.category, how, now)


def _composed(
    tenant: Tenant, at: Standing, survey: Survey, issued: Effect, wanted: SurveyMail, now: int
) -> Composed | str:
    program = referrals.find(tenant, issued.about)
    if program is None:
        return "no_link"
    link, _ = referral_link.run(tenant, program, at.contact, at.project, referral_link.MAILS, now)
    url = codes.url(at.project.referral_base_url, link.code)
    return letters.composed(tenant, Letter(wanted, survey, at.contact, at.project, at.catalog.version, now), url)


def _hand_over(tenant: Tenant, at: Standing, letter: Letter, mail: Composed, issued: Effect) -> None:
    def ops(message: Message) -> Sequence[Op]:
        after, told = _response(at), list[Op]()
        # One that was claimed before and surely not sent was told of then.
        if after.effect("referral_mail") is None:
            after, told = effects.effect_ops(tenant, after, _mailed(issued, _SENT, letter.now))
        after = replace(after, mail=(message.contact_id, message.id))
        return [standing.unchanged(tenant, at), surveys.save_response(tenant, after), *told]

    def release(claimed: Message) -> Op | None:
        stands = standing.read(tenant, letter.contact.id, letter.wanted.survey_id, letter.wanted.send_id)
        response = None if stands is None else stands.response
        if response is None or response.mail != (claimed.contact_id, claimed.id):
            return None
        return surveys.save_response(tenant, replace(response, mail=None))

    letters.hand_over(tenant, letter, mail, ops, release)


def _response(at: Standing) -> Response:
    if at.response is None:
        raise LookupError("there is no response")
    return at.response
