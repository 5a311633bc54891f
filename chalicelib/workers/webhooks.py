"""The webhooks' worker: makes the attempts that are queued. Slow endpoints have a queue and a function of their own."""

from collections.abc import Mapping
from typing import Any

from chalicelib.features.webhooks import service as webhooks
from chalicelib.flows.webhooks import deliver
from chalicelib.platform import observability


def handle(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Make each attempt of a batch; those that could not be recorded are told by id, and are made again."""
    failed = [record["messageId"] for record in event["Records"] if not _run(record["body"])]
    return {"batchItemFailures": [{"itemIdentifier": ident} for ident in failed]}


def _run(body: str) -> bool:
    try:
        tenant, parcel = webhooks.received(body)
        observability.bind(project_id=tenant.project_id)
        deliver.run(tenant, parcel)
    except Exception:  # whatever it is, the queue delivers again and its dead-letter queue keeps the message
        observability.log_failure("webhook failed")
        observability.metric("WebhookFailed")
        return False
    finally:
        observability.unbind()
    return True
