"""Public verbs of the contacts feature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.core import events
from chalicelib.core.errors import Conflict, NotFound, ValidationFailed, detail
from chalicelib.core.scoring import State
from chalicelib.features.contacts import fold, identities, kinship, lists, store
from chalicelib.features.contacts.model import (
    MAX_TAGS,
    MAX_USERS,
    Contact,
    Merge,
    Preference,
    Said,
    Stamp,
    anonymous_id_of,
    normal_email,
    normal_tags,
)
from chalicelib.features.contacts.names import Clash, Identity, JoinedBy, Names, Resolved
from chalicelib.features.contacts.rules import Directory
from chalicelib.platform import outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Item, Op

__all__ = [
    "Change",
    "Filter",
    "Received",
    "absorbed",
    "add_tags",
    "addresses",
    "awarding",
    "begin_purge",
    "clashed",
    "count",
    "count_changes",
    "delete",
    "directory",
    "directory_with_emails",
    "end_purge",
    "erase",
    "forget_absorbed",
    "get",
    "has_absorbed",
    "heir",
    "heirs",
    "heirs_there",
    "held",
    "ids_page",
    "is_gone",
    "join_group",
    "joined",
    "key",
    "keys",
    "listing",
    "lost",
    "merge_traits",
    "merging",
    "name_keys",
    "normal_email",
    "note_answer",
    "note_clash",
    "oldest",
    "pause_marketing",
    "pointed",
    "pointers",
    "put",
    "read",
    "rescore",
    "save",
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
count = lists.count
count_changes = lists.count_changes
merge_traits = fold.merge_traits
touch = fold.touch
join_group = fold.join_group
erase = store.erase
absorbed = store.absorbed
forget_absorbed = store.forget_absorbed
see = fold.see
pointers = identities.pointers
name_keys = identities.name_keys
pointed = identities.pointed
keys = identities.keys
directory = identities.directory
directory_with_emails = identities.directory_with_emails
saving = identities.saving
joined = identities.joined
lost = identities.lost
tagged = store.tag_ops
clashed = identities.clashed
note_clash = identities.note_clash
addresses = identities.addresses
awarding = identities.awarding
heir = identities.heir
heirs = identities.heirs
heirs_there = identities.heirs_there
still_absorbs = store.still_absorbs
has_absorbed = identities.has_absorbed
score = fold.score
note_answer = fold.note_answer
pause_marketing = fold.pause_marketing
add_tags = fold.add_tags
save = store.save


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
    if contact is None or contact.status not in ("active", "merged"):
        raise NotFound("There is no such contact.")
    if contact.status == "merged":
        into = identities.heir(tenant, contact.id)
        raise NotFound("The contact was merged.", details=[{"merged_into": into.id if into else contact.merged_into}])
    return contact


@dataclass(frozen=True, slots=True)
class Held:
    """What is held on a contact besides what its profile shows; `overruled` has traits that do not stand."""

    external_ids: list[str]
    anonymous_ids: list[str]
    emails: list[str]
    overruled: list[tuple[str, Said]]


def held(tenant: Tenant, contact_id: str) -> Held:
    """What is held on the contact besides its profile. Raises NotFound."""
    contact = get(tenant, contact_id)
    parts = contact.parts.values()
    said = [(key, each) for part in parts for key, each in part.says.items() if contact.stands.get(key) is not each]
    visitors = [each for name in contact.parts if (each := anonymous_id_of(name)) is not None]
    return Held(
        external_ids=sorted(contact.users),
        anonymous_ids=sorted(visitors),
        emails=sorted({address for part in parts for address in part.emails}),
        overruled=sorted(said, key=lambda each: (each[0], each[1].stamp)),
    )


def put(tenant: Tenant, names: Names, change: Change, received: Received, receipt: Receipt) -> tuple[Contact, bool]:
    """Create a contact, or update the one that the names lead to; returns it and whether it is new.

    Raises Conflict where the address belongs to somebody else.
    """

    # The workers use this module too, and start without the models of the API.
    from chalicelib.features.contacts.schemas import shown

    def act() -> tuple[Contact, bool]:
        directory = identities.read_directory(tenant, names.identities())
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
        directory = identities.read_directory(tenant, wanted, contact)
        table.transact(_change(tenant, Resolved(contact, contact.id), change, received, directory))
        return contact

    return retried(act)


def delete(tenant: Tenant, contact_id: str, now: int, *, purges: bool = False, beside: Sequence[Op] = ()) -> None:
    """Take the contact out of every read at once; its identities are free from then on. Raises NotFound.

    With `purges` the event tells that all of it is to be removed now. `beside` belongs into the same transaction.
    """

    def act() -> None:
        contact = get(tenant, contact_id)
        data = {"contact_id": contact.id, "external_id": None if purges else contact.external_id, "purges": purges}
        told = outbox.emit(tenant, events.CONTACT_DELETED, data, now)
        table.transact([store.retire(tenant, contact, now), told, *beside])

    retried(act)


def begin_purge(tenant: Tenant, contact_id: str) -> Contact | None:
    """The deleted contact, to which nothing is moved from now on; None where it is not deleted, or its row is gone."""

    def act() -> Contact | None:
        contact = store.fetch_one(tenant, contact_id)
        if contact is None or contact.status not in ("deleted", "purging"):
            return None
        if contact.status == "deleted":
            contact.status = "purging"
            table.transact([store.save(tenant, contact)])
        return contact

    return retried(act)


def end_purge(tenant: Tenant, contact_id: str) -> None:
    """Remove the last of a contact whose events are gone: what is beside them, what leads to it, and its own row.

    As long as others move events out of its partition, a row stays that tells them whose these are. May be repeated.
    """

    def act() -> None:
        contact = store.fetch_one(tenant, contact_id)
        if contact is None or contact.status != "purging":
            return
        store.erase_rest(tenant, contact)
        table.transact([store.strip(tenant, contact) if contact.ceding else store.end(tenant, contact)])

    retried(act)


@dataclass(frozen=True, slots=True)
class Merging:
    """A merge, what writes it, and what the contact's timeline is to tell of it.

    That is the address that it wants and somebody else holds, and the traits that did not fit.
    """

    contact: Contact
    ops: list[Op]
    clash: Clash | None
    overflow: list[str]


def merging(tenant: Tenant, contact_id: str, source_id: str, preference: Preference, received: Received) -> Merging:
    """What makes the source part of the contact. It is to be asked for again where the table refuses `ops`.

    Raises NotFound for either, ValidationFailed where they are the same.
    """
    if contact_id == source_id:
        message = "A contact can't be merged into itself."
        raise ValidationFailed(message, details=[detail("source_contact_id", "same", message)])
    contact, source = get(tenant, contact_id), get(tenant, source_id)
    if not kinship.has_room_for(contact, source):
        raise Conflict(f"A contact has at most {MAX_USERS} external ids.")
    directory = identities.with_emails(tenant, [], {}, {contact.id: contact, source.id: source})
    before = (contact.tags, contact.unsubscribed_at, contact.email, contact.marketing_paused_until)
    first = {"prefer_target": contact.traits, "prefer_source": source.traits}.get(preference, {}).keys()
    if kinship.absorb(contact, source, source.id):
        message = f"Both have more than {MAX_TAGS} tags together. Remove some first."
        raise ValidationFailed(message, details=[detail("source_contact_id", "too_many", message)])
    contact.merges.append(Merge(received.stamp(), preference, contact.id, source.id))
    directory.join(contact, source)
    changed, overflow = fold.settle(contact, first)
    clashes = directory.settle_emails(Resolved(contact, contact.id, joined=[source]))
    clash = clashes[0][1] if clashes else None
    is_news = clash is not None and identities.note_clash(contact, clash)
    after = (contact.tags, contact.unsubscribed_at, contact.email, contact.marketing_paused_until)
    fields = ("tags", "unsubscribed_at", "email", "marketing_paused_until")
    changed |= {field for field, old, new in zip(fields, before, after, strict=True) if old != new}
    contact.updated_at = max(contact.updated_at, received.moment)
    ops = [
        *identities.saving(tenant, contact, directory),
        *identities.joined(tenant, contact, source, JoinedBy("merge", received.moment), changed),
        *store.tag_ops(tenant, contact, before[0]),
        *(identities.clashed(tenant, contact, clash) if clash is not None else []),
        *identities.stale_scores(tenant, contact, received.moment),
    ]
    return Merging(contact, ops, clash if is_news else None, overflow)


def key(tenant: Tenant, contact_id: str) -> Key:
    """The row of a contact."""
    return store.contact_key(tenant, contact_id)


def read(item: Item | None) -> Contact | None:
    """The contact that a row stands for, deleted and merged ones too."""
    return None if item is None else store.from_item(item)


def is_gone(tenant: Tenant, contact: Contact | None) -> bool:
    """True where nothing of the contact is to be shown any more: it was deleted, or who has absorbed it was."""
    if contact is not None and contact.status == "merged":
        contact = identities.heir(tenant, contact.id)
    return contact is None or contact.status != "active"


def rescore(tenant: Tenant, contact: Contact, scores: Mapping[str, State], version: int, now: int) -> list[Op]:
    """The operations that give the contact these scores, over the version that was read, and tell of it."""
    contact.scores, contact.scored_by = dict(scores), version
    told = outbox.emit(tenant, events.CONTACT_RESCORED, {"contact_id": contact.id}, now)
    return [store.save(tenant, contact), told]


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
    return [*identities.saving(tenant, contact, directory), *store.tag_ops(tenant, contact, tags_before), told]


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
