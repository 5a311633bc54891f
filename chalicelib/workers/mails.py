"""The mails' worker: does what is due for the runs of campaigns, and sends samples."""

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.service import Due
from chalicelib.flows.campaigns import sample, send
from chalicelib.platform import observability

_RESERVE = 20_000
"""Milliseconds of the invocation that one more mail may need: the mail service has 12 seconds for its answer."""


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Act on each message of a batch; those that failed, or had to wait too long, are told by id and come again."""

    def has_time() -> bool:
        return bool(context.get_remaining_time_in_millis() > _RESERVE)

    failed = [record["messageId"] for record in event["Records"] if not _run(record["body"], has_time)]
    return {"batchItemFailures": [{"itemIdentifier": ident} for ident in failed]}


def _run(body: str, has_time: Callable[[], bool]) -> bool:
    if not has_time():
        return False
    try:
        tenant, wanted = campaigns.received(body)
        observability.bind(project_id=tenant.project_id)
        if isinstance(wanted, Due):
            send.run(tenant, wanted)
        else:
            sample.run(tenant, wanted)
        campaigns.done(tenant, wanted)
    except Exception:  # whatever it is, the queue delivers again and its dead-letter queue keeps the message
        observability.log_failure("mail failed")
        observability.metric("MailFailed")
        return False
    finally:
        observability.unbind()
    return True
