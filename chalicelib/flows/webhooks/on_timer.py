"""What is due for a webhook: the next attempt of a delivery, and the end of an endpoint that has only failed.

May be repeated, and may be late: an attempt that was made is not made again, and what stands decides of an endpoint.
"""

from contextlib import suppress

from chalicelib.core import events
from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Timer
from chalicelib.features.webhooks import service as webhooks
from chalicelib.platform import outbox, table
from chalicelib.platform.keys import Tenant, endpoint_of
from chalicelib.platform.table import ConditionFailed


def retry(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
    """Tell the bus of an attempt that is due.

    It is not queued here: whoever dies between the mark and the queue is called again by a test project's clock only
    once nothing is marked.
    """
    told = outbox.emit(tenant, events.WEBHOOK_DUE, timer.data, now)
    with suppress(ConditionFailed):  # told before
        table.transact([*timers.taken_ops(tenant, owner_pk, timer), told])


def end_failing(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
    """Disable the endpoint, if it has only failed since the timer was set."""
    endpoint_id = endpoint_of(owner_pk)
    endpoint = webhooks.standing(tenant, [endpoint_id]).get(endpoint_id)
    if endpoint is not None and endpoint.status == "enabled" and endpoint.failing_since == timer.data:
        # A success beside the first failure may not have known of it.
        delivers = webhooks.has_delivered_since(tenant, endpoint_id, timer.data)
        ends = (
            [webhooks.forgive(tenant, endpoint)] if delivers else webhooks.disabling(tenant, endpoint, "failing", now)
        )
        with suppress(ConditionFailed):  # disabled before, or it delivers again
            table.transact([*ends, *timers.taken_ops(tenant, owner_pk, timer)])
            return
    timers.drop(tenant, owner_pk, timer)
