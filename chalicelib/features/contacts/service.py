"""Public verbs of the contacts feature."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chalicelib.core import clock, events
from chalicelib.core.errors import Conflict, NotFound, Unavailable, ValidationFailed, detail
from chalicelib.core.lineage import Source
from chalicelib.core.scoring import State
from chalicelib.features.contacts import fold, kinship, lists, store, verdict
from chalicelib.features.contacts.model import (
    BY_NO_SETTINGS,
    MAX_TAGS,
    Contact,
    Merge,
    Preference,
    Stamp,
    normal_email,
    normal_tags,
)
from chalicelib.features.contacts.rules import Clash, Directory, Identity, Names, Pointer, Resolved
from chalicelib.platform import outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.table import ConditionFailed, Item, Op

__all__ = [
    "Award",
    "Change",
    "Filter",
    "Received",
    "absorber",
    "awarding",
    "clashed",
    "count",
    "count_changes",
    "delete",
    "directory",
    "directory_with_emails",
    "drop_tags",
    "erase",
    "get",
    "has_absorbed",
    "ids_page",
    "join_group",
    "joined",
    "key",
    "keys",
    "listing",
    "lost",
    "merge",
    "merge_traits",
    "normal_email",
    "note_clash",
    "oldest",
    "pointers",
    "put",
    "read",
    "remains",
    "rescore",
    "retried",
    "saving",
    "score",
    "see",
    "still_absorbs",
    "tagged",
    "touch",
    "update",
]

Filter = lists.Filter
listing = lists.listing
ids_page = lists.ids_page
oldest = lists.oldest
merge_traits = fold.merge_traits
touch = fold.touch
join_group = fold.join_group
remains = store.remains
erase = store.erase
see = fold.see
score = fold.score

T = TypeVar("T")

_ATTEMPTS = 10
_LONGEST_PAUSE = 0.1
_COUNTED_AT_ONCE = 90
_CLASHES_MAX = 20


@dataclass(frozen=True, slots=True)
class Change:
    """What a caller of the Management API sets; empty and None mean untouched."""

    traits: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] | None = None
    add_tags: Sequence[str] = ()
    remove_tags: Sequence[str] = ()
    unsubscribed: bool | None = None


_NOTHING = Change()


@dataclass(frozen=True, slots=True)
class Received:
    """When a call of the Management API was received: however often it is tried, it counts at that moment.

    `moment` is the project's, in ms; `request_id` tells what was received before it and what after.
    """

    moment: int
    request_id: str

    def stamp(self) -> Stamp:
        """What decides between this call and the events."""
        receipt = f"evt_{self.request_id.rpartition('_')[2]}"
        return Stamp(self.moment, server_made=True, message_id="", receipt=receipt)


def get(tenant: Tenant, contact_id: str) -> Contact:
    """The contact. Raises NotFound where there is none, or it was deleted or merged."""
    contact = store.fetch_one(tenant, contact_id)
    if contact is None or contact.status == "deleted":
        raise NotFound("There is no such contact.")
    if contact.status == "merged":
        into = store.last_of_chain(tenant, contact)
        raise NotFound("The contact was merged.", details=[{"merged_into": into}])
    return contact


def put(tenant: Tenant, names: Names, change: Change, received: Received, receipt: Receipt) -> tuple[Contact, bool]:
    """Create a contact, or update the one that the names lead to; returns it and whether it is new.

    Raises Conflict where the address belongs to somebody else.
    """

    # The workers use this module too, and start without the models of the API.
    from chalicelib.features.contacts.schemas import shown

    def act() -> tuple[Contact, bool]:
        directory = _read(tenant, names.identities())
        resolved = directory.resolve(names, received.stamp(), received.moment, trusts_email=True)
        ops = _change(tenant, resolved, change, received, directory)
        receipt.commit(ops, 201 if resolved.is_new else 200, shown(resolved.contact).model_dump(mode="json"))
        return resolved.contact, resolved.is_new

    return retried(act)


def update(tenant: Tenant, contact_id: str, change: Change, received: Received) -> Contact:
    """Change a contact. Raises NotFound; Conflict where the address that it sets belongs to somebody else."""

    def act() -> Contact:
        contact = get(tenant, contact_id)
        if change == _NOTHING:
            return contact
        email = normal_email(change.traits.get("email"))
        wanted = [Identity("email", email)] if email else []
        directory = _read(tenant, wanted, contact)
        table.transact(_change(tenant, Resolved(contact, contact.id), change, received, directory))
        return contact

    return retried(act)


def delete(tenant: Tenant, contact_id: str, now: int, *, purges: bool = False, beside: Sequence[Op] = ()) -> None:
    """Take the contact out of every read at once; its identities are free from then on. Raises NotFound.

    With `purges` the event tells that all of it is to be removed now. `beside` belongs into the same transaction.
    """

    def act() -> None:
        contact = get(tenant, contact_id)
        addresses = [contact.email] if contact.email is not None else []
        data = {"contact_id": contact.id, "purges": purges, "addresses": addresses}
        told = outbox.emit(tenant, events.CONTACT_DELETED, data, now)
        table.transact([store.retire(tenant, contact, now), told, *beside])

    retried(act)


def merge(
    tenant: Tenant,
    contact_id: str,
    source_id: str,
    preference: Preference,
    received: Received,
    receipt: Receipt,
    answer: Callable[[Contact], Mapping[str, Any]],
) -> None:
    """Make the source part of the contact; `answer` makes of the contact what the caller is answered.

    Raises NotFound for either, ValidationFailed where they are the same.
    """
    if contact_id == source_id:
        message = "A contact can't be merged into itself."
        raise ValidationFailed(message, details=[detail("source_contact_id", "same", message)])

    def act() -> None:
        contact, source = get(tenant, contact_id), get(tenant, source_id)
        directory = _with_emails(tenant, [], {}, {contact.id: contact, source.id: source})
        tags_before = list(contact.tags)
        unsubscribed_before = contact.unsubscribed_at
        kinship.absorb(contact, source, source.id)
        contact.merges.append(Merge(received.stamp(), preference, contact.id, source.id))
        directory.join(contact, source)
        resolved = Resolved(contact, contact.id, joined=[source])
        changed, _ = fold.settle(contact)
        changed |= {"tags"} if contact.tags != tags_before else set()
        changed |= {"unsubscribed_at"} if contact.unsubscribed_at != unsubscribed_before else set()
        clashes = directory.settle_emails(resolved)
        contact.updated_at = max(contact.updated_at, received.moment)
        ops = [
            *saving(tenant, contact, directory),
            *joined(tenant, contact, source, "merge", received.moment, changed),
            *store.tag_ops(tenant, contact, tags_before),
            *(op for who, clash in clashes for op in clashed(tenant, who, clash)),
            *_stale_scores(tenant, contact, received.moment),
        ]
        receipt.commit(ops, 200, answer(contact))

    retried(act)


@dataclass(frozen=True, slots=True)
class Award:
    """An address that goes to whoever claimed it first, and what writes it.

    `loser` is who has held it so far, where its timeline does not tell of the clash yet.
    """

    winner: Contact
    loser: Contact | None
    ops: list[Op]


def awarding(tenant: Tenant, address: str, now: int) -> Award | None:
    """What is to be written so that an address is held by the first who claimed it, of those whose email it is.

    None where that is so already. It is to be read and written again where the table refuses `ops`.
    """
    identity = Identity("email", address)
    pointers = store.identity_pointers(tenant, [identity])
    people: dict[str, Contact] = {}
    candidates: list[tuple[Stamp, str]] = []
    for claimants in store.email_claimants(tenant, address):
        people |= store.fetch(tenant, claimants)
        candidates = _claims(people, address)
        if candidates:
            break  # those of later pages claimed it later
    people |= store.fetch(tenant, {pointer.contact for pointer in pointers.values()} - people.keys())
    directory = Directory(pointers, people.values(), [identity])
    holder = directory.holder(address)
    candidates = _claims(people, address)
    if not candidates or people[min(candidates)[1]] is holder:
        return None
    winner = people[min(candidates)[1]]
    clash = directory.hand_over(address, holder, winner)
    is_news = holder is not None and clash is not None and note_clash(holder, clash)
    changed = [each for each in (winner, holder) if each is not None]
    for each in changed:
        each.updated_at = max(each.updated_at, now)
    ops = [
        *saving(tenant, winner, directory),
        *(store.save(tenant, each) for each in changed if each is not winner),
        *(op for op in (clashed(tenant, holder, clash) if holder is not None and clash is not None else [])),
        *(
            outbox.emit(tenant, events.CONTACT_UPDATED, {"contact_id": each.id, "changed": ["email"]}, now)
            for each in changed
        ),
    ]
    return Award(winner, holder if is_news else None, ops)


def _claims(people: Mapping[str, Contact], address: str) -> list[tuple[Stamp, str]]:
    """Those whose email it would be, if nobody else held it, with the time of their claim."""
    return [
        (claim, contact.id)
        for contact in people.values()
        if contact.status == "active"
        and normal_email(contact.traits.get("email")) == address
        and (claim := verdict.claims_email(contact, address)) is not None
    ]


def count(tenant: Tenant) -> int:
    """How many contacts the project has; lags a write by less than 2 s."""
    return store.count(tenant)


def count_changes(tenant: Tenant, contact_ids: Iterable[str], name: str, delta: int) -> None:
    """Add `delta` to the project's count for each of the contacts, once for each contact and event name."""
    waiting = list(dict.fromkeys(contact_ids))
    while waiting:
        some, waiting = waiting[:_COUNTED_AT_ONCE], waiting[_COUNTED_AT_ONCE:]
        try:
            table.transact(store.count_ops(tenant, dict.fromkeys(some, name), delta * len(some)))
        except ConditionFailed as refused:
            # Counted before: those are left out and the rest is tried again.
            waiting = [contact_id for n, contact_id in enumerate(some) if n not in refused.failed] + waiting


def pointers(tenant: Tenant, names: Iterable[Names]) -> dict[Identity, Pointer]:
    """Where each identity points; one read."""
    return store.identity_pointers(tenant, {identity for each in names for identity in each.identities()})


def keys(tenant: Tenant, found: Mapping[Identity, Pointer]) -> list[Key]:
    """The rows to read for a directory of these pointers."""
    return [store.contact_key(tenant, contact_id) for contact_id in {pointer.contact for pointer in found.values()}]


def directory(
    tenant: Tenant, names: Iterable[Names], found: Mapping[Identity, Pointer], items: Mapping[Key, Item]
) -> Directory:
    """Who is who, from pointers and the rows that were read for them; what merged ones lead to is read besides."""
    people = store.from_items(tenant, items, {pointer.contact for pointer in found.values()})
    return Directory(found, people, {identity for each in names for identity in each.identities()})


def key(tenant: Tenant, contact_id: str) -> Key:
    """The row of a contact."""
    return store.contact_key(tenant, contact_id)


def read(item: Item | None) -> Contact | None:
    """The contact that a row stands for, deleted and merged ones too."""
    return None if item is None else store.from_item(item)


def rescore(tenant: Tenant, contact: Contact, scores: Mapping[str, State], version: int, now: int) -> list[Op]:
    """The operations that give the contact these scores, over the version that was read, and tell of it."""
    contact.scores, contact.scored_by = dict(scores), version
    told = outbox.emit(tenant, events.CONTACT_RESCORED, {"contact_id": contact.id}, now)
    return [store.save(tenant, contact), told]


def directory_with_emails(tenant: Tenant, names: Names) -> Directory:
    """Who is who for one event that changes several contacts: with the addresses that each of them has said."""
    found = store.identity_pointers(tenant, names.identities())
    people = store.fetch(tenant, {pointer.contact for pointer in found.values()})
    return _with_emails(tenant, names.identities(), found, people)


def saving(tenant: Tenant, contact: Contact, directory: Directory) -> list[Op]:
    """The operations that write the contact over the version read, and what was decided of its identities."""
    claims, contested = directory.take_pending(contact)
    now = contact.updated_at
    told = [outbox.emit(tenant, events.EMAIL_CONTESTED, {"addresses": contested}, now)] if contested else []
    return [
        store.save(tenant, contact),
        *(store.claim(tenant, identity, claim) for identity, claim in claims.items()),
        *told,
    ]


def joined(tenant: Tenant, target: Contact, source: Contact, by: str, now: int, changed: Iterable[str]) -> list[Op]:
    """The operations that tell of a contact that is part of the target now; `by` is what made it so."""
    data = {"contact_id": target.id, "source_contact_id": source.id, "by": by, "changed": sorted(changed)}
    return [store.save(tenant, source), outbox.emit(tenant, events.CONTACT_MERGED, data, now)]


def lost(
    tenant: Tenant, loser: Contact, winner: Contact, directory: Directory, now: int, changed: Iterable[str]
) -> list[Op]:
    """The operations that tell of a contact that an anonymous id has left for another one."""
    moved = {"contact_id": winner.id, "source_contact_id": loser.id}
    left = {"contact_id": loser.id, "changed": sorted(changed)}
    return [
        *saving(tenant, loser, directory),
        outbox.emit(tenant, events.VISITOR_MOVED, moved, now),
        outbox.emit(tenant, events.CONTACT_UPDATED, left, now),
        *_stale_scores(tenant, loser, now),
    ]


def _stale_scores(tenant: Tenant, contact: Contact, now: int) -> list[Op]:
    is_stale = contact.scored_by == BY_NO_SETTINGS
    return [outbox.emit(tenant, events.SCORES_STALE, {"contact_id": contact.id}, now)] if is_stale else []


def tagged(tenant: Tenant, contact: Contact, before: Sequence[str]) -> list[Op]:
    """The operations that list the contact under the tags that it did not have before."""
    return store.tag_ops(tenant, contact, before)


def clashed(tenant: Tenant, contact: Contact, clash: Clash) -> list[Op]:
    """The operation that remembers a contact's claim to an address that somebody else holds."""
    claim = verdict.claims_email(contact, clash.address)
    return [store.email_claim(tenant, clash.address, contact.id, claim)] if claim is not None else []


def note_clash(contact: Contact, clash: Clash) -> bool:
    """True where the contact's timeline does not tell of this clash yet; it is to tell of it now."""
    if clash.is_earlier or clash.held_by is None or clash.address in contact.clashes:
        return False
    contact.clashes = [*contact.clashes, clash.address][-_CLASHES_MAX:]
    return True


def _read(tenant: Tenant, identities: Sequence[Identity], known: Contact | None = None) -> Directory:
    found = store.identity_pointers(tenant, identities)
    people = store.fetch(tenant, {pointer.contact for pointer in found.values()} - ({known.id} if known else set()))
    return Directory(found, [*people.values(), *([known] if known else [])], identities)


def _with_emails(
    tenant: Tenant, identities: Sequence[Identity], found: Mapping[Identity, Pointer], people: Mapping[str, Contact]
) -> Directory:
    said = {address for each in people.values() for part in each.parts.values() for address in part.emails}
    emails = [Identity("email", address) for address in sorted(said)]
    pointers = store.identity_pointers(tenant, emails)
    holders = store.fetch(tenant, {pointer.contact for pointer in pointers.values()} - people.keys())
    everybody = holders | dict(people)
    return Directory(pointers | dict(found), everybody.values(), [*identities, *emails])


def _change(tenant: Tenant, resolved: Resolved, change: Change, received: Received, directory: Directory) -> list[Op]:
    contact, now = resolved.contact, received.moment
    tags_before = list(contact.tags)
    changed = {f"traits.{key}" for key in _set_traits(contact, change.traits, received.stamp())}
    before = (contact.email, contact.unsubscribed_at)
    clash = directory.settle_email(contact) if "email" in change.traits else None
    if clash is not None and clash.held_by is not None:
        raise Conflict(
            "The email belongs to another contact.",
            details=[detail("traits.email", "taken", "Merge the contacts, or use another address.")],
        )
    contact.tags = _tags(contact, change)
    if change.unsubscribed is not None:
        contact.unsubscribed_at = (contact.unsubscribed_at or now) if change.unsubscribed else None
    contact.updated_at = max(contact.updated_at, now)
    name = events.CONTACT_CREATED if resolved.is_new else events.CONTACT_UPDATED
    now_is = (contact.email, contact.unsubscribed_at)
    changed |= {
        field for field, old, new in zip(("email", "unsubscribed_at"), before, now_is, strict=True) if old != new
    }
    changed |= {"tags"} if contact.tags != tags_before else set()
    changed |= {"external_id"} if resolved.is_named else set()
    told = outbox.emit(tenant, name, {"contact_id": contact.id, "changed": sorted(changed)}, now)
    return [*saving(tenant, contact, directory), *store.tag_ops(tenant, contact, tags_before), told]


def _set_traits(contact: Contact, traits: Mapping[str, Any], stamp: Stamp) -> set[str]:
    if traits.get("email") is not None and normal_email(traits["email"]) is None:
        message = "Not an email address."
        raise ValidationFailed(message, details=[detail("traits.email", "invalid", message)])
    changed, overflow = fold.settle_traits(contact, traits, stamp)
    if overflow:
        raise ValidationFailed(
            "The contact's traits are full.",
            details=[detail(f"traits.{key}", "overflow", "Remove other traits first.") for key in overflow],
        )
    return changed


def _tags(contact: Contact, change: Change) -> list[str]:
    start = contact.tags if change.tags is None else change.tags
    tags = normal_tags(tag for tag in [*start, *change.add_tags] if tag not in change.remove_tags)
    if len(tags) > MAX_TAGS:
        raise ValidationFailed(
            "The contact has too many tags.",
            details=[detail("add_tags", "too_many", f"A contact has at most {MAX_TAGS} tags.")],
        )
    return tags


def absorber(tenant: Tenant, contact_id: str) -> Contact | None:
    """The active contact that the id leads to by now; None where it is gone."""
    contact = store.fetch(tenant, [contact_id])
    leads = contact_id
    while leads in contact and contact[leads].merged_into is not None:
        leads = contact[leads].merged_into or ""
    found = contact.get(leads)
    return found if found is not None and found.status == "active" else None


def still_absorbs(tenant: Tenant, contact: Contact, source: Source) -> Op:
    """The operation that refuses a transaction where the contact no longer takes the same rows from the source."""
    return store.still_absorbs(tenant, contact, source)


def has_absorbed(tenant: Tenant, contact_id: str, move_id: str) -> None:
    """All rows of a source lie in the contact's own partition now. May be repeated."""

    def act() -> None:
        contact = absorber(tenant, contact_id)
        source = next((each for each in contact.absorbing if each.id == move_id), None) if contact else None
        if contact is None or source is None:
            return
        contact.absorbing = tuple(each for each in contact.absorbing if each != source)
        ops = [store.save(tenant, contact)]
        is_last = all((each.anonymous_id, each.ceded_by) != source[2:] for each in contact.absorbing)
        loser = absorber(tenant, source.ceded_by) if source.ceded_by is not None and is_last else None
        if loser is not None and source.anonymous_id in loser.ceding and loser.id != contact.id:
            del loser.ceding[source.anonymous_id]
            ops.append(store.save(tenant, loser))
        table.transact(ops)

    retried(act)


def drop_tags(tenant: Tenant, contact_id: str) -> None:
    """Take a merged contact out of the lists by tag. May be repeated."""
    store.drop_tags(tenant, contact_id)


def retried(act: Callable[[], T]) -> T:
    for attempt in range(_ATTEMPTS):
        try:
            return act()
        except ConditionFailed:
            clock.sleep(random.uniform(0, _LONGEST_PAUSE * attempt / _ATTEMPTS))  # noqa: S311 - jitter, not a secret
    raise Unavailable
