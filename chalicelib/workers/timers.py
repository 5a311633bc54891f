"""The timers' worker: what has fallen due goes to its flow. TIMER_FLOWS is all kinds there are."""

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.core import clock
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import service as referrals
from chalicelib.features.segments import service as segments
from chalicelib.features.surveys import service as surveys
from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Due, Timer
from chalicelib.flows.campaigns import timing
from chalicelib.flows.referrals import decide
from chalicelib.flows.segments import on_timer, purge
from chalicelib.flows.surveys import timing as survey_timing
from chalicelib.flows.webhooks import deliver
from chalicelib.flows.webhooks import on_timer as on_webhook_timer
from chalicelib.platform import observability
from chalicelib.platform.keys import Tenant, tenant_of
from chalicelib.readings import doubt

TimerFlow = Callable[[Tenant, str, Timer, int], None]
"""Acts on a timer, given its owner's partition and `now` in ms. It clears or replaces the timer in the transaction of
what it does, on condition of what it read: a timer fires at least once, and may fire late."""

TIMER_FLOWS: dict[str, TimerFlow] = {
    segments.TIMER: on_timer.run,
    purge.KIND: purge.on_timer,
    deliver.RETRY: on_webhook_timer.retry,
    deliver.FAILING: on_webhook_timer.end_failing,
    campaigns.STEP: timing.step,
    campaigns.SCHEDULED: timing.broadcast,
    doubt.KIND: doubt.end,
    referrals.HOLD: decide.hold_over,
    surveys.DUE: survey_timing.due,
    surveys.SWEEP: survey_timing.sweep,
}

_WAITED_FOR = 1_500
"""Milliseconds: a message's delay is whole seconds, rounded down, so it comes up to one second early."""

_RESERVE = 5_000
"""Milliseconds of the invocation that one more timer may need."""


class TimerLeft(Exception):
    """A flow has left the timer that it was called for as it was."""


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Fire what a batch of messages says is due, the earliest first; those that failed are told by id."""
    messages = [(timers.received(record["body"]), record["messageId"]) for record in event["Records"]]
    failed = [ident for due, ident in sorted(messages, key=_moment) if not _run(due, context)]
    return {"batchItemFailures": [{"itemIdentifier": ident} for ident in failed]}


def fire_due(tenant: Tenant, owner_pk: str, name: str, moment: int, now: int) -> None:
    """Call the flow of a timer that stands at `moment`; one that is gone, or was set anew, is passed over.

    Raises KeyError for a kind that nobody knows, TimerLeft, and whatever the flow raises.
    """
    timer = timers.find(tenant, owner_pk, name)
    if timer is None or timer.moment != moment:
        return
    TIMER_FLOWS[timer.kind](tenant, owner_pk, timer, now)
    if timers.find(tenant, owner_pk, name) == timer:
        raise TimerLeft(timer.kind)


def _run(due: Due, context: Any) -> bool:
    tenant = tenant_of(due.owner_pk)
    if context.get_remaining_time_in_millis() < _RESERVE or tenant is None:
        return False
    observability.bind(project_id=tenant.project_id)
    try:
        now = projects.now(tenant)
        if due.moment - now > _WAITED_FOR:
            timers.send_again(due, now)
            return True
        while now < due.moment:
            clock.sleep((due.moment - now) / clock.SECOND)
            now = projects.now(tenant)
        fire_due(tenant, due.owner_pk, due.name, due.moment, now)
    except Exception:  # whatever it is, the queue delivers again and its dead-letter queue keeps the message
        observability.log_failure("timer failed", timer=due.name)
        observability.metric("TimerFailed")
        return False
    finally:
        observability.unbind()
    return True


def _moment(message: tuple[Due, str]) -> int:
    return message[0].moment
