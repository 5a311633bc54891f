"""Join a waitlist: a contact, and one entry for it, however often it is asked for.

Order: the contact is created or updated first; then one transaction writes the entry with its code, its place at the
end of the queue, and the event that tells of it. A death between leaves a contact that has not joined. What follows,
a referral, a mail, webhooks, is the bus's work.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.core import events, ids
from chalicelib.core.errors import NotFound
from chalicelib.features.codes import service as codes
from chalicelib.features.codes.model import TAIL, Code
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.contacts.names import Names
from chalicelib.features.contacts.service import Received
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.model import Project
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.model import Entry, Waitlist
from chalicelib.features.waitlists.order import Moved
from chalicelib.features.waitlists.schemas import EntryAnswer
from chalicelib.flows.waitlists import read
from chalicelib.platform import definitions, outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Check, ConditionFailed, Op, attr

_CREATED, _OK = 201, 200
_CODE, _CONTACT, _POINTER, _PLACE = 0, 1, 2, 4
"""Which operations claim the code, hold the contact, hold that it has no entry here, and give it its place."""


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


@dataclass(frozen=True, slots=True)
class Joined:
    """The entry, and whether it is new."""

    waitlist_id: str
    entry: EntryAnswer
    is_new: bool


def run(tenant: Tenant, name: str, asked: Asked, receipt: Receipt) -> Joined:
    """The entry in the waitlist of that id or slug. Raises NotFound."""
    rows = table.batch_get([definitions.key(tenant), projects.key(tenant)])
    version = definitions.version_in(rows.get(definitions.key(tenant)))
    project = projects.read(tenant, rows.get(projects.key(tenant)))
    joining = _Joining(tenant, waitlists.get(tenant, name, version), project, asked)
    return waitlists.retried(lambda: joining.attempt(receipt))


@dataclass(slots=True)
class _Joining:
    """One call, in as many attempts as it takes: what was found in one of them serves the next.

    `is_free` where the contact is known to have no entry here. `tail` is the length of the code's tail, `node` that
    below which the entry was put.
    """

    tenant: Tenant
    waitlist: Waitlist
    project: Project
    asked: Asked
    contact: Contact | None = None
    is_free: bool = False
    tail: int = TAIL
    node: str | None = None

    def attempt(self, receipt: Receipt) -> Joined:
        contact = self._person()
        known = self._known(contact)
        if known is not None:
            answer = read.entry(self.tenant, known)
            receipt.commit([], _OK, answer.model_dump(mode="json"))
            return Joined(self.waitlist.id, answer, False)
        entry, around = self._add(contact, receipt)
        # Not of the moment before: who joined at the same time is counted.
        answer = around.shown(entry, waitlists.position(self.tenant, entry, self.node))
        receipt.amend(_CREATED, answer.model_dump(mode="json"))
        return Joined(self.waitlist.id, answer, True)

    def _person(self) -> Contact:
        if self.contact is None:
            self.contact, self.is_free = _contact(self.tenant, self.asked)
        return self.contact

    def _known(self, contact: Contact) -> Entry | None:
        if self.is_free:
            return None
        known = waitlists.pointed(self.tenant, contact.id, self.waitlist.id)
        if known is None:
            self.is_free = True
            return None
        found = waitlists.find_entry(self.tenant, self.waitlist.id, known)
        if found is None:
            raise Moved
        return found

    def _add(self, contact: Contact, receipt: Receipt) -> tuple[Entry, read.Beside]:
        with waitlists.in_turn(self.waitlist.id):
            return self._written(contact, receipt)

    def _written(self, contact: Contact, receipt: Receipt) -> tuple[Entry, read.Beside]:
        code = codes.draft(contact.traits.get("name"), self.project.name, self.tail)
        entry, place = self._placed(contact, code)
        owner = Code(code, "entry", self.waitlist.id, contact.id, entry.id, self.waitlist.landing_url)
        ops: list[Op] = [
            codes.claim_op(self.tenant, owner),
            Check(contacts.key(self.tenant, contact.id), attr("version").eq(contact.version)),
            waitlists.point(self.tenant, entry),
            waitlists.save(self.tenant, entry),
            *place,
            *self._told(entry),
        ]
        around = read.Beside({contact.id: contact.email}, self.project.referral_base_url)
        answer = around.shown(entry, None).model_dump(mode="json")
        try:
            receipt.commit(ops, _CREATED, answer, is_final=False)
        except ConditionFailed as refused:
            self._learn(refused, contact.id)
            raise
        return entry, around

    def _placed(self, contact: Contact, code: str) -> tuple[Entry, list[Op]]:
        """The new entry, and what puts it at the end of the queue, or among those who were approved."""
        now = self.asked.received.moment
        made = Entry(ids.new_id("wl_entry"), self.waitlist.id, contact.id, now, (code,))
        if self.waitlist.auto_approve:
            return made.approved(now), [waitlists.raise_approved(self.tenant, self.waitlist.id)]
        order, last = waitlists.at_end(self.tenant, self.waitlist.id)
        ulid, joined_at, before = ids.new_ulid(), now, last.tail
        if before is not None and before.ulid:
            # In the order of the queue both grow, whoever's clock goes before.
            ulid, joined_at = ids.ulid_after(before.ulid), max(now, before.joined_at)
        leaf = order.append(last, ulid, joined_at)
        self.node = order.leaf(leaf).node
        entry = Entry(waitlists.entry_id(ulid), self.waitlist.id, contact.id, joined_at, (code,), leaf=leaf)
        return entry, waitlists.order_ops(self.tenant, self.waitlist.id, order, alone=True)

    def _told(self, entry: Entry) -> list[Op]:
        now = self.asked.received.moment
        data = {"waitlist_id": self.waitlist.id, "entry_id": entry.id, "contact_id": entry.contact_id}
        came_by = {
            "joined_at": entry.joined_at,
            "referral_code": self.asked.referral_code,
            "ip": self.asked.ip,
            # Here, where the deployment's secret may be read: the bus may not.
            "source": waitlists.source_of(self.asked.ip) if self.asked.ip else None,
            "user_agent": self.asked.user_agent,
        }
        created = outbox.emit(self.tenant, events.ENTRY_CREATED, data | came_by, now)
        if entry.approved_at is None:
            return [created]
        approved = data | {"approved_at": entry.approved_at}
        return [created, outbox.emit(self.tenant, events.ENTRY_APPROVED, approved, now)]

    def _learn(self, refused: ConditionFailed, contact_id: str) -> None:
        """What the next attempt does in another way. Raises NotFound where there is none."""
        if self.waitlist.auto_approve and _PLACE in refused.failed:
            raise NotFound("There is no such waitlist.") from None
        if _CODE in refused.failed:
            self.tail += 1
        if _POINTER in refused.failed:
            self.is_free = False
        if _CONTACT in refused.failed:
            stands = contacts.read(table.get(contacts.key(self.tenant, contact_id)))
            self.contact = stands if stands is not None and stands.status == "active" else None


def _contact(tenant: Tenant, asked: Asked) -> tuple[Contact, bool]:
    """The contact of the address, with the traits that are given, and whether it is new.

    What somebody says who joins by itself counts only where it is not known yet: the address may be anybody's.
    """
    traits = dict(asked.traits) | {"email": asked.email}
    if asked.by_itself:
        known, _ = contacts.listing(tenant, contacts.Filter(email=asked.email), 1, None)
        missing = {name: value for name, value in traits.items() if not known or name not in known[0].traits}
        if known and not any(value is not None for value in missing.values()):
            return contacts.get(tenant, known[0].id), False
        traits = missing | {"email": asked.email}
    names = Names(email=asked.email)
    return contacts.put(tenant, names, contacts.Change(traits), asked.received, Receipt(tenant, asked.received.moment))
