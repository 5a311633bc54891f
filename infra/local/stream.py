"""Lambda's part for the table's stream: reads every shard from where it stopped, in order, and calls the function."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.context import LambdaContext
from infra.local.engine import REGION
from infra.local.home import read_json, write_json
from infra.local.poller import Function, failed_items

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams import DynamoDBStreamsClient
    from mypy_boto3_dynamodbstreams.type_defs import RecordTypeDef, ShardTypeDef

_IDLE_S: Final = 0.1
_SHARDS_EACH_S: Final = 10.0
_ERRORS_IN_DRAIN: Final = 3  # in a row: the engine is gone, and the stream with it
_FIRST_RETRY_S: Final = 0.2
_LONGEST_RETRY_S: Final = 5.0
_TIMEOUT_S: Final = 60.0

_log = logging.getLogger("growthos.local.pump")


@dataclass(frozen=True, slots=True)
class StreamSource:
    """The stream that feeds a function."""

    arn: str
    function_name: str
    batch_size: int
    partial_failures: bool
    window_s: float = 0.0
    """Seconds for which records are gathered, unless a batch is full before."""


@dataclass(slots=True)
class _Shard:
    """One shard in reading. `iterator` is None until it is opened and again once it is read to its end.

    `gathered` are records that were read and not yet given to the function, the first of them at `since`.
    """

    iterator: str | None = None
    ended: bool = False
    gathered: list[RecordTypeDef] = field(default_factory=list)
    since: float = 0.0


class StreamReader:
    """Reads one stream in one thread, and saves each shard's position after each batch, so a restart goes on there."""

    def __init__(
        self,
        streams: DynamoDBStreamsClient,
        source: StreamSource,
        function: Function,
        positions: Path,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._streams = streams
        self._source = source
        self._function = function
        self._file = positions
        self._sleep = sleep
        self._positions: dict[str, str] = self._saved_positions()
        self._shards: dict[str, _Shard] = {}
        self._listed_at = float("-inf")

    def read(self, stop: threading.Event) -> None:
        """Feed the function until asked to stop."""
        while not stop.is_set():
            if not self._safely_read_once(stop):
                stop.wait(_IDLE_S)

    def drain(self, within_s: float) -> bool:
        """Feed the function all that the stream holds, at most for so many seconds. True where nothing was left."""
        deadline = time.monotonic() + within_s
        errors = 0
        while time.monotonic() < deadline and errors < _ERRORS_IN_DRAIN:
            try:
                if not self._read_once(lambda: time.monotonic() > deadline, waits=False):
                    return True
                errors = 0
            except (BotoCoreError, ClientError) as error:
                _log.warning("the stream could not be drained: %s", error)
                errors += 1
                self._sleep(_IDLE_S)
        return False

    def _safely_read_once(self, stop: threading.Event) -> bool:
        try:
            return self._read_once(stop.is_set, waits=True)
        except (BotoCoreError, ClientError) as error:
            _log.warning("%s: %s", self._source.function_name, error)
            self._shards.clear()
            self._listed_at = float("-inf")
            return False

    def _read_once(self, give_up: Callable[[], bool], *, waits: bool) -> bool:
        """One page of each shard that may be read; True where there was a record in any.

        Where it `waits`, records are kept until there is a batch of them, or their window has passed.
        """
        found = False
        for shard_id, shard in list(self._readable()):
            records = self._page(shard_id, shard)
            found = found or bool(records)
            if not shard.gathered:
                shard.since = time.monotonic()
            shard.gathered += records
            is_due = len(shard.gathered) >= self._source.batch_size or self._has_passed(shard.since)
            if is_due or not waits:
                gathered, shard.gathered = shard.gathered, []
                for start in range(0, len(gathered), self._source.batch_size):
                    self._feed(shard_id, gathered[start : start + self._source.batch_size], give_up)
        return found

    def _has_passed(self, since: float) -> bool:
        return time.monotonic() - since >= self._source.window_s

    def _readable(self) -> Iterator[tuple[str, _Shard]]:
        """Open shards whose parent is read to its end, so that an item's records keep their order across a split."""
        if time.monotonic() - self._listed_at > _SHARDS_EACH_S:
            self._parents = {shard["ShardId"]: shard.get("ParentShardId") for shard in self._list_shards()}
            self._shards = {shard_id: self._shards.get(shard_id, _Shard()) for shard_id in self._parents}
            self._listed_at = time.monotonic()
        for shard_id, shard in self._shards.items():
            parent = self._shards.get(self._parents[shard_id] or "")
            if not shard.ended and (parent is None or parent.ended):
                yield shard_id, shard

    def _list_shards(self) -> Iterator[ShardTypeDef]:
        after: dict[str, str] = {}
        while True:
            answer = self._streams.describe_stream(StreamArn=self._source.arn, **after)  # type: ignore[arg-type]
            yield from answer["StreamDescription"]["Shards"]
            last = answer["StreamDescription"].get("LastEvaluatedShardId")
            if not last:
                return
            after = {"ExclusiveStartShardId": last}

    def _page(self, shard_id: str, shard: _Shard) -> Sequence[RecordTypeDef]:
        if shard.iterator is None:
            shard.iterator = self._open(shard_id)
        answer = self._streams.get_records(ShardIterator=shard.iterator, Limit=self._source.batch_size)
        shard.iterator = answer.get("NextShardIterator")
        shard.ended = shard.iterator is None
        return answer["Records"]

    def _open(self, shard_id: str) -> str:
        """An iterator after the saved position; from the horizon where there is none, or the engine forgot it."""
        position = self._positions.get(shard_id)
        if position is not None:
            try:
                return self._streams.get_shard_iterator(
                    StreamArn=self._source.arn,
                    ShardId=shard_id,
                    ShardIteratorType="AFTER_SEQUENCE_NUMBER",
                    SequenceNumber=position,
                )["ShardIterator"]
            except self._streams.exceptions.TrimmedDataAccessException:
                pass
        return self._streams.get_shard_iterator(
            StreamArn=self._source.arn, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]

    def _feed(self, shard_id: str, records: Sequence[RecordTypeDef], give_up: Callable[[], bool]) -> None:
        """Call the function until it has finished all records, each time from the first that failed."""
        pause = _FIRST_RETRY_S
        left = list(records)
        while True:
            left = left[self._call(left) :]
            done = len(records) - len(left)
            if done:
                self._save(shard_id, records[done - 1]["dynamodb"]["SequenceNumber"])
            if not left:
                return
            if give_up():
                self._shards.pop(shard_id, None)  # opened again, if ever, at the saved position
                self._listed_at = float("-inf")
                return
            self._sleep(pause)
            pause = min(pause * 2, _LONGEST_RETRY_S)

    def _call(self, records: Sequence[RecordTypeDef]) -> int:
        """How many records, from the first, the function finished."""
        numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
        event = {"Records": [stream_record(record, self._source.arn) for record in records]}
        try:
            answer = self._function(event, LambdaContext(self._source.function_name, _TIMEOUT_S))
        except Exception:
            _log.exception("%s failed", self._source.function_name)
            return 0
        failed = failed_items(answer, numbers) if self._source.partial_failures else set()
        return min((numbers.index(number) for number in failed), default=len(numbers))

    def _saved_positions(self) -> dict[str, str]:
        saved = read_json(self._file) or {}
        return dict(saved["positions"]) if saved.get("stream") == self._source.arn else {}

    def _save(self, shard_id: str, number: str) -> None:
        self._positions[shard_id] = number
        write_json(self._file, {"stream": self._source.arn, "positions": self._positions})


def stream_record(record: RecordTypeDef, arn: str) -> dict[str, Any]:
    """The record as Lambda's JSON has it: binary values in base64, the moment in Unix seconds."""
    change: dict[str, Any] = dict(record["dynamodb"])
    for image in change.keys() & {"Keys", "NewImage", "OldImage"}:
        change[image] = {name: _plain(value) for name, value in change[image].items()}
    if (moment := change.get("ApproximateCreationDateTime")) is not None:
        change["ApproximateCreationDateTime"] = int(moment.timestamp())
    return {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": record.get("eventVersion", "1.1"),
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": change,
        "eventSourceARN": arn,
    }


def _plain(value: Any) -> Any:
    """A typed value, `{"S": …}`, with its bytes as base64 text."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | set | tuple):
        return [_plain(entry) for entry in value]
    return value
