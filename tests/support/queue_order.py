"""A queue's parts in memory, as the table keeps them: what was read is written over those versions only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from chalicelib.features.waitlists.order import ROOT, Branch, Leaf, LeafFull, Moved, Order, empty


@dataclass
class Parts:
    """The parts of one queue, and in which leaf each entry is."""

    branches: dict[str, Branch] = field(default_factory=dict)
    leaves: dict[str, Leaf] = field(default_factory=dict)
    leaf_of: dict[str, str] = field(default_factory=dict)
    numbers: Callable[[], int] = field(default_factory=lambda: count(1).__next__)

    @classmethod
    def new(cls) -> "Parts":
        made = cls()
        root, node, leaf = empty(made.new_id(), made.new_id())
        made.branches = {part.id: replace(part, version=1) for part in (root, node)}
        made.leaves = {leaf.id: replace(leaf, version=1)}
        return made

    def new_id(self) -> str:
        return f"part{self.numbers()}"

    def read_branches(self, ids: Sequence[str]) -> Mapping[str, Branch]:
        if not all(each in self.branches for each in ids):
            raise Moved
        return {each: self.branches[each] for each in ids}

    def read_leaves(self, ids: Sequence[str]) -> Mapping[str, Leaf]:
        if not all(each in self.leaves for each in ids):
            raise Moved
        return {each: self.leaves[each] for each in ids}

    def order(self) -> Order:
        return Order(Reading(self), self.new_id)

    def write(self, order: Order, *, checks: bool = True) -> None:
        """Write what has changed. Raises Moved where a part that was read is another one by now.

        Without `checks` only the parts that are written have to be the same.
        """
        changes = [(was, now) for _, was, now in order.parts() if checks or was != now]
        if order.root_before is not None and (checks or order.root_before != order.root):
            changes.append((order.root_before, order.root))
        for was, _ in changes:
            if was is not None:
                stands = self.branches.get(was.id) if isinstance(was, Branch) else self.leaves.get(was.id)
                if stands is None or stands.version != was.version:
                    raise Moved
        for was, now in changes:
            if now is None:
                assert was is not None
                kept: dict[str, Branch] | dict[str, Leaf] = self.branches if isinstance(was, Branch) else self.leaves
                del kept[was.id]
            elif now != was:
                self._put(replace(now, version=now.version + 1))

    def _put(self, part: Branch | Leaf) -> None:
        if isinstance(part, Branch):
            self.branches[part.id] = part
        else:
            self.leaves[part.id] = part

    def listed(self) -> list[str]:
        """All entries in order, read from the parts themselves."""
        nodes = [self.branches[child.id] for child in self.branches[ROOT].children]
        return [entry for node in nodes for leaf in node.children for entry in self.leaves[leaf.id].entries]

    def join(self, entry: str) -> None:
        order = self.order()
        leaf = order.append(order.tail(), entry, 0)
        self.write(order, checks=False)
        self.leaf_of[entry] = leaf

    def leave(self, entry: str) -> None:
        order = self.order()
        order.remove(entry, self.leaf_of[entry])
        self.write(order)
        del self.leaf_of[entry]

    def move(self, entry: str, index: int) -> None:
        while True:
            order = self.order()
            try:
                leaf = order.move(entry, self.leaf_of[entry], index)
            except LeafFull as full:
                self.split(full.leaf_id)
                continue
            self.write(order)
            self.leaf_of[entry] = leaf
            return

    def split(self, leaf_id: str) -> None:
        order = self.order()
        moved = order.split(leaf_id)
        self.write(order)
        self.leaf_of |= moved


@dataclass(frozen=True)
class Reading:
    parts: Parts

    def branches(self, ids: Sequence[str]) -> Mapping[str, Branch]:
        return self.parts.read_branches(ids)

    def leaves(self, ids: Sequence[str]) -> Mapping[str, Leaf]:
        return self.parts.read_leaves(ids)
