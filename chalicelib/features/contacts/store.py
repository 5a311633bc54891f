"""Contacts in the table: one row for a contact, one for each of its tags, one for each identity."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from chalicelib.core import strict_json
from chalicelib.core.lineage import Source
from chalicelib.features.contacts import kinship, packing, verdict
from chalicelib.features.contacts.model import Answered, Contact, Person, Stamp, anonymous_id_of
from chalicelib.features.contacts.names import Claim, Identity, Pointer
from chalicelib.platform import lineage as lineages
from chalicelib.platform import table
from chalicelib.platform.keys import COUNTER_SHARDS, Key, Tenant, shard_of
from chalicelib.platform.listing import Entry, Merge, Range, walk
from chalicelib.platform.table import Check, Condition, ConditionFailed, Delete, Item, Op, Put, Update, attr

_COUNTER = "contacts"
_BESIDE_EVENTS = (("COUNTED$", "EVT"), ("EVT$", "~"))
"""Sort keys after those of `CONTACT` and of `COUNTED#…`, but for `EVT#…`."""

_CLAIMANTS_AT_ONCE = 25
_ABSORBED_AT_ONCE = 25
_MAX_BYTES = 380_000
"""What a contact's row may have: the table takes 409,600 bytes."""


def identity_pointers(tenant: Tenant, identities: Iterable[Identity]) -> dict[Identity, Pointer]:
    """Where each identity points, where it points anywhere."""
    keys = {tenant.identity(identity.kind, identity.value): identity for identity in identities}
    return {keys[key]: _pointer(item) for key, item in table.batch_get(keys).items()}


def identity_key(tenant: Tenant, identity: Identity) -> Key:
    return tenant.identity(identity.kind, identity.value)


def contact_key(tenant: Tenant, contact_id: str) -> Key:
    return tenant.contact(contact_id)


def fetch(tenant: Tenant, contact_ids: Iterable[str]) -> dict[str, Contact]:
    """Contacts by id, and all that merged ones among them lead to; deleted ones too."""
    wanted = list(dict.fromkeys(contact_ids))
    items = table.batch_get(tenant.contact(contact_id) for contact_id in wanted)
    return {ident: from_item(item) for ident, item in lineages.chains(tenant, items, wanted).items()}


def from_items(tenant: Tenant, items: Mapping[Key, Item], contact_ids: Iterable[str]) -> list[Contact]:
    """The same where the rows of these contacts were read already."""
    return [from_item(item) for item in lineages.chains(tenant, items, contact_ids).values()]


def fetch_one(tenant: Tenant, contact_id: str) -> Contact | None:
    item = table.get(tenant.contact(contact_id))
    return from_item(item) if item else None


def heir(people: Mapping[str, Contact], contact_id: str) -> Contact | None:
    """Of people as `fetch` reads them the one that the id leads to by now, deleted or not."""
    while contact_id in people and people[contact_id].merged_into is not None:
        contact_id = people[contact_id].merged_into or ""
    return people.get(contact_id)


def save(tenant: Tenant, contact: Contact) -> Op:
    """Write the contact over the version that was read; `contact.version` is then the one written.

    A contact that was merged leaves the list.
    """
    read_version = contact.version
    contact.version += 1
    attrs = _attrs(contact)
    while _size(attrs) > _MAX_BYTES and kinship.shed(contact):
        attrs = _attrs(contact)
    if read_version == 0:
        entry = tenant.contact_entry(contact.id, contact.created_at)
        new = {"id": contact.id, "list_pk": entry.pk, "list_sk": entry.sk}
        return Put(tenant.contact(contact.id), attrs | new, attr("PK").not_exists())
    if contact.merged_into is not None:
        attrs |= {"list_pk": None, "list_sk": None}
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


def erase(
    tenant: Tenant, contact_id: str, rows: Iterable[Key], names: Iterable[Identity], still: Check | None = None
) -> None:
    """Remove these rows, 99 at the most and only if `still` holds, and those of the identities that still lead to the
    contact. Raises ConditionFailed."""
    found = table.batch_get(tenant.identity(*name) for name in names)
    people = fetch(tenant, {item["contact"] for item in found.values()} - {contact_id})
    for key, item in found.items():
        leads = heir(people, item["contact"])
        if item["contact"] == contact_id or (leads is not None and leads.id == contact_id):
            with suppress(ConditionFailed):
                table.write(Delete(key, attr("contact").eq(item["contact"])))
    gone: list[Op] = [Delete(key) for key in rows]
    if gone:
        table.transact([*gone, still] if still is not None else gone)


def erase_rest(tenant: Tenant, contact: Contact) -> None:
    """Remove all that is held on a contact beside its events, but for its own row and the markers of the counters,
    which hold nothing of a person."""
    own = tenant.contact(contact.id)
    for between in _BESIDE_EVENTS:
        _erase_rows(own.pk, between=between)
    said = {address for part in contact.parts.values() for address in part.emails}
    for address in said:
        claims = _claim_rows(*tenant.email_claims(address))
        while some := list(islice(claims, _CLAIMANTS_AT_ONCE)):
            people = fetch(tenant, {who for _, who in some})
            for key, who in some:
                leads = heir(people, who)
                if leads is None or leads.id == contact.id:
                    table.write(Delete(key))
    users = {*contact.users, *(edge.previous for edge in contact.aliases)}
    visitors = {each for name in contact.parts if (each := anonymous_id_of(name)) is not None}
    names = [*(Identity("user", user) for user in users), *(Identity("email", each) for each in said)]
    # The previous id of an alias is claimed as an anonymous one too.
    erase(tenant, contact.id, [], [*names, *(Identity("anonymous", each) for each in visitors | users)])


def end(tenant: Tenant, contact: Contact) -> Op:
    """Remove the contact's own row."""
    return Delete(tenant.contact(contact.id), attr("version").eq(contact.version))


def strip(tenant: Tenant, contact: Contact) -> Op:
    """Leave of the contact's row only whose the events are that others still move out of its partition."""
    kept = Contact(contact.id, 0, 0, status="purged", version=contact.version + 1, ceding=contact.ceding)
    return Put(tenant.contact(contact.id), _attrs(kept) | {"id": contact.id}, attr("version").eq(contact.version))


def claim(tenant: Tenant, identity: Identity, claim: Claim) -> Op:
    """Write where an identity points; refused where somebody else has changed it since it was read."""
    key = tenant.identity(identity.kind, identity.value)
    if claim.pointer is None:
        return Delete(key, _is(claim.over or Pointer("")))
    pointer = claim.pointer
    unchanged: Condition = attr("PK").not_exists() | attr("contact").eq(pointer.contact)
    if claim.over is not None:
        unchanged = _is(claim.over)
    attrs = {
        "contact": pointer.contact,
        "claim": None if pointer.claim is None else strict_json.dumps(packing.flat(pointer.claim)),
        "user": pointer.user,
    }
    return Put(key, attrs, unchanged)


def email_claim(tenant: Tenant, address: str, contact_id: str, claim: Stamp) -> Op:
    """Remember that the contact wants an address which somebody else holds; said once more, it changes nothing."""
    return Put(tenant.email_claim(address, claim.moment, contact_id), {"contact": contact_id})


def email_claimants(tenant: Tenant, address: str) -> Iterator[list[str]]:
    """Contacts that have said the address while another held it, in pages, the earliest claim first.

    Some are merged by now, or say another address.
    """
    rows = _claim_rows(*tenant.email_claims(address))
    while some := list(islice(rows, _CLAIMANTS_AT_ONCE)):
        yield [contact_id for _, contact_id in some]


def _claim_rows(pk: str, prefix: str) -> Iterator[tuple[Key, str]]:
    for item in walk(pk, prefix, a_page=_CLAIMANTS_AT_ONCE):
        yield Key(item["PK"], item["SK"]), item["contact"]


def _is(pointer: Pointer) -> Condition:
    is_there = attr("contact").eq(pointer.contact)
    if pointer.claim is None:
        return is_there & attr("claim").not_exists()
    return is_there & attr("claim").eq(strict_json.dumps(packing.flat(pointer.claim)))


def _pointer(item: Item) -> Pointer:
    claim = None
    if "claim" in item:
        claim = packing.stamp_of(strict_json.stored(item["claim"]))
    return Pointer(item["contact"], claim, item.get("user"))


def still_absorbs(tenant: Tenant, contact: Contact, source: Source) -> Check:
    """Holds as long as the contact has the same status, takes these rows from the source, and has lost no other
    anonymous id since."""
    ceding = attr("ceding").eq(contact.ceding) if contact.ceding else attr("ceding").not_exists()
    takes = attr("status").eq(contact.status) & attr("absorbing").contains(lineages.packed(source))
    return Check(tenant.contact(contact.id), takes & ceding)


def drop_tags(tenant: Tenant, contact_id: str) -> None:
    """Remove the rows that list the contact under its tags."""
    page = table.query(tenant.contact(contact_id).pk, prefix=tenant.tag(contact_id, "").sk)
    ops = [Delete(Key(item["PK"], item["SK"])) for item in page.items]
    for start in range(0, len(ops), table.MAX_TRANSACTION):
        table.transact(ops[start : start + table.MAX_TRANSACTION])


def absorbed_op(tenant: Tenant, contact_id: str, source_id: str) -> Op:
    """Remember for good whom a contact has absorbed: what stands beside the source is held on the contact too."""
    return Put(tenant.absorbed(contact_id, source_id), {})


def forget_absorbed(tenant: Tenant, contact_id: str) -> bool:
    """Remove what stands beside some of those whom a contact has absorbed; False where none is left.

    Whom they had absorbed takes their place: so it may be repeated, and goes on where it stopped.
    """
    key = tenant.absorbed(contact_id, "")
    rows = table.query(key.pk, prefix=key.sk, limit=_ABSORBED_AT_ONCE).items
    for row in rows:
        source_id = row["SK"].removeprefix(key.sk)
        for pk, prefix in (
            tenant.webhook("", source_id),
            tenant.mail(source_id, ""),
            # These move to the heir, and stay where it was gone by the time that the bus heard of the merge.
            tenant.referred_all(source_id),
            tenant.referrer_all(source_id),
            tenant.sources_all(source_id),
        ):
            _erase_rows(pk, prefix=prefix)
        theirs = tenant.absorbed(source_id, "")
        while found := table.query(theirs.pk, prefix=theirs.sk, limit=_ABSORBED_AT_ONCE).items:
            handed = [absorbed_op(tenant, contact_id, each["SK"].removeprefix(theirs.sk)) for each in found]
            table.transact([*handed, *(Delete(Key(each["PK"], each["SK"])) for each in found)])
        table.write(Delete(Key(row["PK"], row["SK"])))
    return bool(rows)


def absorbed(tenant: Tenant, contact_id: str) -> list[str]:
    """Ids of all whom a contact has absorbed, and whom these had."""
    found: list[str] = []
    waiting = [contact_id]
    while waiting:
        key = tenant.absorbed(waiting.pop(), "")
        waiting += (ids := [row["SK"].removeprefix(key.sk) for row in walk(*key)])
        found += ids
    return found


def _erase_rows(pk: str, **which: Any) -> None:
    while rows := table.query(pk, limit=table.MAX_TRANSACTION, **which).items:
        table.transact([Delete(Key(row["PK"], row["SK"])) for row in rows])


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
    contact = Contact(
        **_seen(item),
        scores=_json(item, "scores", {}),
        scored_by=item.get("scored_by"),
        status=item["status"],
        merged_into=item.get("merged_into"),
        version=item["version"],
        absorbing=lineages.of_item(item).sources,
        ceding=dict(item.get("ceding", {})),
    )
    packing.unpack(contact, item)
    return contact


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
        "groups": verdict.joined_groups((group, moment) for _, group, moment in _json(item, "groups", [])),
        "last_seen_at": item.get("last_seen_at"),
        "unsubscribed_at": item.get("unsubscribed_at"),
        "answered": {kind: Answered(*each) for kind, each in item.get("answered", {}).items()},
        "marketing_paused_until": item.get("marketing_paused_until"),
    }


def _attrs(contact: Contact) -> dict[str, Any]:
    return {
        "created_at": contact.created_at,
        "updated_at": contact.updated_at,
        "external_id": contact.external_id,
        "email": contact.email,
        "tags": contact.tags or None,
        "scores": strict_json.dumps(contact.scores) if contact.scores else None,
        "scored_by": contact.scored_by,
        "last_seen_at": contact.last_seen_at,
        "unsubscribed_at": contact.unsubscribed_at,
        "answered": {kind: list(each) for kind, each in contact.answered.items()} or None,
        "marketing_paused_until": contact.marketing_paused_until,
        "status": contact.status,
        "merged_into": contact.merged_into,
        "version": contact.version,
        "absorbing": [lineages.packed(source) for source in contact.absorbing] or None,
        "ceding": contact.ceding or None,
        **packing.pack(contact),
    }


def _size(attrs: Mapping[str, Any]) -> int:
    """About the bytes that the row has: texts are most of it."""
    return sum(len(str(value).encode()) for value in attrs.values() if value is not None)


def _json(item: Item, name: str, default: Any) -> Any:
    return strict_json.stored(item[name]) if name in item else default
