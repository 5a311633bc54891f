"""The lake of the tests: the mock's stream through the projector, and compaction, step by step."""

from typing import Any

from chalicelib.core import clock
from chalicelib.flows.analytics import answer
from chalicelib.flows.analytics import compact as compaction
from chalicelib.platform import table
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.readings.lake import embedded
from chalicelib.workers import projector
from tests.support import aws, pipeline
from tests.support.pipeline import Context

BATCH = 1_000

_position: dict[str, Any] = {"table": None, "after": None}


def project_all(*, again: bool = False, size: int = BATCH) -> int:
    """Let the projector work on what it has not seen yet, or, `again`, on all that the stream has; how many records."""
    place = (settings().table, aws.times_cleared)
    after = _position["after"] if _position["table"] == place and not again else None
    records = pipeline.stream_records(after)
    for start in range(0, len(records), size):
        some = records[start : start + size]
        assert projector.handle({"Records": some}, Context()) == {"batchItemFailures": []}
    if records:
        _position.update(table=place, after=records[-1]["dynamodb"]["SequenceNumber"])
    return len(records)


def compact(tenant: Tenant, *, sweeps: bool = False) -> None:
    """Compact what the project has, as often as it takes."""
    while compaction.run(tenant, clock.system_ms(), lambda: True, sweeps=sweeps):
        pass


def waiting() -> list[str]:
    """The projects that have something to compact."""
    return [row["SK"] for row in table.query("LAKE#WAITING").items]


def forget() -> None:
    """Nothing is remembered of lakes that tests before had."""
    embedded.forget()
    answer.forget()
    aws.clear_bucket()


def take_work() -> list[str]:
    """The messages for the lake's worker; they leave the queue."""
    return [message.body for message in aws.take(settings().lake_queue_url)]
