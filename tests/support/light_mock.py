"""Moto without its large costs, which were most of the tests' time; its answers stay.

A transaction copies the whole table and its stream, once for each of its operations, in case that it fails. Each value
of an item is looked for under all ten names that it might have, each with all its aliases. Each request looks through
all that its service's class has.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, cast

from moto.core import responses, utils
from moto.core.serialize import JSONSerializer
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

_transact: Callable[..., None] = DynamoDBBackend.transact_write_items
_serialize_structure: Callable[..., None] = JSONSerializer._serialize_type_structure
_method_names: Callable[[type], list[str]] = cache(utils.method_names_from_class)


def install() -> None:
    """Change moto in this process; may be repeated."""
    backend, serializer, table, core = (
        cast("Any", each) for each in (DynamoDBBackend, JSONSerializer, Table, responses)
    )
    backend.transact_write_items = _transact_lightly
    serializer._serialize_type_structure = _serialize_lightly
    table.__deepcopy__ = lambda self, _memo: self  # what it is copied for is done by `_transact_lightly`
    core.method_names_from_class = _method_names


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
