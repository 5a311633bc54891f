"""The ingest queue's worker: what one invocation brings is written project by project, each lane in its order."""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core import strict_json
from chalicelib.features.activity.intake import Accepted
from chalicelib.flows import record_activity
from chalicelib.platform import observability, pending
from chalicelib.platform.keys import Tenant

Record = Mapping[str, Any]

_RESERVE = 5_000
"""Milliseconds before the invocation's end at which no further transaction is begun."""

_PATIENCE = 3
"""Deliveries for which the messages of a lane wait behind one that fails; then they go on without it.

Each delivery counts towards the dead-letter queue, and who only waits must not end there. What events leave behind does
not depend on their order.
"""


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Record a batch of queued messages; those that failed, and what waits behind them in their lanes, are told by id.

    The messages of a project are written together, so that they share their reads. Where that fails each is written
    alone, which costs more and finds the one at fault; what was written before is passed over.
    """
    records: Sequence[Record] = event["Records"]
    by_project: dict[str, list[Record]] = {}
    for record in records:
        by_project.setdefault(record["attributes"]["MessageGroupId"].partition("#")[0], []).append(record)
    failed: set[str] = set()
    for some in by_project.values():
        if len(some) == 1 or not _record(some, context, is_last_word=False):
            failed |= _record_alone(some, context)
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["messageId"]} for record in records if record["messageId"] in failed
        ]
    }


def _record_alone(records: Sequence[Record], context: Any) -> set[str]:
    """Write one message after the other; the ids of those that failed, and of all that wait behind them."""
    failed: set[str] = set()
    stopped: set[str] = set()
    for record in records:
        lane = record["attributes"]["MessageGroupId"]
        waits = lane in stopped and int(record["attributes"]["ApproximateReceiveCount"]) < _PATIENCE
        if waits or not _record([record], context, is_last_word=True):
            stopped.add(lane)
            failed.add(record["messageId"])
    return failed


def _record(records: Sequence[Record], context: Any, *, is_last_word: bool) -> bool:
    def has_time() -> bool:
        return bool(context.get_remaining_time_in_millis() > _RESERVE)

    try:
        messages = [strict_json.loads(record["body"].encode()) for record in records]
        tenant = Tenant(messages[0]["project"])
        observability.bind(project_id=tenant.project_id)
        events = [Accepted.from_wire(wire) for message in messages for wire in message["events"]]
        record_activity.run(tenant, events, has_time)
        pending.remove(tenant.pending("INGEST", message["mark"]) for message in messages if "mark" in message)
    except Exception:  # whatever it is, the queue delivers again and its dead-letter queue keeps the message
        if is_last_word:
            observability.log_failure("ingest message failed", message_id=records[0]["messageId"])
            observability.metric("IngestMessageFailed")
        return False
    finally:
        observability.unbind()
    return True
