"""The engine in this process: it reads objects of the lake from this machine's disk."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chalicelib.features.analytics.statement import JsonPath, Statement, Value
from chalicelib.features.lake.model import EVENT_COLUMNS, PEOPLE_COLUMNS, Live
from chalicelib.platform import duck
from chalicelib.platform.keys import Tenant
from chalicelib.readings.lake import disk, recent
from chalicelib.readings.lake.span import days_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MEMORY_MB: Final = 1_100
_DATABASES: Final = 4
"""As many states of projects are kept as tables."""

_lock = threading.Lock()
_databases: OrderedDict[tuple[Tenant, object], tuple["DuckDBPyConnection", ExitStack]] = OrderedDict()


def rows(tenant: Tenant, live: Live, statement: Statement, since: int, until: int) -> Sequence[Sequence[Any]]:
    """The rows of the statement's answer over the project's live objects, those of events of this time in ms.

    Questions follow one another: each has all memory and cores. Raises ObjectGone where an object was compacted
    meanwhile, Unavailable.
    """
    days = days_of(live.manifest, since, until)
    people = [live.manifest.people.key] if live.manifest.people else []
    whole = statement.sql()
    with _lock:
        files = disk.local([*days, *people, *recent.keys(live)])
        database = _database(tenant, live, files)
        view(database, "events", [files[key] for key in days], EVENT_COLUMNS)
        view(database, "people", [files[key] for key in people], PEOPLE_COLUMNS)
        return database.execute(whole.text, [bound(value) for value in whole.values]).fetchall()


def bound(value: Value) -> str | int:
    """A value as this engine binds it."""
    return value.dollar_dot() if isinstance(value, JsonPath) else value


def view(database: "DuckDBPyConnection", name: str, files: Sequence[Path], columns: Mapping[str, str]) -> None:
    """Let the name stand for the rows of these files."""
    nothing = ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in columns.items())
    told = f"FROM {duck.from_parquet(files)}" if files else f"SELECT {nothing} WHERE 1 = 0"
    database.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {told}")


def forget() -> None:
    """Close all that is kept; for tests, whose projects come and go."""
    with _lock:
        while _databases:
            _drop_oldest()


def _database(tenant: Tenant, live: Live, files: Mapping[str, Path]) -> "DuckDBPyConnection":
    key = (tenant, live.state)
    if key in _databases:
        _databases.move_to_end(key)
        return _databases[key][0]
    with ExitStack() as opened:
        database = opened.enter_context(duck.connected(_MEMORY_MB, os.cpu_count() or 1))
        recent.make(database, tenant, live, files)
        _databases[key] = database, opened.pop_all()
    while len(_databases) > _DATABASES:
        _drop_oldest()
    return database


def _drop_oldest() -> None:
    _, (_, opened) = _databases.popitem(last=False)
    opened.close()


Engine = Callable[[Tenant, Live, Statement, int, int], Sequence[Sequence[Any]]]
"""What answers a statement; `rows` is one."""
