"""Athena as the mock lacks it: runs the text and parameters that its API got, over the objects of the mock's bucket.

The engine behind it is the embedded one, told to read what only Athena spells so: paths in brackets, `"$path"`, and
parameters as literals. It shows that text, literals and paths fit together; not that Trino means the same by them.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moto.athena.models import AthenaBackend, QueryResults, athena_backends

from chalicelib.features.lake.model import EVENT_COLUMNS, PEOPLE_COLUMNS
from chalicelib.platform import aws, duck
from chalicelib.platform.config import settings
from chalicelib.readings.lake.recent import MOVED_COLUMNS
from tests.support import aws as support

WORKGROUP, DATABASE = "growthos-test", "growthos_test"
_FOLDERS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "lake_events": ("events/", EVENT_COLUMNS),
    "lake_people": ("people/", PEOPLE_COLUMNS),
    "lake_recent_events": ("scratch/recent_events/", EVENT_COLUMNS),
    "lake_recent_people": ("scratch/recent_people/", PEOPLE_COLUMNS),
    "lake_moved": ("scratch/moved/", MOVED_COLUMNS),
}
_TYPES = {"VARCHAR": "varchar", "BIGINT": "bigint", "HUGEINT": "bigint", "INTEGER": "integer", "DOUBLE": "double"}
_BRACKETED = "'$.\"' || substr({path}, 4, length({path}) - 5) || '\"'"
_PARTITION = re.compile(r"project_id=([^/]+)/(?:dt=([^/]+)/)?")


@contextmanager
def standing_in() -> Iterator[list[str]]:
    """Within, Athena answers, and all questions go to it; yields the texts that it gets."""
    asked: list[str] = []
    support.use(GROWTHOS_ATHENA_WORKGROUP=WORKGROUP, GROWTHOS_ATHENA_DATABASE=DATABASE)
    backend = athena_backends[support.ACCOUNT][support.REGION]
    if WORKGROUP not in backend.work_groups:
        aws.athena().create_work_group(Name=WORKGROUP)
    plain = AthenaBackend.start_query_execution

    def start(
        self: AthenaBackend, query: str, context: Any, config: Any, workgroup: str, execution_parameters: Any
    ) -> str:
        asked.append(query)
        self.query_results_queue.append(_results(query, execution_parameters or []))
        return plain(self, query, context, config, workgroup, execution_parameters)

    AthenaBackend.start_query_execution = start  # type: ignore[method-assign]
    try:
        yield asked
    finally:
        AthenaBackend.start_query_execution = plain  # type: ignore[method-assign]
        support.drop("GROWTHOS_ATHENA_WORKGROUP", "GROWTHOS_ATHENA_DATABASE")


def _results(query: str, parameters: list[str]) -> QueryResults:
    literals = iter(parameters)
    text = "".join(next(literals) if part == "?" else part for part in re.split(r"(\?)", query))
    with duck.connected(512) as engine, tempfile.TemporaryDirectory() as folder:
        for name in ("json_extract_scalar", "json_extract"):
            native = "json_extract_string" if name == "json_extract_scalar" else "json_extract"
            engine.execute(
                f"CREATE OR REPLACE MACRO {name}(j, p) AS system.main.{native}(j, {_BRACKETED.format(path='p')})"
            )
        for name, (prefix, columns) in _FOLDERS.items():
            _catalogue(engine, name, prefix, columns, Path(folder))
        found = engine.execute(text)
        heading = [column[0] for column in found.description]
        types = [_TYPES[str(column[1])] for column in found.description]
        rows = [heading, *found.fetchall()]
    return QueryResults(
        rows=[{"Data": [{} if cell is None else {"VarCharValue": str(cell)} for cell in row]} for row in rows],
        column_info=[{"Name": name, "Type": kind} for name, kind in zip(heading, types, strict=True)],
    )


def _catalogue(engine: Any, name: str, prefix: str, columns: Mapping[str, str], folder: Path) -> None:
    """A table of all objects under the prefix, live or not, with the columns that the catalog adds."""
    bucket = settings().bucket
    typed = ", ".join(f"{column} {kind}" for column, kind in columns.items() if column != "project_id")
    engine.execute(f'CREATE TABLE {name} ({typed}, project_id VARCHAR, dt VARCHAR, "$path" VARCHAR)')
    told = aws.s3().list_objects_v2(Bucket=bucket, Prefix=prefix)
    for n, each in enumerate(told.get("Contents", [])):
        file = folder / f"{name}{n}"
        file.write_bytes(aws.s3().get_object(Bucket=bucket, Key=each["Key"])["Body"].read())
        match = _PARTITION.search(each["Key"])
        assert match is not None
        chosen = ", ".join(column for column in columns if column != "project_id")
        engine.execute(
            f"INSERT INTO {name} SELECT {chosen}, ?, ?, ? FROM {duck.from_parquet([file])}",
            [match[1], match[2], f"s3://{bucket}/{each['Key']}"],
        )
