"""The webhooks' worker: makes the attempts that two queues ask for, those to slow endpoints apart from all others."""

from collections.abc import Mapping
from typing import Any

from chalicelib.features.webhooks import service as webhooks
from chalicelib.flows.webhooks import deliver
from chalicelib.platform import observability


def handle(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Make each attempt of a batch; those that could not be recorded are told by id, and are made again."""
    return _handled(event, is_apart=False)


def handle_slow(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """The same for endpoints whose last answer was slow, or never came."""
    return _handled(event, is_apart=True)


def _handled(event: Mapping[str, Any], *, is_apart: bool) -> dict[str, Any]:
    failed = [record["messageId"] for record in event["Records"] if not _run(record["body"], is_apart=is_apart)]
    return {"batchItemFailures": [{"itemIdentifier": ident} for ident in failed]}


def _run(body: str, *, is_apart: bool) -> bool:
    try:
        tenant, parcel = webhooks.received(body)
        observability.bind(project_id=tenant.project_id)
        deliver.run(tenant, parcel, is_apart=is_apart)
    except Exception:  # whatever it is, the queue delivers again and its dead-letter queue keeps the message
        observability.log_failure("webhook failed")
        observability.metric("WebhookFailed")
        return False
    finally:
        observability.unbind()
    return True
