"""Create surveys, change them, and move them between their statuses.

Each is one transaction over the survey's version, and where others of the project are counted or named, over that of
all definitions too.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.core import events, ids
from chalicelib.core.errors import Conflict, ValidationFailed
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.model import Status, Survey
from chalicelib.features.timers import service as timers
from chalicelib.flows.surveys import references, timing
from chalicelib.platform import definitions, outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Op

if TYPE_CHECKING:
    from chalicelib.features.surveys.schemas import NewSurvey, SurveyPatch

_MOVES: dict[Status, tuple[Status, ...]] = {
    "active": ("draft", "paused"),
    "paused": ("active",),
    "archived": ("draft", "active", "paused"),
}
"""To each status the ones that it may be reached from by request."""


def create(tenant: Tenant, body: "NewSurvey", now: int, receipt: Receipt) -> Survey:
    """A new survey, as a draft. Raises ValidationFailed with every fault of its rules, Conflict over the limit."""
    from chalicelib.features.surveys.schemas import defined
    from chalicelib.flows.surveys.answers import shown

    made = defined(body, ids.new_id("srvy"), now)
    references.check(made)
    answer = shown(made).model_dump(mode="json")
    retried(lambda: receipt.commit(surveys.creation(tenant, made), 201, answer))
    return made


def change(tenant: Tenant, survey_id: str, patch: "SurveyPatch", now: int) -> Survey:
    """Change a survey; what waits is judged by it when it is due.

    Raises NotFound; ValidationFailed; Conflict where it is archived, or its type is to be another after it was active.
    """
    from chalicelib.features.surveys.schemas import patched

    def act() -> Survey:
        version = definitions.version(tenant)
        before = surveys.get(tenant, survey_id)
        after = patched(patch, before)
        if after == before:
            return before
        if before.status == "archived" and replace(after, name=before.name) != before:
            raise Conflict("A survey that is archived can't be changed, but for its name.")
        if after.type != before.type and before.activated_at is not None:
            raise Conflict("The type of a survey that was activated can't be changed: its figures would not fit.")
        references.check(after)
        is_going = after.status in ("active", "paused")
        if is_going and (faults := references.lacks(tenant, after)):
            raise ValidationFailed(
                "A survey that is active or paused can't be changed to what can't be sent.", details=faults
            )
        after = replace(after, updated_at=now, version=before.version + 1)
        after, ops = _rescheduled(tenant, before, after, now)
        table.transact([*surveys.change_ops(tenant, after, version if is_going else None), *ops])
        return after

    return retried(act)


def activate(tenant: Tenant, survey_id: str, now: int, receipt: Receipt) -> Survey:
    """Begin to send a survey, or go on with one that is paused.

    Raises NotFound, Conflict for another status or over the limit, and ValidationFailed with all that it lacks.
    """

    def ops(before: Survey, after: Survey, version: int) -> tuple[Survey, list[Op]]:
        surveys.check_room(tenant)
        if faults := references.lacks(tenant, before):
            raise ValidationFailed("The survey can't be sent yet.", details=faults)
        after, more = _begun(tenant, before, after, now)
        return after, [*surveys.change_ops(tenant, after, version), *more, _moved(tenant, after, now)]

    return _move(tenant, survey_id, "active", now, receipt, ops)


def pause(tenant: Tenant, survey_id: str, now: int, receipt: Receipt) -> Survey:
    """Ask nobody any more; answers are still taken. Raises NotFound, Conflict where it is not active."""

    def ops(_before: Survey, after: Survey, _version: int) -> tuple[Survey, list[Op]]:
        return after, surveys.change_ops(tenant, after)

    return _move(tenant, survey_id, "paused", now, receipt, ops)


def archive(tenant: Tenant, survey_id: str, now: int, receipt: Receipt) -> Survey:
    """End a survey for good; what was sent can be answered. Raises NotFound, Conflict where that was done before."""

    def ops(before: Survey, after: Survey, _version: int) -> tuple[Survey, list[Op]]:
        after, stopped = replace(after, next_sweep_at=None, sweeping=None), _unscheduled(tenant, before)
        return after, [*surveys.change_ops(tenant, after), *stopped, _moved(tenant, after, now)]

    return _move(tenant, survey_id, "archived", now, receipt, ops)


def _move(
    tenant: Tenant,
    survey_id: str,
    status: Status,
    now: int,
    receipt: Receipt,
    ops: Callable[[Survey, Survey, int], tuple[Survey, list[Op]]],
) -> Survey:
    from chalicelib.flows.surveys.answers import shown

    def act() -> Survey:
        version = definitions.version(tenant)
        before = surveys.get(tenant, survey_id)
        if before.status not in _MOVES[status]:
            raise Conflict(f"A survey that is {before.status} can't become {status}.")
        after, writes = ops(before, surveys.moved(before, status, now), version)
        receipt.commit(writes, 200, shown(after).model_dump(mode="json"))
        return after

    return retried(act)


def _begun(tenant: Tenant, before: Survey, after: Survey, now: int) -> tuple[Survey, list[Op]]:
    """What makes a survey that is activated for the first time ask those who are there already; a sweep that was not
    at its end when the survey was paused goes on."""
    if before.activated_at is not None:
        return after, timing.told(tenant, after, now)
    timer: list[Op] = []
    if after.repeat is not None:
        following = now + after.repeat
        timer = timing.sweep_timer_ops(tenant, after.id, following, None)
        after = replace(after, next_sweep_at=following)
    elif not after.trigger.include_existing:
        return after, []
    after, told = timing.begun(tenant, after, now)
    return after, [*timer, *told]


def _rescheduled(tenant: Tenant, before: Survey, after: Survey, now: int) -> tuple[Survey, list[Op]]:
    """The survey with the moment of its next sweep, where it recurs in another time by now."""
    repeat = after.repeat
    if repeat == before.repeat or before.activated_at is None or after.status == "archived":
        return after, []
    if repeat is None:
        return replace(after, next_sweep_at=None), _unscheduled(tenant, before)
    # From the last sweep on; one that would have been by now is made up for at once.
    stands = before.next_sweep_at
    last = now if stands is None or before.repeat is None else stands - before.repeat
    following = max(last + repeat, now + 1)
    return replace(after, next_sweep_at=following), timing.sweep_timer_ops(tenant, after.id, following, stands)


def _unscheduled(tenant: Tenant, before: Survey) -> list[Op]:
    if before.next_sweep_at is None:
        return []
    owner = surveys.timers_partition(tenant, before.id)
    return timers.clear_ops(tenant, owner, surveys.SWEEP, before=before.next_sweep_at)


def _moved(tenant: Tenant, after: Survey, now: int) -> Op:
    return outbox.emit(tenant, events.SURVEY_MOVED, {"survey_id": after.id, "version": after.version}, now)
