"""Count sends and answers, on the bus; each once, whatever comes twice."""

from collections.abc import Sequence

from chalicelib.core import events
from chalicelib.features.surveys import ledger
from chalicelib.features.surveys import service as surveys
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Count what these events tell."""
    for event in told:
        deltas = ledger.SENT if event.name == events.SURVEY_SENT else event.data["counted"]
        if deltas:
            surveys.tally(tenant, str(event.data["survey_id"]), str(event.data["day"]), deltas, event.id)
