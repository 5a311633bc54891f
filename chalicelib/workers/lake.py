"""The lake's worker: compacts what projects have in hot objects. Each hour all are asked for that have something."""

from collections.abc import Mapping
from typing import Any

from chalicelib.core import clock, strict_json
from chalicelib.features.lake import service as lake
from chalicelib.flows.analytics import compact
from chalicelib.platform import observability, queues
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant

_RESERVE = 120_000
"""Milliseconds of the invocation that one more day may need."""

_SCHEDULE_RESERVE = 10_000
_A_PAGE = 100


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Compact each project of a batch; those that failed are told by id, and come again alone."""
    failed = [record["messageId"] for record in event["Records"] if not _compact(record["body"], context)]
    return {"batchItemFailures": [{"itemIdentifier": ident} for ident in failed]}


def handle_schedule(context: Any) -> None:
    """Ask for all projects that have something to compact; what time does not suffice for, the next hour asks for."""
    after = None
    while context.get_remaining_time_in_millis() > _SCHEDULE_RESERVE:
        tenants, after = lake.waiting(after, _A_PAGE)
        for tenant in tenants:
            ask(tenant)
        if after is None:
            return


def ask(tenant: Tenant) -> None:
    """Let the project be compacted soon. Raises Unavailable."""
    queues.send(settings().lake_queue_url, strict_json.dumps({"project": tenant.project_id}))


def _compact(body: str, context: Any) -> bool:
    tenant = Tenant(strict_json.loads(body.encode())["project"])
    observability.bind(project_id=tenant.project_id)
    try:
        is_left = compact.run(tenant, clock.system_ms(), lambda: context.get_remaining_time_in_millis() > _RESERVE)
        if is_left:
            ask(tenant)
    except Exception:  # whatever it is, the queue delivers again and its dead-letter queue keeps the message
        observability.log_failure("compaction failed")
        observability.metric("CompactionFailed")
        return False
    finally:
        observability.unbind()
    return True
