"""Webhooks in the table.

| item | attributes |
|---|---|
| endpoint | the fields of `model.Endpoint`; `secrets` as maps |
| `HOOK#<event id>` | `body`: what the event's webhook says; expires |
| attempt | the fields of `model.Attempt` and of its parcel: the log, and what says that it was made; expires |
| pointer to what was not delivered | the parcel of the last attempt; a base row, read consistently; expires |
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from chalicelib.core import clock, ids
from chalicelib.features.webhooks.model import KEPT, STATUSES, Attempt, Endpoint, LogStatus, Parcel, Secret
from chalicelib.platform import table
from chalicelib.platform.keys import Key, Tenant, moment_sk
from chalicelib.platform.listing import FIRST, LAST, Entry, Listed, Merge, Range, fill
from chalicelib.platform.table import Check, Condition, Delete, Item, Op, Put, Update, attr

_LOOKED_AT = 25
_KEPT_LONGER = clock.DAY
"""Milliseconds for which what a log can replay outlives it."""


def load_all(tenant: Tenant) -> list[Endpoint]:
    """All endpoints, the oldest first, read consistently; there are few."""
    return [_endpoint(item) for item in table.query(tenant.endpoints_partition()).items]


def load(tenant: Tenant, endpoint_id: str) -> Endpoint | None:
    """The endpoint, read consistently."""
    return endpoint(table.get(tenant.endpoint(endpoint_id)))


def endpoint(item: Item | None) -> Endpoint | None:
    """The endpoint that a row stands for."""
    return None if item is None else _endpoint(item)


def load_some(tenant: Tenant, endpoint_ids: Iterable[str]) -> dict[str, Endpoint]:
    """The endpoints among these that are there, by id, read consistently."""
    found = table.batch_get(tenant.endpoint(each) for each in endpoint_ids)
    return {key.sk: _endpoint(item) for key, item in found.items()}


def put(tenant: Tenant, after: Endpoint, before: Endpoint | None) -> Op:
    """Write the endpoint over the version that was read, None where it is new.

    What attempts tell of it meanwhile stays, unless the change itself forgets it.
    """
    if before is None:
        return Put(tenant.endpoint(after.id), _attributes(after), attr("PK").not_exists())
    new = _attributes(after) | {"version": before.version + 1}
    old = _attributes(before)
    # What is forgotten is written in any case: an attempt may have noted it since.
    is_clean = after.url != before.url or (after.status == "enabled" and before.status == "disabled")
    anyway = {"failing_since", "failing_id", "is_slow"} if is_clean else set()
    changed = {name: value for name, value in new.items() if value != old[name] or name in anyway}
    return Update(
        tenant.endpoint(after.id),
        set_={name: value for name, value in changed.items() if value is not None},
        remove=[name for name, value in changed.items() if value is None],
        condition=attr("version").eq(before.version),
    )


def remove(tenant: Tenant, endpoint_id: str) -> Op:
    return Delete(tenant.endpoint(endpoint_id), attr("PK").exists())


def disable(tenant: Tenant, after: Endpoint) -> Op:
    """Disable an endpoint; refused where that was done meanwhile, it has another URL, or it is gone."""
    told = {name: _attributes(after)[name] for name in ("status", "disabled_at", "disabled_reason")}
    still: Condition = attr("status").eq("enabled") & attr("url").eq(after.url)
    if after.disabled_reason == "failing":
        still = still & attr("failing_id").eq(after.failing_id)
    return Update(tenant.endpoint(after.id), set_=told, add={"version": 1}, condition=still)


def note_failing(tenant: Tenant, known: Endpoint, failed: Attempt) -> Op:
    """Note the first failure; refused where one is noted, or the endpoint is disabled, gone, or has another URL."""
    is_news = attr("status").eq("enabled") & attr("url").eq(known.url) & attr("failing_since").not_exists()
    return Update(tenant.endpoint(known.id), set_=_failing(failed), condition=is_news)


def set_first_failure(tenant: Tenant, known: Endpoint, failed: Attempt | None) -> Op:
    """Put another first failure, or none, in the place of the one that is noted; refused where that is not it."""
    return Update(
        tenant.endpoint(known.id),
        set_={} if failed is None else _failing(failed),
        remove=[] if failed is not None else ["failing_since", "failing_id"],
        condition=attr("failing_id").eq(known.failing_id),
    )


def last_success(tenant: Tenant, to: Endpoint, after_id: str) -> Attempt | None:
    """The latest delivery to an endpoint's URL that was answered after the attempt with that id; the index lags."""
    found = _one_of_each_shard(tenant, to, "delivered", after_id, newest_first=True)
    return max(found, key=lambda each: each.id, default=None)


def first_failure(tenant: Tenant, to: Endpoint, after_id: str) -> Attempt | None:
    """The earliest failure at an endpoint's URL that was answered after the attempt with that id; the index lags."""
    found = _one_of_each_shard(tenant, to, "failed", after_id, newest_first=False)
    return min(found, key=lambda each: each.id, default=None)


def note_health(tenant: Tenant, known: Endpoint, *, is_slow: bool, has_delivered: bool) -> Op:
    """Note what a last attempt tells of an endpoint; refused where it is gone, or has another URL."""
    return Update(
        tenant.endpoint(known.id),
        set_={"is_slow": is_slow},
        remove=["failing_since", "failing_id"] if has_delivered else [],
        condition=attr("url").eq(known.url),
    )


def endpoint_key(tenant: Tenant, endpoint_id: str) -> Key:
    return tenant.endpoint(endpoint_id)


def body_key(tenant: Tenant, parcel: Parcel) -> Key:
    return tenant.webhook(parcel.event_id, parcel.contact_id)


def done_keys(tenant: Tenant, parcel: Parcel) -> list[Key]:
    """Rows of which each one says that an attempt is not to be made: it was, or a replay has taken over from its run.

    Nothing can have been replayed of what was not attempted.
    """
    steps = [parcel.step] if parcel.step == 1 else [parcel.step, parcel.next_run]
    return [_attempt_key(tenant, parcel, step) for step in steps]


def body(item: Item | None) -> str | None:
    """What a webhook says, of its row."""
    return None if item is None else str(item["body"])


def body_op(tenant: Tenant, event_id: str, contact_id: str | None, body: str) -> Put:
    """Keep what a webhook says; refused where it is kept already."""
    attrs = {"body": body, "ttl": table.ttl(tenant, KEPT + _KEPT_LONGER)}
    return Put(tenant.webhook(event_id, contact_id), attrs, attr("PK").not_exists())


def attempt_op(tenant: Tenant, made: Attempt) -> Put:
    """Write what an attempt came to; refused where that is written already."""
    parcel = made.parcel
    entry = tenant.webhook_log_entry(parcel.endpoint_id, made.status, made.id)
    attrs = parcel.to_wire() | {
        "id": made.id,
        "status": made.status,
        "attempted_at": made.attempted_at,
        "http_status": made.http_status,
        "next_at": made.next_at,
        "took_ms": made.took_ms,
        "error": made.error,
        "response_body": made.response_body,
        "url": made.url,
        "list_pk": entry.pk,
        "list_sk": entry.sk,
        "ttl": table.ttl(tenant, KEPT),
    }
    return Put(_attempt_key(tenant, parcel, parcel.step), attrs, attr("PK").not_exists())


def not_taken_over(tenant: Tenant, parcel: Parcel) -> Check:
    """Refused where a replay has taken over from the run of this attempt."""
    return Check(_attempt_key(tenant, parcel, parcel.next_run), attr("PK").not_exists())


def pointer_key(tenant: Tenant, parcel: Parcel) -> Key:
    """Where it is told that an event was not delivered."""
    return tenant.undelivered(parcel.endpoint_id, parcel.event_id, parcel.created_at)


def pointer_op(tenant: Tenant, made: Attempt) -> Op:
    """Remember that the event was not delivered, or that it was, or can't be any more."""
    pointer = pointer_key(tenant, made.parcel)
    if made.is_final:
        return Delete(pointer)
    return Put(pointer, made.parcel.to_wire() | {"ttl": table.ttl(tenant, KEPT)})


def forget_bodies(tenant: Tenant, said: Iterable[tuple[str, str]]) -> None:
    """Remove what webhooks say of contacts, given as pairs of ids of an event and of a contact."""
    gone = [Delete(tenant.webhook(event_id, contact_id)) for event_id, contact_id in said]
    for start in range(0, len(gone), table.MAX_TRANSACTION):
        table.transact(gone[start : start + table.MAX_TRANSACTION])


def last_attempt(tenant: Tenant, parcel: Parcel) -> Attempt | None:
    """The latest attempt of a delivery, read consistently."""
    partition = _attempt_key(tenant, parcel, parcel.step).pk
    for item in table.query(partition, between=("0", ":"), newest_first=True, limit=1).items:
        return _attempt(item)
    return None


def find_log(tenant: Tenant, endpoint_id: str, log_id: str) -> Attempt | None:
    """An endpoint's log by its id; the index may lag for a second."""
    for status in STATUSES:
        entry = tenant.webhook_log_entry(endpoint_id, status, log_id)
        for _, key in table.query_index(entry.pk, "list", (entry.sk, entry.sk), 1, None, None).rows:
            item = table.get(key)
            return None if item is None else _attempt(item)
    return None


def logs(
    tenant: Tenant, endpoint_id: str, span: Range, limit: int, status: LogStatus | None, event: str | None, since: int
) -> Listed[Attempt]:
    """One page of an endpoint's logs, newest first; attempts from `since` on, in ms on the project's clock."""
    partitions = [
        partition
        for each in (STATUSES if status is None else [status])
        for partition in tenant.webhook_log_partitions(endpoint_id, each)
    ]
    where = None if event is None else attr("PK").contains(f"#{event}#")

    def hydrate(found: list[Entry]) -> list[Attempt | None]:
        return [each if each is not None and each.attempted_at >= since else None for each in _hydrated(found)]

    return fill(iter([Merge(partitions, "list", span, limit + 2, where)]), limit, hydrate)


def _hydrated(found: Sequence[Entry]) -> list[Attempt | None]:
    items = table.batch_get([entry.key for entry in found])
    return [_attempt(items[entry.key]) if entry.key in items else None for entry in found]


def _one_of_each_shard(
    tenant: Tenant, to: Endpoint, status: LogStatus, after_id: str, *, newest_first: bool
) -> list[Attempt]:
    """Of each shard the first attempt that was made at the endpoint's URL; samples say nothing of an endpoint."""
    found: list[Attempt] = []
    for partition in tenant.webhook_log_partitions(to.id, status):
        for each in _walked(partition, (_after(after_id), LAST), newest_first=newest_first):
            if not each.parcel.is_test and each.url == to.url:
                found.append(each)
                break
    return found


def _walked(partition: str, between: tuple[str, str], *, newest_first: bool) -> Iterator[Attempt]:
    after = None
    while True:
        page = table.query(
            partition, index="list", between=between, limit=_LOOKED_AT, newest_first=newest_first, after=after
        )
        entries = [Entry(item["list_sk"], Key(item["PK"], item["SK"])) for item in page.items]
        yield from (each for each in _hydrated(entries) if each is not None)
        after = page.last
        if after is None:
            return


def _after(log_id: str) -> str:
    """The least position behind a log's own."""
    return f"{moment_sk(ids.moment_of(log_id), log_id)} "


def _failing(failed: Attempt) -> dict[str, Any]:
    return {"failing_since": failed.attempted_at, "failing_id": failed.id}


def undelivered(
    tenant: Tenant, endpoint_id: str, shard: int, after: str, until: str, limit: int
) -> list[tuple[str, Parcel]]:
    """The last attempts of what failed or still does, each with its position, from `after` on, read consistently."""
    low = after or FIRST
    if low >= until:
        return []
    page = table.query(tenant.undelivered_partitions(endpoint_id)[shard], between=(low, until), limit=limit)
    return [(item["SK"], _parcel(item)) for item in page.items]


def position_of(moment: int) -> str:
    """Where events of that moment begin among the pointers."""
    return moment_sk(moment, "")


def pages(ops: Sequence[Put], most: int, size: int) -> Iterator[list[Put]]:
    """The operations in pages that one transaction takes: so many, and so many bytes of what they say."""
    page: list[Put] = []
    weight = 0
    for op in ops:
        length = len(op.attrs["body"].encode())
        if page and (len(page) == most or weight + length > size):
            yield page
            page, weight = [], 0
        page.append(op)
        weight += length
    if page:
        yield page


def _attributes(of: Endpoint) -> dict[str, Any]:
    return {
        "url": of.url,
        "events": list(of.events),
        "secrets": [{"sealed": each.sealed, "expires_at": each.expires_at or 0} for each in of.secrets],
        "created_at": of.created_at,
        "updated_at": of.updated_at,
        "status": of.status,
        "disabled_at": of.disabled_at,
        "disabled_reason": of.disabled_reason,
        "failing_since": of.failing_since,
        "failing_id": of.failing_id,
        "is_slow": of.is_slow,
        "version": of.version,
    }


def _endpoint(item: Item) -> Endpoint:
    return Endpoint(
        id=item["SK"],
        url=item["url"],
        events=tuple(item["events"]),
        secrets=tuple(Secret(each["sealed"], each["expires_at"] or None) for each in item["secrets"]),
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        status=item["status"],
        disabled_at=item.get("disabled_at"),
        disabled_reason=item.get("disabled_reason"),
        failing_since=item.get("failing_since"),
        failing_id=item.get("failing_id"),
        is_slow=item["is_slow"],
        version=item["version"],
    )


def _attempt(item: Item) -> Attempt:
    return Attempt(
        id=item["id"],
        parcel=_parcel(item),
        status=item["status"],
        attempted_at=item["attempted_at"],
        http_status=item.get("http_status"),
        next_at=item.get("next_at"),
        took_ms=item.get("took_ms"),
        error=item.get("error"),
        response_body=item.get("response_body"),
        url=item.get("url"),
    )


def _attempt_key(tenant: Tenant, parcel: Parcel, step: int) -> Key:
    return tenant.attempt(parcel.endpoint_id, parcel.event, parcel.event_id, step)


def _parcel(item: Item) -> Parcel:
    return Parcel(**{each.name: item[each.name] for each in fields(Parcel) if each.name in item})
