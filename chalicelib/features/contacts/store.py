"""Contacts in the table: one row for a contact, one for each of its tags, one for each identity."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from chalicelib.core import strict_json
from chalicelib.features.contacts.model import Contact, Group, Person, pack_stamps, unpack_stamps
from chalicelib.features.contacts.rules import Identity
from chalicelib.platform import lineage as lineages
from chalicelib.platform import table
from chalicelib.platform.keys import COUNTER_SHARDS, Key, Tenant, shard_of
from chalicelib.platform.listing import Entry, Merge, Range
from chalicelib.platform.table import ConditionFailed, Delete, Item, Op, Put, Update, attr

_COUNTER = "contacts"
_ERASED_AT_ONCE = 100
_AFTER_MARKERS, _LAST_ROW = "COUNTED$", "~"
"""Sort keys after those of `CONTACT` and of `COUNTED#…`."""


def identity_pointers(tenant: Tenant, identities: Iterable[Identity]) -> dict[Identity, str]:
    """The contact that each identity points to, where it points to any."""
    keys = {tenant.identity(identity.kind, identity.value): identity for identity in identities}
    return {keys[key]: item["contact"] for key, item in table.batch_get(keys).items()}


def contact_key(tenant: Tenant, contact_id: str) -> Key:
    return tenant.contact(contact_id)


def fetch(tenant: Tenant, contact_ids: Iterable[str]) -> dict[str, Contact]:
    """Contacts by id, deleted ones too; one call for each hundred."""
    items = table.batch_get(tenant.contact(contact_id) for contact_id in contact_ids)
    return {item["id"]: from_item(item) for item in items.values()}


def fetch_one(tenant: Tenant, contact_id: str) -> Contact | None:
    item = table.get(tenant.contact(contact_id))
    return from_item(item) if item else None


def save(tenant: Tenant, contact: Contact) -> Op:
    """Write the contact over the version that was read; `contact.version` is then the one written."""
    read_version = contact.version
    contact.version += 1
    attrs = _attrs(contact)
    if read_version == 0:
        entry = tenant.contact_entry(contact.id, contact.created_at)
        new = {"id": contact.id, "list_pk": entry.pk, "list_sk": entry.sk}
        return Put(tenant.contact(contact.id), attrs | new, attr("PK").not_exists())
    return Update(
        tenant.contact(contact.id),
        set_={name: value for name, value in attrs.items() if value is not None},
        remove=[name for name, value in attrs.items() if value is None],
        condition=attr("version").eq(read_version),
    )


def retire(tenant: Tenant, contact: Contact, now: int) -> Op:
    """Mark the contact deleted and take it out of the list."""
    return Update(
        tenant.contact(contact.id),
        set_={"status": "deleted", "deleted_at": now, "version": contact.version + 1},
        remove=["list_pk", "list_sk"],
        condition=attr("version").eq(contact.version),
    )


def remains(tenant: Tenant, contact_id: str) -> tuple[list[Key], set[Key], bool]:
    """Rows of a deleted contact's partition but for its own and the counters' markers, which hold nothing of a person;
    the identities that they, or at the end the contact's own row, tell of; and whether there may be more."""
    own = tenant.contact(contact_id)
    page = table.query(own.pk, between=(_AFTER_MARKERS, _LAST_ROW), limit=_ERASED_AT_ONCE)
    rows = [Key(item["PK"], item["SK"]) for item in page.items]
    told = {
        tenant.identity(kind, str(item[name]))
        for item in page.items
        for kind, name in (("user", "user_id"), ("anonymous", "anonymous_id"))
        if name in item
    }
    if rows:
        return rows, told, True
    item = table.get(own)
    if item is None:
        return [], set(), False
    named = (("user", item.get("external_id")), ("email", item.get("email")))
    return [own], {tenant.identity(kind, value) for kind, value in named if value is not None}, False


def erase(contact_id: str, rows: Iterable[Key], identities: Iterable[Key]) -> None:
    """Remove these rows, a hundred at the most, and those of the identities that still point to the contact."""
    pointing = [key for key, item in table.batch_get(identities).items() if item["contact"] == contact_id]
    for key in pointing:
        with suppress(ConditionFailed):
            table.write(Delete(key, attr("contact").eq(contact_id)))
    gone: list[Op] = [Delete(key) for key in rows]
    if gone:
        table.transact(gone)


def claim(tenant: Tenant, identity: Identity, contact_id: str, stale: str | None) -> Op:
    """Point a free identity to the contact; refused where somebody else holds it."""
    free = attr("PK").not_exists() | attr("contact").eq(contact_id)
    if stale is not None:
        free = free | attr("contact").eq(stale)
    return Put(tenant.identity(identity.kind, identity.value), {"contact": contact_id}, free)


def release(tenant: Tenant, identity: Identity, contact_id: str) -> Op:
    """Give an identity up."""
    return Delete(tenant.identity(identity.kind, identity.value), attr("contact").eq(contact_id))


def tag_ops(tenant: Tenant, contact: Contact, before: Sequence[str]) -> list[Op]:
    """The rows that list the contact under its tags, as changed from `before`."""
    added = [tag for tag in contact.tags if tag not in before]
    removed = [tag for tag in before if tag not in contact.tags]
    puts: list[Op] = []
    for tag in added:
        entry = tenant.tag_entry(contact.id, tag, contact.created_at)
        puts.append(Put(tenant.tag(contact.id, tag), {"list_pk": entry.pk, "list_sk": entry.sk}))
    return [*puts, *(Delete(tenant.tag(contact.id, tag)) for tag in removed)]


def entries(tenant: Tenant, tag: str | None, span: Range, limit: int, segment_id: str | None = None) -> Iterator[Merge]:
    """All contacts, or those with the tag or in the segment, newest first."""
    partitions = tenant.contact_partitions() if tag is None else tenant.tag_partitions(tag)
    if segment_id is not None:
        partitions = tenant.member_partitions(segment_id)
    yield Merge(partitions, "list", span, chunk=limit + 2)


def oldest(tenant: Tenant) -> int | None:
    """When the oldest contact was created."""
    first = [table.query(one, index="list", limit=1, consistent=False).items for one in tenant.contact_partitions()]
    positions = [item["list_sk"] for items in first for item in items]
    return int(min(positions).partition("#")[0]) if positions else None


def hydrate(tenant: Tenant, found: Sequence[Entry]) -> list[Person | None]:
    """The contact behind each entry; None where it is gone."""
    keys = [tenant.contact(entry.position.partition("#")[2]) for entry in found]
    items = table.batch_get(keys)
    read = [items.get(key) for key in keys]
    return [Person(**_seen(item)) if item and item["status"] == "active" else None for item in read]


def count_ops(tenant: Tenant, marks: Mapping[str, str], delta: int) -> list[Op]:
    """Add to the project's count of contacts, once for each contact and mark (`contact id: mark`)."""
    markers: list[Op] = [
        Put(tenant.counted(contact_id, mark), {}, attr("PK").not_exists()) for contact_id, mark in marks.items()
    ]
    # Any shard serves, and that of the first contact spreads concurrent batches over all of them.
    shard = shard_of(next(iter(marks)), COUNTER_SHARDS)
    return [*markers, Update(tenant.counter(_COUNTER, shard), add={"count": delta})]


def count(tenant: Tenant) -> int:
    """The sum over the counter's shards."""
    page = table.query(tenant.counter(_COUNTER, 0).pk)
    return sum(item["count"] for item in page.items)


def from_item(item: Item) -> Contact:
    """The contact that a row stands for."""
    return Contact(
        **_seen(item),
        stamps=unpack_stamps(_json(item, "stamps", [])),
        floors=_json(item, "floors", {}),
        scores=_json(item, "scores", {}),
        scored_by=item.get("scored_by"),
        status=item["status"],
        merged_into=item.get("merged_into"),
        version=item["version"],
        absorbing=lineages.of_item(item).sources,
        ceding=item.get("ceding", {}),
    )


def _seen(item: Item) -> dict[str, Any]:
    """The fields of a Person."""
    return {
        "id": item["id"],
        "created_at": item["created_at"],
        "updated_at": item["updated_at"],
        "external_id": item.get("external_id"),
        "email": item.get("email"),
        "traits": _json(item, "traits", {}),
        "tags": item.get("tags", []),
        "groups": [Group(**group) for group in _json(item, "groups", [])],
        "last_seen_at": item.get("last_seen_at"),
        "unsubscribed_at": item.get("unsubscribed_at"),
    }


def _attrs(contact: Contact) -> dict[str, Any]:
    return {
        "created_at": contact.created_at,
        "updated_at": contact.updated_at,
        "external_id": contact.external_id,
        "email": contact.email,
        "traits": strict_json.dumps(contact.traits) if contact.traits else None,
        "stamps": strict_json.dumps(pack_stamps(contact.stamps)) if contact.stamps else None,
        "floors": strict_json.dumps(contact.floors) if contact.floors else None,
        "tags": contact.tags or None,
        "groups": strict_json.dumps([asdict(group) for group in contact.groups]) if contact.groups else None,
        "scores": strict_json.dumps(contact.scores) if contact.scores else None,
        "scored_by": contact.scored_by,
        "last_seen_at": contact.last_seen_at,
        "unsubscribed_at": contact.unsubscribed_at,
        "status": contact.status,
        "version": contact.version,
        "absorbing": [lineages.packed(source) for source in contact.absorbing] or None,
        "ceding": contact.ceding or None,
    }


def _json(item: Item, name: str, default: Any) -> Any:
    return strict_json.stored(item[name]) if name in item else default
