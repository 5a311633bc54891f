"""The ingest queue's worker: messages of one lane in order, each written before the next."""

from collections.abc import Mapping
from typing import Any

from chalicelib.core import strict_json
from chalicelib.features.activity.intake import Accepted
from chalicelib.flows import record_activity
from chalicelib.platform import observability
from chalicelib.platform.keys import Tenant


def handle(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Record a batch of queued messages; those that failed, and what follows them in their lanes, are told by id."""
    failed: list[str] = []
    stopped: set[str] = set()
    for record in event["Records"]:
        lane = record["attributes"]["MessageGroupId"]
        # A lane goes on only after its earlier message is written: order is kept for each contact.
        if lane in stopped or not _record(record):
            stopped.add(lane)
            failed.append(record["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": ident} for ident in failed]}


def _record(record: Mapping[str, Any]) -> bool:
    try:
        message = strict_json.loads(record["body"].encode())
        observability.bind(project_id=message["project"])
        accepted = [Accepted.from_wire(wire) for wire in message["events"]]
        record_activity.run(Tenant(message["project"]), accepted)
    except Exception:  # whatever it is, the queue delivers again and its dead-letter queue keeps the message
        observability.log_failure("ingest message failed", message_id=record["messageId"])
        observability.metric("IngestMessageFailed")
        return False
    finally:
        observability.unbind()
    return True
