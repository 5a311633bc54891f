"""Let a contact that was deleted leave all surveys, on the bus: what waits ends, and its answers are in no figure any
more. May be repeated: each row is taken away once."""

from collections.abc import Sequence

from chalicelib.features.surveys import ledger
from chalicelib.features.surveys import service as surveys
from chalicelib.flows.surveys import timing
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried


def deleted(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Withdraw all of those who were deleted."""
    for event in told:
        withdraw(tenant, str(event.data["contact_id"]))


def withdraw(tenant: Tenant, contact_id: str) -> None:
    """End what waits for a contact that is gone, and take what it was sent and has answered out of the figures."""
    for each in surveys.sends_of(tenant, contact_id):
        retried(lambda each=each: _end(tenant, contact_id, each.survey_id, each.id))  # type: ignore[misc]
        if each.day is not None:
            told_by = f"{each.survey_id}#{each.id}#{contact_id}#gone"
            surveys.tally(tenant, each.survey_id, each.day, ledger.negative(ledger.SENT), told_by)
    for answered in surveys.responses_of(tenant, contact_id):
        gone = ledger.negative(answered.counted)
        surveys.tally(tenant, answered.survey_id, answered.day, gone, f"{answered.id}#gone")


def _end(tenant: Tenant, contact_id: str, survey_id: str, send_id: str) -> None:
    known = surveys.send(tenant, table.get(surveys.send_key(tenant, contact_id, survey_id, send_id)))
    if known is None or known.due_at is None:
        return
    # A reminder may be still to come of one that was sent.
    ended = known.skipped("deleted") if known.state == "waiting" else known.without_reminder("deleted")
    table.transact([surveys.save_send(tenant, ended), *timing.stop_ops(tenant, known)])
