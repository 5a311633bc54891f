"""Move whoever has brought somebody up in the queue, on the bus.

What: an entry that came with the code of another one of the same waitlist is that one's referral. It is judged once:
the referred entry keeps what came of it, written in the transaction that counts it for the referrer, moves that one up,
and tells of the move. May be repeated: what was judged is not judged again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib.core import events
from chalicelib.features.codes import service as codes
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.referrals import fraud
from chalicelib.features.referrals.fraud import Evidence
from chalicelib.features.referrals.model import REVIEW_SCORE
from chalicelib.features.waitlists import model
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.model import Entry, Waitlist
from chalicelib.features.waitlists.order import LeafFull, Moved
from chalicelib.platform import outbox, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.table import Op
from chalicelib.readings.known import known


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Judge the referrals of entries that are new."""
    for event in told:
        if event.data["referral_code"] is not None:
            waitlists.retried(lambda event=event: _refer(tenant, event))  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class _Referral:
    """Who has brought whom: both entries, and the contacts that they are of by now."""

    referrer: Entry
    referred: Entry
    people: tuple[Contact, Contact]


def _refer(tenant: Tenant, event: DomainEvent) -> None:
    data = event.data
    waitlist = waitlists.find(tenant, str(data["waitlist_id"]))
    found = None if waitlist is None else _found(tenant, waitlist, event)
    if waitlist is None or found is None:
        return
    moments, seen = _joins(tenant, found.referrer, data["source"], event.created_at)
    by, who = found.people
    reasons = _reasons(by, who, model.joins_before(moments, event.created_at))
    judged = replace(
        found.referred,
        referred_by=found.referrer.id,
        referral_status="flagged" if reasons else "counted",
        referral_reasons=reasons,
    )
    credited = [] if reasons else _credited(tenant, waitlist, found.referrer, event.created_at)
    table.transact([*seen, waitlists.save(tenant, judged), *credited])


def _reasons(by: Contact, who: Contact, from_one_ip: int) -> tuple[str, ...]:
    """Why the referral is not to count, by name; none where it is."""
    if by.id == who.id:
        return ("same_contact",)
    sides = known(by), known(who)
    if fraud.is_self(*sides):
        return (fraud.SAME_PERSON.name,)
    found = fraud.reasons(Evidence(*sides, earlier={"ip": from_one_ip}, per_source=model.JOINS_FROM_ONE))
    return tuple(each.name for each in found) if sum(each.score for each in found) >= REVIEW_SCORE else ()


def _found(tenant: Tenant, waitlist: Waitlist, event: DomainEvent) -> _Referral | None:
    """The referral, where the code leads to another entry of the waitlist and nothing was judged yet."""
    owner = codes.find(str(event.data["referral_code"]))
    referred = waitlists.find_entry(tenant, waitlist.id, str(event.data["entry_id"]))
    if owner is None or referred is None or referred.referral_status is not None:
        return None
    whose, code = owner
    if whose != tenant or code.kind != "entry" or code.parent_id != waitlist.id:
        return None
    by, who = contacts.heir(tenant, code.contact_id), contacts.heir(tenant, referred.contact_id)
    if by is None or who is None:
        return None
    referrer = waitlists.find_entry(tenant, waitlist.id, code.item_id) or _absorbing(tenant, waitlist, by)
    if referrer is None or referrer.id == referred.id:
        return None
    return _Referral(referrer, referred, (by, who))


def _absorbing(tenant: Tenant, waitlist: Waitlist, contact: Contact) -> Entry | None:
    """The entry into which that of a code has gone by a merge."""
    known = waitlists.pointed(tenant, contact.id, waitlist.id)
    return None if known is None else waitlists.find_entry(tenant, waitlist.id, known)


def _joins(tenant: Tenant, referrer: Entry, source: str | None, at: int) -> tuple[list[int], list[Op]]:
    if source is None:
        return [], []
    moments, seen = waitlists.joins(tenant, referrer, source, at)
    return moments, [seen]


def _credited(tenant: Tenant, waitlist: Waitlist, referrer: Entry, now: int) -> list[Op]:
    """Count a referral; whoever waits moves up by it. Raises Moved."""
    counted = replace(referrer, referral_count=referrer.referral_count + 1)
    if referrer.leaf is None:
        return [waitlists.save(tenant, counted)]
    order, _ = waitlists.begun(tenant, waitlist.id)
    before = order.index(referrer.ulid, referrer.leaf)
    after = max(0, before - waitlist.referral_boost)
    if after == before:
        # Its place is what was judged, so the order has to stand.
        return [waitlists.save(tenant, counted), *waitlists.order_ops(tenant, waitlist.id, order)]
    try:
        leaf = order.move(referrer.ulid, referrer.leaf, after)
    except LeafFull as full:
        waitlists.split(tenant, waitlist.id, full.leaf_id)
        raise Moved from None
    data = {
        "waitlist_id": waitlist.id,
        "entry_id": referrer.id,
        "contact_id": referrer.contact_id,
        "from": before + 1,
        "to": after + 1,
    }
    return [
        waitlists.save(tenant, replace(counted, leaf=leaf, moves=referrer.moves + 1)),
        *waitlists.order_ops(tenant, waitlist.id, order),
        outbox.emit(tenant, events.POSITION_CHANGED, data, now),
    ]
