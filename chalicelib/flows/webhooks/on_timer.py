"""What is due for a webhook: the next attempt of a delivery, and the end of an endpoint that has only failed.

May be repeated, and may be late: an attempt that was made is not made again, and what stands decides of an endpoint.
"""

from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Timer
from chalicelib.features.webhooks import service as webhooks
from chalicelib.features.webhooks.model import Parcel
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant, endpoint_of
from chalicelib.platform.table import ConditionFailed


def retry(tenant: Tenant, owner_pk: str, timer: Timer, _now: int) -> None:
    """Queue the attempt that is due."""
    webhooks.dispatch(tenant, [Parcel(**timer.data)])
    timers.drop(tenant, owner_pk, timer)


def end_failing(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
    """Disable the endpoint, if it has only failed since the timer was set."""
    endpoint_id = endpoint_of(owner_pk)
    endpoint = webhooks.standing(tenant, [endpoint_id]).get(endpoint_id)
    if endpoint is None or endpoint.status == "disabled" or endpoint.failing_since != timer.data:
        timers.drop(tenant, owner_pk, timer)
        return
    gone = timers.clear_ops(tenant, owner_pk, timer.name, before=timer.moment)
    try:
        table.transact([*webhooks.disabling(tenant, endpoint, "failing", now), *gone])
    except ConditionFailed:
        timers.drop(tenant, owner_pk, timer)
