"""What a write costs on AWS, by its published rules and from the request itself: local engines do not tell it all.

Two units for each KB started of an item written in a transaction, one outside of it, by the larger of the item before
and after; and one for each index entry that is written or removed. The indexes hold keys only, so an entry whose keys
stay is not written.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3

from chalicelib.platform import aws
from chalicelib.platform.config import settings

Raw = Mapping[str, Any]

KB = 1024
_INDEXES = ("list", "stream", "due")


@dataclass(slots=True)
class Written:
    """The operations of the transactions within: the item before and after each; empty where there is none."""

    ops: list[tuple[Raw, Raw]] = field(default_factory=list)
    reported: float = 0
    """Units that the engine itself tells of; 0 where it tells nothing."""

    @property
    def units(self) -> int:
        """Write units of all of them."""
        return sum(cost(before, after) for before, after in self.ops)

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of the item as written, by the sort key's first part."""
        return {str(after["SK"]["S"]).partition("#")[0]: size_of(after) for _, after in self.ops if after}

    def stream_records(self) -> list[dict[str, Any]]:
        """What the table's stream tells of them."""
        return [
            {
                "eventID": str(n),
                "eventName": "MODIFY" if before else "INSERT",
                "dynamodb": {
                    "SequenceNumber": f"{n:021d}",
                    "Keys": {name: after[name] for name in ("PK", "SK")},
                    "NewImage": dict(after),
                },
            }
            for n, (before, after) in enumerate(self.ops)
        ]


@contextmanager
def recorded() -> Iterator[Written]:
    """Watch the transactions of the table's client."""
    written = Written()
    pending: list[tuple[Raw, Raw]] = []
    # A client of its own: the reads of the measurement are not those of what is measured.
    other = boto3.client("dynamodb", endpoint_url=aws.dynamodb().meta.endpoint_url)

    def read(key: Raw) -> Raw:
        found: Raw = other.get_item(TableName=settings().table, Key=dict(key), ConsistentRead=True).get("Item", {})
        return found

    def before(params: dict[str, Any], **_: Any) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"
        pending[:] = [(key, read(key)) for key in map(_key, params["TransactItems"])]

    def after(parsed: dict[str, Any], **_: Any) -> None:
        written.reported += sum(told.get("CapacityUnits", 0) for told in parsed.get("ConsumedCapacity", []))
        written.ops += [(was, read(key)) for key, was in pending]

    hooks = aws.dynamodb().meta.events
    hooks.register("before-parameter-build.dynamodb.TransactWriteItems", before)
    hooks.register("after-call.dynamodb.TransactWriteItems", after)
    try:
        yield written
    finally:
        hooks.unregister("before-parameter-build.dynamodb.TransactWriteItems", before)
        hooks.unregister("after-call.dynamodb.TransactWriteItems", after)


def cost(before: Raw, after: Raw, *, in_transaction: bool = True) -> int:
    """Write units of one operation."""
    kilobytes = -(-max(size_of(before), size_of(after)) // KB)
    return kilobytes * (2 if in_transaction else 1) + sum(_index_cost(name, before, after) for name in _INDEXES)


def size_of(item: Raw) -> int:
    """Bytes of an item as AWS counts them: names and values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Raw) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode())
    if kind == "N":
        return len(content.lstrip("-")) // 2 + 2
    if kind in ("SS", "NS"):
        return sum(len(each) for each in content)
    if kind == "L":
        return 3 + sum(1 + _value_size(each) for each in content)
    return 1


def _index_cost(name: str, before: Raw, after: Raw) -> int:
    was, is_now = ((item.get(f"{name}_pk"), item.get(f"{name}_sk")) for item in (before, after))
    return 0 if was == is_now else sum(pk is not None for pk, _ in (was, is_now))


def _key(op: Mapping[str, Raw]) -> Raw:
    ((kind, body),) = op.items()
    source = body["Item"] if kind == "Put" else body["Key"]
    return {name: source[name] for name in ("PK", "SK")}
