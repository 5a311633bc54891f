"""Rate limits by key and plan, counted in the table across all instances.

Management counts each call on the key's bucket; ingest takes leases, so that a warm instance makes few calls. Where the
table can't count, the metric RateLimitUncounted tells. Management calls are refused then, for they need the table
anyhow; events pass, for a counter that fails must not lose what can be queued.
"""

import threading
from collections import OrderedDict
from typing import Final, Literal

from chalicelib.core import clock
from chalicelib.core.errors import RateLimited, Unavailable
from chalicelib.edge.buckets import Bucket
from chalicelib.edge.call import Plan, Principal
from chalicelib.platform import keys, table
from chalicelib.platform.keys import Key
from chalicelib.platform.observability import metric
from chalicelib.platform.table import ConditionFailed, Update, attr

Surface = Literal["management", "ingest"]

LIMITS: Final[dict[Surface, dict[Plan, int]]] = {
    "management": {"free": 10, "growth": 50, "scale": 100},
    "ingest": {"free": 100, "growth": 500, "scale": 1000},
}
"""Calls for each second and key."""

_KEPT_SECONDS = 3600
_BUCKETS_MAX = 10_000
_TURN_S = 2.0
"""Seconds after which a call asks out of turn: the one before it waits for a table that does not answer."""

_TRIES = 10
"""Of several calls at once on a nearly idle bucket one goes ahead in each try; a full bucket refuses at the first."""


class Limiter:
    """The buckets that this instance takes part in. Thread-safe; the table is called without the lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: OrderedDict[tuple[str, Surface, int], Bucket] = OrderedDict()
        self._turns: dict[tuple[str, Surface], threading.Lock] = {}

    def headers(self, principal: Principal, surface: Surface) -> dict[str, str]:
        """What every authenticated answer tells of the bucket."""
        now = clock.system_ms()
        with self._lock:
            return _headers(self._bucket(principal, surface, now), now)

    def admit(self, principal: Principal, surface: Surface) -> dict[str, str]:
        """Count one call and give the headers. Raises RateLimited where the bucket is empty."""
        with self._lock:
            now = clock.system_ms()
            bucket = self._bucket(principal, surface, now)
            if bucket.spend():
                return _headers(bucket, now)
            turn = self._turns.setdefault((principal.key_id, surface), threading.Lock())
        # One question at a time: what it brings or shows to be missing answers the others that wait here. Many at once
        # would each find that another one was faster.
        is_ours = turn.acquire(timeout=_TURN_S)
        try:
            headers = self._try(principal, surface, single=False)
            # A refused lease says nothing of a single token, and a single one is granted or refused for good.
            return headers or self._try(principal, surface, single=True) or {}
        finally:
            if is_ours:
                turn.release()

    def _try(self, principal: Principal, surface: Surface, *, single: bool) -> dict[str, str] | None:
        now = clock.system_ms()
        with self._lock:
            bucket = self._bucket(principal, surface, now)
            if bucket.spend():
                return _headers(bucket, now)
            wanted, seen = bucket.ask(now, single=single), bucket.tat
            if wanted == 0:
                raise _limited(bucket, now)
        try:
            is_granted, tat, now = _take(keys.rate_bucket(principal.key_id, surface), bucket, wanted, seen)
        except Unavailable:
            metric("RateLimitUncounted", surface=surface)
            with self._lock:
                bucket.unanswered()
            if surface == "management":
                raise
            return _headers(bucket, now)
        with self._lock:
            if is_granted:
                bucket.granted(wanted, tat, now)
                bucket.spend()
                return _headers(bucket, now)
            bucket.refused(tat, now)
            if wanted == 1:
                raise _limited(bucket, now)
            return None

    def forget(self) -> None:
        """Drop everything."""
        with self._lock:
            self._buckets.clear()
            self._turns.clear()

    def _bucket(self, principal: Principal, surface: Surface, now: int) -> Bucket:
        limit = LIMITS[surface][principal.plan]
        name = (principal.key_id, surface, limit)
        bucket = self._buckets.setdefault(name, Bucket(limit, leased=surface == "ingest"))
        self._buckets.move_to_end(name)
        if len(self._buckets) > _BUCKETS_MAX:
            self._buckets.popitem(last=False)
            self._turns.clear()  # whoever holds one releases it all the same
        bucket.enter(now)
        return bucket


limiter = Limiter()
"""The buckets of this process."""


def _take(key: Key, bucket: Bucket, tokens: int, seen: int) -> tuple[bool, int, int]:
    """Take tokens; whether they were granted, the bucket's `tat` as it then is, and the moment that was judged by.

    One conditional write where the instance knows whether the bucket is idle; a second one where it does not. Each try
    is judged by its own moment: a call that waited for its answer is not refused for what came in between.
    """
    cost = tokens * bucket.interval
    tat: int | None = seen
    now = clock.system_ms()
    # What this instance saw is behind what the others have done since: a busy bucket is likelier than an idle one.
    known_late = 2 * bucket.slack
    for _ in range(_TRIES):
        ttl = {"ttl": now // clock.SECOND + _KEPT_SECONDS}
        floor, ceiling = now - bucket.slack, now + bucket.burst - cost
        if tat is None or tat < floor - known_late:
            idle = attr("tat").not_exists() | attr("tat").lt(floor)
            op = Update(key, set_={"tat": now + cost, **ttl}, condition=idle)
        elif tat <= ceiling:
            has_room = attr("tat").between(floor, ceiling)
            op = Update(key, set_=ttl, add={"tat": cost}, condition=has_room)
        else:
            return False, tat, now
        try:
            return True, int(table.update_returning(op)["tat"]), now
        except ConditionFailed as refused:
            item = refused.failed[0]
            tat, now, known_late = None if item is None else int(item["tat"]), clock.system_ms(), 0
    # There was room at every try, and always somebody else was faster: no reason to refuse.
    raise Unavailable


def _headers(bucket: Bucket, now: int) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(bucket.limit),
        "X-RateLimit-Remaining": str(bucket.remaining(now)),
        "X-RateLimit-Reset": str(_seconds(bucket.full_at(now))),
    }


def _limited(bucket: Bucket, now: int) -> RateLimited:
    error = RateLimited(max(1, _seconds(bucket.refused_until - now)))
    error.headers |= _headers(bucket, now)
    return error


def _seconds(milliseconds: int) -> int:
    """Whole seconds, rounded up."""
    return -(-milliseconds // clock.SECOND)
