"""Write a project's lake anew from the table: day by day, then the contacts.

What: each day's object takes the place of the one before it in one write of the manifest, so readers see the one or the
other. Events that come meanwhile are in hot objects; what is in both counts once. Hot objects that are lost are
forgotten: the table has what they had. May be repeated, and die, at any point.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, Final

from chalicelib.core import clock, ids, strict_json
from chalicelib.core.errors import Unavailable
from chalicelib.features.activity import service as activity
from chalicelib.features.activity.model import Event
from chalicelib.features.contacts import service as contacts
from chalicelib.features.lake import layout, rows
from chalicelib.features.lake import manifest as manifests
from chalicelib.features.lake import service as lake
from chalicelib.features.lake.model import EVENT_COLUMNS, PEOPLE_COLUMNS, Manifest, Stored
from chalicelib.features.lake.rows import Row
from chalicelib.platform import duck, objects, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.retries import retried
from chalicelib.readings.lake import disk

HasTime = Callable[[], bool]

_AT_ONCE: Final = 100
_ATTEMPTS: Final = 5
_MEMORY_MB: Final = 512


class _OvertakenError(Exception):
    """A compaction was faster."""


def run(tenant: Tenant, after: str | None, now: int, has_time: HasTime) -> str | None:
    """Rebuild days, from the one behind `after` on, as long as there is time, and the contacts at the end.

    `now` is the real moment in ms. Returns the last day that is done; None when all is. Raises Unavailable.
    """
    if after is None:
        _forget_lost(tenant)
    days = sorted({*activity.days(tenant), *lake.manifest(tenant).days})
    for day in days:
        if after is not None and day <= after:
            continue
        _replace(tenant, partial(_stood, day), partial(_day, tenant, day), partial(_with_day, day), now)
        if not has_time():
            return day
    _replace(tenant, lambda it: it.people, partial(_people, tenant, now), lambda new, it: replace(it, people=new), now)
    lake.await_compaction(tenant, "rebuilt")
    return None


def _forget_lost(tenant: Tenant) -> None:
    """Forget hot objects, and where contacts have gone, where the bucket has them no more."""
    for each in lake.hot(tenant):
        keys = [layout.hot_events(each.name)] * bool(each.events) + [layout.hot_people(each.name)] * bool(each.people)
        if not all(map(objects.is_there, keys)):
            lake.untell(tenant, [each.name])
    edges = lake.manifest(tenant).edges
    if edges is not None and not objects.is_there(edges.key):
        _publish(tenant, lambda manifest: replace(manifest, edges=None), clock.system_ms())


def _day(tenant: Tenant, day: str) -> Stored | None:
    """Write the day's events as the table has them, each with the contact whose it is."""
    told = (_event_row(tenant, event) for page in activity.of_day(tenant, day) for event in page)
    key = layout.day_events(tenant.project_id, day, ids.new_ulid())
    return _write(key, told, EVENT_COLUMNS, "event, ts, event_id")


def _people(tenant: Tenant, now: int) -> Stored | None:
    key = layout.people(tenant.project_id, ids.new_ulid())
    return _write(key, _states(tenant, now), PEOPLE_COLUMNS, "contact_id")


def _states(tenant: Tenant, now: int) -> Iterator[Row]:
    """The state of each active contact."""
    position = None
    while True:
        some, position = contacts.ids_page(tenant, _AT_ONCE, position=position)
        found = table.batch_get(contacts.key(tenant, each) for each in some)
        for item in found.values():
            told = rows.changes(tenant.project_id, item["id"], item, None, now)
            yield from (row for row in told if row["status"] == "active")
        if position is None:
            return


def _event_row(tenant: Tenant, event: Event) -> Row:
    item: dict[str, Any] = {
        "id": event.id,
        "event": event.name,
        "type": event.type,
        "timestamp": event.timestamp,
        "received_at": event.received_at,
        "properties": strict_json.dumps(event.properties),
        "anonymous_id": event.anonymous_id,
    }
    user = {} if event.user_id is None else {"user_id": event.user_id}
    return rows.event_row(tenant.project_id, event.contact_id, item | user)


def _write(key: str, told: Iterator[Row], columns: Mapping[str, str], order: str) -> Stored | None:
    """Write rows as the object of that key; None, and no object, where there are none."""
    first = next(told, None)
    if first is None:
        return None
    source, target = (disk.folder() / f"{ids.new_ulid()}.{kind}" for kind in ("ndjson", "rebuilt"))
    count = 0
    try:
        with source.open("w", encoding="utf-8") as lines:
            for row in chain([first], told):
                lines.write(f"{strict_json.dumps(row)}\n")
                count += 1
        with duck.connected(_MEMORY_MB, os.cpu_count() or 1) as engine:
            duck.copy_parquet(engine, f"FROM {duck.from_json(source, columns)} ORDER BY {order}", target)
        objects.put(key, target)
        return Stored(key, count, target.stat().st_size)
    finally:
        source.unlink(missing_ok=True)
        target.unlink(missing_ok=True)


def _stood(day: str, manifest: Manifest) -> Stored | None:
    return manifest.days.get(day)


def _with_day(day: str, woven: Stored | None, manifest: Manifest) -> Manifest:
    others = {each: stored for each, stored in manifest.days.items() if each != day}
    return replace(manifest, days=others | ({day: woven} if woven is not None else {}))


def _replace(
    tenant: Tenant,
    stood: Callable[[Manifest], Stored | None],
    write: Callable[[], Stored | None],
    put: Callable[[Stored | None, Manifest], Manifest],
    now: int,
) -> None:
    """Write an object anew and publish it, unless a compaction has replaced the old one since: that has what the table
    was not asked for, so the table is asked again then. Raises Unavailable where that goes on."""
    for _ in range(_ATTEMPTS):
        before = stood(lake.manifest(tenant))
        woven = write()

        def change(manifest: Manifest, before: Stored | None = before, woven: Stored | None = woven) -> Manifest:
            if stood(manifest) != before:
                raise _OvertakenError
            return put(woven, manifest)

        try:
            _publish(tenant, change, now)
        except _OvertakenError:
            objects.delete([woven.key] if woven is not None else [])
        else:
            return
    raise Unavailable


def _publish(tenant: Tenant, change: Callable[[Manifest], Manifest], now: int) -> None:
    """Publish what the change makes of the manifest as it stands then; what it lets go of is garbage."""

    def act() -> None:
        before = lake.manifest(tenant)
        new = change(before)
        days = dict.fromkeys(before.days) | dict(new.days)
        lake.publish(tenant, manifests.compacted(before, days, new.people, new.edges, [], now))

    retried(act)
