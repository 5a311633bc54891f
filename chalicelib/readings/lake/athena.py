"""The engine for large lakes: Athena, over the same objects, by the same SQL.

It is given the same tables: of what is compacted exactly the live objects, by their paths; what is not yet, and whose
events are somebody else's by now, is made here of few objects, and put into the bucket for it.
"""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from chalicelib.core import clock
from chalicelib.features.analytics.statement import JsonPath, Sql, Statement, Value, fill, listed
from chalicelib.features.lake import layout
from chalicelib.features.lake.model import EVENT_COLUMNS, PEOPLE_COLUMNS, Live
from chalicelib.platform import duck, objects, query_service
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.readings.lake import disk, recent
from chalicelib.readings.lake.span import days_of

_MEMORY_MB: Final = 512
_CATALOGUED: Final = "lake_"
"""What the catalog's names of the tables begin with."""


def rows(tenant: Tenant, live: Live, statement: Statement, since: int, until: int) -> Sequence[Sequence[Any]]:
    """The rows of the statement's answer over the project's live objects, those of events of this time in ms.

    Raises ObjectGone where an object was compacted meanwhile, Unavailable.
    """
    people = [live.manifest.people.key] if live.manifest.people else []
    of_project = fill("project_id = :project", project=tenant.project_id)
    first, last = clock.day(since), clock.day(max(since, until - 1))
    of_days = fill("{project} AND dt BETWEEN :first AND :last", project=of_project, first=first, last=last)
    tables = {
        "events": _table("events", EVENT_COLUMNS, days_of(live.manifest, since, until), of_days),
        "people": _table("people", PEOPLE_COLUMNS, people, of_project),
    }
    for name, key in _scratch(tenant, live).items():
        tables[name] = _table(name, recent.TABLES[name], [key], of_project)
    whole = Statement(tables | dict(statement.tables), statement.select).sql()
    return query_service.rows(whole.text, [bound(value) for value in whole.values])


def bound(value: Value) -> str | int:
    """A value as Athena reads it."""
    return value.dollar_bracket() if isinstance(value, JsonPath) else value


def _scratch(tenant: Tenant, live: Live) -> dict[str, str]:
    """Keys of the small tables of this state of the lake, which are made once."""
    digest = hashlib.sha256(repr(live.state).encode()).hexdigest()[:32]
    keys = {name: layout.scratch(name, tenant.project_id, digest) for name in recent.TABLES}
    files = disk.local(recent.keys(live))
    with duck.connected(_MEMORY_MB) as engine, tempfile.TemporaryDirectory() as folder:
        recent.make(engine, tenant, live, files)
        for name, key in keys.items():
            target = Path(folder) / name
            duck.copy_parquet(engine, f"FROM {name}", target)
            objects.put(key, target)
    return keys


def _table(name: str, columns: Mapping[str, str], keys: Sequence[str], where: Sql) -> Sql:
    """The rows of these objects, and of no others that lie beside them."""
    paths: list[Value] = [f"s3://{settings().bucket}/{key}" for key in keys]
    told = fill('"$path" IN {paths}', paths=listed(paths)) if paths else Sql("1 = 0")
    select = Sql(f"SELECT {', '.join(columns)} FROM {_CATALOGUED}{name}")
    return fill("{select} WHERE {where} AND {told}", select=select, where=where, told=told)
