"""What is due for a webhook: the next attempt of a delivery, and the end of an endpoint that has only failed.

May be repeated, and may be late: an attempt that was made is not made again, and what stands decides of an endpoint.
"""

from contextlib import suppress

from chalicelib.core import events
from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Timer
from chalicelib.features.webhooks import service as webhooks
from chalicelib.features.webhooks.model import FAILING_MAX
from chalicelib.platform import outbox, table
from chalicelib.platform.keys import Tenant, timed_by
from chalicelib.platform.table import ConditionFailed, Op


def retry(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
    """Tell the bus of an attempt that is due.

    It is not queued here: whoever dies between the mark and the queue is called again by a test project's clock only
    once nothing is marked.
    """
    told = outbox.emit(tenant, events.WEBHOOK_DUE, timer.data, now)
    with suppress(ConditionFailed):  # told before
        table.transact([*timers.taken_ops(tenant, owner_pk, timer), told])


def end_failing(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
    """Disable the endpoint, if it has only failed since the attempt that the timer was set for.

    A success beside that failure may not have known of it: then the first failure after the last success counts.
    """
    endpoint_id = timed_by(owner_pk)
    endpoint = webhooks.standing(tenant, [endpoint_id]).get(endpoint_id)
    if endpoint is None or endpoint.status == "disabled" or endpoint.failing_id != timer.data:
        timers.drop(tenant, owner_pk, timer)
        return
    ends: list[Op]
    last = webhooks.last_success(tenant, endpoint, timer.data)
    first = webhooks.first_failure(tenant, endpoint, last.id) if last is not None else None
    if last is None:
        ends = [*webhooks.disabling(tenant, endpoint, "failing", now), *timers.taken_ops(tenant, owner_pk, timer)]
    elif first is None:
        gone = timers.taken_ops(tenant, owner_pk, timer)
        ends = [webhooks.set_first_failure(tenant, endpoint, None), *gone]
    else:
        # Its moment may have come already, where this timer is late; it is due at once then.
        moment = max(first.attempted_at + FAILING_MAX, timer.moment + 1)
        anew = timers.set_ops(tenant, owner_pk, timer.name, timer.kind, moment, data=first.id, before=timer.moment)
        ends = [webhooks.set_first_failure(tenant, endpoint, first), *anew]
    try:
        table.transact(ends)
    except ConditionFailed:  # disabled before, or it has delivered again
        timers.drop(tenant, owner_pk, timer)
