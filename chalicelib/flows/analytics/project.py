"""Write what a batch of the table's stream tells of events and contacts into the lake: one hot object of each kind.

What: all projects' rows together, under a name made of what they are. Order: it is noted for whom the object is, then
the object is written, then readers are told of it, and last it is noted that the projects have something to compact:
whoever compacts meanwhile leaves that note. May be repeated at any point, also with the batch cut otherwise: what is
told by two objects counts once.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chalicelib.features.lake import layout, rows
from chalicelib.features.lake import service as lake
from chalicelib.features.lake.model import EVENT_COLUMNS, PEOPLE_COLUMNS, Hot
from chalicelib.features.lake.rows import Rows
from chalicelib.platform import duck, objects
from chalicelib.platform.keys import Tenant, contact_of, tenant_of
from chalicelib.platform.marshal import from_item


class Change(NamedTuple):
    """A row of the table before and after; None where there was, or is, none."""

    pk: str
    sk: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None


def change_of(record: Mapping[str, Any]) -> Change:
    """The change that a record of the stream tells of."""
    told = record["dynamodb"]
    old, new = (from_item(told[name]) if name in told else None for name in ("OldImage", "NewImage"))
    return Change(told["Keys"]["PK"]["S"], told["Keys"]["SK"]["S"], old, new)


def concerns(record: Mapping[str, Any]) -> bool:
    """True where the record may have something for the lake: told by its keys alone."""
    sort = record["dynamodb"]["Keys"]["SK"]["S"]
    return rows.is_event(sort) or rows.is_contact(sort)


def rows_of(change: Change, now: int) -> Rows:
    """What the change tells; `now` is the real moment in ms."""
    tenant, contact_id = tenant_of(change.pk), contact_of(change.pk)
    if tenant is None or contact_id is None:
        return Rows([], [])
    if rows.is_contact(change.sk):
        return Rows([], list(rows.changes(tenant.project_id, contact_id, change.new, change.old, now)))
    if change.new is not None and _is_new_event(change):
        return Rows([rows.event_row(tenant.project_id, contact_id, change.new)], [])
    return Rows([], [])


def write(told: Sequence[Rows]) -> None:
    """Write all of these as one hot object of each kind, and let readers see it. Raises Unavailable."""
    events = {row["event_id"]: row for each in told for row in each.events}
    whole = Rows(list(events.values()), rows.latest(row for each in told for row in each.people))
    if not whole.events and not whole.people:
        return
    name = rows.digest(whole)
    of_projects = _of_projects(name, whole)
    lake.reserve(name, of_projects)
    with tempfile.TemporaryDirectory() as folder:
        for key, some, columns, order in (
            (layout.hot_events(name), whole.events, EVENT_COLUMNS, "project_id, event, ts"),
            (layout.hot_people(name), whole.people, PEOPLE_COLUMNS, "project_id, contact_id"),
        ):
            if some:
                target = Path(folder) / "object"
                duck.write_parquet(some, columns, target, order)
                objects.put(key, target)
    lake.tell(name, of_projects)


def _is_new_event(change: Change) -> bool:
    """A row that was moved from another contact tells of nothing new: the contacts tell whose it is."""
    is_there = change.old is None and change.new is not None and "moved_from" not in change.new
    return is_there and rows.is_event(change.sk)


def _of_projects(name: str, told: Rows) -> dict[Tenant, Hot]:
    events: dict[str, list[int]] = {}
    people: dict[str, int] = {}
    for row in told.events:
        events.setdefault(row["project_id"], []).append(row["ts"])
    for row in told.people:
        people[row["project_id"]] = people.get(row["project_id"], 0) + 1
    return {
        Tenant(project_id): _hot(name, events.get(project_id, ()), people.get(project_id, 0))
        for project_id in sorted(events.keys() | people.keys())
    }


def _hot(name: str, times: Sequence[int], people: int) -> Hot:
    return Hot(name, len(times), people, min(times, default=None), max(times, default=None))
