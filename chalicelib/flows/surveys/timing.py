"""The one timer of each send, for the send itself and then for its reminder, and that of a recurring survey.

What is due at once is told to the bus instead: no timer is faster.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from chalicelib.core import events, ids
from chalicelib.features.contacts import service as contacts
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.model import Mail, Send, Survey
from chalicelib.features.surveys.service import SurveyMail
from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Timer
from chalicelib.platform import outbox, table
from chalicelib.platform.keys import Tenant, contact_of, timed_by
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried
from chalicelib.platform.table import ConditionFailed, Op


def follow_ops(tenant: Tenant, send: Send, mail: Mail, now: int) -> list[Op]:
    """The operations by which the send is heard of again at `send.due_at`; it has no timer yet, or none any more."""
    if send.due_at is None:
        return []
    owner, name = contacts.key(tenant, send.contact_id).pk, surveys.timer_name(send.survey_id, send.id)
    if send.due_at > now:
        data = {"survey_id": send.survey_id, "send_id": send.id, "mail": mail}
        return timers.set_ops(tenant, owner, name, surveys.DUE, send.due_at, data=data)
    return [surveys.due_event(tenant, send, mail, now)]


def stop_ops(tenant: Tenant, send: Send) -> list[Op]:
    """The operations that remove the timer of a send that is not to be heard of any more."""
    if send.due_at is None:
        return []
    owner, name = contacts.key(tenant, send.contact_id).pk, surveys.timer_name(send.survey_id, send.id)
    return timers.clear_ops(tenant, owner, name, before=send.due_at)


def due(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
    """Tell the bus that a send, or its reminder, is due."""
    data = {"contact_id": contact_of(owner_pk), **timer.data}
    with suppress(ConditionFailed):  # told before
        table.transact(
            [*timers.taken_ops(tenant, owner_pk, timer), outbox.emit(tenant, events.SURVEY_ASK_DUE, data, now)]
        )


def queue(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Queue what is due for the worker that mails, on the bus; may be repeated."""
    surveys.dispatch(
        tenant,
        [
            SurveyMail(each.data["contact_id"], each.data["survey_id"], each.data["send_id"], each.data["mail"])
            for each in told
        ],
    )


def sweep(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
    """Tell the bus that a recurring survey is to ask its segment, and set its timer anew; a paused one asks nobody."""

    def act() -> None:
        survey = surveys.find(tenant, timed_by(owner_pk))
        if survey is None or survey.next_sweep_at != timer.moment:
            timers.drop(tenant, owner_pk, timer)
            return
        if survey.status not in ("active", "paused") or survey.repeat is None:
            gone = replace(survey, next_sweep_at=None, version=survey.version + 1)
            taken = timers.taken_ops(tenant, owner_pk, timer)
            table.transact([*surveys.change_ops(tenant, gone), *taken])
            return
        # One that comes very late makes up for nothing: each moment that has passed is one sweep at the most.
        following = timer.moment + survey.repeat * (1 + max(0, now - timer.moment) // survey.repeat)
        after = replace(survey, next_sweep_at=following, version=survey.version + 1)
        told: list[Op] = []
        if survey.status == "active":
            after, told = begun(tenant, after, now)
        timed = sweep_timer_ops(tenant, survey.id, following, timer.moment)
        table.transact([*surveys.change_ops(tenant, after), *timed, *told])

    retried(act)


def sweep_timer_ops(tenant: Tenant, survey_id: str, moment: int, before: int | None) -> list[Op]:
    """The operations that set the timer of a recurring survey."""
    owner = surveys.timers_partition(tenant, survey_id)
    return timers.set_ops(tenant, owner, surveys.SWEEP, surveys.SWEEP, moment, before=before)


def begun(tenant: Tenant, survey: Survey, now: int) -> tuple[Survey, list[Op]]:
    """The survey with a sweep that begins, and what tells the bus of it; one that has not ended yet ends with that."""
    sweeping = replace(survey, sweeping=(ids.new_ulid(), now))
    return sweeping, told(tenant, sweeping, now)


def told(tenant: Tenant, survey: Survey, now: int) -> list[Op]:
    """What tells the bus that the members of the survey's segment are to be asked, where a sweep has not ended."""
    if survey.sweeping is None:
        return []
    sweep_id, moment = survey.sweeping
    data = {"survey_id": survey.id, "sweep_id": sweep_id, "moment": moment}
    return [outbox.emit(tenant, events.SURVEY_SWEEP_DUE, data, now)]
