"""The projector: reads the table's stream and writes what happened into the lake.

A batch is written as a whole, or comes again as a whole. A record of which no row can be made is left out and told of:
it would hold up all that follow it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chalicelib.core import clock
from chalicelib.features.lake.rows import Rows
from chalicelib.flows.analytics import project
from chalicelib.platform import observability


def handle(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Project a batch. Where that fails it raises, so that the mapping delivers again, in halves."""
    try:
        project.write(list(_told(event["Records"])))
    except Exception:
        observability.log_failure("projection failed")
        observability.metric("ProjectionFailed")
        raise
    return {"batchItemFailures": []}


def _told(records: Sequence[Mapping[str, Any]]) -> Iterator[Rows]:
    now = clock.system_ms()
    for record in records:
        if not project.concerns(record):
            continue
        try:
            yield project.rows_of(project.change_of(record), now)
        except Exception:  # whatever it is, a rebuild from the table is the way to have it
            observability.log_failure("a record can't be projected")
            observability.metric("ProjectionRecordSkipped")
