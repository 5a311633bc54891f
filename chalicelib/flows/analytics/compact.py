"""Weave what hot objects have of a project into its compacted ones, and remove what nobody needs any more.

What: new objects are written under new names, then one write of the manifest lets all readers see them instead of the
old ones and of the hot ones, then these are removed. May be repeated, and die, at any point: what was written and not
published is removed by whoever could not publish it, or never seen; what was published and not removed is told by the
manifest and by the hot objects' rows. Two at once: one publishes, the other begins anew.

A day after the last time all days are swept: those that name a contact that was merged or deleted since are written
anew, so that no object has anything of a deleted contact any more.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from chalicelib.core import clock
from chalicelib.core.errors import Unavailable
from chalicelib.features.lake import layout
from chalicelib.features.lake import manifest as manifests
from chalicelib.features.lake import service as lake
from chalicelib.features.lake.model import Hot, Manifest, Stored
from chalicelib.platform import duck, objects
from chalicelib.platform.keys import Tenant
from chalicelib.platform.objects import ObjectGone
from chalicelib.platform.table import ConditionFailed
from chalicelib.readings.lake.weave import Loom, keys_of

HasTime = Callable[[], bool]

MEMORY_MB: Final = 400
"""What the engine may use; beyond that it goes to the disk."""

_ATTEMPTS: Final = 5
_HOT_AT_ONCE: Final = 400
"""Hot objects whose events one run takes: these are on disk before the first day is woven."""

_SWEPT_EACH: Final = clock.DAY


class Woven(NamedTuple):
    """What takes the place of what."""

    days: Mapping[str, Stored | None]
    people: Stored | None
    edges: Stored | None
    applied: list[str]
    is_swept: bool


def run(tenant: Tenant, now: int, has_time: HasTime, *, sweeps: bool = False) -> bool:
    """Compact what the project has; `now` is the real moment in ms. True where time ran out before all was done.

    With `sweeps` the days are swept whenever they were the last time. Raises Unavailable where others keep being
    faster, or an object is lost: what it had can be had of the table only, by a rebuild.
    """
    for _ in range(_ATTEMPTS):
        told = lake.awaited(tenant)
        try:
            is_done = _once(tenant, now, has_time, sweeps=sweeps)
        except (ConditionFailed, ObjectGone):
            # Another run was faster: what it left is looked at anew.
            continue
        if is_done and told is not None and lake.manifest(tenant).edges is None:
            with suppress(ConditionFailed):
                lake.settle(tenant, told)
        return not is_done
    raise Unavailable


def _once(tenant: Tenant, now: int, has_time: HasTime, *, sweeps: bool) -> bool:
    """One manifest after the other; True where all is done."""
    _release(tenant)
    live = lake.live(tenant)
    some = live.hot[:_HOT_AT_ONCE]
    is_sweep_due = sweeps or (live.manifest.edges is not None and now - live.manifest.swept_at >= _SWEPT_EACH)
    is_whole = len(some) == len(live.hot)
    if live.hot or is_sweep_due:
        with duck.connected(MEMORY_MB, os.cpu_count() or 1) as engine:
            loom = Loom(engine, tenant, live, some)
            woven = _woven(loom, live.manifest, some, now, has_time, sweeps=is_sweep_due)
        _publish(tenant, live.manifest, woven, now)
        _release(tenant)
        is_whole = is_whole and (bool(woven.applied) or woven.is_swept)
    _remove_garbage(tenant)
    if is_sweep_due and is_whole:
        _remove_orphans(tenant, now)
    return is_whole


def _woven(loom: Loom, before: Manifest, some: Sequence[Hot], now: int, has_time: HasTime, *, sweeps: bool) -> Woven:
    """Write new objects as long as there is time. Of the hot ones all are applied, or none where a day is missing: who
    comes next finds these days woven, and what is told of them twice counts once."""
    wanted = list(dict.fromkeys([*loom.days(), *(loom.stale_days(before.days) if sweeps else [])]))
    days: dict[str, Stored | None] = {}
    for day in wanted:
        if days and not has_time():
            return Woven(days, before.people, before.edges, [], is_swept=False)
        days[day] = loom.day(day)
    people, edges = loom.people(now, is_swept=sweeps)
    return Woven(days, people, edges, [each.name for each in some], is_swept=sweeps)


def _publish(tenant: Tenant, before: Manifest, woven: Woven, now: int) -> None:
    new = manifests.compacted(before, woven.days, woven.people, woven.edges, woven.applied, now)
    try:
        lake.publish(tenant, manifests.swept(new, now) if woven.is_swept else new)
    except ConditionFailed:
        written = keys_of(woven.days, woven.people, woven.edges)
        objects.delete(set(written) - set(keys_of(before.days, before.people, before.edges)))
        raise


def _release(tenant: Tenant) -> None:
    """Let go of the hot objects that are compacted: who is the last one removes them."""
    applied = lake.manifest(tenant).applied
    for each in lake.hot(tenant):
        if each.name in applied:
            if lake.unuse(each.name, tenant):
                objects.delete([layout.hot_events(each.name), layout.hot_people(each.name)])
                lake.forget(each.name)
            lake.untell(tenant, [each.name])


def _remove_orphans(tenant: Tenant, now: int) -> None:
    """Remove objects that somebody wrote who died before they were published: a day old, and in no manifest."""
    manifest = lake.manifest(tenant)
    named = set(keys_of(manifest.days, manifest.people, manifest.edges))
    for prefix in layout.of_project(tenant.project_id):
        objects.delete(key for key in objects.older(prefix, now - clock.DAY) if key not in named)


def _remove_garbage(tenant: Tenant) -> None:
    manifest = lake.manifest(tenant)
    if manifest.garbage:
        objects.delete(manifest.garbage)
        lake.publish(tenant, manifests.emptied(manifest, manifest.garbage))
