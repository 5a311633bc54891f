"""Waitlists in the table.

| item | attributes |
|---|---|
| waitlist | the fields of `model.Waitlist` |
| slug | `waitlist_id` |
| entry | the fields of `model.Entry`; it stands among those who wait, or among those who were approved |
| root of an order | `children` as a list of `[id, size]`, `approved` and `left` as counts, `version` |
| node, leaf | the fields of `order.Branch` and `order.Leaf`; `children` as above |
| a contact's entry | `entry_id`, and of the entry `code`, `status`, `joined_at`, which rows of old lack |
| joins from one address | `moments`, `ttl` |
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.core.errors import NotFound
from chalicelib.features.waitlists.model import Entry, Held, Status, Waitlist
from chalicelib.features.waitlists.order import ROOT, Branch, Child, Leaf, Moved, Order, Tail
from chalicelib.platform import table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.listing import walk
from chalicelib.platform.table import Check, Condition, Delete, Item, Op, Put, Update, attr

_PAGE = 200
_STATUSES: tuple[Status, ...] = ("waiting", "approved")
_LISTS = ("codes", "referral_reasons", "welcome", "invite")
_NO_WAITLIST = "There is no such waitlist."


def load_all(tenant: Tenant) -> list[Waitlist]:
    """All waitlists, the oldest first, read consistently."""
    return [waitlist(item) for item in walk(tenant.waitlists_partition(), a_page=_PAGE)]


def load(tenant: Tenant, waitlist_id: str) -> Waitlist | None:
    """The waitlist, read consistently."""
    item = table.get(tenant.waitlist(waitlist_id))
    return None if item is None else waitlist(item)


def with_slug(tenant: Tenant, slug: str) -> Waitlist | None:
    """The waitlist of that slug."""
    item = table.get(tenant.waitlist_slug(slug))
    return None if item is None else load(tenant, item["waitlist_id"])


def waitlist(item: Item) -> Waitlist:
    """The waitlist that a row stands for."""
    return Waitlist(**{name: item[name] for name in Waitlist.__slots__ if name in item} | {"id": item["SK"]})


def put(tenant: Tenant, after: Waitlist) -> Op:
    """Write the waitlist over the version before."""
    unchanged = attr("PK").not_exists() if after.version == 1 else attr("version").eq(after.version - 1)
    attrs = {name: getattr(after, name) for name in Waitlist.__slots__ if name != "id"}
    return Put(tenant.waitlist(after.id), attrs, unchanged)


def remove(tenant: Tenant, known: Waitlist) -> Op:
    return Delete(tenant.waitlist(known.id), attr("version").eq(known.version))


def claim_slug(tenant: Tenant, slug: str, waitlist_id: str) -> Op:
    return Put(tenant.waitlist_slug(slug), {"waitlist_id": waitlist_id}, attr("PK").not_exists())


def free_slug(tenant: Tenant, slug: str) -> Op:
    return Delete(tenant.waitlist_slug(slug))


def save(tenant: Tenant, after: Entry) -> Op:
    """Write the entry over the version that was read, where it stands by its status."""
    unchanged = attr("PK").not_exists() if after.version == 0 else attr("version").eq(after.version)
    return Put(tenant.entry(after.waitlist_id, after.status, after.id), _entry_attrs(after), unchanged)


def transferred(tenant: Tenant, before: Entry, after: Entry) -> list[Op]:
    """The operations that write an entry of another status, over the version that was read."""
    stands = tenant.entry(after.waitlist_id, after.status, after.id)
    return [removal(tenant, before), Put(stands, _entry_attrs(after), attr("PK").not_exists())]


def removal(tenant: Tenant, known: Entry) -> Op:
    """Remove the entry over the version that was read."""
    return Delete(tenant.entry(known.waitlist_id, known.status, known.id), attr("version").eq(known.version))


def put_in_leaf(tenant: Tenant, waitlist_id: str, ulid: str, leaf_id: str) -> Op:
    """Note that an entry which waits stands in another leaf."""
    key = tenant.entry(waitlist_id, "waiting", entry_id(ulid))
    return Update(key, set_={"leaf": leaf_id}, add={"version": 1}, condition=attr("PK").exists())


def entry_id(ulid: str) -> str:
    """The id of the entry that the order names so."""
    return f"wl_entry_{ulid}"


def entry_keys(tenant: Tenant, waitlist_id: str, ident: str) -> list[Key]:
    """Where an entry may stand."""
    return [tenant.entry(waitlist_id, status, ident) for status in _STATUSES]


def entry(waitlist_id: str, item: Item) -> Entry:
    """The entry that a row stands for."""
    fields = {name: item[name] for name in Entry.__slots__ if name in item}
    lists = {name: tuple(item[name]) for name in _LISTS if name in item}
    return Entry(**fields | lists | {"id": item["SK"], "waitlist_id": waitlist_id})


def load_entry(tenant: Tenant, waitlist_id: str, ident: str) -> Entry | None:
    """The entry, wherever it stands; one consistent read, two where it is not there."""
    return next(iter(load_entries(tenant, waitlist_id, [ident]).values()), None)


def load_entries(tenant: Tenant, waitlist_id: str, idents: Sequence[str]) -> dict[str, Entry]:
    """Those of the entries that are there, by id."""
    rows = table.batch_get(key for ident in idents for key in entry_keys(tenant, waitlist_id, ident))
    found = {item["SK"]: entry(waitlist_id, item) for item in rows.values()}
    # The rows are not read at one moment: who was approved between is among those by now, for nobody goes back.
    missed = [tenant.entry(waitlist_id, "approved", ident) for ident in idents if ident not in found]
    rows = table.batch_get(missed) if missed else {}
    return found | {item["SK"]: entry(waitlist_id, item) for item in rows.values()}


def entries(tenant: Tenant, waitlist_id: str, status: Status, limit: int, after: str | None) -> list[Entry]:
    """Entries in the order in which they joined, those after an id; read consistently."""
    start = None if after is None else {"PK": tenant.entries_partition(waitlist_id, status), "SK": after}
    page = table.query(tenant.entries_partition(waitlist_id, status), limit=limit, after=start)
    return [entry(waitlist_id, item) for item in page.items]


def point(tenant: Tenant, known: Entry, *, over: str | None = None) -> Op:
    """Write that the contact has this entry in the waitlist, with what is shown of it without reading the entry;
    refused where it has one, or another one than `over`."""
    unchanged = attr("PK").not_exists() if over is None else attr("entry_id").eq(over)
    told = {"entry_id": known.id, "code": known.codes[0], "status": known.status, "joined_at": known.joined_at}
    return Put(tenant.entry_of(known.contact_id, known.waitlist_id), told, unchanged)


def unpoint(tenant: Tenant, contact_id: str, waitlist_id: str, ident: str) -> Op:
    return Delete(tenant.entry_of(contact_id, waitlist_id), attr("entry_id").eq(ident))


def pointed(tenant: Tenant, contact_id: str, waitlist_id: str) -> str | None:
    """The id of the contact's entry in the waitlist."""
    item = table.get(tenant.entry_of(contact_id, waitlist_id))
    return None if item is None else str(item["entry_id"])


def held(tenant: Tenant, waitlist_id: str, item: Item) -> Held | None:
    """The entry that such a row tells of; it is read where the row is of old, None where it has left meanwhile."""
    if "code" in item:
        return Held(waitlist_id, item["entry_id"], item["code"], item["status"], item["joined_at"])
    known = load_entry(tenant, waitlist_id, item["entry_id"])
    return None if known is None else Held(waitlist_id, known.id, known.codes[0], known.status, known.joined_at)


def all_pointed(tenant: Tenant, contact_id: str) -> dict[str, str]:
    """The ids of all entries of a contact, by waitlist."""
    partition, prefix = tenant.entries_of(contact_id)
    return {item["SK"].removeprefix(prefix): item["entry_id"] for item in walk(partition, prefix)}


def joins(tenant: Tenant, waitlist_id: str, ident: str, digest: str) -> tuple[list[int], int]:
    """The moments of the last joins from an address by an entry's code, and the row's version."""
    item = table.get(tenant.joins_from(waitlist_id, ident, digest)) or {}
    return list(item.get("moments", ())), item.get("version", 0)


def save_joins(
    tenant: Tenant, waitlist_id: str, ident: str, digest: str, moments: Sequence[int], version: int, ttl: int
) -> Op:
    unchanged = attr("PK").not_exists() if version == 0 else attr("version").eq(version)
    row = {"moments": list(moments), "version": version + 1, "ttl": ttl}
    return Put(tenant.joins_from(waitlist_id, ident, digest), row, unchanged)


@dataclass(slots=True)
class Parts:
    """The rows of one waitlist as they were read for one look, each once; a `Reader` of its order."""

    tenant: Tenant
    waitlist_id: str
    rows: dict[Key, Item | None] = field(default_factory=dict)

    def read(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """Those of the rows that are there."""
        wanted = list(dict.fromkeys(keys))
        missing = [key for key in wanted if key not in self.rows]
        if missing:
            found = table.batch_get(missing)
            self.rows |= {key: found.get(key) for key in missing}
        return {key: row for key in wanted if (row := self.rows[key]) is not None}

    def root(self) -> Item:
        """The root's row. Raises NotFound."""
        key = self.tenant.order_root(self.waitlist_id)
        found = self.read([key])
        if key not in found:
            raise NotFound(_NO_WAITLIST)
        return found[key]

    def branches(self, ids: Sequence[str]) -> Mapping[str, Branch]:
        if ROOT in ids:
            self.root()
        keys = {self._branch_key(ident): ident for ident in ids}
        found = self.read(keys)
        return {ident: _branch(ident, _standing(found, key)) for key, ident in keys.items()}

    def leaves(self, ids: Sequence[str]) -> Mapping[str, Leaf]:
        keys = {self.tenant.order_leaf(self.waitlist_id, ident): ident for ident in ids}
        found = self.read(keys)
        if len(found) < len(keys):
            self.root()  # where that is gone too, there is nothing to look at again
        return {ident: _leaf(ident, _standing(found, key)) for key, ident in keys.items()}

    def entries(self, idents: Sequence[str]) -> dict[str, Entry]:
        """Those of the entries that wait, by id."""
        found = self.read(self.tenant.entry(self.waitlist_id, "waiting", ident) for ident in idents)
        return {item["SK"]: entry(self.waitlist_id, item) for item in found.values()}

    def stand(self, again: Mapping[Key, Item] | None = None) -> bool:
        """True where all rows are as they were read, or were `again` read: so they stood beside each other at one
        moment."""
        again = table.batch_get(self.rows) if again is None else again
        return all((row or {}).get("version") == again.get(key, {}).get("version") for key, row in self.rows.items())

    def read_ahead(self, known: Entry, node: str | None) -> None:
        """Read in one call what an entry's place will be asked of: its row, the root, the leaf where it stood, and the
        node above that where it is known."""
        keys = [self.tenant.entry(self.waitlist_id, "waiting", known.id), self.tenant.order_root(self.waitlist_id)]
        leaf = [] if known.leaf is None else [self.tenant.order_leaf(self.waitlist_id, known.leaf)]
        self.read([*keys, *leaf, *([] if node is None else [self.tenant.order_node(self.waitlist_id, node)])])

    def _branch_key(self, ident: str) -> Key:
        if ident == ROOT:
            return self.tenant.order_root(self.waitlist_id)
        return self.tenant.order_node(self.waitlist_id, ident)


def read_ends(tenant: Tenant, waitlist_ids: Sequence[str]) -> dict[str, Parts]:
    """The root, the last node and the last leaf of each of these waitlists, one call for each of the three; waitlists
    that are no more are left out."""
    found = {each: Parts(tenant, each) for each in waitlist_ids}

    def read(keys: Mapping[str, Key]) -> dict[str, Item]:
        rows = table.batch_get(keys.values())
        for each, key in keys.items():
            found[each].rows[key] = rows.get(key)
        return {each: rows[key] for each, key in keys.items() if key in rows}

    roots = read({each: tenant.order_root(each) for each in waitlist_ids})
    nodes = read({each: tenant.order_node(each, row["children"][-1][0]) for each, row in roots.items()})
    read({each: tenant.order_leaf(each, row["children"][-1][0]) for each, row in nodes.items()})
    return {each: found[each] for each in roots}


def order_ops(
    tenant: Tenant, waitlist_id: str, order: Order, *, approved: int = 0, left: int = 0, alone: bool = False
) -> list[Op]:
    """The operations that write an order over what was read of it, and raise the root's counts.

    `alone`: what was read and has not changed need not stand.
    """
    ops = _root_ops(tenant, waitlist_id, order, {"approved": approved, "left": left}, alone=alone)
    for part, was, now in order.parts():
        key = _part_key(tenant, waitlist_id, part)
        unchanged: Condition = attr("PK").not_exists() if was is None else attr("version").eq(was.version)
        if now is None:
            ops.append(Delete(key, unchanged))
        elif now != was:
            ops.append(Put(key, _part_attrs(now), unchanged))
        elif not alone:
            ops.append(Check(key, unchanged))
    return ops


def first_ops(tenant: Tenant, waitlist_id: str, parts: Sequence[Branch | Leaf]) -> list[Op]:
    """The operations that write the order of a new waitlist."""
    return [Put(_part_key(tenant, waitlist_id, part), _part_attrs(part), attr("PK").not_exists()) for part in parts]


def raise_approved(tenant: Tenant, waitlist_id: str) -> Op:
    """Count one who was approved without having waited; whoever changes the order meanwhile is not refused."""
    return Update(tenant.order_root(waitlist_id), add={"approved": 1}, condition=attr("PK").exists())


def end_order(tenant: Tenant, waitlist_id: str, root_version: int, last: Leaf) -> list[Op]:
    """The operations after which nobody can join, move or be approved."""
    return [
        Delete(tenant.order_root(waitlist_id), attr("version").eq(root_version)),
        Delete(tenant.order_leaf(waitlist_id, last.id), attr("version").eq(last.version)),
    ]


def rest(tenant: Tenant, waitlist_id: str, limit: int) -> list[Key]:
    """Rows that a waitlist leaves behind which is no more, without its entries."""
    for partition in (tenant.order_partition(waitlist_id), tenant.joins_partition(waitlist_id)):
        if items := table.query(partition, limit=limit).items:
            return [Key(item["PK"], item["SK"]) for item in items]
    return []


def _root_ops(tenant: Tenant, waitlist_id: str, order: Order, counts: Mapping[str, int], *, alone: bool) -> list[Op]:
    was = order.root_before
    if was is None:
        return []
    key, unchanged = tenant.order_root(waitlist_id), attr("version").eq(was.version)
    raised = {name: count for name, count in counts.items() if count}
    if order.root == was and not raised:
        return [] if alone else [Check(key, unchanged)]
    # Not as a whole: its counts are raised by others without having read it.
    return [Update(key, set_={"children": _flat(order.root)}, add={"version": 1} | raised, condition=unchanged)]


def _entry_attrs(after: Entry) -> dict[str, Any]:
    attrs = {name: getattr(after, name) for name in Entry.__slots__ if name not in ("id", "waitlist_id")}
    return attrs | {"referral_reasons": after.referral_reasons or None, "version": after.version + 1}


def _part_key(tenant: Tenant, waitlist_id: str, part: Branch | Leaf) -> Key:
    if isinstance(part, Leaf):
        return tenant.order_leaf(waitlist_id, part.id)
    return tenant.order_root(waitlist_id) if part.id == ROOT else tenant.order_node(waitlist_id, part.id)


def _part_attrs(part: Branch | Leaf) -> dict[str, Any]:
    version = part.version + 1
    if isinstance(part, Branch):
        return {"children": _flat(part), "version": version}
    tail = None if part.tail is None else list(part.tail)
    return {"node": part.node, "entries": list(part.entries), "tail": tail, "version": version}


def _flat(branch: Branch) -> list[list[str | int]]:
    return [[child.id, child.size] for child in branch.children]


def _branch(ident: str, item: Item) -> Branch:
    return Branch(ident, tuple(Child(*each) for each in item["children"]), item["version"])


def _leaf(ident: str, item: Item) -> Leaf:
    tail = Tail(*item["tail"]) if "tail" in item else None
    return Leaf(ident, item["node"], tuple(item["entries"]), tail, item["version"])


def _standing(found: Mapping[Key, Item], key: Key) -> Item:
    if key not in found:
        raise Moved
    return found[key]


def leftovers(tenant: Tenant, waitlist_id: str, limit: int) -> Iterator[Entry]:
    """Entries that a waitlist leaves behind which is no more."""
    for status in _STATUSES:
        yield from entries(tenant, waitlist_id, status, limit, None)
