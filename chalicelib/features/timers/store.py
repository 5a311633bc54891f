"""Timers in the table.

| item | attributes |
|---|---|
| `TIMER#<name>` beside its owner | `kind`, `moment`; `data` as JSON text |
| the same, live | `due_pk`, `due_sk`: by moment among those that wait, or by `queued_until` among those queued |
| pointer, test projects | `owner`, `name`, `moment`, `token`; a base row, for `advance` reads consistently |

A pointer whose timer is gone or was set to another moment is stale: whoever meets it removes it.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from chalicelib.core import ids, strict_json
from chalicelib.features.timers.model import Due, Timer, queued_until
from chalicelib.platform import table
from chalicelib.platform.keys import (
    Key,
    Tenant,
    moment_sk,
    queued_timers,
    shard_of,
    tenant_of,
    timer,
    timer_name,
    waiting_timers,
)
from chalicelib.platform.table import ConditionFailed, Delete, Item, Op, Put, Update, attr

SHARDS = 16
"""All projects write into this index, and an index that throttles throttles the table."""

_PAGE = 100
_HASH_CHARACTERS = 16


def set_ops(
    tenant: Tenant, owner_pk: str, name: str, kind: str, moment: int, data: Any, before: int | None
) -> list[Op]:
    key = _key(tenant, owner_pk, name)
    attrs: dict[str, Any] = {
        "kind": kind,
        "moment": moment,
        "data": None if data is None else strict_json.dumps(data),
    }
    if not tenant.is_test:
        return [Put(key, attrs | {"due_pk": waiting_timers(_shard(key)), "due_sk": moment_sk(moment, _hash(key))})]
    points_to = {"owner": owner_pk, "name": name, "moment": moment, "token": ids.new_ulid()}
    pointer = Put(_pointer(tenant, key, moment), points_to)
    stale = [] if before in (None, moment) else _pointer_gone(tenant, key, before)
    return [Put(key, attrs), pointer, *stale]


def clear_ops(tenant: Tenant, owner_pk: str, name: str, before: int | None) -> list[Op]:
    key = _key(tenant, owner_pk, name)
    return [Delete(key), *_pointer_gone(tenant, key, before)]


def taken_ops(tenant: Tenant, owner_pk: str, timer: Timer) -> list[Op]:
    key = _key(tenant, owner_pk, timer.name)
    return [Delete(key, attr("moment").eq(timer.moment)), *_pointer_gone(tenant, key, timer.moment)]


def drop(tenant: Tenant, owner_pk: str, timer: Timer) -> None:
    with suppress(ConditionFailed):
        table.write(Delete(_key(tenant, owner_pk, timer.name), attr("moment").eq(timer.moment)))


def find(tenant: Tenant, owner_pk: str, name: str) -> Timer | None:
    """The timer, read consistently."""
    item = table.get(_key(tenant, owner_pk, name))
    if item is None:
        return None
    data = strict_json.stored(item["data"]) if "data" in item else None
    return Timer(name, item["kind"], item["moment"], data)


def is_timer(sort: str) -> bool:
    """True for the sort key of a timer."""
    return timer_name(sort) is not None


def due_of(item: Item) -> Due | None:
    """What a timer's row tells of itself where it is a live project's and waits to be queued; else None."""
    if "due_pk" not in item or "queued_until" in item:
        return None
    return Due(item["PK"], timer_name(item["SK"]) or "", item["moment"])


def due_keys(shard: int, *, are_queued: bool, until: int, after: Item | None) -> tuple[list[Key], Item | None]:
    """A page of one shard: timers that wait and fall due before `until`, or queued ones that count as lost by then.

    The index lags the table; what it says is a hint.
    """
    partition = queued_timers(shard) if are_queued else waiting_timers(shard)
    span = (moment_sk(0, ""), moment_sk(until, ""))
    page = table.query(partition, index="due", between=span, limit=_PAGE, after=after)
    return [Key(item["PK"], item["SK"]) for item in page.items], page.last


def to_queue(keys: Iterable[Key], now: int) -> list[tuple[Due, int]]:
    """Of these timers those that stand and are not on the queue, and how often each was queued before."""
    found = table.batch_get(keys)
    return [
        (Due(key.pk, timer_name(key.sk) or "", item["moment"]), item.get("tries", 0))
        for key, item in found.items()
        if "due_pk" in item and item.get("queued_until", now) <= now
    ]


def mark_queued(queued: Sequence[tuple[Due, int]], now: int) -> None:
    """Note that these were put on the queue; those that were set anew meanwhile are passed over."""
    waiting = [_queued_op(due, tries, now) for due, tries in queued]
    while waiting:
        some, waiting = waiting[: table.MAX_TRANSACTION], waiting[table.MAX_TRANSACTION :]
        try:
            table.transact(some)
        except ConditionFailed as refused:
            waiting = [op for n, op in enumerate(some) if n not in refused.failed] + waiting


def next_due(tenant: Tenant, until: int) -> Due | None:
    """What a test project's pointers say is due first, at `until` at the latest; read consistently."""
    span = (moment_sk(0, ""), moment_sk(until + 1, ""))
    for item in table.query(tenant.due_partition(), between=span, limit=1).items:
        return Due(item["owner"], item["name"], item["moment"], item["token"])
    return None


def drop_pointer(tenant: Tenant, due: Due) -> None:
    """Remove the pointer that was read, unless the timer was set anew since."""
    pointer = _pointer(tenant, timer(due.owner_pk, due.name), due.moment)
    with suppress(ConditionFailed):
        table.write(Delete(pointer, attr("token").eq(due.token)))


def timer_key(due: Due) -> Key:
    return timer(due.owner_pk, due.name)


def order(owner_pk: str, name: str) -> str:
    return f"{name.partition('#')[0]}#{_hash(timer(owner_pk, name))}"


def _queued_op(due: Due, tries: int, now: int) -> Update:
    key = timer(due.owner_pk, due.name)
    until = queued_until(due.moment, now, tries)
    return Update(
        key,
        set_={
            "queued_until": until,
            "tries": tries + 1,
            "due_pk": queued_timers(_shard(key)),
            "due_sk": moment_sk(until, _hash(key)),
        },
        condition=attr("moment").eq(due.moment) & (attr("queued_until").not_exists() | attr("queued_until").lte(now)),
    )


def _key(tenant: Tenant, owner_pk: str, name: str) -> Key:
    if tenant_of(owner_pk) != tenant:
        raise ValueError("a timer stands in a partition of its own project")
    return timer(owner_pk, name)


def _pointer(tenant: Tenant, key: Key, moment: int) -> Key:
    return tenant.due(moment, order(key.pk, timer_name(key.sk) or ""))


def _pointer_gone(tenant: Tenant, key: Key, before: int | None) -> list[Op]:
    return [Delete(_pointer(tenant, key, before))] if tenant.is_test and before is not None else []


def _shard(key: Key) -> int:
    return shard_of("|".join(key), SHARDS)


def _hash(key: Key) -> str:
    return hashlib.sha256("|".join(key).encode()).hexdigest()[:_HASH_CHARACTERS]
