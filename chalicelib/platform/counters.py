"""Counters that the bus keeps, in shards: one update for each counter and batch, and each event counted once."""

from collections import Counter
from collections.abc import Iterable, Mapping

from chalicelib.core import clock
from chalicelib.platform import table
from chalicelib.platform.keys import COUNTER_SHARDS, Tenant, shard_of
from chalicelib.platform.table import ConditionFailed, Op, Put, Update, attr

_AT_ONCE = 90
_COUNT = "count"
_REMEMBERED = 30 * clock.DAY
"""Milliseconds: longer than a record can come again, dead-letter queues included."""


def apply(tenant: Tenant, counter: str, deltas: Mapping[str, int]) -> None:
    """Add to a counter, given a delta by event id; an event that was counted before is passed over."""
    tally(tenant, counter, {event_id: {_COUNT: delta} for event_id, delta in deltas.items()})


def tally(tenant: Tenant, counter: str, changes: Mapping[str, Mapping[str, int]]) -> None:
    """Add to the fields of a counter, given deltas by field for each event id; each event is counted once."""
    waiting = dict(changes)
    while waiting:
        some = dict(list(waiting.items())[:_AT_ONCE])
        ttl = (clock.system_ms() + _REMEMBERED) // clock.SECOND
        marks: list[Op] = [
            Put(tenant.counted_event(event_id, counter), {"ttl": ttl}, attr("PK").not_exists()) for event_id in some
        ]
        sums: Counter[str] = Counter()
        for deltas in some.values():
            sums.update(deltas)
        # Any shard serves, and that of the first event spreads concurrent batches over all of them.
        shard = shard_of(next(iter(some)), COUNTER_SHARDS)
        try:
            table.transact([*marks, Update(tenant.counter(counter, shard), add=sums)])
        except ConditionFailed as refused:
            counted = [event_id for n, event_id in enumerate(some) if n in refused.failed]
            waiting = {event_id: deltas for event_id, deltas in waiting.items() if event_id not in counted}
        else:
            waiting = {event_id: deltas for event_id, deltas in waiting.items() if event_id not in some}


def tallied(tenant: Tenant, counter: str) -> dict[str, int]:
    """The sums of all fields of one counter; one read."""
    return tallied_each(tenant, [counter])[counter]


def tallied_each(tenant: Tenant, names: Iterable[str]) -> dict[str, dict[str, int]]:
    """The same of several counters, by their names; one read for each twelve."""
    rows = {tenant.counter(name, shard): name for name in names for shard in range(COUNTER_SHARDS)}
    sums: dict[str, Counter[str]] = {name: Counter() for name in rows.values()}
    for key, item in table.batch_get(rows).items():
        sums[rows[key]].update({name: value for name, value in item.items() if name not in ("PK", "SK")})
    return {name: dict(each) for name, each in sums.items()}


def totals(tenant: Tenant, counters: Iterable[str]) -> dict[str, int]:
    """The sum of each counter's shards; one read for each twelve counters."""
    rows = {tenant.counter(name, shard): name for name in counters for shard in range(COUNTER_SHARDS)}
    sums = dict.fromkeys(rows.values(), 0)
    for key, item in table.batch_get(rows).items():
        sums[rows[key]] += item[_COUNT]
    return sums
