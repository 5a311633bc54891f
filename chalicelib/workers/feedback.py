"""The feedback's worker: what the mail service tells of mails, straight from its topic or handed on by the API."""

from collections.abc import Mapping
from typing import Any

from chalicelib.core import strict_json
from chalicelib.core.mail import notifications
from chalicelib.flows.campaigns import settle_mail
from chalicelib.platform import observability
from chalicelib.platform.keys import Tenant


def handle(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Act on each message of a batch; those that failed are told by id, and come again."""
    failed = [record["messageId"] for record in event["Records"] if not _run(record["body"])]
    return {"batchItemFailures": [{"itemIdentifier": ident} for ident in failed]}


def _run(body: str) -> bool:
    try:
        told = _told(body)
        if told is None:
            observability.metric("FeedbackPassedOver")
            return True
        observability.bind(project_id=told.project_id)
        settle_mail.run(Tenant(told.project_id), told)
    except Exception:  # whatever it is, the queue delivers again and its dead-letter queue keeps the message
        observability.log_failure("feedback failed")
        observability.metric("FeedbackFailed")
        return False
    finally:
        observability.unbind()
    return True


def _told(body: str) -> notifications.Feedback | None:
    """What the message tells of a mail of ours; a message of the topic stands in its envelope."""
    try:
        told = strict_json.loads(body.encode())
        if isinstance(told, dict) and isinstance(told.get("Message"), str):
            told = strict_json.loads(told["Message"].encode())
    except ValueError:
        return None
    return notifications.parse(told)
