"""Lists over sharded partitions: one Query for each shard, merged by sort key, filled after filtering.

A page goes on from the sort key of its last row, so a walk sees every row that stood throughout exactly once,
whatever is written meanwhile.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from chalicelib.platform import table
from chalicelib.platform.keys import Key
from chalicelib.platform.table import Condition, Index, Item

EXAMINED_MAX = 2_000
"""Rows that one request examines at the most for a sparse filter."""

_QUERY_COUNTS = 5
"""Rows that a Query counts as at the least: many empty ones take time as well as few full ones."""

_ANSWER_BYTES = 5_000_000
"""Lambda answers at most 6 MB, escapes included."""

LAGS_S = 2
"""Seconds after which a list has what was written, with room: an index lags its table by less than one."""

FIRST = "0"
LAST = "~"
"""Bounds below and above every sort key that begins with a moment."""

T = TypeVar("T")


def walk(pk: str, prefix: str | None = None, *, a_page: int | None = None) -> Iterator[Item]:
    """All rows of a partition in the order of their sort keys, read consistently, `a_page` of them at once."""
    after = None
    while True:
        page = table.query(pk, prefix=prefix, limit=a_page, after=after)
        yield from page.items
        after = page.last
        if after is None:
            return


class Entry(NamedTuple):
    """One row of an index: its position in the list and the key of the item behind it."""

    position: str
    key: Key


@dataclass(frozen=True, slots=True)
class Range:
    """Positions to list, newest first: `low` inclusive, `high` exclusive."""

    low: str = FIRST
    high: str = LAST


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page; `position` is where the next one goes on, None at the end."""

    rows: list[T]
    position: str | None


@dataclass(slots=True)
class _Shard:
    pk: str
    frontier: str
    after: Item | None = None
    done: bool = False


class Merge:
    """The entries of several partitions of one index, newest first, a batch at a time."""

    def __init__(
        self, partitions: Sequence[str], index: Index, span: Range, chunk: int, where: Condition | None = None
    ) -> None:
        self._index = index
        self._span = span
        self._chunk = chunk
        self._where = where
        self._shards = [_Shard(pk, span.high) for pk in partitions]
        self._waiting: list[Entry] = []
        self.examined = 0

    @property
    def end(self) -> str | None:
        """The position at which the next source goes on; None where this one is the last."""
        return self._span.low if self._span.low > FIRST else None

    @property
    def frontier(self) -> str | None:
        """Everything above this position has been examined; None when all has."""
        return max((shard.frontier for shard in self._shards if not shard.done), default=None)

    def batches(self) -> Iterator[list[Entry]]:
        """Batches in order; each is complete down to the frontier at its time."""
        if self._span.low >= self._span.high:
            return
        behind = self._shards
        while behind:
            for shard in behind:
                self._advance(shard)
            frontier = self.frontier
            self._waiting.sort(reverse=True)
            ready = [entry for entry in self._waiting if frontier is None or entry.position >= frontier]
            self._waiting = self._waiting[len(ready) :]
            yield ready
            behind = [shard for shard in self._shards if not shard.done and shard.frontier == frontier]

    def _advance(self, shard: _Shard) -> None:
        bounds = (self._span.low, self._span.high)
        page = table.query_index(shard.pk, self._index, bounds, self._chunk, shard.after, self._where)
        self.examined += max(page.examined, _QUERY_COUNTS)
        self._waiting += [Entry(position, key) for position, key in page.rows if position < self._span.high]
        shard.after = page.last
        shard.done = page.last is None
        if page.last is not None:
            shard.frontier = page.last[f"{self._index}_sk"]


def fill(sources: Iterator[Merge], limit: int, hydrate: Callable[[list[Entry]], list[T | None]]) -> Listed[T]:
    """One page of `limit` rows from sources that follow one another; `hydrate` gives None for what is not to be seen.

    The page is short only at the end, or where EXAMINED_MAX rows were examined.
    """
    rows: list[tuple[str, T]] = []
    pending: list[Entry] = []
    examined = 0

    def take(count: int) -> None:
        some = pending[:count]
        del pending[:count]
        if some:
            found = zip(some, hydrate(some), strict=True)
            rows.extend((entry.position, row) for entry, row in found if row is not None)

    for source in sources:
        for batch in source.batches():
            pending += batch
            while len(pending) > limit - len(rows) >= 0:
                take(limit + 1)
            if len(rows) > limit:
                return Listed([row for _, row in rows[:limit]], rows[limit - 1][0])
            if examined + source.examined >= EXAMINED_MAX and source.frontier is not None:
                take(len(pending))
                return _cut(rows, limit, source.frontier)
        examined += source.examined
        if examined >= EXAMINED_MAX:
            take(len(pending))
            return _cut(rows, limit, source.end)
    take(len(pending))
    return _cut(rows, limit, None)


def within_answer(page: Listed[T], size_of: Callable[[T], int], position_of: Callable[[T], str]) -> Listed[T]:
    """The page, cut where its answer would pass what a function may answer; never empty for that reason.

    `size_of` gives the bytes of a row in the answer, `position_of` the row's place in the list.
    """
    size = 0
    for n, row in enumerate(page.rows):
        size += size_of(row)
        if size > _ANSWER_BYTES and n:
            return Listed(page.rows[:n], position_of(page.rows[n - 1]))
    return page


def escaped_size(text: str) -> int:
    """Bytes of JSON text in an answer, which travels as a JSON string: quotes and backslashes are escaped once more."""
    return len(text.encode()) + text.count('"') + text.count("\\")


def _cut(rows: list[tuple[str, T]], limit: int, position: str | None) -> Listed[T]:
    if len(rows) > limit:
        return Listed([row for _, row in rows[:limit]], rows[limit - 1][0])
    return Listed([row for _, row in rows], position)
