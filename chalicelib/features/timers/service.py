"""Public verbs of the timers feature: set and clear within the owner's transaction, and bring what is due to its flow.

A live timer reaches the queue once, with the exact delay: what is set to fall due within HORIZON when the bus hears of
it, the rest by the schedule. Only then is it marked, so that a death in between doubles a message, which is harmless,
and delays none.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chalicelib.core import clock, strict_json
from chalicelib.core.errors import Unavailable
from chalicelib.features.timers import store
from chalicelib.features.timers.model import HORIZON, Due, Timer
from chalicelib.platform import observability, queues
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.marshal import from_item
from chalicelib.platform.queues import Delayed
from chalicelib.platform.table import Op

__all__ = [
    "Due",
    "Timer",
    "clear_ops",
    "drop",
    "drop_pointer",
    "find",
    "next_due",
    "order",
    "queue_due",
    "queue_soon",
    "received",
    "send_again",
    "set_by",
    "set_ops",
    "taken_ops",
]

find = store.find
next_due = store.next_due
drop_pointer = store.drop_pointer


def order(owner_pk: str, name: str) -> str:
    """What decides between timers of one moment of a test project: they fire in the order of this text.

    It begins with the timer's name up to a `#`: what others read at that moment is named so that it goes first.
    """
    return store.order(owner_pk, name)


def set_ops(
    tenant: Tenant,
    owner_pk: str,
    name: str,
    kind: str,
    moment: int,
    *,
    data: Any = None,
    before: int | None = None,
) -> list[Op]:
    """The operations that set a timer, for the owner's own transaction: one, or up to three in a test project.

    `owner_pk` is the partition of what it belongs to, `name` is unique in it, `kind` one of `TIMER_FLOWS`, `moment` in
    ms on the project's clock, `data` any JSON value. `before` is the moment that the timer is known to be set to now;
    without it a test project's clock finds out by itself that the timer was moved. Raises ValueError for a partition of
    another project.

    A timer that a flow sets again must have another moment or other data than the one that fires.
    """
    return store.set_ops(tenant, owner_pk, name, kind, moment, data, before)


def clear_ops(tenant: Tenant, owner_pk: str, name: str, *, before: int | None = None) -> list[Op]:
    """The operations that remove a timer, whether it is set or not; `before` as in `set_ops`."""
    return store.clear_ops(tenant, owner_pk, name, before)


def taken_ops(tenant: Tenant, owner_pk: str, timer: Timer) -> list[Op]:
    """The operations that remove a timer which fires, for the transaction of what it causes; the first is refused where
    it was set anew or removed meanwhile."""
    return store.taken_ops(tenant, owner_pk, timer)


def drop(tenant: Tenant, owner_pk: str, timer: Timer) -> None:
    """Remove a timer that nothing needs any more, unless it was set anew meanwhile."""
    store.drop(tenant, owner_pk, timer)


def set_by(record: Mapping[str, Any]) -> Due | None:
    """The live project's timer that this record of the table's stream tells was set; None for every other record."""
    change = record["dynamodb"]
    if "NewImage" not in change or not store.is_timer(change["Keys"]["SK"]["S"]):
        return None
    return store.due_of(from_item(change["NewImage"]))


def queue_soon(timers: Sequence[Due], now: int) -> None:
    """Queue those of these timers that fall due within HORIZON of `now`; the others are the schedule's.

    May be repeated. Raises Unavailable where one could not be queued.
    """
    keys = [store.timer_key(due) for due in timers if due.moment < now + HORIZON]
    if keys and not _queue(keys, now):
        raise Unavailable


def queue_due(now: int, has_time: Callable[[], bool]) -> None:
    """Queue all that falls due within HORIZON of `now`, and again what was queued and counts as lost.

    It ends early where `has_time` says so; the next run goes on, beginning with another shard.
    """
    first = now // clock.MINUTE % store.SHARDS
    for n in range(store.SHARDS):
        shard = (first + n) % store.SHARDS
        for are_queued, until in ((False, now + HORIZON), (True, now)):
            after = None
            while has_time():
                keys, after = store.due_keys(shard, are_queued=are_queued, until=until, after=after)
                if keys and not _queue(keys, now):
                    observability.metric("TimersUnqueued")
                if after is None:
                    break


def received(body: str) -> Due:
    """What a message says is due."""
    wire = strict_json.loads(body.encode())
    return Due(wire["owner"], wire["name"], wire["moment"])


def send_again(due: Due, now: int) -> None:
    """Queue what came much too early for the rest of its delay. Raises Unavailable."""
    if not all(_send([due], now)):
        raise Unavailable


def _queue(keys: Iterable[Key], now: int) -> bool:
    """Queue the timers among these that need it; False where one could not be."""
    wanted = store.to_queue(keys, now)
    sent = _send([due for due, _ in wanted], now)
    store.mark_queued([each for each, done in zip(wanted, sent, strict=True) if done], now)
    return all(sent)


def _send(timers: Sequence[Due], now: int) -> list[bool]:
    messages = [
        Delayed(strict_json.dumps({"owner": due.owner_pk, "name": due.name, "moment": due.moment}), due.delay_s(now))
        for due in timers
    ]
    return queues.send_delayed(settings().timers_queue_url, messages)
