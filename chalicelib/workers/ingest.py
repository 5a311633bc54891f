"""The ingest queue's worker: what one invocation brings is written project by project, each lane in its order."""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core import strict_json
from chalicelib.features.activity.intake import Accepted
from chalicelib.flows import record_activity
from chalicelib.platform import observability
from chalicelib.platform.keys import Tenant

Record = Mapping[str, Any]


def handle(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Record a batch of queued messages; those that failed, and what follows them in their lanes, are told by id.

    The messages of a project are written together, so that they share their reads. Where that fails each is written
    alone, which costs more and finds the one at fault; what was written before is passed over.
    """
    records: Sequence[Record] = event["Records"]
    by_project: dict[str, list[Record]] = {}
    for record in records:
        by_project.setdefault(record["attributes"]["MessageGroupId"].partition("#")[0], []).append(record)
    failed: set[str] = set()
    for some in by_project.values():
        if not _record(some):
            failed |= _record_alone(some)
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]} for record in records if record["messageId"] in failed
        ]
    }


def _record_alone(records: Sequence[Record]) -> set[str]:
    """Write one message after the other; the ids of those that failed, and of all behind them in their lanes."""
    failed: set[str] = set()
    stopped: set[str] = set()
    for record in records:
        lane = record["attributes"]["MessageGroupId"]
        # A lane goes on only after its earlier message is written: order is kept for each contact.
        if lane in stopped or not _record([record]):
            stopped.add(lane)
            failed.add(record["messageId"])
    return failed


def _record(records: Sequence[Record]) -> bool:
    try:
        messages = [strict_json.loads(record["body"].encode()) for record in records]
        tenant = Tenant(messages[0]["project"])
        observability.bind(project_id=tenant.project_id)
        record_activity.run(tenant, [Accepted.from_wire(wire) for message in messages for wire in message["events"]])
    except Exception:  # whatever it is, the queue delivers again and its dead-letter queue keeps the message
        observability.log_failure("ingest messages failed", message_ids=[record["messageId"] for record in records])
        observability.metric("IngestMessagesFailed", len(records))
        return False
    finally:
        observability.unbind()
    return True
