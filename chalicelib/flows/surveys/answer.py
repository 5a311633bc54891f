"""Take an answer: one response for each send, which a second answer within a day corrects.

What: the response, the send that is answered, the contact's last score, and the events that tell of them are written in
one transaction over what was read. Of two who answer one send at once, one makes the response and the other corrects
it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from chalicelib.core import clock, events, ids
from chalicelib.core.clock import iso
from chalicelib.core.errors import Conflict, NotFound, Unavailable
from chalicelib.features.activity import service as activity
from chalicelib.features.codes import service as codes
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Answered
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import service as referrals
from chalicelib.features.surveys import intake, ledger
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.model import CORRECTABLE, Cause, Response, Send, Survey, attitude_of
from chalicelib.flows.surveys import standing, timing
from chalicelib.flows.surveys.standing import Standing
from chalicelib.platform import outbox
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.retries import retried
from chalicelib.platform.survey_tokens import Token
from chalicelib.platform.table import Op
from chalicelib.readings import referral_link


class Expired(Conflict):
    """The send can't be answered any more."""


class Settled(Conflict):
    """It was answered more than a day ago."""


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody answers. A comment stays as it was unless it `has_comment`."""

    score: int | None = None
    comment: str | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    has_comment: bool = False


class Taken(NamedTuple):
    """A response that stands, the survey, and what was done."""

    response: Response
    survey: Survey
    done: Literal["created", "corrected"]


def by_token(tenant: Tenant, token: Token, given: Given, receipt: Receipt) -> Taken:
    """Answer the send that a token is of.

    Raises NotFound where the contact, the survey or the send is gone; Expired; Settled; ValidationFailed.
    """
    return retried(lambda: _by_token(tenant, token, given, receipt))


def _by_token(tenant: Tenant, token: Token, given: Given, receipt: Receipt) -> Taken:
    at = read(tenant, token)
    return _take(tenant, at, _known(at.send), given, receipt, projects.now(tenant), shows_contact=False)


def read(tenant: Tenant, token: Token) -> Standing:
    """What a token is of. Raises NotFound where the contact, the survey or the send is gone."""
    at = standing.read(tenant, token.contact_id, token.survey_id, token.send_id)
    if at is None or at.survey is None or at.send is None or at.send.sent_at is None:
        raise nothing()
    return at


def survey_of(at: Standing) -> Survey:
    """The survey of a standing as `read` gives it."""
    if at.survey is None:
        raise nothing()
    return at.survey


def share_url(tenant: Tenant, at: Standing, response: Response) -> str | None:
    """The referral link that this answer issues, for the page that thanks; None where it issues none.

    It is made here if the bus has not made it yet: whoever comes second finds it.
    """
    category = response.category
    action = None if category is None else survey_of(at).actions.get(attitude_of(category))
    program_id = None if action is None else action.referral_program_id
    program = None if program_id is None else referrals.find(tenant, program_id)
    if program is None or program.status != "active":
        return None
    try:
        now = projects.now(tenant)
        link, _ = referral_link.run(tenant, program, at.contact, at.project, referral_link.MAILS, now)
    except Unavailable:
        return None  # the answer is recorded, and the mail will have the link
    return codes.url(at.project.referral_base_url, link.code)


def nothing() -> NotFound:
    """What is told alike of whatever can't be answered because it is not there."""
    return NotFound("There is nothing to answer.")


def by_contact(tenant: Tenant, survey_id: str, contact_id: str, given: Given, receipt: Receipt) -> Taken:
    """Answer for a contact: its newest send that is open, or else what it has answered within a day, or else by a send
    that is made and answered at once.

    Raises NotFound, Conflict where the survey is neither active nor paused, ValidationFailed.
    """
    return retried(lambda: _by_contact(tenant, survey_id, contact_id, given, receipt))


def _by_contact(tenant: Tenant, survey_id: str, contact_id: str, given: Given, receipt: Receipt) -> Taken:
    survey = surveys.get(tenant, survey_id)
    # Read before its sends are: what is answered beside this since then is seen by the version of what it was sent.
    at = standing.read(tenant, contact_id, survey_id, "")
    if at is None or at.contact.id != contact_id:
        contacts.get(tenant, contact_id)  # tells what it was merged into
        raise NotFound("There is no such contact.")
    if survey.status not in ("active", "paused"):
        raise Conflict(f"A survey that is {survey.status} takes no answers.")
    now = projects.now(tenant)
    own = surveys.sends_of(tenant, contact_id, survey_id)
    open_sends = [each for each in own if each.is_open(now)]
    answered = [each for each in own if each.answered_at is not None and now < each.answered_at + CORRECTABLE]
    chosen = max(
        open_sends or answered, key=lambda each: (each.sent_at or 0, each.answered_at or 0, each.id), default=None
    )
    if chosen is None:
        made = _made(survey, contact_id, now)
        return _take(tenant, at, made, given, receipt, now, shows_contact=True)
    at = standing.read(tenant, contact_id, survey_id, chosen.id)
    if at is None:
        raise NotFound("There is no such contact.")
    return _take(tenant, at, _known(at.send), given, receipt, now, shows_contact=True)


def _made(survey: Survey, contact_id: str, now: int) -> Send:
    """The send of an answer that nobody was asked for."""
    own = ids.new_ulid()
    return Send(own, contact_id, survey.id, Cause("api", f"evt_{own}", now), now)


def _known(send: Send | None) -> Send:
    if send is None:
        raise nothing()
    return send


def _take(
    tenant: Tenant, at: Standing, send: Send, given: Given, receipt: Receipt, now: int, *, shows_contact: bool
) -> Taken:
    before = at.response
    if before is None:
        if send.sent_at is not None and not send.is_open(now):
            raise Expired("The survey can't be answered any more.")
        return _first(tenant, at, send, given, receipt, now, shows_contact=shows_contact)
    if now >= before.correctable_until:
        raise Settled("The survey was answered, and can't be changed any more.")
    return _correct(tenant, at, before, given, receipt, now, shows_contact=shows_contact)


def _first(
    tenant: Tenant, at: Standing, send: Send, given: Given, receipt: Receipt, now: int, *, shows_contact: bool
) -> Taken:
    survey = survey_of(at)
    answers = intake.checked(survey, given.score, given.answers)
    day = clock.local_day(now, at.project.timezone)
    response = Response(
        id=surveys.new_response_id(),
        contact_id=at.contact.id,
        survey_id=survey.id,
        send_id=send.id,
        type=survey.type,
        responded_at=now,
        updated_at=now,
        day=day,
        score=given.score,
        comment=given.comment or None,
        answers=answers,
        counted=ledger.adds(survey, given.score, answers),
    )
    ops: list[Op] = []
    surveyed = at.surveyed
    if send.sent_at is None:
        # Nobody was asked: it counts as a send that was made and answered at this moment.
        made = send.sent((), now, day)
        data = {"survey_id": survey.id, "contact_id": at.contact.id, "send_id": send.id, "day": day}
        ops.append(outbox.emit(tenant, events.SURVEY_SENT, data, now))
        surveyed, send = surveyed.was_sent(made, now), made
    surveyed = surveyed.was_answered(send)
    if surveyed != at.surveyed:
        ops.append(surveys.save_surveyed(tenant, surveyed))
    response, told = _told(tenant, at, survey, response, events.SURVEY_ANSWERED, response.counted, now)
    ops += [
        *timing.stop_ops(tenant, send),
        surveys.save_send(tenant, send.answered(now)),
        *_noted(tenant, at, response, events.NOTED_ANSWERED, {}, now),
        *told,
        _scored(tenant, at, response),
        surveys.save_response(tenant, response),
    ]
    receipt.commit(ops, 201, shown(response, shows_contact=shows_contact))
    return Taken(response, survey, "created")


def _correct(
    tenant: Tenant, at: Standing, before: Response, given: Given, receipt: Receipt, now: int, *, shows_contact: bool
) -> Taken:
    survey = survey_of(at)
    answers = intake.checked(survey, given.score, given.answers, before.answers)
    score = before.score if given.score is None else given.score
    comment = (given.comment or None) if given.has_comment else before.comment
    counted = ledger.adds(survey, score, answers, before.counted)
    after = replace(before, score=score, comment=comment, answers=answers, counted=counted)
    if after == before:
        receipt.commit([], 200, shown(before, shows_contact=shows_contact))
        return Taken(before, survey, "corrected")
    after = replace(after, updated_at=now)
    said = {
        "before": {"score": before.score, "category": before.category},
        "stands": [f"{each.name} {each.outcome} ({each.category})" for each in before.effects],
    }
    deltas = ledger.changes(before.counted, counted)
    after, told = _told(tenant, at, survey, after, events.SURVEY_CORRECTED, deltas, now)
    ops = [
        surveys.save_response(tenant, after),
        *_noted(tenant, at, after, events.NOTED_CORRECTED, said, now),
        *told,
        _scored(tenant, at, after),
    ]
    receipt.commit(ops, 200, shown(after, shows_contact=shows_contact))
    return Taken(after, survey, "corrected")


def _told(
    tenant: Tenant, at: Standing, survey: Survey, response: Response, name: str, deltas: Mapping[str, int], now: int
) -> tuple[Response, list[Op]]:
    """The events that tell of an answer. That it is a promoter's or a detractor's is told once for a response."""
    data = {
        "contact_id": at.contact.id,
        "survey_id": survey.id,
        "send_id": response.send_id,
        "response_id": response.id,
        "type": survey.type,
        "score": response.score,
        "comment": response.comment,
        "answers": dict(response.answers),
        "category": response.category,
        "responded_at": response.responded_at,
        "day": response.day,
        "counted": dict(deltas),
    }
    ops: list[Op] = [outbox.emit(tenant, name, data, now)]
    more = {"promoter": events.SURVEY_PROMOTER, "detractor": events.SURVEY_DETRACTOR}.get(response.category or "")
    if more is not None and response.category not in response.told:
        ops.append(outbox.emit(tenant, more, data, now))
        response = replace(response, told=(*response.told, str(response.category)))
    return response, ops


def _noted(tenant: Tenant, at: Standing, response: Response, name: str, more: Mapping[str, Any], now: int) -> list[Op]:
    said = {
        "survey_id": response.survey_id,
        "survey_name": survey_of(at).name,
        "send_id": response.send_id,
        "response_id": response.id,
        "score": response.score,
        "comment": response.comment,
        "category": response.category,
        **more,
    }
    return list(activity.event_ops(tenant, activity.note(at.contact.id, name, said, now)))


def _scored(tenant: Tenant, at: Standing, response: Response) -> Op:
    """The contact with its last score, or as long as it is as it was read."""
    contact, score = at.contact, response.score
    if score is not None and contacts.note_answer(
        contact, response.type, Answered(response.responded_at, response.id, score)
    ):
        return contacts.save(tenant, contact)
    return standing.unchanged(tenant, at)


def shown(response: Response, *, shows_contact: bool) -> dict[str, Any]:
    """A response as whoever gave it sees it, in JSON; whose it is only where that was asked for by it."""
    told: dict[str, Any] = {
        "id": response.id,
        "survey_id": response.survey_id,
        "contact_id": response.contact_id if shows_contact else None,
        "score": response.score,
        "comment": response.comment,
        "answers": dict(response.answers),
        "category": response.category,
        "responded_at": iso(response.responded_at),
        "updated_at": iso(response.updated_at),
        "correctable_until": iso(response.correctable_until),
    }
    return told
