"""The order of a waitlist against a plain list: whatever joins, moves and leaves, everybody has the same place."""

import random

import pytest

from chalicelib.features.waitlists import order as orders
from chalicelib.features.waitlists.order import LEAF_MAX, NODE_MAX, ROOT, Moved
from tests.support.queue_order import Parts


def moved(queue: list[str], entry: str, index: int) -> None:
    """The plain list in which one element moves."""
    queue.remove(entry)
    queue.insert(index, entry)


def places(parts: Parts, queue: list[str]) -> list[int]:
    order = parts.order()
    return [order.index(entry, parts.leaf_of[entry]) for entry in queue]


def sizes(parts: Parts) -> None:
    """What is kept of each child is what is below it, and nothing has more than it may."""
    root = parts.branches[ROOT]
    below = {}
    for node in parts.branches.values():
        if node.id != ROOT:
            held = [len(parts.leaves[child.id].entries) for child in node.children]
            assert [child.size for child in node.children] == [*held[:-1], 0]
            assert len(node.children) <= NODE_MAX
            below[node.id] = sum(held)
    assert [child.size for child in root.children] == [*(below[child.id] for child in root.children[:-1]), 0]
    assert all(len(leaf.entries) <= LEAF_MAX for leaf in parts.leaves.values())
    last = parts.branches[root.children[-1].id].children[-1].id
    assert [leaf.id for leaf in parts.leaves.values() if leaf.tail is not None] == [last]
    assert len([leaf for leaf in parts.leaves.values() if not leaf.entries]) <= 1


def played(parts: Parts, rng: random.Random, steps: int, joins: float) -> list[str]:
    """The plain list after so many random steps, of which that share are joins."""
    queue: list[str] = []
    for n in range(steps):
        if not queue or rng.random() < joins:
            parts.join(f"e{n}")
            queue.append(f"e{n}")
            continue
        entry = rng.choice(queue)
        if rng.random() < 0.5:
            index = max(0, queue.index(entry) - rng.choice([1, 3, 40, 1_000]))
            parts.move(entry, index)
            moved(queue, entry, index)
        else:
            parts.leave(entry)
            queue.remove(entry)
    return queue


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("joins", [0.34, 0.5, 0.8])
def test_after_random_steps_everybody_has_the_place_of_the_plain_list(seed: int, joins: float) -> None:
    parts = Parts.new()
    queue = played(parts, random.Random(seed), 2_000, joins)
    assert parts.listed() == queue
    assert places(parts, queue) == list(range(len(queue)))
    assert parts.order().total == len(queue)
    sizes(parts)


@pytest.mark.parametrize("seed", range(3))
def test_any_page_is_a_slice_of_the_plain_list(seed: int) -> None:
    rng = random.Random(seed)
    parts = Parts.new()
    queue = played(parts, rng, 1_500, 0.7)
    for _ in range(200):
        start, count = rng.randrange(len(queue) + 5), rng.randint(1, 100)
        assert parts.order().page(start, count) == queue[start : start + count]


def test_small_nodes_split_and_go_as_large_ones_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nodes of 4 leaves of 6 entries all that happens at a million happens at a thousand."""
    for name, value in (("LEAF_MAX", 6), ("_HALF_LEAF", 3), ("NODE_MAX", 4), ("_HALF_NODE", 2)):
        monkeypatch.setattr(orders, name, value)
    parts = Parts.new()
    queue = played(parts, random.Random(7), 4_000, 0.5)
    assert parts.listed() == queue
    assert places(parts, queue) == list(range(len(queue)))
    assert len(parts.branches[ROOT].children) > 4


def test_who_joins_changes_the_last_leaf_alone_while_that_has_room() -> None:
    parts = Parts.new()
    for n in range(LEAF_MAX + 1):
        parts.join(f"e{n}")
    order = parts.order()
    order.append(order.tail(), "new", 0)
    assert [part.id for part, was, now in order.parts() if was != now] == [parts.leaf_of[f"e{LEAF_MAX}"]]
    assert order.root == order.root_before


def test_a_full_leaf_is_halved_and_its_entries_are_told() -> None:
    parts = Parts.new()
    for n in range(LEAF_MAX + 1):
        parts.join(f"e{n}")
    first = parts.leaf_of["e0"]
    told = parts.order().split(first)
    assert sorted(told) == sorted(f"e{n}" for n in range(LEAF_MAX // 2))


def test_of_two_who_change_the_same_part_the_second_is_refused() -> None:
    parts = Parts.new()
    for n in range(3 * LEAF_MAX):
        parts.join(f"e{n}")
    one, other = parts.order(), parts.order()
    one.remove("e0", parts.leaf_of["e0"])
    other.remove("e1", parts.leaf_of["e1"])
    parts.write(one)
    with pytest.raises(Moved):
        parts.write(other)


@pytest.mark.parametrize("seed", range(5))
def test_interleaved_moves_that_are_refused_and_tried_again_leave_the_plain_list(seed: int) -> None:
    """Several changes are read at once, and written in another order; the plain list follows what was written."""
    rng = random.Random(seed)
    parts = Parts.new()
    queue = [f"e{n}" for n in range(400)]
    for entry in queue:
        parts.join(entry)
    wanted = [(rng.choice(queue), rng.randint(1, 60)) for _ in range(500)]
    while wanted:
        some, wanted = wanted[:6], wanted[6:]
        begun = []
        for entry, by in some:
            order = parts.order()
            index = max(0, order.index(entry, parts.leaf_of[entry]) - by)
            try:
                begun.append((entry, by, index, order, order.move(entry, parts.leaf_of[entry], index)))
            except orders.LeafFull as full:
                parts.split(full.leaf_id)
                wanted.append((entry, by))
        rng.shuffle(begun)
        for entry, by, index, order, leaf in begun:
            try:
                parts.write(order)
            except Moved:
                wanted.append((entry, by))
                continue
            parts.leaf_of[entry] = leaf
            moved(queue, entry, index)
    assert parts.listed() == queue
    assert places(parts, queue) == list(range(len(queue)))
    sizes(parts)


@pytest.mark.prove
def test_20_000_moves_to_the_second_place_let_nothing_grow() -> None:
    rng = random.Random(1)
    parts = Parts.new()
    queue = [f"e{n}" for n in range(3_000)]
    for entry in queue:
        parts.join(entry)
    most_leaves = 0
    for n in range(20_000):
        entry = queue[rng.randrange(2, len(queue))]
        parts.move(entry, 1)
        moved(queue, entry, 1)
        most_leaves = max(most_leaves, len(parts.leaves))
        if n % 1_000 == 0:
            assert places(parts, queue) == list(range(len(queue)))
    assert parts.listed() == queue
    sizes(parts)
    # As many as would hold all of them at 4 in each: how many moves there were does not tell.
    assert most_leaves <= len(queue) // 4
    longest = max(len(ident) for leaf in parts.leaves.values() for ident in leaf.entries)
    assert longest == len("e2999")
