"""Sends, responses and figures as callers see them, and why somebody was asked or not. Nothing is written
but what a merge has left to be moved."""

from collections.abc import Sequence
from typing import NamedTuple

from chalicelib.core import clock
from chalicelib.core.clock import iso, local_day, parse_instant
from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.surveys import decision
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.decision import Ask
from chalicelib.features.surveys.model import Reason, Response, Send, Survey
from chalicelib.flows.surveys import on_events, standing
from chalicelib.flows.surveys.answers import (
    ExplainAnswer,
    ListedResponse,
    SendAnswer,
    StatsAnswer,
    response_shown,
    send_shown,
    stats_shown,
)
from chalicelib.flows.surveys.standing import Standing
from chalicelib.platform.keys import Tenant

_FIRST_DAY = parse_instant("0001-01-01")
_DAYS_SHOWN = 30
_DAYS_MAX = 400
_SENDS_SHOWN = 25

_MESSAGES: dict[str, str] = {
    "draft": "The survey was not activated yet.",
    "paused": "The survey is paused: what is due waits until it goes on.",
    "archived": "The survey has ended.",
    "left_segment": "The contact is not in the segment of the trigger.",
    "max_surveys": "The contact was sent this survey as often as it may be.",
    "cooldown": "The contact was sent a survey of this project too short a while ago.",
    "unsubscribed": "The contact has unsubscribed, and the survey goes by email alone.",
    "no_email": "The contact has no email address, and the survey goes by email alone.",
    "bounced": "Mail to the contact's address came back, and the survey goes by email alone.",
    "complained": "Somebody complained of mail to the contact's address, and the survey goes by email alone.",
    "paused_marketing": "Marketing mail to the contact is paused, and the survey goes by email alone.",
    "no_sender": "The project has no sender's address, and the survey goes by email alone.",
    "waiting": "A send is on its way: it is judged again when it is due.",
    "may_be_asked": "Nothing keeps the contact from being asked.",
}


def sends(
    tenant: Tenant, survey_id: str, state: str | None, limit: int, after: str | None, now: int
) -> tuple[list[SendAnswer], str | None]:
    """A page of a survey's sends. Raises NotFound, BadRequest on a foreign cursor."""
    surveys.get(tenant, survey_id)
    rows, following = surveys.sends(tenant, survey_id, state, limit, after, now, lambda some: _heirs(tenant, some))
    return [send_shown(each, now) for each in rows], following


def responses(
    tenant: Tenant, survey_id: str, category: str | None, limit: int, after: str | None
) -> tuple[list[ListedResponse], str | None]:
    """A page of a survey's responses. Raises NotFound, BadRequest on a foreign cursor."""
    surveys.get(tenant, survey_id)
    rows, following = surveys.responses(tenant, survey_id, category, limit, after, lambda some: _heirs(tenant, some))
    return [response_shown(each) for each in rows], following


def _heirs(tenant: Tenant, rows: Sequence[Send] | Sequence[Response]) -> dict[str, str]:
    """For the contact of each row the one that it is part of by now; those left out that were deleted."""
    return contacts.heirs_there(tenant, {each.contact_id for each in rows})


def held(tenant: Tenant, contact_id: str, now: int) -> tuple[list[SendAnswer], list[ListedResponse]]:
    """All that a contact was sent and has answered."""
    own = surveys.sends_of(tenant, contact_id)
    answered = surveys.responses_of(tenant, contact_id)
    return [send_shown(each, now) for each in own], [response_shown(each) for each in answered]


def stats(tenant: Tenant, survey_id: str, first: str | None, last: str | None, now: int) -> StatsAnswer:
    """A survey's figures, in all and by day. Raises NotFound, ValidationFailed for days that are none or too many."""
    survey = surveys.get(tenant, survey_id)
    until = last or local_day(now, projects.get(tenant).timezone)
    since = first or clock.day(max(_moment("to", until) - (_DAYS_SHOWN - 1) * clock.DAY, _FIRST_DAY))
    if not 0 <= _moment("to", until) - _moment("from", since) < _DAYS_MAX * clock.DAY:
        message = f"`from` is not after `to`, and at most {_DAYS_MAX} days before it."
        raise ValidationFailed(message, details=[detail("from", "range", message)])
    counted = surveys.counts(tenant, survey.id)
    own, questions = surveys.figures(survey, counted)
    return stats_shown(survey, own, questions, surveys.by_day(tenant, survey, since, until), now)


def _moment(field: str, day: str) -> int:
    try:
        return parse_instant(day)
    except ValueError:
        message = "Not a day."
        raise ValidationFailed(message, details=[detail(field, "invalid", message)]) from None


class _Verdict(NamedTuple):
    reason: str
    until: int | None = None


def explain(tenant: Tenant, survey_id: str, contact_id: str, now: int) -> ExplainAnswer:
    """Why the contact was asked or not, and whether it would be now. Raises NotFound for an unknown survey or
    contact."""
    survey = surveys.get(tenant, survey_id)
    contact = contacts.get(tenant, contact_id)
    at = standing.read(tenant, contact.id, survey_id, "")
    own = sorted(surveys.sends_of(tenant, contact.id, survey_id), key=lambda each: (each.created_at, each.id))
    own.reverse()
    if at is None:
        contacts.get(tenant, contact_id)  # gone by now
        raise LookupError(contact_id)
    is_member = None if survey.trigger.segment_id is None else on_events.is_member(tenant, at, survey, now)
    waiting = next((each for each in own if each.state == "waiting"), None)
    verdict = _verdict(tenant, at, survey, is_member, now)
    may_be_asked = verdict is None
    if verdict is None and waiting is not None:
        verdict = _Verdict("waiting", waiting.due_at)
    last = at.surveyed.last_sent_at
    cools = None if last is None else last + survey.cap.cooldown_days * clock.DAY
    return ExplainAnswer(
        survey_id=survey.id,
        contact_id=contact.id,
        as_of=iso(now),
        may_be_asked=may_be_asked,
        reason=None if verdict is None else verdict.reason,
        message=_MESSAGES["may_be_asked" if verdict is None else verdict.reason],
        until=None if verdict is None or verdict.until is None else iso(verdict.until),
        in_segment=is_member,
        sends_counted=at.surveyed.count(survey.id),
        max_surveys_per_contact=survey.cap.most,
        last_sent_at=None if last is None else iso(last),
        cooldown_until=None if cools is None or cools <= now else iso(cools),
        waiting=None if waiting is None else send_shown(waiting, now),
        sends=[send_shown(each, now) for each in own[:_SENDS_SHOWN]],
    )


def _verdict(tenant: Tenant, at: Standing, survey: Survey, is_member: bool | None, now: int) -> _Verdict | None:
    """Why the contact would not be asked now; None where it would be. In the order in which a send is judged."""
    if survey.status != "active":
        return _Verdict(survey.status)
    if is_member is False:
        return _Verdict("left_segment")
    bound = decision.bound(survey, at.surveyed, now)
    if bound is not None:
        return _Verdict(bound.reason, bound.until)
    obstacle: Reason | None = standing.obstacle(tenant, at, now)
    if obstacle is None and at.project.default_from_email is None:
        obstacle = "no_sender"
    if isinstance(decision.by_channels(survey, obstacle, now, now), Ask) or obstacle is None:
        return None
    until = at.contact.marketing_paused_until if obstacle == "paused_marketing" else None
    return _Verdict(obstacle, until)
