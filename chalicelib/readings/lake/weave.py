"""New compacted objects, woven of older ones and of hot ones, by the embedded engine on this machine's disk."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chalicelib.core import clock, ids
from chalicelib.features.lake import layout
from chalicelib.features.lake.model import EVENT_COLUMNS, PEOPLE_COLUMNS, Hot, Live, Stored
from chalicelib.platform import duck, objects
from chalicelib.platform.keys import Tenant
from chalicelib.readings.lake import disk, recent

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_LATE: Final = 2 * clock.DAY
"""Milliseconds after which no hot object can come any more that a contact was told of before."""

_EVENTS: Final = ", ".join(EVENT_COLUMNS)
_PEOPLE: Final = ", ".join(PEOPLE_COLUMNS)
_OWNER: Final = """
CASE WHEN v.contact_id IS NOT NULL THEN v.owner WHEN m.contact_id IS NOT NULL THEN m.owner ELSE e.contact_id END
"""
_OWNED: Final = f"""
SELECT {", ".join("owner AS contact_id" if each == "contact_id" else each for each in EVENT_COLUMNS)}
FROM (
    SELECT e.*, {_OWNER} AS owner
    FROM ({{events}}) e
    LEFT JOIN moved m ON m.contact_id = e.contact_id AND m.visitor = ''
    LEFT JOIN moved v ON v.contact_id = e.contact_id AND v.visitor <> '' AND v.visitor = e.visitor
)
WHERE owner IS NOT NULL
ORDER BY event, ts, event_id
"""


class Loom:
    """An engine with the tables of `recent`, of one state of a project's lake."""

    def __init__(self, engine: "DuckDBPyConnection", tenant: Tenant, live: Live, some: Sequence[Hot]) -> None:
        """Download what is not yet compacted: the events of some hot objects, and all contacts.

        Raises ObjectGone, Unavailable.
        """
        self._engine, self._tenant, self._live = engine, tenant, live
        recent.make(engine, tenant, live, disk.local(recent.keys(live, some)))

    def days(self) -> list[str]:
        """The UTC days of which hot objects have events that are not yet compacted."""
        found = self._engine.execute(f"SELECT DISTINCT ts // {clock.DAY} FROM recent_events ORDER BY 1").fetchall()
        days = [clock.day(number * clock.DAY) for (number,) in found]
        return [day for day in days if self._engine.execute(f"{self._fresh(day)} LIMIT 1").fetchall()]

    def stale_days(self, days: Iterable[str]) -> list[str]:
        """Those of these compacted days that have events of somebody who is not their owner any more."""
        return [day for day in days if self._is_stale(self._live.manifest.days[day])]

    def day(self, day: str) -> Stored | None:
        """Write the events of the day anew: each once, with its owner; None where nothing is left of it."""
        events = self._fresh(day)
        if (settled := self._live.manifest.days.get(day)) is not None:
            events = f"SELECT {_EVENTS} FROM {duck.from_parquet([self._file(settled)])} UNION ALL {events}"
        key = layout.day_events(self._tenant.project_id, day, ids.new_ulid())
        return self._write(key, _OWNED.format(events=events))

    def people(self, now: int, *, is_swept: bool) -> tuple[Stored | None, Stored | None]:
        """Write the contacts anew, each in its latest state: the active ones, and where the others have gone.

        Where no object of events names any more whom it need not, what was told long before `now` is left out.
        """
        manifest = self._live.manifest
        sources = [f"SELECT {_PEOPLE} FROM changes"]
        for stored in (manifest.people, manifest.edges):
            if stored is not None:
                sources.append(f"SELECT {_PEOPLE} FROM {duck.from_parquet([self._file(stored)])}")
        told = " UNION ALL ".join(sources)
        ranked = "ROW_NUMBER() OVER (PARTITION BY contact_id, visitor ORDER BY version DESC) AS place"
        latest = f"SELECT {_PEOPLE} FROM (SELECT *, {ranked} FROM ({told})) WHERE place = 1"
        needed = f" AND projected_at >= {now - _LATE}" if is_swept else ""
        project, name = self._tenant.project_id, ids.new_ulid()
        order = "ORDER BY contact_id, visitor"
        active = f"SELECT * FROM ({latest}) WHERE status = 'active' AND visitor = '' {order}"
        others = f"SELECT * FROM ({latest}) WHERE NOT (status = 'active' AND visitor = ''){needed} {order}"
        return self._write(layout.people(project, name), active), self._write(layout.edges(project, name), others)

    def _fresh(self, day: str) -> str:
        """The events of the day that only hot objects have, as SQL."""
        start = clock.parse_instant(day)
        columns = ", ".join(f"r.{each}" for each in EVENT_COLUMNS)
        told = f"SELECT {columns} FROM recent_events r WHERE r.ts >= {start} AND r.ts < {start + clock.DAY}"
        if (settled := self._live.manifest.days.get(day)) is None:
            return told
        files = duck.from_parquet([self._file(settled)])
        return f"{told} AND NOT EXISTS (SELECT 1 FROM {files} s WHERE s.event_id = r.event_id)"

    def _is_stale(self, stored: Stored) -> bool:
        told = f"""
            SELECT 1 FROM {duck.from_parquet([self._file(stored)])} e
            JOIN moved m ON m.contact_id = e.contact_id AND (m.visitor = '' OR m.visitor = e.visitor)
            WHERE m.owner IS NULL OR m.owner <> e.contact_id LIMIT 1
        """
        return bool(self._engine.execute(told).fetchall())

    def _file(self, stored: Stored) -> Path:
        return disk.local([stored.key])[stored.key]

    def _write(self, key: str, select: str) -> Stored | None:
        """Write the query's rows as the object of that key; None, and no object, where there are none."""
        target = disk.folder() / f"{ids.new_ulid()}.woven"
        try:
            duck.copy_parquet(self._engine, select, target)
            (count,) = self._engine.execute(f"SELECT COUNT(*) FROM {duck.from_parquet([target])}").fetchall()[0]
            if not count:
                return None
            objects.put(key, target)
            return Stored(key, count, target.stat().st_size)
        finally:
            target.unlink(missing_ok=True)


def keys_of(woven: Mapping[str, Stored | None], *others: Stored | None) -> list[str]:
    """The objects that were written."""
    return [stored.key for stored in (*woven.values(), *others) if stored is not None]
