"""The one table: typed operations, conditions and transactions over plain Python values.

Numbers are integers here (free-form JSON is stored as text, so that no digit of it changes). Every function raises
`Unavailable` where the table throttles or fails for longer than the retries last.
"""

import random
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from chalicelib.core import clock
from chalicelib.core.errors import Unavailable
from chalicelib.platform import deadline
from chalicelib.platform.aws import dynamodb, is_busy
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.marshal import Condition, Item, attr, from_item, key_condition, render, to_item, to_value

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

__all__ = [
    "Check",
    "Condition",
    "ConditionFailed",
    "Delete",
    "Index",
    "IndexPage",
    "Item",
    "Op",
    "Page",
    "Put",
    "Update",
    "attr",
    "batch_get",
    "get",
    "query",
    "query_index",
    "transact",
    "ttl",
    "update_returning",
    "write",
]

Index = Literal["list", "stream", "due"]

MAX_TRANSACTION = 100
_BATCH_GET = 100
_ATTEMPTS = 10
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.5
_CALLS = 8
"""How often one call is made where the table throttles it or does not answer."""

_FIRST_BUSY_PAUSE = 0.05
_LONGEST_BUSY_PAUSE = 2.0
_PATIENCE_SERVING = 1.0
_PATIENCE_WORKING = 15.0
"""Seconds from the start of a call after which it is not made again: while a caller waits, and in workers."""

_RETRYABLE_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_CONDITION = "ConditionalCheckFailed"
_TTL_MARGIN = clock.HOUR
_STANDS_AT_MOST = 400 * clock.DAY


class ConditionFailed(Exception):
    """A condition did not hold. `failed` maps the position of each operation that failed to the item as it stands."""

    def __init__(self, failed: dict[int, Item | None]) -> None:
        super().__init__(f"condition failed for operations {sorted(failed)}")
        self.failed = failed


@dataclass(frozen=True, slots=True)
class Put:
    """Write a whole item."""

    key: Key
    attrs: Mapping[str, Any]
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Change some attributes; `add` adds to numbers and to sets, `discard` takes members out of sets."""

    key: Key
    set_: Mapping[str, Any] = field(default_factory=dict)
    add: Mapping[str, Any] = field(default_factory=dict)
    remove: Sequence[str] = ()
    discard: Mapping[str, set[str]] = field(default_factory=dict)
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove an item."""

    key: Key
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Write nothing; the transaction holds only where the condition does."""

    key: Key
    condition: Condition


Op = Put | Update | Delete | Check


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a query: the items, how many were examined, and the key to go on after (None at the end)."""

    items: list[Item]
    examined: int
    last: Item | None


@dataclass(frozen=True, slots=True)
class IndexPage:
    """The same of an index: for each row its sort key there and the key of the item behind it."""

    rows: list[tuple[str, Key]]
    examined: int
    last: Item | None


def ttl(tenant: Tenant, milliseconds: int) -> int:
    """When a row may expire whose own expiry, so far from now, is compared: seconds of the real clock, with a margin.

    A test project's time may stand for long.
    """
    standing = _STANDS_AT_MOST if tenant.is_test else 0
    return (clock.system_ms() + milliseconds + _TTL_MARGIN + standing) // clock.SECOND


def get(key: Key, *, consistent: bool = True) -> Item | None:
    """The item, or None."""
    answer = _call("get_item", TableName=settings().table, Key=_key(key), ConsistentRead=consistent)
    return from_item(answer["Item"]) if "Item" in answer else None


def batch_get(keys: Iterable[Key], *, consistent: bool = True) -> dict[Key, Item]:
    """The items that exist, by key; any number of keys, one call for each hundred."""
    found: dict[Key, Item] = {}
    wanted = list(dict.fromkeys(keys))
    for start in range(0, len(wanted), _BATCH_GET):
        pending = [_key(key) for key in wanted[start : start + _BATCH_GET]]
        for attempt in range(_ATTEMPTS):
            name = settings().table
            answer = _call("batch_get_item", RequestItems={name: {"Keys": pending, "ConsistentRead": consistent}})
            for raw in answer["Responses"].get(name, []):
                item = from_item(raw)
                found[Key(item["PK"], item["SK"])] = item
            pending = answer.get("UnprocessedKeys", {}).get(name, {}).get("Keys", [])
            if not pending:
                break
            _pause(attempt)
        else:
            raise Unavailable
    return found


def query(
    pk: str,
    *,
    index: Index | None = None,
    between: tuple[str, str] | None = None,
    prefix: str | None = None,
    limit: int | None = None,
    newest_first: bool = False,
    after: Item | None = None,
    consistent: bool = True,
    where: Condition | None = None,
) -> Page:
    """One page of a partition in the order of its sort key; `between` is inclusive.

    Reads of an index are never consistent.
    """
    answer = _query(pk, index, between, prefix, limit, newest_first, after, consistent, where)
    return Page([from_item(raw) for raw in answer["Items"]], answer["ScannedCount"], _last(answer))


def query_index(
    pk: str, index: Index, between: tuple[str, str], limit: int, after: Item | None, where: Condition | None
) -> IndexPage:
    """One page of an index, newest first: as `query`, but of each row only where it stands and the key behind it."""
    answer = _query(pk, index, between, None, limit, True, after, False, where)
    position = f"{index}_sk"
    # A page of a list reads hundreds of index rows for a few entries, so these are not made into items.
    rows = [(raw[position]["S"], Key(raw["PK"]["S"], raw["SK"]["S"])) for raw in answer["Items"]]
    return IndexPage(rows, answer["ScannedCount"], _last(answer))


def _last(answer: Mapping[str, Any]) -> Item | None:
    last = answer.get("LastEvaluatedKey")
    return from_item(last) if last else None


def _query(
    pk: str,
    index: Index | None,
    between: tuple[str, str] | None,
    prefix: str | None,
    limit: int | None,
    newest_first: bool,
    after: Item | None,
    consistent: bool,
    where: Condition | None,
) -> Any:
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    arguments: dict[str, Any] = {
        "TableName": settings().table,
        "KeyConditionExpression": key_condition(index, pk, between, prefix, names, values),
        "ScanIndexForward": not newest_first,
        "ConsistentRead": consistent and index is None,
    }
    if index:
        arguments["IndexName"] = index
    if limit is not None:
        arguments["Limit"] = limit
    if after is not None:
        arguments["ExclusiveStartKey"] = to_item(after)
    if where is not None:
        arguments["FilterExpression"] = render(where, names, values)
    return _call("query", **arguments, **_expression_parts(names, values))


def write(op: Op) -> None:
    """Write one item, by any operation but a Check. Raises ConditionFailed with the item as it stands."""
    names = {Put: "put_item", Update: "update_item", Delete: "delete_item"}
    _single(names[type(op)], op)


def update_returning(op: Update) -> Item:
    """Write one item and return it as it then is. Raises ConditionFailed with the item as it stands."""
    return from_item(_single("update_item", op, ReturnValues="ALL_NEW")["Attributes"])


def transact(ops: Sequence[Op]) -> None:
    """Write all or none, 100 operations at the most.

    Raises ConditionFailed with the position of each operation that was refused. A collision with another
    transaction is tried again, and is `Unavailable` only when it goes on.
    """
    if len(ops) > MAX_TRANSACTION:
        raise ValueError(f"{len(ops)} operations in one transaction")
    rendered = [_rendered_op(op) for op in ops]
    for attempt in range(_ATTEMPTS):
        try:
            # One token for all that `_call` tries: where the first try was written and its answer lost, the next one is
            # told so, and not that its conditions do not hold any more. A cancelled transaction is a new one each time.
            _call("transact_write_items", TransactItems=rendered, ClientRequestToken=uuid.uuid4().hex)
        except _Cancelled as cancelled:
            if cancelled.failed:
                raise ConditionFailed(cancelled.failed) from cancelled
            _pause(attempt)
        else:
            return
    raise Unavailable


class _Cancelled(Exception):
    """A transaction was cancelled; `failed` is empty where only collisions or throttling were the reason."""

    def __init__(self, failed: dict[int, Item | None]) -> None:
        super().__init__("transaction cancelled")
        self.failed = failed


def _key(key: Key) -> dict[str, Any]:
    return {"PK": {"S": key.pk}, "SK": {"S": key.sk}}


def _single(operation: str, op: Op, **extra: Any) -> Any:
    arguments = _rendered(op) | extra
    for attempt in range(_ATTEMPTS):
        try:
            return _call(operation, **arguments)
        except _Cancelled as refused:
            if refused.failed:
                raise ConditionFailed(refused.failed) from refused
            _pause(attempt)
    raise Unavailable


def _rendered_op(op: Op) -> dict[str, Any]:
    kinds = {Put: "Put", Update: "Update", Delete: "Delete", Check: "ConditionCheck"}
    return {kinds[type(op)]: _rendered(op)}


def _rendered(op: Op) -> dict[str, Any]:
    names: dict[str, str] = {}
    values: dict[str, Any] = {}
    arguments: dict[str, Any] = {"TableName": settings().table}
    if isinstance(op, Put):
        arguments["Item"] = _key(op.key) | to_item(op.attrs)
    else:
        arguments["Key"] = _key(op.key)
    if isinstance(op, Update):
        arguments["UpdateExpression"] = _update_expression(op, names, values)
    if op.condition is not None:
        arguments["ConditionExpression"] = render(op.condition, names, values)
        arguments["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return arguments | _expression_parts(names, values)


def _update_expression(op: Update, names: dict[str, str], values: dict[str, Any]) -> str:
    def name(attribute: str) -> str:
        placeholder = f"#u{len(names)}"
        names[placeholder] = attribute
        return placeholder

    def value(raw: Any) -> str:
        placeholder = f":u{len(values)}"
        values[placeholder] = raw
        return placeholder

    clauses = [
        ("SET", [f"{name(key)} = {value(raw)}" for key, raw in op.set_.items()]),
        ("ADD", [f"{name(key)} {value(raw)}" for key, raw in op.add.items()]),
        ("DELETE", [f"{name(key)} {value(raw)}" for key, raw in op.discard.items()]),
        ("REMOVE", [name(key) for key in op.remove]),
    ]
    return " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts)


def _expression_parts(names: dict[str, str], values: dict[str, Any]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if names:
        parts["ExpressionAttributeNames"] = names
    if values:
        parts["ExpressionAttributeValues"] = {key: to_value(value) for key, value in values.items()}
    return parts


def _pause(attempt: int) -> None:
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
    clock.sleep(random.uniform(_FIRST_PAUSE, longest + _FIRST_PAUSE))  # noqa: S311 - jitter, not a secret


def _call(operation: str, **arguments: Any) -> Any:
    """One call, made again with the same arguments where the table throttles it or does not answer."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    patience = _PATIENCE_SERVING if deadline.is_set() else _PATIENCE_WORKING
    started = clock.monotonic()
    cause: Exception | None = None
    for attempt in range(_CALLS):
        if deadline.has_passed() or clock.monotonic() - started > patience:
            break
        if attempt:
            clock.sleep(random.uniform(0, min(_LONGEST_BUSY_PAUSE, _FIRST_BUSY_PAUSE * 2**attempt)))  # noqa: S311 - jitter
        try:
            return getattr(dynamodb(), operation)(**arguments)
        except ClientError as error:
            _refuse(error)
            cause = error
        except HTTPClientError as error:
            cause = error
        except BotoCoreError as error:
            raise Unavailable from error
    raise Unavailable from cause


_IN_PROGRESS = "TransactionInProgressException"
"""An earlier try of the same transaction is still at work."""


def _refuse(error: "ClientError") -> None:
    """Raises what the error means, except where the same call may be made again."""
    response: Any = error.response
    code = response["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        raise _Cancelled({0: _item_of(response)}) from error
    if code == "TransactionCanceledException":
        reasons = response.get("CancellationReasons", [])
        codes = {reason.get("Code") for reason in reasons} - {"None", None}
        if codes and codes <= _RETRYABLE_REASONS | {_CONDITION}:
            raise _Cancelled({n: _item_of(r) for n, r in enumerate(reasons) if r.get("Code") == _CONDITION}) from error
    if code == "TransactionConflictException":
        raise _Cancelled({}) from error
    if code != _IN_PROGRESS and not is_busy(error):
        raise error


def _item_of(reason: Mapping[str, Any]) -> Item | None:
    return from_item(reason["Item"]) if reason.get("Item") else None
