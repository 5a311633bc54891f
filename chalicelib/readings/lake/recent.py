"""What is not yet compacted, and whose events are somebody else's by now, as small tables of the embedded engine."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chalicelib.core import strict_json
from chalicelib.features.lake import closure, layout
from chalicelib.features.lake.model import EVENT_COLUMNS, PEOPLE_COLUMNS, Hot, Live
from chalicelib.platform import duck
from chalicelib.platform.keys import Tenant

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOVED_COLUMNS: Final[Mapping[str, str]] = {"contact_id": "VARCHAR", "visitor": "VARCHAR", "owner": "VARCHAR"}
"""Whose the events of a contact are by now; `visitor` is empty for all of them, `owner` NULL where they are gone."""

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "recent_events": EVENT_COLUMNS,
    "recent_people": PEOPLE_COLUMNS,
    "moved": MOVED_COLUMNS,
}


def keys(live: Live, events: Sequence[Hot] | None = None) -> list[str]:
    """The objects that are read to make these tables, with the events of some hot objects, or of all."""
    hot = [layout.hot_events(each.name) for each in (live.hot if events is None else events) if each.events]
    hot += [layout.hot_people(each.name) for each in live.hot if each.people]
    return hot + ([live.manifest.edges.key] if live.manifest.edges else [])


def make(engine: "DuckDBPyConnection", tenant: Tenant, live: Live, files: Mapping[str, Path]) -> None:
    """Make the tables in an engine, of the objects of `keys`, as far as they are among these files.

    What is told of contacts has to be there whole: whose an event is, no part of it tells.
    """
    events = [files[key] for each in live.hot if each.events and (key := layout.hot_events(each.name)) in files]
    people = [files[layout.hot_people(each.name)] for each in live.hot if each.people]
    _table(engine, "recent_events", events, tenant, "event_id", "ts")
    _table(engine, "changes", people, tenant, "contact_id, visitor", "version DESC")
    engine.execute("CREATE TABLE recent_people AS SELECT * FROM changes WHERE visitor = ''")
    moved = closure.resolve(_edges(engine, live, files), live.gone)
    _fill(engine, "moved", MOVED_COLUMNS, (each._asdict() for each in moved))


def _table(
    engine: "DuckDBPyConnection", name: str, files: Sequence[Path], tenant: Tenant, one_of: str, first: str
) -> None:
    """The project's rows of these files, one for each `one_of`, as they may be told by several objects."""
    columns = EVENT_COLUMNS if name == "recent_events" else PEOPLE_COLUMNS
    if not files:
        engine.execute(f"CREATE TABLE {name} ({', '.join(f'{each} {kind}' for each, kind in columns.items())})")
        return
    ranked = f"SELECT *, ROW_NUMBER() OVER (PARTITION BY {one_of} ORDER BY {first}) AS place FROM "
    told = f"{ranked}{duck.from_parquet(files)} WHERE project_id = ?"
    engine.execute(
        f"CREATE TABLE {name} AS SELECT {', '.join(columns)} FROM ({told}) WHERE place = 1", [tenant.project_id]
    )


def _edges(engine: "DuckDBPyConnection", live: Live, files: Mapping[str, Path]) -> list[closure.Edge]:
    """What is told of contacts that are not, or not alone, whose their events are."""
    sources = ["SELECT * FROM changes"]
    if live.manifest.edges:
        sources.append(f"SELECT * FROM {duck.from_parquet([files[live.manifest.edges.key]])}")
    told = " UNION ALL ".join(f"SELECT {', '.join(closure.Edge._fields)}, project_id FROM ({one})" for one in sources)
    rows = engine.execute(f"SELECT * EXCLUDE project_id FROM ({told}) WHERE status <> 'active'").fetchall()
    return [closure.Edge(*row) for row in rows]


def _fill(
    engine: "DuckDBPyConnection", name: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]
) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson", encoding="utf-8") as text:
        text.writelines(f"{strict_json.dumps(dict(row))}\n" for row in rows)
        text.flush()
        engine.execute(f"CREATE TABLE {name} AS FROM {duck.from_json(Path(text.name), columns)}")
