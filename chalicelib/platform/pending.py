"""Marks of work in flight in a test project: its clock moves when none is left. Live projects have none.

Whoever hands work on (queues a message, writes a row that the bus must handle) leaves a mark first, and the last
handler removes it, after it has left the marks of whatever it handed on itself.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from chalicelib.core import clock
from chalicelib.platform import observability, table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.table import ConditionFailed, Delete, Put, attr

Kind = Literal["INGEST", "EVT", "JOB", "HOOK", "MAIL"]
"""What is in flight: an ingest message, a new row of a timeline that the bus has not handled, a job, a webhook, a mail.

A domain event that the bus has not handled is its own mark (`platform/outbox.py`).
"""

LASTS = clock.HOUR
"""Milliseconds of the real clock after which work counts as lost. All deliveries of a message together take less (but
for webhooks), so a mark this old belongs to a dead letter, or to somebody who died before the work was handed on."""

_WEBHOOKS_LAST = 6 * clock.HOUR
"""The same for webhooks, which wait in the lanes of their endpoint: of one that hangs, four leave each 15 seconds."""

_LOOKS = 2


def mark(tenant: Tenant, kind: Kind, ident: str) -> list[Put]:
    """The row that marks this work; none for a live project."""
    lasts = _WEBHOOKS_LAST if kind == "HOOK" else LASTS
    return [Put(tenant.pending(kind, ident), expiry(lasts))] if tenant.is_test else []


def expiry(lasts: int = LASTS) -> dict[str, int]:
    """The attributes by which a mark that nobody removes is told from work that still runs; `lasts` in ms."""
    ends = clock.system_ms() + lasts
    return {"expires_at": ends, "ttl": ends // clock.SECOND}


def put(marks: Sequence[Put]) -> None:
    """Write marks before the work is handed on; a call for each hundred."""
    for start in range(0, len(marks), table.MAX_TRANSACTION):
        table.transact(marks[start : start + table.MAX_TRANSACTION])


def remove(keys: Iterable[Key]) -> None:
    """The work behind these marks is done; a call for each hundred. Marks that are gone already are passed over."""
    gone = [Delete(key) for key in dict.fromkeys(keys)]
    for start in range(0, len(gone), table.MAX_TRANSACTION):
        table.transact(gone[start : start + table.MAX_TRANSACTION])


def is_settled(tenant: Tenant) -> bool:
    """True where no work of the test project is in flight.

    It looks twice: while work is handed on, one look may pass the new mark's place before it is written and come to the
    old one's after it is removed.
    """
    return all(_is_empty(tenant) for _ in range(_LOOKS))


def _is_empty(tenant: Tenant) -> bool:
    while found := table.query(tenant.pending_partition(), limit=1).items:
        (row,) = found
        if row["expires_at"] > clock.system_ms():
            return False
        observability.metric("PendingMarkExpired")
        try:
            table.write(Delete(Key(row["PK"], row["SK"]), attr("expires_at").eq(row["expires_at"])))
        except ConditionFailed:
            return False  # renewed meanwhile
    return True
