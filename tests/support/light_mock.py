"""Moto without its large costs, which were most of the tests' time; its answers stay.

A transaction copies the whole table and its stream, once for each of its operations, in case that it fails. Each value
of an item is looked for under all ten names that it might have, each with all its aliases. Each query sorts the whole
table, and works out again for each comparison what a key is. Each request looks through all that its service's class
has.
"""

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from moto.core import responses, utils
from moto.core.serialize import JSONSerializer
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

_one_at_a_time = threading.RLock()
_call: Callable[[Any], Any] = DynamoHandler.call_action
_transact: Callable[..., None] = DynamoDBBackend.transact_write_items
_serialize_structure: Callable[..., None] = JSONSerializer._serialize_type_structure
_cast: Callable[[DynamoType], Any] = vars(DynamoType)["cast_value"].fget


def install() -> None:
    """Change moto in this process; may be repeated."""
    for owner, name, lighter in LIGHTER:
        setattr(owner, name, lighter)
    # What a transaction copies it for is done by `_transact_lightly`.
    setattr(Table, "__deepcopy__", lambda table, _memo: table)  # noqa: B010 - moto's class does not know it


def _call_alone(handler: Any) -> Any:
    """One call to the table at a time: no thread sees half of another one's transaction."""
    with _one_at_a_time:
        return _call(handler)


def _transact_lightly(backend: Any, transact_items: Sequence[dict[str, Any]]) -> None:
    """The transaction; where it fails, all rows that it names and the stream are again what they were."""
    named = [(backend.get_table(op["TableName"]), *_key(backend, op)) for op in _operations(transact_items)]
    rows = [(table, pk, sk, copy.deepcopy(table.get_item(pk, sk))) for table, pk, sk in named]
    lengths = [(table.stream_shard, len(table.stream_shard.items)) for table, _, _ in named if table.stream_shard]
    try:
        _transact(backend, transact_items)
    except Exception:
        for table, pk, sk, row in rows:
            table.items[pk].pop(sk, None)
            if row is not None:
                table.items[pk][sk] = row
        for shard, length in lengths:
            del shard.items[length:]
        raise


def _operations(transact_items: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for item in transact_items:
        yield from item.values()


def _key(backend: Any, op: dict[str, Any]) -> tuple[DynamoType, DynamoType]:
    """Of an operation on a table whose keys have two parts."""
    table, named = backend.get_table(op["TableName"]), op.get("Key") or op["Item"]
    return DynamoType(named[table.hash_key_attr]), DynamoType(named[table.range_key_attr])


def _serialize_lightly(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    """A value of an item says itself which one of its possible members it has; all else as it was."""
    if shape.name != "AttributeValue" or not isinstance(value, dict):
        _serialize_structure(serializer, serialized, value, shape, key)
        return
    members: dict[str, Any] = {}
    for kind, content in value.items():
        serializer._serialize(members, content, shape.members[kind], kind)
    serializer._default_serialize(serialized, members, shape, key)


def _all_items_lightly(table: Any) -> list[Item]:
    """All rows in the order of their keys, which are text."""
    rows = (row for rows in table.items.values() for row in rows.values())
    return sorted(rows, key=lambda row: (row.hash_key.value, row.range_key.value))


def _cast_lightly(value: DynamoType) -> Any:
    """A value as Python compares it: text as it is."""
    return value.value if value.type == "S" else _cast(value)


LIGHTER: tuple[tuple[Any, str, Any], ...] = (
    (DynamoHandler, "call_action", _call_alone),
    (DynamoDBBackend, "transact_write_items", _transact_lightly),
    (JSONSerializer, "_serialize_type_structure", _serialize_lightly),
    (Table, "all_items", _all_items_lightly),
    (DynamoType, "cast_value", property(_cast_lightly)),
    (responses, "method_names_from_class", cache(utils.method_names_from_class)),
)
BY_ITSELF: tuple[tuple[Any, str, Any], ...] = tuple((owner, name, getattr(owner, name)) for owner, name, _ in LIGHTER)
"""What moto has there."""
