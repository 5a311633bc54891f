"""A table in memory behind `platform/table.py`, for tests that need thousands of runs: its functions, no requests.

Conditions are judged by their own tree, transactions are all or nothing, and each write leaves its stream record.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from boto3.dynamodb.conditions import And, Attr, AttributeExists, AttributeNotExists, ConditionBase, Not, Or

from chalicelib.platform import table
from chalicelib.platform.keys import Key
from chalicelib.platform.marshal import Item, from_item, to_item
from chalicelib.platform.table import Check, ConditionFailed, Delete, IndexPage, Op, Page, Put, Update
from tests.bench.units import size_of

_ITEM_BYTES = 400 * 1024
_PARTITIONS: dict[str | None, str] = {None: "PK", "list": "list_pk", "stream": "stream_pk", "due": "due_pk"}
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b),
    "<": lambda a, b: a is not None and bool(a < b),
    "<=": lambda a, b: a is not None and bool(a <= b),
    ">": lambda a, b: a is not None and bool(a > b),
    ">=": lambda a, b: a is not None and bool(a >= b),
    "contains": lambda a, b: a is not None and b in a,
    "begins_with": lambda a, b: a is not None and str(a).startswith(b),
}


class MemoryTable:
    """Rows by key, and the records of what was written. `on_call` is called before each call, with its name."""

    def __init__(self) -> None:
        self.rows: dict[Key, Item] = {}
        self.records: list[dict[str, Any]] = []
        self.on_call: Callable[[str], None] = lambda _name: None
        self.after_call: Callable[[str], None] = lambda _name: None
        self._lock = threading.RLock()
        self._partitions: defaultdict[tuple[str | None, str], set[Key]] = defaultdict(set)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the product use this table."""
        for name in ("get", "batch_get", "query", "query_index", "write", "update_returning", "transact"):
            monkeypatch.setattr(table, name, self._watched(name))

    def _watched(self, name: str) -> Callable[..., Any]:
        act = getattr(self, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            self.on_call(name)
            with self._lock:
                result = act(*args, **kwargs)
            self.after_call(name)
            return result

        return call

    def get(self, key: Key, **_consistent: bool) -> Item | None:
        return self._copy(key)

    def batch_get(self, keys: Iterable[Key], **_consistent: bool) -> dict[Key, Item]:
        return {key: self._copy(key) or {} for key in dict.fromkeys(keys) if key in self.rows}

    def query(
        self,
        pk: str,
        *,
        index: str | None = None,
        between: tuple[str, str] | None = None,
        prefix: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        after: Item | None = None,
        where: ConditionBase | None = None,
    ) -> Page:
        found = self._found(pk, index, between, prefix, newest_first, after, where)
        rows = found[:limit]
        return Page([self._copy(key) or {} for _, key in rows], len(rows), self._last(found, rows, index))

    def query_index(
        self,
        pk: str,
        index: str,
        between: tuple[str, str],
        limit: int,
        after: Item | None,
        where: ConditionBase | None,
    ) -> IndexPage:
        found = self._found(pk, index, between, None, True, after, where)
        return IndexPage(found[:limit], len(found[:limit]), self._last(found, found[:limit], index))

    def write(self, op: Op) -> None:
        self.transact([op])

    def update_returning(self, op: Update) -> Item:
        self.transact([op])
        return self._copy(op.key) or {}

    def transact(self, ops: Sequence[Op]) -> None:
        assert len(ops) <= table.MAX_TRANSACTION, f"{len(ops)} operations"
        assert len({op.key for op in ops}) == len(ops), "one item twice in a transaction"
        failed = {
            n: self._copy(op.key)
            for n, op in enumerate(ops)
            if op.condition is not None and not _holds(op.condition, self.rows.get(op.key, {}))
        }
        if failed:
            raise ConditionFailed(failed)
        for op in ops:
            self._apply(op)

    def _apply(self, op: Op) -> None:
        before = self.rows.get(op.key)
        if isinstance(op, Check):
            return
        if isinstance(op, Delete):
            self._keep(op.key, None)
            return
        row: Item = {"PK": op.key.pk, "SK": op.key.sk}
        if isinstance(op, Put):
            row |= from_item(to_item(op.attrs))
        if isinstance(op, Update):
            row = _updated(dict(before or row), op)
        assert size_of(to_item(row)) <= _ITEM_BYTES, f"{op.key} is too large"
        self._keep(op.key, row)
        self.records.append(
            {
                "eventID": str(len(self.records)),
                "eventName": "MODIFY" if before else "INSERT",
                "dynamodb": {
                    "SequenceNumber": f"{len(self.records):021d}",
                    "Keys": to_item({"PK": op.key.pk, "SK": op.key.sk}),
                    "NewImage": to_item(row),
                },
            }
        )

    def _keep(self, key: Key, row: Item | None) -> None:
        """Write a row, or remove it, and find it by its partitions from then on."""
        before = self.rows.pop(key, None)
        for index, name in _PARTITIONS.items():
            if before is not None and name in before:
                self._partitions[index, before[name]].discard(key)
            if row is not None and name in row:
                self._partitions[index, row[name]].add(key)
        if row is not None:
            self.rows[key] = row

    def _copy(self, key: Key) -> Item | None:
        return from_item(to_item(self.rows[key])) if key in self.rows else None

    def _found(
        self,
        pk: str,
        index: str | None,
        between: tuple[str, str] | None,
        prefix: str | None,
        newest_first: bool,
        after: Item | None,
        where: ConditionBase | None,
    ) -> list[tuple[str, Key]]:
        names = (f"{index}_pk", f"{index}_sk") if index else ("PK", "SK")
        low, high = between or ("", "\U0010ffff")
        assert low <= high, "the service refuses bounds that are the wrong way round"
        found = [
            (str(row[names[1]]), key)
            for key, row in ((key, self.rows[key]) for key in self._partitions[index, pk])
            if low <= row[names[1]] <= high
            and str(row[names[1]]).startswith(prefix or "")
            and (where is None or _holds(where, row))
        ]
        found.sort(reverse=newest_first)
        if after is not None:
            place = (str(after[names[1]]), Key(after["PK"], after["SK"]))
            found = [each for each in found if (each < place if newest_first else each > place)]
        return found

    @staticmethod
    def _last(found: list[tuple[str, Key]], page: list[tuple[str, Key]], index: str | None) -> Item | None:
        if len(page) == len(found):
            return None
        position, key = page[-1]
        return {"PK": key.pk, "SK": key.sk} | ({f"{index}_sk": position} if index else {})


def _updated(row: Item, op: Update) -> Item:
    row |= from_item(to_item(op.set_))
    for name, value in op.add.items():
        row[name] = row.get(name, set()) | value if isinstance(value, set) else row.get(name, 0) + value
    for name, members in op.discard.items():
        row[name] = row.get(name, set()) - members
    for name in [*op.remove, *(name for name, value in row.items() if value == set())]:
        row.pop(name, None)
    return row


def _holds(condition: ConditionBase, row: Item) -> bool:
    values = condition.get_expression()["values"]
    if isinstance(condition, And):
        return all(_holds(each, row) for each in values)
    if isinstance(condition, Or):
        return any(_holds(each, row) for each in values)
    if isinstance(condition, Not):
        return not _holds(values[0], row)
    attribute = values[0]
    assert isinstance(attribute, Attr)
    if isinstance(condition, AttributeExists | AttributeNotExists):
        return (attribute.name in row) == isinstance(condition, AttributeExists)
    if attribute.name not in row:
        return False
    return _OPERATORS[condition.expression_operator](row[attribute.name], values[1])
