"""Jobs: work too long for one invocation, in pages. `workers/jobs.py` has the dictionary of what runs them.

A job is sent at least once and its pages run at least once: whatever they write must come out the same a second time.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.core import strict_json
from chalicelib.core.errors import Unavailable
from chalicelib.platform import pending, queues
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant

HasTime = Callable[[], bool]
"""False where the invocation ends soon: a page returns then."""


@dataclass(frozen=True, slots=True)
class Later:
    """What a page returns where the next one should not begin at once: its data, and seconds to wait, 0 to 900."""

    data: Mapping[str, Any]
    delay_s: int


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a job. `mark` names what a test project's clock waits for until the last page is done."""

    tenant: Tenant
    kind: str
    data: Mapping[str, Any]
    mark: str | None = None

    @classmethod
    def from_body(cls, body: str) -> "Page":
        """The page that a message tells of."""
        wire = strict_json.loads(body.encode())
        return cls(Tenant(wire["project"]), wire["kind"], wire["data"], wire.get("mark"))


def send(tenant: Tenant, kind: str, data: Mapping[str, Any], *, delay_s: int = 0, awaited: bool = True) -> None:
    """Start a job, `delay_s` seconds from now (0 to 900). `data` is a JSON object.

    The clock of a test project waits for the job, unless `awaited` is False. Raises Unavailable where it was not
    queued; whoever sends the same again after that leaves no second mark.
    """
    marked = awaited and tenant.is_test
    page = Page(tenant, kind, data, _mark(kind, data) if marked else None)
    try:
        queue(page, delay_s)
    except Unavailable:
        finish(page)
        raise


def queue(page: Page, delay_s: int = 0) -> None:
    """Queue a page, `delay_s` seconds from now. Raises Unavailable where it was not queued."""
    wire: dict[str, Any] = {"project": page.tenant.project_id, "kind": page.kind, "data": page.data}
    if page.mark is not None:
        wire["mark"] = page.mark
        pending.put(pending.mark(page.tenant, "JOB", page.mark))
    queues.send(settings().jobs_queue_url, strict_json.dumps(wire), delay_s=delay_s)


def finish(page: Page) -> None:
    """The job has ended with this page."""
    if page.mark is not None:
        pending.remove([page.tenant.pending("JOB", page.mark)])


def _mark(kind: str, data: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{kind} {strict_json.dumps(data)}".encode()).hexdigest()[:32]
