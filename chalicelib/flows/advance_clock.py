"""Move a test project's clock to where it was asked to go, as a job.

What: everything that falls due on the way is run, each at its own moment and in order; `now` moves only while no work
is in flight. How: wait until all is settled, move `now` to the earliest timer, run that timer, and again, until none is
left. It may be repeated at any line: the clock is moved on condition of its version, and timers may fire twice.

Two runners of one advance cannot move the clock at once. Who loses looks again later rather than end: it may be a
second delivery of the very message that the other one came with, which would be lost to both.
"""

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.core import clock
from chalicelib.features.projects import service as projects
from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Due
from chalicelib.platform import observability, pending
from chalicelib.platform.jobs import HasTime, Later
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import ConditionFailed

Fire = Callable[[Tenant, str, str, int, int], None]
"""Calls the flow of a timer: its owner's partition, its name, the moment it stands at, and `now`."""

_LOOKS = 20
_PAUSE_S = 0.1
_WAIT_S = 1
"""Seconds until the next look, where work is still in flight after _LOOKS."""

_ASIDE_S = 5
"""Seconds for which a runner stands aside for another one."""

_TRIES = 5
"""Runs of a timer that fails, before the clock goes on without it, as a live project does."""


def run(tenant: Tenant, data: Mapping[str, Any], has_time: HasTime, fire: Fire) -> Mapping[str, Any] | Later | None:
    """Move on as far as the time allows; returns the data of the next page, None once the clock has arrived.

    `data` is `{advance_id, failed}`, the latter being how often the timer that is next has failed.
    """
    failed = int(data.get("failed", 0))
    this = {"advance_id": data["advance_id"]}
    while has_time():
        if not _settles(tenant, has_time):
            return Later(this | {"failed": failed}, _WAIT_S)
        stands = projects.test_clock(tenant)
        if stands.advance_id != this["advance_id"] or stands.target is None:
            return None
        due = timers.next_due(tenant, stands.target)
        try:
            if due is None:
                projects.stop_clock(tenant, stands)
                return None
            now = projects.move_clock(tenant, stands, max(stands.now, due.moment)).now
        except ConditionFailed:
            return Later(this, _ASIDE_S)
        if _fires(tenant, due, now, fire):
            failed = 0
        elif failed + 1 < _TRIES:
            return Later(this | {"failed": failed + 1}, _WAIT_S)
        else:
            observability.metric("TimerSetAside")
            failed = 0
        timers.drop_pointer(tenant, due)
    return this | {"failed": failed}


def _settles(tenant: Tenant, has_time: HasTime) -> bool:
    """True once no work is in flight; False where some still is after a while."""
    for _ in range(_LOOKS):
        if pending.is_settled(tenant):
            return True
        if not has_time():
            return False
        clock.sleep(_PAUSE_S)
    return False


def _fires(tenant: Tenant, due: Due, now: int, fire: Fire) -> bool:
    try:
        fire(tenant, due.owner_pk, due.name, due.moment, now)
    except Exception:  # one timer's fault must not hold the clock for good
        observability.log_failure("timer of a test project failed", timer=due.name)
        observability.metric("TimerFailed")
        return False
    return True
