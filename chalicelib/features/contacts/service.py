"""Public verbs of the contacts feature."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chalicelib.core import clock, events, strict_json
from chalicelib.core.errors import Conflict, NotFound, Unavailable, ValidationFailed, detail
from chalicelib.core.scoring import State
from chalicelib.features.contacts import fold, store
from chalicelib.features.contacts.model import (
    MAX_CONTACT_BYTES,
    MAX_TAGS,
    MAX_TRAIT_BYTES,
    Contact,
    Person,
    Stamp,
    normal_email,
    normal_tags,
)
from chalicelib.features.contacts.rules import Directory, Identity, Names
from chalicelib.platform import cursor, outbox, table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Key, Tenant, contact_of, moment_sk
from chalicelib.platform.listing import FIRST, LAST, Listed, Range, escaped_size, fill, within_answer
from chalicelib.platform.table import ConditionFailed, Item, Op

__all__ = [
    "Change",
    "Filter",
    "Received",
    "count",
    "count_changes",
    "delete",
    "directory",
    "erase",
    "get",
    "ids_page",
    "join_group",
    "key",
    "keys",
    "listing",
    "merge_traits",
    "normal_email",
    "oldest",
    "pointers",
    "put",
    "read",
    "remains",
    "rescore",
    "saving",
    "score",
    "see",
    "touch",
    "update",
]

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
_BESIDE_TRAITS = 2 * (MAX_CONTACT_BYTES - MAX_TRAIT_BYTES)
_MEASURED_FROM = 5_000_000
"""Bytes that a page may have before it is worth to measure it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which contacts to list; moments in ms, `created_after` and `created_before` exclusive."""

    tag: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    email: str | None = None
    external_id: str | None = None
    segment_id: str | None = None


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
        raise NotFound("The contact was merged.", details=[{"merged_into": contact.merged_into}])
    return contact


def listing(
    tenant: Tenant, only: Filter, limit: int, after: str | None, endpoint: str = "contacts"
) -> tuple[list[Person], str | None]:
    """A page of contacts, newest first, and the cursor of the next one, bound to `endpoint`.

    Raises BadRequest on a cursor of another list.
    """
    filters = {
        "tag": only.tag,
        "created_after": only.created_after,
        "created_before": only.created_before,
        "email": only.email,
        "external_id": only.external_id,
        "segment_id": only.segment_id,
    }
    position = LAST if after is None else cursor.decode(after, tenant, endpoint, filters)
    span = _span(only, position)
    if only.email is not None or only.external_id is not None:
        found: list[Person] = [contact for contact in _exact(tenant, only) if _matches(contact, only, span)]
        return found, None
    tag = None if only.segment_id is not None else only.tag
    sources = store.entries(tenant, tag, span, limit, only.segment_id)
    page: Listed[Person] = fill(sources, limit, lambda entries: _with_tag(store.hydrate(tenant, entries), only.tag))
    if 2 * len(page.rows) * MAX_CONTACT_BYTES > _MEASURED_FROM:
        page = within_answer(page, _answer_bytes, lambda person: moment_sk(person.created_at, person.id))
    following = cursor.encode(tenant, endpoint, filters, page.position) if page.position else None
    return page.rows, following


def ids_page(
    tenant: Tenant, limit: int, *, since: int | None = None, before: int | None = None, position: str | None = None
) -> tuple[list[str], str | None]:
    """Ids of contacts, newest first, and where to go on: from `position` on, or of those created before `before` (ms).

    With `since` (ms) only those created then or later. An index, which lags; contacts that are gone may be among them.
    """
    start = LAST if before is None else moment_sk(before, "")
    span = Range(FIRST if since is None else moment_sk(max(0, since), ""), position or start)
    page = fill(store.entries(tenant, None, span, limit), limit, lambda found: [one.key.pk for one in found])
    return [contact_of(partition) or "" for partition in page.rows], page.position


def oldest(tenant: Tenant) -> int | None:
    """When the oldest contact was created, in ms; None where there is none. An index, which lags."""
    return store.oldest(tenant)


def put(tenant: Tenant, names: Names, change: Change, received: Received, receipt: Receipt) -> tuple[Contact, bool]:
    """Create a contact, or update the one that the names lead to; returns it and whether it is new.

    Raises Conflict where the address belongs to somebody else.
    """

    # The workers use this module too, and start without the models of the API.
    from chalicelib.features.contacts.schemas import shown

    def act() -> tuple[Contact, bool]:
        directory = _read(tenant, names.identities())
        resolved = directory.resolve(names, received.moment, trusts_email=True)
        ops = _change(tenant, resolved.contact, change, received, directory, is_new=resolved.is_new)
        receipt.commit(ops, 201 if resolved.is_new else 200, shown(resolved.contact).model_dump(mode="json"))
        return resolved.contact, resolved.is_new

    return _retried(act)


def update(tenant: Tenant, contact_id: str, change: Change, received: Received) -> Contact:
    """Change a contact. Raises NotFound; Conflict where the address that it sets belongs to somebody else."""

    def act() -> Contact:
        contact = get(tenant, contact_id)
        if change == _NOTHING:
            return contact
        email = normal_email(change.traits.get("email"))
        wanted = [Identity("email", email)] if email else []
        directory = _read(tenant, wanted, contact)
        table.transact(_change(tenant, contact, change, received, directory, is_new=False))
        return contact

    return _retried(act)


def delete(tenant: Tenant, contact_id: str, now: int, *, purges: bool = False, beside: Sequence[Op] = ()) -> None:
    """Take the contact out of every read at once; its identities are free from then on. Raises NotFound.

    With `purges` the event tells that all of it is to be removed now. `beside` belongs into the same transaction.
    """

    def act() -> None:
        contact = get(tenant, contact_id)
        told = outbox.emit(tenant, events.CONTACT_DELETED, {"contact_id": contact.id, "purges": purges}, now)
        table.transact([store.retire(tenant, contact, now), told, *beside])

    _retried(act)


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


def pointers(tenant: Tenant, names: Iterable[Names]) -> dict[Identity, str]:
    """The contact that each identity points to; one read."""
    return store.identity_pointers(tenant, {identity for each in names for identity in each.identities()})


def keys(tenant: Tenant, found: Mapping[Identity, str]) -> list[Key]:
    """The rows to read for a directory of these pointers."""
    return [store.contact_key(tenant, contact_id) for contact_id in set(found.values())]


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


def directory(tenant: Tenant, found: Mapping[Identity, str], items: Mapping[Key, Item]) -> Directory:
    """Who is who, from pointers and the rows that were read for them."""
    people = [store.from_item(items[key]) for key in keys(tenant, found) if key in items]
    return Directory(found, people)


def saving(tenant: Tenant, contact: Contact, directory: Directory) -> list[Op]:
    """The operations that write the contact over the version read, and what was decided of its identities."""
    claims: list[Op] = [
        store.claim(tenant, identity, contact.id, directory.stale(identity))
        if held
        else store.release(tenant, identity, contact.id)
        for identity, held in directory.take_pending(contact).items()
    ]
    return [store.save(tenant, contact), *claims]


def _read(tenant: Tenant, identities: Iterable[Identity], known: Contact | None = None) -> Directory:
    found = store.identity_pointers(tenant, identities)
    people = store.fetch(tenant, set(found.values()) - ({known.id} if known else set()))
    return Directory(found, [*people.values(), *([known] if known else [])])


def _change(
    tenant: Tenant, contact: Contact, change: Change, received: Received, directory: Directory, *, is_new: bool
) -> list[Op]:
    now = received.moment
    tags_before = list(contact.tags)
    changed = {f"traits.{key}" for key in _set_traits(contact, change.traits, received.stamp())}
    before = (contact.email, contact.unsubscribed_at)
    if "email" in change.traits and directory.settle_email(contact) is not None:
        raise Conflict(
            "The email belongs to another contact.",
            details=[detail("traits.email", "taken", "Merge the contacts, or use another address.")],
        )
    contact.tags = _tags(contact, change)
    if change.unsubscribed is not None:
        contact.unsubscribed_at = (contact.unsubscribed_at or now) if change.unsubscribed else None
    contact.updated_at = max(contact.updated_at, now)
    name = events.CONTACT_CREATED if is_new else events.CONTACT_UPDATED
    now_is = (contact.email, contact.unsubscribed_at)
    changed |= {
        field for field, old, new in zip(("email", "unsubscribed_at"), before, now_is, strict=True) if old != new
    }
    changed |= {"tags"} if contact.tags != tags_before else set()
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


def _with_tag(found: Sequence[Person | None], tag: str | None) -> list[Person | None]:
    return [one if one is None or tag is None or tag in one.tags else None for one in found]


def _answer_bytes(person: Person) -> int:
    return escaped_size(strict_json.dumps(person.traits)) + _BESIDE_TRAITS


def _span(only: Filter, position: str) -> Range:
    # An instant is exclusive on both sides, so the first position after it is that of the next millisecond.
    low = FIRST if only.created_after is None else moment_sk(max(0, only.created_after + 1), "")
    high = LAST if only.created_before is None else moment_sk(max(0, only.created_before), "")
    return Range(low, min(high, position))


def _exact(tenant: Tenant, only: Filter) -> list[Contact]:
    email = normal_email(only.email) if only.email is not None else None
    if only.email is not None and email is None:
        return []
    names = Names(user=only.external_id, email=email)
    found = store.identity_pointers(tenant, names.identities())
    return list(store.fetch(tenant, set(found.values())).values())


def _matches(contact: Contact, only: Filter, span: Range) -> bool:
    position = moment_sk(contact.created_at, contact.id)
    return (
        contact.status == "active"
        and (only.email is None or contact.email == normal_email(only.email))
        and (only.external_id is None or contact.external_id == only.external_id)
        and (only.tag is None or only.tag in contact.tags)
        and span.low <= position < span.high
    )


def _retried(act: Callable[[], T]) -> T:
    for attempt in range(_ATTEMPTS):
        try:
            return act()
        except ConditionFailed:
            clock.sleep(random.uniform(0, _LONGEST_PAUSE * attempt / _ATTEMPTS))  # noqa: S311 - jitter, not a secret
    raise Unavailable
