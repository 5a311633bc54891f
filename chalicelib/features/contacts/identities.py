"""Who is who among the contacts of a project, read from the table, and what writes that it has changed."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from chalicelib.core import clock, events
from chalicelib.core.errors import Unavailable
from chalicelib.core.lineage import Source
from chalicelib.features.contacts import store, verdict
from chalicelib.features.contacts.model import BY_NO_SETTINGS, Contact, Stamp, normal_email
from chalicelib.features.contacts.names import Clash, Identity, JoinedBy, Names, Pointer
from chalicelib.features.contacts.rules import Directory
from chalicelib.platform import outbox, table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.table import ConditionFailed, Item, Op

T = TypeVar("T")

_ATTEMPTS = 10
_LONGEST_PAUSE = 0.1
_CLASHES_MAX = 20


@dataclass(frozen=True, slots=True)
class Award:
    """An address that goes to whoever claimed it first, and what writes it.

    `loser` is who has held it so far, where its timeline does not tell of the clash yet.
    """

    winner: Contact
    loser: Contact | None
    ops: list[Op]


def pointers(tenant: Tenant, names: Iterable[Names]) -> dict[Identity, Pointer]:
    """Where each identity points; one read."""
    return store.identity_pointers(tenant, {identity for each in names for identity in each.identities()})


def name_keys(tenant: Tenant, names: Names) -> list[Key]:
    """The rows that tell where these names point."""
    return [store.identity_key(tenant, each) for each in names.identities()]


def pointed(tenant: Tenant, names: Names, items: Mapping[Key, Item]) -> dict[Identity, str]:
    """Where each of them points by these rows, if anywhere: to a contact, or to one that was merged since."""
    found = zip(names.identities(), name_keys(tenant, names), strict=True)
    return {name: str(items[key]["contact"]) for name, key in found if key in items}


def keys(tenant: Tenant, found: Mapping[Identity, Pointer]) -> list[Key]:
    """The rows to read for a directory of these pointers."""
    return [store.contact_key(tenant, contact_id) for contact_id in {pointer.contact for pointer in found.values()}]


def directory(
    tenant: Tenant, names: Iterable[Names], found: Mapping[Identity, Pointer], items: Mapping[Key, Item]
) -> Directory:
    """Who is who, from pointers and the rows that were read for them; what merged ones lead to is read besides."""
    people = store.from_items(tenant, items, {pointer.contact for pointer in found.values()})
    return Directory(found, people, {identity for each in names for identity in each.identities()})


def directory_with_emails(tenant: Tenant, names: Names) -> Directory:
    """Who is who for one event that changes several contacts: with the addresses that each of them has said."""
    found = store.identity_pointers(tenant, names.identities())
    people = store.fetch(tenant, {pointer.contact for pointer in found.values()})
    return with_emails(tenant, names.identities(), found, people)


def read_directory(tenant: Tenant, identities: Sequence[Identity], known: Contact | None = None) -> Directory:
    found = store.identity_pointers(tenant, identities)
    people = store.fetch(tenant, {pointer.contact for pointer in found.values()} - ({known.id} if known else set()))
    return Directory(found, [*people.values(), *([known] if known else [])], identities)


def saving(tenant: Tenant, contact: Contact, directory: Directory) -> list[Op]:
    """The operations that write the contact over the version read, and what was decided of its identities."""
    claims, is_contested = directory.take_pending(contact)
    now = contact.updated_at
    told = [outbox.emit(tenant, events.EMAIL_CONTESTED, {"contact_id": contact.id}, now)] if is_contested else []
    return [
        store.save(tenant, contact),
        *(store.claim(tenant, identity, claim) for identity, claim in claims.items()),
        *told,
    ]


def joined(tenant: Tenant, target: Contact, source: Contact, by: JoinedBy, changed: Iterable[str]) -> list[Op]:
    """The operations that tell of a contact that is part of the target now."""
    data = {
        "contact_id": target.id,
        "source_contact_id": source.id,
        "by": by.kind,
        "changed": sorted(changed),
        "historical": by.historical,
    }
    return [
        store.save(tenant, source),
        store.absorbed_op(tenant, target.id, source.id),
        outbox.emit(tenant, events.CONTACT_MERGED, data, by.moment),
    ]


def lost(
    tenant: Tenant, loser: Contact, winner: Contact, directory: Directory, by: JoinedBy, changed: Iterable[str]
) -> list[Op]:
    """The operations that tell of a contact that an anonymous id has left for another one."""
    now = by.moment
    moved = {"contact_id": winner.id, "source_contact_id": loser.id, "historical": by.historical}
    left = {"contact_id": loser.id, "changed": sorted(changed), "historical": by.historical}
    return [
        *saving(tenant, loser, directory),
        outbox.emit(tenant, events.VISITOR_MOVED, moved, now),
        outbox.emit(tenant, events.CONTACT_UPDATED, left, now),
        *stale_scores(tenant, loser, now),
    ]


def stale_scores(tenant: Tenant, contact: Contact, now: int) -> list[Op]:
    is_stale = contact.scored_by == BY_NO_SETTINGS
    return [outbox.emit(tenant, events.SCORES_STALE, {"contact_id": contact.id}, now)] if is_stale else []


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


def addresses(tenant: Tenant, contact_id: str) -> set[str]:
    """All addresses that were said of the contact, or of the one that it is part of by now."""
    contact = heir(tenant, contact_id)
    said = [address for part in contact.parts.values() for address in part.emails] if contact is not None else []
    return {*said, *([contact.email] if contact is not None and contact.email is not None else [])}


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


def heir(tenant: Tenant, contact_id: str) -> Contact | None:
    """The contact that the id leads to by now, deleted or not; None where its row is gone."""
    return store.heir(store.fetch(tenant, [contact_id]), contact_id)


def heirs(tenant: Tenant, contact_ids: Iterable[str]) -> dict[str, str]:
    """The contact that each of these ids leads to by now, those left out whose row is gone; one read if none merged."""
    people = store.fetch(tenant, contact_ids)
    return {each: into.id for each in contact_ids if (into := store.heir(people, each)) is not None}


def heirs_there(tenant: Tenant, contact_ids: Iterable[str]) -> dict[str, str]:
    """The same, those left out that were deleted."""
    people = store.fetch(tenant, contact_ids)
    found = {each: store.heir(people, each) for each in people}
    return {each: into.id for each, into in found.items() if into is not None and into.status == "active"}


def has_absorbed(tenant: Tenant, contact_id: str, source: Source) -> None:
    """Nothing of a source is left to be moved to the contact, or to be removed. May be repeated."""
    if source.anonymous_id is None:
        store.drop_tags(tenant, source.contact_id)

    def act() -> None:
        contact = heir(tenant, contact_id)
        if contact is None or all(each.id != source.id for each in contact.absorbing):
            return
        contact.absorbing = tuple(each for each in contact.absorbing if each.id != source.id)
        table.transact([store.save(tenant, contact), *_cessions_ended(tenant, contact, source)])

    retried(act)


def _cessions_ended(tenant: Tenant, contact: Contact, source: Source) -> list[Op]:
    """Those who lost the anonymous id to the contact may forget it, where nothing more is taken that they lost."""
    still = {who for each in contact.absorbing if each.anonymous_id == source.anonymous_id for who in each.ceded_by}
    losers: dict[str, Contact] = {}
    for loser_id in source.ceded_by:
        loser = heir(tenant, loser_id)
        if loser is not None and loser_id not in still and loser.id != contact.id:
            losers[loser.id] = loser
    ops: list[Op] = []
    for loser in losers.values():
        if loser.ceding.pop(source.anonymous_id or "", None) is None:
            continue
        is_last = loser.status == "purged" and not loser.ceding
        ops.append(store.end(tenant, loser) if is_last else store.save(tenant, loser))
    return ops


def retried(act: Callable[[], T]) -> T:
    for attempt in range(_ATTEMPTS):
        try:
            return act()
        except ConditionFailed:
            clock.sleep(random.uniform(0, _LONGEST_PAUSE * attempt / _ATTEMPTS))  # noqa: S311 - jitter, not a secret
    raise Unavailable


def with_emails(
    tenant: Tenant, identities: Sequence[Identity], found: Mapping[Identity, Pointer], people: Mapping[str, Contact]
) -> Directory:
    said = {address for each in people.values() for part in each.parts.values() for address in part.emails}
    emails = [Identity("email", address) for address in sorted(said)]
    pointers = store.identity_pointers(tenant, emails)
    holders = store.fetch(tenant, {pointer.contact for pointer in pointers.values()} - people.keys())
    everybody = holders | dict(people)
    return Directory(pointers | dict(found), everybody.values(), [*identities, *emails])
