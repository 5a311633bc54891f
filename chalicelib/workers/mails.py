"""The mails' worker: does what is due for the runs of campaigns and the sends of surveys, and sends samples and
the mails of waitlists."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from chalicelib.features.campaigns.service import Due, Sample
from chalicelib.features.surveys.service import SurveyMail
from chalicelib.features.waitlists.service import EntryMail
from chalicelib.flows.campaigns import sample, send
from chalicelib.flows.surveys import ask
from chalicelib.flows.waitlists import send as send_to_entry
from chalicelib.platform import mail_queue, observability

_RESERVE = 20_000
"""Milliseconds of the invocation that one more mail may need: the mail service has 12 seconds for its answer."""

_ACTS: Final[Mapping[str, tuple[type[Any], Callable[..., None]]]] = {
    Due.__name__: (Due, send.run),
    Sample.__name__: (Sample, sample.run),
    EntryMail.__name__: (EntryMail, send_to_entry.run),
    SurveyMail.__name__: (SurveyMail, ask.run),
}
"""What each message asks for, and who does it."""


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
        tenant, kind, fields = mail_queue.received(body)
        observability.bind(project_id=tenant.project_id)
        model, act = _ACTS[kind]
        wanted = model(**fields)
        act(tenant, wanted)
        mail_queue.done(tenant, wanted)
    except Exception:  # whatever it is, the queue delivers again and its dead-letter queue keeps the message
        observability.log_failure("mail failed")
        observability.metric("MailFailed")
        return False
    finally:
        observability.unbind()
    return True
