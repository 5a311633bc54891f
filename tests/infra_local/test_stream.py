"""How the pump reads the table's stream, on a stream that is a list of records for each shard."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infra.local.poller import Function
from infra.local.stream import StreamReader, StreamSource, stream_record

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/1"


class TrimmedError(Exception):
    """The engine does not hold the record that a position names."""


class ListStream:
    """Stands in for the streams client. A shard's iterator is its id and the index of the next record."""

    exceptions = SimpleNamespace(TrimmedDataAccessException=TrimmedError)

    def __init__(self, shards: Mapping[str, Sequence[str]], parents: Mapping[str, str] | None = None) -> None:
        self.shards = {name: list(numbers) for name, numbers in shards.items()}
        self._parents = parents or {}

    def describe_stream(self, **_: Any) -> dict[str, Any]:
        shards = [{"ShardId": name, "ParentShardId": self._parents.get(name, "gone")} for name in self.shards]
        return {"StreamDescription": {"Shards": shards}}

    def get_shard_iterator(
        self,
        *,
        ShardId: str,  # noqa: N803
        ShardIteratorType: str,  # noqa: N803
        SequenceNumber: str = "",  # noqa: N803
        **_: Any,
    ) -> dict[str, str]:
        if ShardIteratorType == "TRIM_HORIZON":
            return {"ShardIterator": f"{ShardId}/0"}
        if SequenceNumber not in self.shards[ShardId]:
            raise TrimmedError
        return {"ShardIterator": f"{ShardId}/{self.shards[ShardId].index(SequenceNumber) + 1}"}

    def get_records(self, *, ShardIterator: str, Limit: int) -> dict[str, Any]:  # noqa: N803
        shard_id, start = ShardIterator.split("/")
        page = self.shards[shard_id][int(start) : int(start) + Limit]
        answer: dict[str, Any] = {"Records": [record(number) for number in page]}
        following = int(start) + len(page)
        if shard_id not in self._parents.values() or following < len(self.shards[shard_id]):
            answer["NextShardIterator"] = f"{shard_id}/{following}"
        return answer


def record(number: str) -> dict[str, Any]:
    change = {"SequenceNumber": number, "Keys": {"PK": {"S": number}}}
    return {"eventID": number, "eventName": "INSERT", "dynamodb": change}


def numbers_of(event: Mapping[str, Any]) -> list[str]:
    return [entry["dynamodb"]["SequenceNumber"] for entry in event["Records"]]


def reader(stream: ListStream, function: Function, positions: Path, batch_size: int = 2) -> StreamReader:
    source = StreamSource(ARN, "bus", batch_size, partial_failures=True)
    return StreamReader(cast("Any", stream), source, function, positions, sleep=lambda _: None)


@pytest.fixture
def positions(tmp_path: Path) -> Path:
    return tmp_path / "stream.json"


def test_all_records_come_in_order_and_in_batches(positions: Path) -> None:
    calls: list[list[str]] = []
    stream = ListStream({"s": ["1", "2", "3"]})
    assert reader(stream, lambda event, _: calls.append(numbers_of(event)), positions).drain(5)
    assert calls == [["1", "2"], ["3"]]


def test_a_restarted_reader_goes_on_where_the_last_one_stopped(positions: Path) -> None:
    calls: list[list[str]] = []
    stream = ListStream({"s": ["1", "2"]})
    assert reader(stream, lambda *_: None, positions).drain(5)
    stream.shards["s"].append("3")
    assert reader(stream, lambda event, _: calls.append(numbers_of(event)), positions).drain(5)
    assert calls == [["3"]]


def test_after_the_engine_forgot_its_records_reading_begins_at_the_horizon(positions: Path) -> None:
    calls: list[list[str]] = []
    assert reader(ListStream({"s": ["1", "2"]}), lambda *_: None, positions).drain(5)
    stream = ListStream({"s": ["8", "9"]})
    assert reader(stream, lambda event, _: calls.append(numbers_of(event)), positions).drain(5)
    assert calls == [["8", "9"]]


def test_a_failed_record_is_tried_again_with_those_behind_it_only(positions: Path) -> None:
    calls: list[list[str]] = []

    def fail_once(event: Mapping[str, Any], _: object) -> dict[str, Any]:
        calls.append(numbers_of(event))
        return {"batchItemFailures": [{"itemIdentifier": "2"}]} if len(calls) == 1 else {}

    assert reader(ListStream({"s": ["1", "2", "3"]}), fail_once, positions, batch_size=3).drain(5)
    assert calls == [["1", "2", "3"], ["2", "3"]]


def test_of_several_failures_the_first_one_counts(positions: Path) -> None:
    calls: list[list[str]] = []

    def fail_once(event: Mapping[str, Any], _: object) -> dict[str, Any]:
        calls.append(numbers_of(event))
        failures = [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]
        return {"batchItemFailures": failures if len(calls) == 1 else []}

    assert reader(ListStream({"s": ["1", "2", "3"]}), fail_once, positions, batch_size=3).drain(5)
    assert calls[1] == ["2", "3"]


def test_a_raise_repeats_the_whole_batch(positions: Path) -> None:
    calls: list[list[str]] = []

    def raise_once(event: Mapping[str, Any], _: object) -> None:
        calls.append(numbers_of(event))
        if len(calls) == 1:
            raise RuntimeError("no")

    assert reader(ListStream({"s": ["1", "2"]}), raise_once, positions).drain(5)
    assert calls == [["1", "2"], ["1", "2"]]


def test_a_reader_that_is_stopped_while_a_record_fails_leaves_it_for_the_next(positions: Path) -> None:
    stop = threading.Event()
    stream = ListStream({"s": ["1", "2"]})

    def fail_and_stop(event: object, context: object) -> dict[str, Any]:
        stop.set()
        return {"batchItemFailures": [{"itemIdentifier": "2"}]}

    reader(stream, fail_and_stop, positions).read(stop)
    calls: list[list[str]] = []
    assert reader(stream, lambda event, _: calls.append(numbers_of(event)), positions).drain(5)
    assert calls == [["2"]]


def test_a_drain_that_cannot_end_says_so(positions: Path) -> None:
    stream = ListStream({"s": ["1"]})
    assert not reader(stream, lambda *_: {"batchItemFailures": [{"itemIdentifier": "1"}]}, positions).drain(0.05)


def test_a_child_shard_waits_for_its_parent(positions: Path) -> None:
    calls: list[list[str]] = []
    stream = ListStream({"child": ["3"], "parent": ["1", "2"]}, parents={"child": "parent"})
    assert reader(stream, lambda event, _: calls.append(numbers_of(event)), positions).drain(5)
    assert calls == [["1", "2"], ["3"]]


def test_a_record_is_shaped_as_lambda_shapes_it() -> None:
    change = {
        "ApproximateCreationDateTime": datetime(2026, 2, 23, tzinfo=UTC),
        "Keys": {"PK": {"S": "a"}},
        "NewImage": {"raw": {"B": b"\x00\x01"}, "set": {"BS": [b"\x02"]}, "map": {"M": {"n": {"N": "1"}}}},
        "SequenceNumber": "7",
        "SizeBytes": 9,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    shaped = stream_record(cast("Any", {"eventID": "e", "eventName": "MODIFY", "dynamodb": change}), ARN)
    assert shaped["dynamodb"]["NewImage"] == {
        "raw": {"B": "AAE="},
        "set": {"BS": ["Ag=="]},
        "map": {"M": {"n": {"N": "1"}}},
    }
    assert shaped["dynamodb"]["ApproximateCreationDateTime"] == 1771804800
    assert (shaped["eventName"], shaped["eventSource"], shaped["eventSourceARN"]) == ("MODIFY", "aws:dynamodb", ARN)


def windowed(stream: ListStream, function: Function, positions: Path, window_s: float) -> StreamReader:
    source = StreamSource(ARN, "projector", 3, partial_failures=True, window_s=window_s)
    return StreamReader(cast("Any", stream), source, function, positions, sleep=lambda _: None)


def read_for(reading: StreamReader, seconds: float) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=reading.read, args=(stop,))
    thread.start()
    time.sleep(seconds)
    stop.set()
    thread.join()


def test_records_are_gathered_until_there_is_a_batch_of_them(positions: Path) -> None:
    calls: list[list[str]] = []
    stream = ListStream({"s": ["1", "2"]})
    reading = windowed(stream, lambda event, _: calls.append(numbers_of(event)), positions, window_s=60)
    read_for(reading, 0.4)
    assert calls == []
    stream.shards["s"] += ["3", "4"]
    read_for(reading, 0.4)
    assert calls[0] == ["1", "2", "3"]


def test_records_are_given_when_their_window_has_passed_and_what_is_left_in_the_end(positions: Path) -> None:
    calls: list[list[str]] = []
    stream = ListStream({"s": ["1"]})
    reading = windowed(stream, lambda event, _: calls.append(numbers_of(event)), positions, window_s=0.3)
    read_for(reading, 0.8)
    assert calls == [["1"]]
    stream.shards["s"].append("2")
    assert reading.drain(5)
    assert calls == [["1"], ["2"]]


def test_what_was_gathered_and_not_given_comes_again_after_a_restart(positions: Path) -> None:
    calls: list[list[str]] = []
    stream = ListStream({"s": ["1", "2"]})
    read_for(windowed(stream, lambda *_: None, positions, window_s=60), 0.3)
    assert windowed(stream, lambda event, _: calls.append(numbers_of(event)), positions, window_s=60).drain(5)
    assert calls == [["1", "2"]]
