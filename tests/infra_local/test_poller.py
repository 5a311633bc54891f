"""What the pump does with a queue's messages, on a queue that is a list."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from infra.local.context import LambdaContext
from infra.local.poller import Function, Queue, QueuePoller, batched, failed_items

QUEUE = Queue("https://queue", "arn:aws:sqs:us-east-1:000000000000:q.fifo", "ingest", 10, True, 180)


class ListQueue:
    """Stands in for the SQS client: hands out its batches, and keeps what was done to each message."""

    def __init__(self, batches: Sequence[Sequence[Mapping[str, Any]]], when_empty: Callable[[], object]) -> None:
        self._batches = list(batches)
        self._when_empty = when_empty
        self.deleted: list[str] = []
        self.hidden: dict[str, int] = {}

    def receive_message(self, **_: Any) -> dict[str, Any]:
        if self._batches:
            return {"Messages": self._batches.pop(0)}
        self._when_empty()
        return {}

    def delete_message_batch(self, *, Entries: Sequence[Mapping[str, Any]], **_: Any) -> None:  # noqa: N803
        self.deleted += [entry["ReceiptHandle"] for entry in Entries]

    def change_message_visibility_batch(self, *, Entries: Sequence[Mapping[str, Any]], **_: Any) -> None:  # noqa: N803
        self.hidden |= {entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in Entries}


def message(name: str, receives: int = 1) -> dict[str, Any]:
    attributes = {"MessageGroupId": "g", "ApproximateReceiveCount": str(receives), "SequenceNumber": "1"}
    return {
        "MessageId": name,
        "ReceiptHandle": name,
        "Body": f"body of {name}",
        "MD5OfBody": "md5",
        "Attributes": attributes,
        "MessageAttributes": {"kind": {"StringValue": "x", "DataType": "String"}},
    }


def pump_once(function: Function, *messages: Mapping[str, Any]) -> ListQueue:
    """Feed one batch to the function and return the queue as that left it."""
    stop = threading.Event()
    sqs = ListQueue([list(messages)], when_empty=stop.set)
    QueuePoller(cast("Any", sqs), QUEUE, function, stop).poll()
    return sqs


def test_finished_messages_are_deleted() -> None:
    sqs = pump_once(lambda *_: {"batchItemFailures": []}, message("a"), message("b"))
    assert (sqs.deleted, sqs.hidden) == (["a", "b"], {})


def test_only_messages_that_are_listed_stay() -> None:
    sqs = pump_once(lambda *_: {"batchItemFailures": [{"itemIdentifier": "b"}]}, message("a"), message("b"))
    assert (sqs.deleted, sqs.hidden) == (["a"], {"b": 1})


def test_a_raise_fails_the_whole_batch() -> None:
    def fail(event: object, context: object) -> None:
        raise RuntimeError("no")

    sqs = pump_once(fail, message("a"), message("b"))
    assert (sqs.deleted, sqs.hidden) == ([], {"a": 1, "b": 1})


@pytest.mark.parametrize(("receives", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 8)])
def test_a_failed_message_comes_again_later_each_time(receives: int, seconds: int) -> None:
    sqs = pump_once(lambda *_: {"batchItemFailures": [{"itemIdentifier": "a"}]}, message("a", receives))
    assert sqs.hidden == {"a": seconds}


def test_the_function_gets_the_event_and_context_that_lambda_builds() -> None:
    seen: list[tuple[Mapping[str, Any], LambdaContext]] = []
    pump_once(lambda event, context: seen.append((event, context)), message("a", receives=3))
    event, context = seen[0]
    assert event["Records"] == [
        {
            "messageId": "a",
            "receiptHandle": "a",
            "body": "body of a",
            "attributes": {"MessageGroupId": "g", "ApproximateReceiveCount": "3", "SequenceNumber": "1"},
            "messageAttributes": {"kind": {"stringValue": "x", "dataType": "String"}},
            "md5OfBody": "md5",
            "eventSource": "aws:sqs",
            "eventSourceARN": QUEUE.arn,
            "awsRegion": "us-east-1",
        }
    ]
    assert context.function_name == "ingest"
    assert 170_000 < context.get_remaining_time_in_millis() <= 180_000


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (None, set()),
        ({}, set()),
        ({"batchItemFailures": None}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "a"}]}, {"a"}),
        ({"batchItemFailures": [{"itemIdentifier": "unknown"}]}, {"a", "b"}),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, {"a", "b"}),
        ({"batchItemFailures": [{}]}, {"a", "b"}),
    ],
)
def test_a_reported_failure_is_read_as_lambda_reads_it(answer: object, failed: set[str]) -> None:
    assert failed_items(answer, ["a", "b"]) == failed


def feed(function: Function, queue: Queue, *received: Sequence[Mapping[str, Any]]) -> ListQueue:
    """Feed a function until its queue is empty."""
    stop = threading.Event()
    sqs = ListQueue(received, when_empty=stop.set)
    QueuePoller(cast("Any", sqs), queue, function, stop).poll()
    return sqs


def test_what_is_received_at_once_is_handed_over_in_batches() -> None:
    received: Any = [message(name) for name in "abc"]
    assert batched(received, 10) == [received]
    assert batched(received, 2) == [received[:2], received[2:]]
    assert batched([], 10) == []


def test_of_a_fifo_queue_no_more_is_received_than_is_worked_on_at_once() -> None:
    asked: list[int] = []

    class Asked(ListQueue):
        def receive_message(self, **options: Any) -> dict[str, Any]:
            asked.append(options["MaxNumberOfMessages"])
            return super().receive_message()

    for url, batch_size, most in (
        ("https://queue/q.fifo", 1, 1),
        ("https://queue/q.fifo", 10, 10),
        ("https://queue/q", 1, 10),
        ("https://queue/q", 3, 9),
        ("https://queue/q", 10, 10),
    ):
        stop = threading.Event()
        queue = replace(QUEUE, url=url, batch_size=batch_size, concurrency=20)
        QueuePoller(cast("Any", Asked([], when_empty=stop.set)), queue, lambda *_: None, stop).poll()
        assert asked.pop() == most


def test_a_message_that_hangs_holds_up_no_other() -> None:
    other_done, order = threading.Event(), []

    def function(event: Mapping[str, Any], _context: LambdaContext) -> None:
        (record,) = event["Records"]
        if record["messageId"] == "slow":
            assert other_done.wait(5)
        order.append(record["messageId"])
        other_done.set()

    queue = replace(QUEUE, batch_size=1, concurrency=4)
    sqs = feed(function, queue, [message("slow")], [message("other")])
    assert order == ["other", "slow"]
    assert sorted(sqs.deleted) == ["other", "slow"]


def test_no_more_batches_are_in_hand_than_may_be() -> None:
    inside, most, lock = [0], [0], threading.Lock()

    def function(_event: object, _context: object) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        threading.Event().wait(0.02)
        with lock:
            inside[0] -= 1

    queue = replace(QUEUE, batch_size=1, concurrency=2)
    sqs = feed(function, queue, *([message(str(n))] for n in range(10)))
    assert (most[0], len(sqs.deleted)) == (2, 10)


def test_a_place_is_free_again_whatever_the_function_did() -> None:
    calls: list[str] = []

    def leave(event: Mapping[str, Any], _context: LambdaContext) -> None:
        calls.append(event["Records"][0]["messageId"])
        raise SystemExit

    feed(leave, replace(QUEUE, batch_size=1, concurrency=1), [message("a")], [message("b")])
    assert calls == ["a", "b"]
