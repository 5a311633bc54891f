"""Public verbs of the waitlists feature."""

import hashlib
import hmac
import random
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from chalicelib.core import clock, strict_json
from chalicelib.core.addresses import network_of
from chalicelib.core.errors import Conflict, NotFound, Unavailable, detail
from chalicelib.features.waitlists import order as orders
from chalicelib.features.waitlists import store
from chalicelib.features.waitlists.model import (
    JOINS_WITHIN,
    MAX_WAITLISTS,
    Entry,
    MailKind,
    Stats,
    Waitlist,
    with_join,
)
from chalicelib.features.waitlists.order import Leaf, Moved, Order
from chalicelib.features.waitlists.store import Parts as Parts
from chalicelib.platform import cursor, definitions, mail_queue, table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.secrets import derive
from chalicelib.platform.table import ConditionFailed, Delete, Op

T = TypeVar("T")

_ENDPOINT: Final = "waitlists"
_ENTRIES: Final = "waitlist_entries"
_ATTEMPTS: Final = 60
_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.25
_TURN_S: Final = 2.0
_LEAVES_KEPT: Final = 1_000
_ANCHORS: Final = 32
"""Entries listed last of which one has to be where it was, for the next page to go on behind it exactly."""

find = store.load
find_entry = store.load_entry
entries = store.entries
save = store.save
transferred = store.transferred
removal = store.removal
pointed = store.pointed
all_pointed = store.all_pointed
point = store.point
held = store.held
unpoint = store.unpoint
order_ops = store.order_ops
raise_approved = store.raise_approved
entry_id = store.entry_id
dispatch = mail_queue.dispatch


@dataclass(frozen=True, slots=True)
class EntryMail:
    """A mail to somebody in a waitlist, as it travels to the worker that mails.

    `turn` is the real moment at which it has its turn in the account's rate, None where none was given.
    """

    waitlist_id: str
    entry_id: str
    mail: MailKind
    turn: int | None = None

    @property
    def mark(self) -> str:
        """Names it among all work of the project."""
        return f"{self.entry_id}#{self.mail}"


def _catalog(tenant: Tenant, version: int) -> list[Waitlist]:
    return store.load_all(tenant) if version else []


_catalogs = definitions.Kept(_catalog)
_turns = [threading.Lock() for _ in range(64)]
_last_leaves: dict[tuple[Tenant, str], str] = {}
"""Where somebody was put last: a leaf says itself whether it still is the last one."""


def all_of(tenant: Tenant, version: int | None = None) -> list[Waitlist]:
    """All waitlists, the oldest first; one consistent read where this instance knows them already, and none where the
    version of the definitions was just read."""
    return _catalogs.at(tenant, definitions.version(tenant) if version is None else version)


def pointer_key(tenant: Tenant, contact_id: str, waitlist_id: str) -> Key:
    """The row that tells of the contact's entry in the waitlist."""
    return tenant.entry_of(contact_id, waitlist_id)


def get(tenant: Tenant, name: str, version: int | None = None) -> Waitlist:
    """The waitlist of that id, or of that slug; `version` as above. Raises NotFound."""
    for each in all_of(tenant, version):
        if name in (each.id, each.slug):
            return each
    raise NotFound("There is no such waitlist.")


def listing(tenant: Tenant, limit: int, after: str | None) -> tuple[list[Waitlist], str | None]:
    """One page of waitlists, newest first, and the cursor of the next one. Raises BadRequest on a foreign cursor."""
    position = None if after is None else cursor.decode(after, tenant, _ENDPOINT, {})
    older = [each for each in reversed(all_of(tenant)) if position is None or each.id < position]
    shown = older[:limit]
    return shown, cursor.encode(tenant, _ENDPOINT, {}, shown[-1].id) if len(older) > limit else None


def creation(tenant: Tenant, made: Waitlist) -> list[Op]:
    """The operations that write a new waitlist; refused where definitions were changed meanwhile, the first one where
    its slug is taken. Raises Conflict over MAX_WAITLISTS."""
    version = definitions.version(tenant)
    if len(store.load_all(tenant)) >= MAX_WAITLISTS:
        raise Conflict(f"A project has at most {MAX_WAITLISTS} waitlists.")
    return [
        store.claim_slug(tenant, made.slug, made.id),
        store.put(tenant, made),
        *store.first_ops(tenant, made.id, orders.empty(new_part(), new_part())),
        definitions.raise_op(tenant, version),
    ]


def change_ops(tenant: Tenant, before: Waitlist, after: Waitlist, version: int) -> list[Op]:
    """The operations that write a waitlist over the version before; refused where definitions were changed since that
    one, the first one where its slug is taken."""
    ops = [store.put(tenant, after), definitions.raise_op(tenant, version)]
    if after.slug == before.slug:
        return ops
    return [store.claim_slug(tenant, after.slug, after.id), *ops, store.free_slug(tenant, before.slug)]


def taken(slug: str) -> Conflict:
    """What a caller is told whose slug another waitlist has."""
    return Conflict("The slug is taken.", details=[detail("slug", "taken", f"Another waitlist has the slug {slug}.")])


def removal_ops(tenant: Tenant, known: Waitlist) -> list[Op]:
    """The operations that end a waitlist: from then on nobody joins it. Raises Moved."""
    parts = Parts(tenant, known.id)
    last = Order(parts).last_leaf
    return [
        store.remove(tenant, known),
        store.free_slug(tenant, known.slug),
        *store.end_order(tenant, known.id, parts.root()["version"], last),
        definitions.raise_op(tenant, None),
    ]


def check_unused(tenant: Tenant, template_id: str) -> None:
    """Raises Conflict where a waitlist uses the template."""
    using = [each.id for each in all_of(tenant) if template_id in each.template_ids.values()]
    if using:
        details = [detail("id", "in_use", f"Used by {each}.") for each in using[:20]]
        raise Conflict("Waitlists use this.", details=details)


def new_part() -> str:
    """The id of a new part of an order."""
    return secrets.token_hex(5)


def begun(tenant: Tenant, waitlist_id: str) -> tuple[Order, Parts]:
    """The order of a waitlist, to be changed, and the rows behind it."""
    parts = Parts(tenant, waitlist_id)
    return Order(parts, new_part), parts


def at_end(tenant: Tenant, waitlist_id: str) -> tuple[Order, Leaf]:
    """The order of a waitlist, and its last leaf, behind which somebody is to be put; one read where this instance
    knows which leaf that is."""
    order, _ = begun(tenant, waitlist_id)
    last = order.tail(_last_leaves.get((tenant, waitlist_id)))
    _last_leaves[tenant, waitlist_id] = last.id
    if len(_last_leaves) > _LEAVES_KEPT:
        _last_leaves.pop(next(iter(_last_leaves)), None)
    return order, last


@contextmanager
def in_turn(waitlist_id: str) -> Iterator[None]:
    """Those who join in one process go one after the other: at once they would but refuse each other's writes.

    Nobody waits for long, for it is the table that keeps the order.
    """
    lock = _turns[hash(waitlist_id) % len(_turns)]
    has_turn = lock.acquire(timeout=_TURN_S)
    try:
        yield
    finally:
        if has_turn:
            lock.release()


def entry(tenant: Tenant, waitlist_id: str, ident: str) -> Entry:
    """The entry. Raises NotFound."""
    found = store.load_entry(tenant, waitlist_id, ident)
    if found is None:
        raise NotFound("There is no such entry.")
    return found


def position(tenant: Tenant, known: Entry, node: str | None = None) -> int | None:
    """Where the entry stands now, the first being 1; None where it does not wait any more.

    One call less where the caller knows below which node it was just put.
    """
    return _seen(tenant, known.waitlist_id, lambda order, parts: _position(order, parts, known, node))


def standing(tenant: Tenant, known: Entry) -> tuple[int | None, int]:
    """The same, and how many wait, both at one moment."""
    return _seen(tenant, known.waitlist_id, lambda order, parts: (_position(order, parts, known), order.total))


def _position(order: Order, parts: Parts, known: Entry, node: str | None = None) -> int | None:
    # Where it stood when it was read it most likely stands now.
    parts.read_ahead(known, node)
    found = parts.entries([known.id]).get(known.id)
    if found is None or found.leaf is None:
        return None
    return order.index(found.ulid, found.leaf) + 1


def stats(tenant: Tenant, waitlist_id: str) -> Stats:
    """How many wait and how many were approved, at one moment."""
    return _seen(tenant, waitlist_id, _stats)


def stats_of(tenant: Tenant, waitlist_ids: Sequence[str]) -> dict[str, Stats]:
    """The same of many waitlists, those left out that are no more; four calls for all that do not change meanwhile."""
    ends = store.read_ends(tenant, waitlist_ids)
    again = table.batch_get(key for parts in ends.values() for key in parts.rows)
    found: dict[str, Stats] = {}
    for waitlist_id, parts in ends.items():
        with suppress(NotFound):
            stands = parts.stand(again)
            found[waitlist_id] = _stats(Order(parts), parts) if stands else stats(tenant, waitlist_id)
    return found


def _stats(order: Order, parts: Parts) -> Stats:
    return Stats(order.total, parts.root().get("approved", 0))


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of entries, the position of the first one where they wait, and how many there are of the status."""

    rows: list[Entry]
    first: int
    total: int
    following: str | None


def waiting(tenant: Tenant, waitlist_id: str, limit: int, after: str | None) -> Listed:
    """A page of those who wait, by position. Raises BadRequest on a foreign cursor.

    The next page begins behind the last one listed who has not moved or left since.
    """
    filters = {"waitlist": waitlist_id, "status": "waiting"}
    place = None if after is None else _Place.of(cursor.decode(after, tenant, _ENTRIES, filters))

    def look(order: Order, parts: Parts) -> tuple[list[Entry], int, int, int]:
        left = parts.root().get("left", 0)
        start = 0 if place is None else place.index(order, parts, left)
        found = parts.entries([store.entry_id(ulid) for ulid in order.page(start, limit, with_end=True)])
        return list(found.values()), start, order.total, left

    rows, start, total, left = _seen(tenant, waitlist_id, look)
    end = start + len(rows)
    following = None
    if rows and end < total:
        before = [] if place is None else place.anchors
        anchors = [*before, *((each.ulid, each.moves) for each in rows)][-_ANCHORS:]
        following = cursor.encode(tenant, _ENTRIES, filters, _Place(anchors, end, left).text)
    return Listed(rows, start + 1, total, following)


def approved(tenant: Tenant, waitlist_id: str, limit: int, after: str | None) -> Listed:
    """A page of those who were approved, in the order in which they joined. Raises BadRequest on a foreign cursor."""
    filters = {"waitlist": waitlist_id, "status": "approved"}
    position = None if after is None else cursor.decode(after, tenant, _ENTRIES, filters)
    found = store.entries(tenant, waitlist_id, "approved", limit + 1, position)
    rows = found[:limit]
    following = cursor.encode(tenant, _ENTRIES, filters, rows[-1].id) if len(found) > limit else None
    return Listed(rows, 0, stats(tenant, waitlist_id).approved, following)


def split(tenant: Tenant, waitlist_id: str, leaf_id: str) -> None:
    """Make room in a leaf that is full. Raises Moved or ConditionFailed where somebody else was faster."""
    order, _ = begun(tenant, waitlist_id)
    elsewhere = order.split(leaf_id)
    moved = [store.put_in_leaf(tenant, waitlist_id, ulid, leaf) for ulid, leaf in elsewhere.items()]
    table.transact([*store.order_ops(tenant, waitlist_id, order), *moved])


def source_of(ip: str) -> str:
    """An address as it is kept for being counted: a keyed hash."""
    return hmac.digest(derive("waitlist-joins"), network_of(ip).encode(), hashlib.sha256).hex()[:32]


def joins(tenant: Tenant, referrer: Entry, digest: str, at: int) -> tuple[list[int], Op]:
    """The moments of the last joins from that source by an entry's code, and the operation that adds one at `at`; they
    are kept for as long as they are counted."""
    moments, version = store.joins(tenant, referrer.waitlist_id, referrer.id, digest)
    ends = table.ttl(tenant, JOINS_WITHIN)
    added = with_join(moments, at)
    return moments, store.save_joins(tenant, referrer.waitlist_id, referrer.id, digest, added, version, ends)


def leftovers(tenant: Tenant, waitlist_id: str, limit: int) -> list[Entry]:
    """Entries of a waitlist that is no more."""
    return list(store.leftovers(tenant, waitlist_id, limit))


def erase_rest(tenant: Tenant, waitlist_id: str) -> bool:
    """Remove some of what such a waitlist leaves behind besides; False where nothing is left. May be repeated."""
    keys = store.rest(tenant, waitlist_id, table.MAX_TRANSACTION)
    if keys:
        table.transact([Delete(key) for key in keys])
    return bool(keys)


def retried(act: Callable[[], T]) -> T:
    """What `act` returns, which is called again where somebody else was faster. Raises Unavailable."""
    for attempt in range(_ATTEMPTS):
        try:
            return act()
        except (ConditionFailed, Moved):
            longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
            clock.sleep(random.uniform(0, longest))  # noqa: S311 - jitter, not a secret
    raise Unavailable


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page of those who wait has ended: behind the last entries that were listed, by it and before it, each
    with how often it had moved; at that index, when so many had left."""

    anchors: Sequence[tuple[str, int]]
    end: int
    left: int

    @classmethod
    def of(cls, text: str) -> "_Place":
        anchors, end, left = strict_json.stored(text)
        return cls([(ulid, moves) for ulid, moves in anchors], end, left)

    @property
    def text(self) -> str:
        return strict_json.dumps([[list(each) for each in self.anchors], self.end, self.left])

    def index(self, order: Order, parts: Parts, left: int) -> int:
        """Where the next page begins by now. Where all of its last entries have gone, nobody is passed over.

        Entries go up and never down: whoever was behind one of them, and has not moved, still is.
        """
        there = parts.entries([store.entry_id(ulid) for ulid, _ in self.anchors])
        waits: list[tuple[str, str]] = []
        for ulid, moves in self.anchors:
            known = there.get(store.entry_id(ulid))
            if known is not None and known.leaf is not None:
                waits = [*([] if known.moves == moves else waits), (ulid, known.leaf)]
        if waits:
            order.read_nodes([leaf for _, leaf in waits])
        behind = [order.index(ulid, leaf) + 1 for ulid, leaf in waits]
        return max(0, self.end - (left - self.left), *behind)


def _seen(tenant: Tenant, waitlist_id: str, look: Callable[[Order, Parts], T]) -> T:
    """What `look` sees of a waitlist, all at one moment: it looks again where something has changed meanwhile."""

    def act() -> T:
        order, parts = begun(tenant, waitlist_id)
        seen = look(order, parts)
        if not parts.stand():
            raise Moved
        return seen

    return retried(act)
