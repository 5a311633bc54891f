"""The order of a queue: a counted tree of three levels, root, nodes and leaves, of which the leaves hold the entries.
Pure: parts are read by a `Reader`, and what has changed of them is told for somebody to write.

The root and each node hold their children in order, each with the number of entries below it. Of the last child that
number is not kept, it stands as 0 and is read from the child itself: so who joins at the end changes one leaf, as long
as that has room. Nothing is ranked by keys between keys, so nothing grows by moving.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, TypeVar

NODE_MAX = 128
"""Leaves of a node."""

LEAF_MAX = 64
"""Entries of a leaf."""

_HALF_LEAF = LEAF_MAX // 2
_HALF_NODE = NODE_MAX // 2


class Moved(Exception):
    """What was read does not fit together: somebody has changed the order meanwhile."""


class LeafFull(Exception):
    """There is no room where an entry is to go; the leaf is to be split first."""

    def __init__(self, leaf_id: str) -> None:
        super().__init__(leaf_id)
        self.leaf_id = leaf_id


class Child(NamedTuple):
    """A node below the root, or a leaf below a node, and how many entries it holds; 0 of the last one."""

    id: str
    size: int


class Tail(NamedTuple):
    """Who joined last: the ULID of the entry, and when, in ms."""

    ulid: str
    joined_at: int


@dataclass(frozen=True, slots=True)
class Branch:
    """The root, whose id is empty, or a node. `version` counts writes."""

    id: str
    children: tuple[Child, ...]
    version: int = 0


@dataclass(frozen=True, slots=True)
class Leaf:
    """Entries in order, by their ULIDs, and the node above. The last leaf of all, and no other one, has a tail."""

    id: str
    node: str
    entries: tuple[str, ...] = ()
    tail: Tail | None = None
    version: int = 0


class Span(NamedTuple):
    """Entries of one leaf: `length` of them from `first` on."""

    leaf: str
    first: int
    length: int


class Reader(Protocol):
    """Where the parts are. Both raise Moved for parts that are not there."""

    def branches(self, ids: Sequence[str]) -> Mapping[str, Branch]: ...

    def leaves(self, ids: Sequence[str]) -> Mapping[str, Leaf]: ...


ROOT = ""
"""The root's id."""

T = TypeVar("T", Branch, Leaf)


@dataclass(slots=True)
class Order:
    """A queue that is looked at, or changed. Raises Moved where parts do not fit together.

    `new_id` makes the ids of new parts. `branches` and `leaves` have what was read, as it is by now, None for what is
    gone; `nodes_before` and `leaves_before` have it as it was read.
    """

    reader: Reader
    new_id: Callable[[], str] = lambda: ""
    branches: dict[str, Branch | None] = field(default_factory=dict)
    leaves: dict[str, Leaf | None] = field(default_factory=dict)
    nodes_before: dict[str, Branch] = field(default_factory=dict)
    leaves_before: dict[str, Leaf] = field(default_factory=dict)

    @property
    def root(self) -> Branch:
        return self.branch(ROOT)

    def branch(self, ident: str) -> Branch:
        """The root or a node as it is by now."""
        self._need_branches([ident])
        return _there(self.branches[ident])

    def leaf(self, ident: str) -> Leaf:
        """A leaf as it is by now."""
        self._need_leaves([ident])
        return _there(self.leaves[ident])

    @property
    def last_leaf(self) -> Leaf:
        """The one that who joins is written into."""
        return self.leaf(self.branch(self.root.children[-1].id).children[-1].id)

    @property
    def total(self) -> int:
        """How many entries there are."""
        root = self.root
        node = self.branch(root.children[-1].id)
        return _sum(root.children) + _sum(node.children) + len(self.last_leaf.entries)

    def index(self, entry: str, leaf_id: str) -> int:
        """How many are before the entry, which is in that leaf."""
        leaf = self.leaf(leaf_id)
        if entry not in leaf.entries:
            raise Moved
        before = _sum_before(self.root.children, leaf.node) + _sum_before(self.branch(leaf.node).children, leaf.id)
        return before + leaf.entries.index(entry)

    def read_nodes(self, leaf_ids: Sequence[str]) -> None:
        """Read leaves in one call, and in one more their nodes and the last one, where all will be asked for."""
        self._need_leaves(leaf_ids)
        self._need_branches([*(self.leaf(each).node for each in leaf_ids), self.root.children[-1].id])

    def page(self, start: int, count: int, *, with_end: bool = False) -> list[str]:
        """The entries from that index on, `count` at the most; `with_end` reads beside them what `total` needs."""
        root = self.root
        if with_end:
            self._need_branches([*(node for node, _, _ in _cut(root.children, start, count)), root.children[-1].id])
        spans = self.spans(start, count)
        end = [self.branch(root.children[-1].id).children[-1].id] if with_end else []
        self._need_leaves([*(span.leaf for span in spans), *end])
        return [entry for span in spans for entry in self._within(span)][:count]

    def spans(self, start: int, count: int) -> list[Span]:
        """Where the entries from that index on stand; the last span may hold fewer than it says."""
        nodes = list(_cut(self.root.children, start, count))
        self._need_branches([node for node, _, _ in nodes])
        return [Span(*part) for node, first, some in nodes for part in _cut(self.branch(node).children, first, some)]

    def tail(self, hint: str | None = None) -> Leaf:
        """The last leaf; where the one of that id still is it, nothing else is read."""
        if hint is not None:
            try:
                leaf = self.leaf(hint)
            except Moved:
                return self.last_leaf
            if leaf.tail is not None:
                return leaf
        return self.last_leaf

    def append(self, last: Leaf, entry: str, joined_at: int) -> str:
        """Put an entry at the end, behind the last leaf; returns the id of its leaf. While that has room, nothing else
        has to stand."""
        tail = Tail(entry, joined_at)
        if len(last.entries) < LEAF_MAX:
            self._set(replace(last, entries=(*last.entries, entry), tail=tail))
            return last.id
        self._set(replace(last, tail=None))
        root = self.root
        node = self.branch(root.children[-1].id)
        if len(node.children) < NODE_MAX:
            made = Leaf(self.new_id(), node.id, (entry,), tail)
            self._set(replace(node, children=_with_new_last(node.children, len(last.entries), made.id)))
        else:
            made = Leaf(self.new_id(), self.new_id(), (entry,), tail)
            self._set(Branch(made.node, (Child(made.id, 0),)))
            below = _sum(node.children) + len(last.entries)
            self._set(replace(root, children=_with_new_last(root.children, below, made.node)))
        self._set(made)
        return made.id

    def remove(self, entry: str, leaf_id: str) -> None:
        """Take an entry out; the rest close up."""
        leaf = self.leaf(leaf_id)
        if entry not in leaf.entries:
            raise Moved
        smaller = replace(leaf, entries=tuple(each for each in leaf.entries if each != entry))
        self._set(smaller)
        self._count(leaf, -1)
        if not smaller.entries and smaller.tail is None:
            self._drop(smaller)

    def move(self, entry: str, leaf_id: str, index: int) -> str:
        """Let an entry be the one that so many others are before; returns the id of its leaf. Raises LeafFull."""
        self.remove(entry, leaf_id)
        return self.insert(entry, index)

    def insert(self, entry: str, index: int) -> str:
        """Put an entry where so many others are before it; returns the id of its leaf. Raises LeafFull."""
        span = self.spans(index, 1)[0]
        leaf = self.leaf(span.leaf)
        if len(leaf.entries) >= LEAF_MAX:
            raise LeafFull(leaf.id)
        self._set(replace(leaf, entries=(*leaf.entries[: span.first], entry, *leaf.entries[span.first :])))
        self._count(leaf, 1)
        return leaf.id

    def split(self, leaf_id: str) -> dict[str, str]:
        """Make room in a full leaf, or, where its node is full too, in the node alone: it is to be called again then.

        Returns the entries that are in another leaf by that, each with its leaf.
        """
        leaf = self.leaf(leaf_id)
        node = self.branch(leaf.node)
        if len(node.children) >= NODE_MAX:
            self._split_node(node)
            return {}
        if len(leaf.entries) < LEAF_MAX:
            return {}
        # The first half leaves: so the last leaf stays the last.
        made = Leaf(self.new_id(), node.id, leaf.entries[:_HALF_LEAF])
        self._set(made)
        self._set(replace(leaf, entries=leaf.entries[_HALF_LEAF:]))
        self._set(replace(node, children=_with_new_before(node.children, leaf.id, [Child(made.id, _HALF_LEAF)])))
        return dict.fromkeys(made.entries, made.id)

    def parts(self) -> Iterator[tuple[Branch | Leaf, Branch | Leaf | None, Branch | Leaf | None]]:
        """All parts that were read or made, the root left out: each, as it was before, and as it is by now."""
        nodes = ((self.nodes_before.get(ident), part) for ident, part in self.branches.items() if ident != ROOT)
        leaves = ((self.leaves_before.get(ident), part) for ident, part in self.leaves.items())
        for was, now in (*nodes, *leaves):
            if now is not None:
                yield now, was, now
            elif was is not None:
                yield was, was, None

    @property
    def root_before(self) -> Branch | None:
        """The root as it was read, where it was."""
        return self.nodes_before.get(ROOT)

    def _split_node(self, node: Branch) -> None:
        leaving = node.children[:_HALF_NODE]
        made = Branch(self.new_id(), (*leaving[:-1], Child(leaving[-1].id, 0)))
        self._need_leaves([child.id for child in leaving])
        for child in leaving:
            self._set(replace(self.leaf(child.id), node=made.id))
        self._set(made)
        self._set(replace(node, children=node.children[_HALF_NODE:]))
        below = sum(child.size for child in leaving)
        self._set(replace(self.root, children=_with_new_before(self.root.children, node.id, [Child(made.id, below)])))

    def _count(self, leaf: Leaf, by: int) -> None:
        """Note that a leaf has more entries, or fewer."""
        for above, ident in ((self.branch(leaf.node), leaf.id), (self.root, leaf.node)):
            changed = _counted(above.children, ident, by)
            if changed != above.children:
                self._set(replace(above, children=changed))

    def _drop(self, leaf: Leaf) -> None:
        """Remove a leaf that is empty, and its node where it was the only one."""
        node = self.branch(leaf.node)
        self.leaves[leaf.id] = None
        rest = _without(node.children, leaf.id)
        if rest:
            self._set(replace(node, children=rest))
        else:
            self.branches[node.id] = None
            self._set(replace(self.root, children=_without(self.root.children, node.id)))

    def _within(self, span: Span) -> tuple[str, ...]:
        return self.leaf(span.leaf).entries[span.first : span.first + span.length]

    def _set(self, part: Branch | Leaf) -> None:
        if isinstance(part, Branch):
            self.branches[part.id] = part
        else:
            self.leaves[part.id] = part

    def _need_branches(self, ids: Sequence[str]) -> None:
        missing = [each for each in dict.fromkeys(ids) if each not in self.branches]
        if missing:
            found = self.reader.branches(missing)
            self.branches |= found
            self.nodes_before |= found

    def _need_leaves(self, ids: Sequence[str]) -> None:
        missing = [each for each in dict.fromkeys(ids) if each not in self.leaves]
        if missing:
            found = self.reader.leaves(missing)
            self.leaves |= found
            self.leaves_before |= found


def empty(node_id: str, leaf_id: str) -> tuple[Branch, Branch, Leaf]:
    """The parts of a queue in which nobody is: there is always a last leaf."""
    tail = Tail("", 0)
    return Branch(ROOT, (Child(node_id, 0),)), Branch(node_id, (Child(leaf_id, 0),)), Leaf(leaf_id, node_id, (), tail)


def _there(part: T | None) -> T:
    if part is None:
        raise Moved
    return part


def _sum(children: Sequence[Child]) -> int:
    """Entries below all children but the last."""
    return sum(child.size for child in children[:-1])


def _sum_before(children: Sequence[Child], ident: str) -> int:
    before = 0
    for child in children:
        if child.id == ident:
            return before
        before += child.size
    raise Moved


def _cut(children: Sequence[Child], start: int, count: int) -> Iterator[tuple[str, int, int]]:
    """Of which children `count` entries from `start` on are: each with the first one's index in it, and how many."""
    for n, child in enumerate(children):
        is_last = n == len(children) - 1
        if is_last or start < child.size:
            some = count if is_last else min(count, child.size - start)
            yield child.id, start, some
            start, count = 0, count - some
            if count <= 0:
                return
        else:
            start -= child.size


def _counted(children: tuple[Child, ...], ident: str, by: int) -> tuple[Child, ...]:
    if not any(child.id == ident for child in children):
        raise Moved
    *others, last = children
    return (*(Child(each.id, each.size + by) if each.id == ident else each for each in others), last)


def _without(children: tuple[Child, ...], ident: str) -> tuple[Child, ...]:
    rest = tuple(child for child in children if child.id != ident)
    return (*rest[:-1], Child(rest[-1].id, 0)) if rest else ()


def _with_new_last(children: tuple[Child, ...], count: int, ident: str) -> tuple[Child, ...]:
    *others, last = children
    return (*others, Child(last.id, count), Child(ident, 0))


def _with_new_before(children: tuple[Child, ...], ident: str, new: Sequence[Child]) -> tuple[Child, ...]:
    """The children with new ones before that one, out of which they have taken what they hold."""
    taken = sum(child.size for child in new)
    reduced = _counted(children, ident, -taken)
    at = next(n for n, child in enumerate(reduced) if child.id == ident)
    return (*reduced[:at], *new, *reduced[at:])
