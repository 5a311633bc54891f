"""Athena: runs a query over the bucket's objects. Not run against AWS; the mock takes any query and knows no answer."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from chalicelib.core import clock
from chalicelib.core.errors import Unavailable
from chalicelib.platform import aws
from chalicelib.platform.config import settings

_PAUSE_S: Final = 0.2
_LONGEST_S: Final = 25.0
"""Seconds that a query may take: the gateway waits for 29."""

_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "bigint": int,
    "integer": int,
    "double": float,
    "varchar": str,
}
"""How the service's texts of a column's type are read."""


def rows(text: str, values: Sequence[str | int]) -> list[Sequence[Any]]:
    """The rows of the query's answer. Raises Unavailable where it fails, or takes too long; it is stopped then."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return _rows(text, [_literal(value) for value in values])
    except (BotoCoreError, ClientError) as error:
        raise Unavailable from error


def _rows(text: str, literals: Sequence[str]) -> list[Sequence[Any]]:
    begun = clock.monotonic()
    token = hashlib.sha256("\0".join([text, *literals, str(begun)]).encode()).hexdigest()
    arguments: dict[str, Any] = {
        "QueryString": text,
        "ClientRequestToken": token,
        "QueryExecutionContext": {"Database": settings().athena_database},
        "WorkGroup": settings().athena_workgroup,
    }
    if literals:
        arguments["ExecutionParameters"] = list(literals)
    query = aws.athena().start_query_execution(**arguments)["QueryExecutionId"]
    while (state := _state(query)) in ("QUEUED", "RUNNING"):
        if clock.monotonic() - begun > _LONGEST_S:
            aws.athena().stop_query_execution(QueryExecutionId=query)
            raise Unavailable("The question takes too long. Ask for a shorter time.", retry_after=60)
        clock.sleep(_PAUSE_S)
    if state != "SUCCEEDED":
        raise Unavailable
    return list(_answer(query))


def _state(query: str) -> str:
    return aws.athena().get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]["State"]


def _answer(query: str) -> Iterator[Sequence[Any]]:
    """The rows of all pages; the first one of all has the columns' names."""
    after: dict[str, Any] = {}
    is_heading = True
    while True:
        page = aws.athena().get_query_results(QueryExecutionId=query, **after)
        columns = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
        readers = [_READERS[column["Type"]] for column in columns]
        for row in page["ResultSet"]["Rows"][int(is_heading) :]:
            yield [_read(reader, cell) for reader, cell in zip(readers, row["Data"], strict=True)]
        is_heading = False
        if not (token := page.get("NextToken")):
            return
        after = {"NextToken": token}


def _read(reader: Callable[[str], Any], cell: Mapping[str, Any]) -> Any:
    return reader(cell["VarCharValue"]) if "VarCharValue" in cell else None


def _literal(value: str | int) -> str:
    """The value as a literal of SQL, which is how the service takes parameters."""
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
