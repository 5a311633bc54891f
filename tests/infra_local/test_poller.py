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


def of_group(name: str, group: str) -> dict[str, Any]:
    made = message(name)
    return made | {"Attributes": made["Attributes"] | {"MessageGroupId": group}}


def test_what_fits_into_one_batch_is_one() -> None:
    received: Any = [of_group("a", "1"), of_group("b", "2")]
    assert batched(received, 10) == [[received]]
    assert batched([], 10) == []


def test_smaller_batches_of_one_group_follow_each_other_and_groups_go_side_by_side() -> None:
    a1, b1, a2 = (of_group(*each) for each in (("a1", "a"), ("b1", "b"), ("a2", "a")))
    received: Any = [a1, b1, a2]
    assert batched(received, 1) == [[[a1], [a2]], [[b1]]]


def small(function: Function, *messages: Mapping[str, Any], concurrency: int = 4) -> ListQueue:
    """Feed messages one at a time, as many of them at once as the concurrency allows."""
    stop = threading.Event()
    sqs = ListQueue([list(messages)], when_empty=stop.set)
    queue = replace(QUEUE, batch_size=1, concurrency=concurrency)
    QueuePoller(cast("Any", sqs), queue, function, stop).poll()
    return sqs


def test_a_message_that_hangs_holds_up_its_own_group_only() -> None:
    others_done, order = threading.Event(), []

    def function(event: Mapping[str, Any], _context: LambdaContext) -> None:
        (record,) = event["Records"]
        if record["messageId"] == "slow":
            assert others_done.wait(5)
        order.append(record["messageId"])
        if record["messageId"] == "other":
            others_done.set()

    sqs = small(function, of_group("slow", "a"), of_group("behind", "a"), of_group("other", "b"))
    assert order == ["other", "slow", "behind"]
    assert sorted(sqs.deleted) == ["behind", "other", "slow"]


def test_what_waits_behind_a_message_that_fails_is_given_back_untouched() -> None:
    seen: list[str] = []

    def function(event: Mapping[str, Any], _context: LambdaContext) -> dict[str, Any]:
        (record,) = event["Records"]
        seen.append(record["messageId"])
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}

    sqs = small(function, of_group("fails", "a"), of_group("behind", "a"))
    assert (seen, sqs.deleted, sqs.hidden) == (["fails"], [], {"fails": 1, "behind": 0})


def test_no_more_batches_are_in_hand_than_may_be() -> None:
    inside, most, lock = [0], [0], threading.Lock()

    def function(_event: object, _context: object) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        threading.Event().wait(0.02)
        with lock:
            inside[0] -= 1

    stop = threading.Event()
    waiting = [[of_group(f"{batch} {n}", f"{batch} {n}") for n in range(2)] for batch in range(5)]
    sqs = ListQueue(waiting, when_empty=stop.set)
    queue = replace(QUEUE, batch_size=1, concurrency=2)
    QueuePoller(cast("Any", sqs), queue, function, stop).poll()
    assert (most[0], len(sqs.deleted)) == (2, 10)
