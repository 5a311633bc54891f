"""The embedded SQL engine: reads and writes Parquet files on this machine's disk.

Imported when first used: it takes a fifth of a second of a cold start.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.core import strict_json

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MACROS = (
    "CREATE OR REPLACE MACRO json_extract_scalar(j, p) AS json_extract_string(j, p)",
    "CREATE OR REPLACE MACRO json_format(j) AS CAST(j AS VARCHAR)",
)
"""What makes the engine understand the other engine's SQL."""


@contextmanager
def connected(memory_mb: int, threads: int = 1) -> Iterator["DuckDBPyConnection"]:
    """An engine of its own, with nothing in it; what exceeds its memory it puts on disk, where it may."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="duck") as spill:
        config = {"memory_limit": f"{memory_mb}MB", "threads": threads, "temp_directory": spill}
        connection = duckdb.connect(config=config)  # type: ignore[arg-type]
        try:
            for macro in MACROS:
                connection.execute(macro)
            yield connection
        finally:
            connection.close()


def write_parquet(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str], target: Path, order: str) -> None:
    """Write rows as a Parquet file, in that order; `columns` has the SQL type of each column by its name."""
    with connected(256) as engine, tempfile.NamedTemporaryFile("w", suffix=".ndjson", encoding="utf-8") as text:
        text.writelines(f"{strict_json.dumps(dict(row))}\n" for row in rows)
        text.flush()
        copy_parquet(engine, f"FROM {from_json(Path(text.name), columns)} ORDER BY {order}", target)


def from_json(source: Path, columns: Mapping[str, str]) -> str:
    """The table that a file of JSON lines is, as SQL; a column that a line lacks is NULL."""
    typed = ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in columns.items())
    return f"read_json({quoted(str(source))}, format='newline_delimited', columns={{{typed}}})"


def from_parquet(files: Sequence[Path]) -> str:
    """The table that Parquet files are together, as SQL."""
    return f"read_parquet([{', '.join(quoted(str(file)) for file in files)}])"


def copy_parquet(engine: "DuckDBPyConnection", select: str, target: Path) -> None:
    """Write the rows of a query as a Parquet file."""
    engine.execute(f"COPY ({select}) TO {quoted(str(target))} (FORMAT parquet, COMPRESSION zstd)")


def quoted(text: str) -> str:
    """`text` as a literal of SQL; for names of files and types, never for what a caller said."""
    return "'" + text.replace("'", "''") + "'"
