"""The lake's worker: compacts what projects have in hot objects, and writes a project's lake anew.

Each hour all are asked for that have something to compact; a rebuild is asked for by an operator.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.core import clock, strict_json
from chalicelib.features.lake import service as lake
from chalicelib.features.projects import service as projects
from chalicelib.flows.analytics import compact, rebuild
from chalicelib.platform import observability, queues
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant

_RESERVE = 120_000
"""Milliseconds of the invocation that one more day may need."""

_SCHEDULE_RESERVE = 10_000
_A_PAGE = 100


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Do what is asked for; what failed is told by id, and comes again alone."""
    failed = [record["messageId"] for record in event["Records"] if not _work(record["body"], context)]
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


def handle_rebuild(event: Mapping[str, Any]) -> dict[str, Any]:
    """`{project_id}` to `{project_id, status: "queued"}`: the operator's function. Raises NotFound."""
    tenant = Tenant(str(event.get("project_id", "")))
    projects.get(tenant)
    ask(tenant, rebuild={"after": None})
    return {"project_id": tenant.project_id, "status": "queued"}


def ask(tenant: Tenant, **what: Any) -> None:
    """Let the project be compacted soon, or what else is said. Raises Unavailable."""
    queues.send(settings().lake_queue_url, strict_json.dumps({"project": tenant.project_id} | what))


def _work(body: str, context: Any) -> bool:
    asked = strict_json.loads(body.encode())
    tenant, now = Tenant(asked["project"]), clock.system_ms()
    observability.bind(project_id=tenant.project_id)

    def has_time() -> bool:
        return bool(context.get_remaining_time_in_millis() > _RESERVE)

    try:
        if "rebuild" not in asked:
            if compact.run(tenant, now, has_time):
                ask(tenant)
        elif (done := rebuild.run(tenant, asked["rebuild"]["after"], now, has_time)) is not None:
            ask(tenant, rebuild={"after": done})
    except Exception:  # whatever it is, the queue delivers again and its dead-letter queue keeps the message
        observability.log_failure("work on the lake failed")
        observability.metric("LakeFailed")
        return False
    finally:
        observability.unbind()
    return True
