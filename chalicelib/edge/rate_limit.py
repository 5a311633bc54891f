"""Rate limits by key and plan, counted in the table across all instances.

Management counts each call on an item for each key and second; ingest takes leases, so that a warm instance makes few
calls. Where the table can't count, calls pass and the metric RateLimitUncounted tells: a counter that fails must not
stop a product that works.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal

from chalicelib.core import clock
from chalicelib.core.errors import RateLimited, Unavailable
from chalicelib.edge.call import Plan, Principal
from chalicelib.edge.windows import Lease
from chalicelib.platform import keys, table
from chalicelib.platform.observability import metric
from chalicelib.platform.table import ConditionFailed, Update, attr

Surface = Literal["management", "ingest"]

LIMITS: Final[dict[Surface, dict[Plan, int]]] = {
    "management": {"free": 10, "growth": 50, "scale": 100},
    "ingest": {"free": 100, "growth": 500, "scale": 1000},
}
"""Calls for each second and key."""

_KEPT_SECONDS = 3600
_LEASES_MAX = 10_000
_SECONDS_TO_NEXT_WINDOW = 1
"""A window lasts one second, so in whole seconds the next one is always one second off."""


class Limiter:
    """The windows that this instance takes part in. Thread-safe; the table is called without the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: OrderedDict[tuple[str, Surface, int], Lease] = OrderedDict()

    def headers(self, principal: Principal, surface: Surface) -> dict[str, str]:
        """What every authenticated answer tells of the current window."""
        with self._lock:
            return _headers(self._lease(principal, surface))

    def admit(self, principal: Principal, surface: Surface) -> dict[str, str]:
        """Count one call and give the headers. Raises RateLimited where the window is used up."""
        while True:
            with self._lock:
                lease = self._lease(principal, surface)
                passed = lease.spend()
                wanted = 0 if passed else lease.ask()
                second, headers = lease.second, _headers(lease)
            if passed:
                return headers
            if wanted == 0:
                raise _limited(headers)
            try:
                taken = _take(principal.key_id, surface, second, wanted, lease.limit)
            except Unavailable:
                metric("RateLimitUncounted", surface=surface)
                with self._lock:
                    _answer(lease, second, lease.unanswered)
                return headers
            with self._lock:
                if taken is None:
                    _answer(lease, second, lease.refused, wanted)
                else:
                    _answer(lease, second, lease.granted, wanted, taken)

    def forget(self) -> None:
        """Drop everything."""
        with self._lock:
            self._leases.clear()

    def _lease(self, principal: Principal, surface: Surface) -> Lease:
        limit = LIMITS[surface][principal.plan]
        name = (principal.key_id, surface, limit)
        lease = self._leases.setdefault(name, Lease(limit, leased=surface == "ingest"))
        self._leases.move_to_end(name)
        if len(self._leases) > _LEASES_MAX:
            self._leases.popitem(last=False)
        lease.enter(clock.system_ms() // clock.SECOND)
        return lease


limiter = Limiter()
"""The windows of this process."""


def _take(key_id: str, surface: Surface, second: int, tokens: int, limit: int) -> int | None:
    """Take tokens from the window; how many all instances have then taken, None where there are not so many left."""
    op = Update(
        keys.rate_window(f"{key_id}.{surface}", second),
        set_={"ttl": second + _KEPT_SECONDS},
        add={"used": tokens},
        condition=attr("used").not_exists() | attr("used").lte(limit - tokens),
    )
    try:
        return int(table.update_returning(op)["used"])
    except ConditionFailed:
        return None


def _answer(lease: Lease, second: int, note: Callable[..., None], *numbers: int) -> None:
    """Enter the table's answer; one that comes when its window is over is void."""
    if lease.second == second:
        note(*numbers)


def _headers(lease: Lease) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(lease.limit),
        "X-RateLimit-Remaining": str(lease.remaining()),
        "X-RateLimit-Reset": str(lease.second + _SECONDS_TO_NEXT_WINDOW),
    }


def _limited(headers: dict[str, str]) -> RateLimited:
    error = RateLimited(_SECONDS_TO_NEXT_WINDOW)
    error.headers |= headers
    return error
