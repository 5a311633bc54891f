"""Join a waitlist: a contact, and one entry for it, however often it is asked for.

Order: the contact is created or updated first; then one transaction writes the entry with its code, its place at the
end of the queue, and the event that tells of it. A death between leaves a contact that has not joined. What follows,
a referral, a mail, webhooks, is the bus's work.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.core import events, ids
from chalicelib.features.codes import service as codes
from chalicelib.features.codes.model import TAIL, Code
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.contacts.names import Names
from chalicelib.features.contacts.service import Received
from chalicelib.features.projects import service as projects
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.model import Entry, Waitlist
from chalicelib.features.waitlists.order import Moved
from chalicelib.features.waitlists.schemas import EntryAnswer
from chalicelib.flows.waitlists import read
from chalicelib.platform import outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Check, ConditionFailed, Op, attr

_CREATED, _OK = 201, 200
_CODE, _CONTACT = 0, 1
"""Which operations claim the code and hold the contact."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who is to join, and by what call. `ip` and `user_agent` are those of whoever joins by itself."""

    email: str
    traits: Mapping[str, Any]
    referral_code: str | None
    received: Received
    by_itself: bool = False
    ip: str | None = None
    user_agent: str | None = None


def run(tenant: Tenant, waitlist: Waitlist, asked: Asked, receipt: Receipt) -> tuple[EntryAnswer, bool]:
    """The entry, and whether it is new. Raises NotFound where the waitlist was deleted meanwhile."""
    joining = _Joining(tenant, waitlist, asked)
    return waitlists.retried(lambda: joining.attempt(receipt))


@dataclass(slots=True)
class _Joining:
    """One call, in as many attempts as it takes: what was found in one of them serves the next."""

    tenant: Tenant
    waitlist: Waitlist
    asked: Asked
    contact: Contact | None = None
    tail: int = TAIL
    last: str | None = None

    def attempt(self, receipt: Receipt) -> tuple[EntryAnswer, bool]:
        contact = self._person()
        known = waitlists.pointed(self.tenant, contact.id, self.waitlist.id)
        if known is not None:
            found = waitlists.find_entry(self.tenant, self.waitlist.id, known)
            if found is None:
                raise Moved
            answer = read.entry(self.tenant, found)
            receipt.commit([], _OK, answer.model_dump(mode="json"))
            return answer, False
        entry = self._add(contact, receipt)
        # Not of the moment before: who joined at the same time is counted.
        answer = read.entry(self.tenant, entry)
        receipt.amend(_CREATED, answer.model_dump(mode="json"))
        return answer, True

    def _person(self) -> Contact:
        if self.contact is None:
            self.contact = _contact(self.tenant, self.asked)
        return self.contact

    def _add(self, contact: Contact, receipt: Receipt) -> Entry:
        project = projects.get(self.tenant)
        code = codes.draft(contact.traits.get("name"), project.name, self.tail)
        entry, place = self._placed(contact, code)
        owner = Code(code, "entry", self.waitlist.id, contact.id, entry.id, self.waitlist.landing_url)
        ops: list[Op] = [
            codes.claim_op(self.tenant, owner),
            Check(contacts.key(self.tenant, contact.id), attr("version").eq(contact.version)),
            waitlists.point(self.tenant, contact.id, self.waitlist.id, entry.id),
            waitlists.save(self.tenant, entry),
            *place,
            *self._told(entry),
        ]
        around = read.Beside({contact.id: contact.email}, project.referral_base_url)
        answer = around.shown(entry, None).model_dump(mode="json")
        try:
            receipt.commit(ops, _CREATED, answer, is_final=False)
        except ConditionFailed as refused:
            self._learn(refused, contact.id)
            raise
        return entry

    def _placed(self, contact: Contact, code: str) -> tuple[Entry, list[Op]]:
        """The new entry, and what puts it at the end of the queue, or among those who were approved."""
        now = self.asked.received.moment
        made = Entry(ids.new_id("wl_entry"), self.waitlist.id, contact.id, now, (code,))
        if self.waitlist.auto_approve:
            return made.approved(now), [waitlists.raise_approved(self.tenant, self.waitlist.id)]
        order, _ = waitlists.begun(self.tenant, self.waitlist.id)
        last = order.tail(self.last)
        ulid, joined_at, before = ids.new_ulid(), now, last.tail
        if before is not None and before.ulid:
            # In the order of the queue both grow, whoever's clock goes before.
            ulid, joined_at = ids.ulid_after(before.ulid), max(now, before.joined_at)
        leaf = order.append(last, ulid, joined_at)
        self.last = leaf
        entry = Entry(waitlists.entry_id(ulid), self.waitlist.id, contact.id, joined_at, (code,), leaf=leaf)
        return entry, waitlists.order_ops(self.tenant, self.waitlist.id, order, alone=True)

    def _told(self, entry: Entry) -> list[Op]:
        now = self.asked.received.moment
        data = {"waitlist_id": self.waitlist.id, "entry_id": entry.id, "contact_id": entry.contact_id}
        came_by = {
            "joined_at": entry.joined_at,
            "referral_code": self.asked.referral_code,
            "ip": self.asked.ip,
            "user_agent": self.asked.user_agent,
        }
        created = outbox.emit(self.tenant, events.ENTRY_CREATED, data | came_by, now)
        if entry.approved_at is None:
            return [created]
        approved = data | {"approved_at": entry.approved_at}
        return [created, outbox.emit(self.tenant, events.ENTRY_APPROVED, approved, now)]

    def _learn(self, refused: ConditionFailed, contact_id: str) -> None:
        """What the next attempt does in another way."""
        if _CODE in refused.failed:
            self.tail += 1
        if _CONTACT in refused.failed:
            stands = contacts.read(table.get(contacts.key(self.tenant, contact_id)))
            self.contact = stands if stands is not None and stands.status == "active" else None


def _contact(tenant: Tenant, asked: Asked) -> Contact:
    """The contact of the address, created where there is none, with the traits that are given.

    What somebody says who joins by itself counts only where it is not known yet: the address may be anybody's.
    """
    traits = dict(asked.traits) | {"email": asked.email}
    if asked.by_itself:
        known, _ = contacts.listing(tenant, contacts.Filter(email=asked.email), 1, None)
        missing = {name: value for name, value in traits.items() if not known or name not in known[0].traits}
        if known and not any(value is not None for value in missing.values()):
            return contacts.get(tenant, known[0].id)
        traits = missing | {"email": asked.email}
    names = Names(email=asked.email)
    contact, _ = contacts.put(
        tenant, names, contacts.Change(traits), asked.received, Receipt(tenant, asked.received.moment)
    )
    return contact
