"""The projector: reads the table's stream and writes what happened into the lake.

A batch is written as a whole, or comes again as a whole: the mapping halves one that keeps failing, and sets aside what
fails alone.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.core import clock
from chalicelib.flows.analytics import project
from chalicelib.platform import observability


def handle(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Project a batch; returns its first record where that failed, from which on the mapping delivers again."""
    records = event["Records"]
    try:
        project.run([project.change_of(each) for each in records if project.concerns(each)], clock.system_ms())
    except Exception:  # whatever it is, the stream delivers again
        observability.log_failure("projection failed")
        observability.metric("ProjectionFailed")
        return {"batchItemFailures": [{"itemIdentifier": records[0]["dynamodb"]["SequenceNumber"]}]}
    return {"batchItemFailures": []}
