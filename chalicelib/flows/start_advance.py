"""Start the job that moves a test project's clock, on the bus. May be repeated: several jobs move it as one does."""

from collections.abc import Sequence

from chalicelib.platform import jobs
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent

KIND = "advance"


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Start a job for each request. The clock does not wait for this job: it would wait for itself."""
    for event in told:
        jobs.send(tenant, KIND, {"advance_id": event.data["advance_id"]}, awaited=False)
