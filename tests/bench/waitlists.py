"""A waitlist of any length, written as those who joined one after the other would have left it, and what it costs."""

import random
from collections.abc import Iterator

from chalicelib.core import ids
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.model import Entry
from chalicelib.features.waitlists.order import LEAF_MAX, NODE_MAX
from chalicelib.flows.waitlists import read
from chalicelib.platform.keys import Key
from chalicelib.platform.marshal import Item
from tests.bench.budgets import Finding
from tests.support.wait_world import WaitWorld

SIZES = (200, 200_000)
CALLS_OF_A_POSITION = 3
CALLS_OF_A_PAGE = 8
_LOOKS = 50


def filled(world: WaitWorld, size: int) -> tuple[str, list[str]]:
    """A waitlist in which so many wait, and the ids of their entries in order."""
    waitlist_id = world.waitlist(f"of-{size}")
    entries = [waitlists.entry_id(ids.new_ulid()) for _ in range(size)]
    for key in [key for key in world.table.rows if key.pk == world.tenant.order_partition(waitlist_id)]:
        world.table._keep(key, None)
    for key, attrs in _rows(world, waitlist_id, entries):
        world.table._keep(key, {"PK": key.pk, "SK": key.sk} | attrs)
    return waitlist_id, entries


def _rows(world: WaitWorld, waitlist_id: str, entries: list[str]) -> Iterator[tuple[Key, Item]]:
    tenant = world.tenant
    leaves = [entries[start : start + LEAF_MAX] for start in range(0, len(entries), LEAF_MAX)]
    nodes = [range(start, min(start + NODE_MAX, len(leaves))) for start in range(0, len(leaves), NODE_MAX)]
    sizes = [sum(len(leaves[n]) for n in node) for node in nodes]
    root = [[f"n{n}", size] for n, size in enumerate(sizes[:-1])] + [[f"n{len(nodes) - 1}", 0]]
    yield tenant.order_root(waitlist_id), {"children": root, "version": 1}
    for n, node in enumerate(nodes):
        children = [[f"l{leaf}", len(leaves[leaf])] for leaf in node]
        children[-1][1] = 0
        yield tenant.order_node(waitlist_id, f"n{n}"), {"children": children, "version": 1}
    for n, leaf in enumerate(leaves):
        ulids = [each.rpartition("_")[2] for each in leaf]
        tail = {"tail": [ulids[-1], world.now]} if n == len(leaves) - 1 else {}
        yield (
            tenant.order_leaf(waitlist_id, f"l{n}"),
            {"node": f"n{n // NODE_MAX}", "entries": ulids, "version": 1} | tail,
        )
    for n, each in enumerate(entries):
        attrs = {"contact_id": f"cntct_{n}", "joined_at": world.now, "codes": [f"N{n}-X-777"], "status": "waiting"}
        more = {"leaf": f"l{n // LEAF_MAX}", "referral_count": 0, "moves": 0, "version": 1}
        yield tenant.entry(waitlist_id, "waiting", each), attrs | more


def position_calls(world: WaitWorld, waitlist_id: str, entries: list[str]) -> set[int]:
    """How many calls of the table one position takes, of entries anywhere; all positions are right."""
    rng, found = random.Random(1), set()
    for place in rng.sample(range(len(entries)), _LOOKS):
        known: Entry = waitlists.entry(world.tenant, waitlist_id, entries[place])
        calls = _counting(world)
        assert waitlists.position(world.tenant, known) == place + 1
        found.add(len(calls))
    return found


def page_calls(world: WaitWorld, waitlist_id: str, entries: list[str]) -> set[int]:
    """How many calls of the table a page of 25 entries takes, those after the first of the list; all rows are right."""
    found, cursor = set(), None
    for page in range(4):
        definition, calls = world.definition(waitlist_id), _counting(world)
        answer = read.page(world.tenant, definition, "waiting", 25, cursor)
        if page:
            found.add(len(calls))
        cursor = answer.next_cursor
        assert [row.id for row in answer.data] == entries[25 * page : 25 * page + 25]
        assert answer.total_entries == len(entries)
    return found


def findings(world: WaitWorld) -> list[Finding]:
    """One position and one page, at 200 entries and at 200,000."""
    positions, pages = {}, {}
    for size in SIZES:
        waitlist_id, entries = filled(world, size)
        positions[size] = position_calls(world, waitlist_id, entries)
        pages[size] = page_calls(world, waitlist_id, entries)
    few, many = SIZES
    return [
        Finding(
            "waitlist, one position",
            f"{CALLS_OF_A_POSITION} table calls, at {many:,} as at {few}",
            "; ".join(f"{size:,} entries: {max(calls)}" for size, calls in positions.items()),
            positions[few] == positions[many] == {CALLS_OF_A_POSITION},
        ),
        Finding(
            "waitlist, page of 25",
            f"{CALLS_OF_A_PAGE} table calls, at {many:,} as at {few}",
            "; ".join(f"{size:,} entries: {max(calls)}" for size, calls in pages.items()),
            pages[few] == pages[many] and max(pages[many]) <= CALLS_OF_A_PAGE,
        ),
    ]


def _counting(world: WaitWorld) -> list[str]:
    calls: list[str] = []
    world.table.on_call = calls.append
    return calls
