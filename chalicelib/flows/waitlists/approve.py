"""Approve who waits: one entry, or so many of them. Each leaves the queue in one transaction with the event that tells
of it, and which sends the invite; so nobody is approved twice, and everybody who is approved is invited.

Many are approved in transactions of up to 23. With an Idempotency-Key each of them also writes the answer so far: after
a death between two the same call is answered with those who were approved until then, and approves nobody.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from chalicelib.core import clock, events
from chalicelib.core.errors import Unavailable
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.model import BatchOrder, Entry, Waitlist
from chalicelib.features.waitlists.order import Moved, Order
from chalicelib.features.waitlists.schemas import BatchAnswer, EntryAnswer
from chalicelib.features.waitlists.service import Parts
from chalicelib.flows.waitlists import read
from chalicelib.platform import outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Op

_OK = 200
_AT_ONCE: Final = 23
_OPS_OF_EACH: Final = 4
_OPS_BESIDE: Final = 4
"""The root, the answer, and a leaf and a node that the next entry may bring in."""

_LASTS_S: Final = 10.0
"""Seconds after which a call approves no more: its answer tells how many there were. The edge lets no request begin a
call to the table after 15."""


def one(tenant: Tenant, waitlist: Waitlist, entry_id: str, now: int, receipt: Receipt) -> EntryAnswer:
    """The entry, approved by this call or before. Raises NotFound."""

    def act() -> EntryAnswer:
        known = waitlists.entry(tenant, waitlist.id, entry_id)
        if known.status == "approved":
            answer = read.beside(tenant, [known]).shown(known, None)
            receipt.commit([], _OK, answer.model_dump(mode="json"))
            return answer
        order, _ = waitlists.begun(tenant, waitlist.id)
        ops = _leaving(tenant, order, known, now)
        answer = read.beside(tenant, [known]).shown(known.approved(now), None)
        written = waitlists.order_ops(tenant, waitlist.id, order, approved=1, left=1)
        receipt.commit([*ops, *written], _OK, answer.model_dump(mode="json"))
        return answer

    return waitlists.retried(act)


def batch(tenant: Tenant, waitlist: Waitlist, count: int, order: BatchOrder, now: int, receipt: Receipt) -> BatchAnswer:
    """Approve `count` of those who wait, or all of them where there are fewer. Raises NotFound."""
    approving = _Batch(tenant, waitlist, order, now, receipt)
    started = clock.monotonic()
    while len(approving.done) < count and clock.monotonic() - started < _LASTS_S:
        wanted = min(count - len(approving.done), _AT_ONCE)
        try:
            if not waitlists.retried(lambda wanted=wanted: approving.some(wanted)):  # type: ignore[misc]
                break
        except Unavailable:
            if not approving.done:
                raise
            # Whom it has approved the caller has to know. What is remembered under its key stands as it was written.
            return approving.answer
    return approving.ended()


@dataclass(slots=True)
class _Batch:
    """One call, and whom it has approved so far."""

    tenant: Tenant
    waitlist: Waitlist
    order: BatchOrder
    now: int
    receipt: Receipt
    done: list[EntryAnswer] = field(default_factory=list)

    def some(self, wanted: int) -> bool:
        """Approve as many as fit into one transaction; False where nobody waits."""
        order, parts = waitlists.begun(self.tenant, self.waitlist.id)
        first = self._first(order, parts, wanted)
        ops: list[Op] = []
        leaving: list[Entry] = []
        for each in first:
            size = _OPS_OF_EACH * (len(leaving) + 1) + len(order.branches) + len(order.leaves) + _OPS_BESIDE
            if size > table.MAX_TRANSACTION:
                break
            ops += _leaving(self.tenant, order, each, self.now)
            leaving.append(each)
        if not leaving:
            return False
        count = len(leaving)
        ops += waitlists.order_ops(self.tenant, self.waitlist.id, order, approved=count, left=count)
        around = read.beside(self.tenant, leaving)
        told = [around.shown(each.approved(self.now), None) for each in leaving]
        write = self.receipt.commit_more if self.done else self.receipt.commit
        write(ops, _OK, _answer([*self.done, *told]), is_final=False)
        self.done += told
        return True

    def ended(self) -> BatchAnswer:
        """The answer, which from now on is the one to a repeated call."""
        if self.done:
            with suppress(Unavailable):  # the last of the answers so far is the same
                self.receipt.amend(_OK, _answer(self.done))
        else:
            self.receipt.commit([], _OK, _answer([]))
        return self.answer

    @property
    def answer(self) -> BatchAnswer:
        """Whom it has approved so far."""
        return BatchAnswer(approved=len(self.done), data=self.done)

    def _first(self, order: Order, parts: Parts, wanted: int) -> Sequence[Entry]:
        if self.order == "joined_at":
            return waitlists.entries(self.tenant, self.waitlist.id, "waiting", wanted, None)
        first = [waitlists.entry_id(ulid) for ulid in order.page(0, wanted)]
        found = parts.entries(first)
        if len(found) < len(first):
            raise Moved  # somebody else has taken them meanwhile, and others wait behind them
        return list(found.values())


def _leaving(tenant: Tenant, order: Order, known: Entry, now: int) -> list[Op]:
    """Take an entry out of the order; returns what makes it an approved one."""
    order.remove(known.ulid, known.leaf or "")
    data = {
        "waitlist_id": known.waitlist_id,
        "entry_id": known.id,
        "contact_id": known.contact_id,
        "approved_at": now,
    }
    told = outbox.emit(tenant, events.ENTRY_APPROVED, data, now)
    after = known.approved(now)
    return [*waitlists.transferred(tenant, known, after), waitlists.point(tenant, after, over=known.id), told]


def _answer(done: Sequence[EntryAnswer]) -> dict[str, Any]:
    return BatchAnswer(approved=len(done), data=list(done)).model_dump(mode="json")
