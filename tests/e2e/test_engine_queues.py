"""The pump's queue poller on the local engine's own queues: order in a group, groups side by side, the dead letter."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest

from infra.local import resources
from infra.local.poller import Queue, QueuePoller
from tests.support.stack import running_engine, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

GROUPS = 4
MESSAGES = 25


class Queues:
    """The ingest queue and its dead-letter queue, on an engine of their own."""

    def __init__(self, port: int) -> None:
        stack = resources.create(port, None)
        self.sqs = boto3.client(
            "sqs",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.url = stack.queues["IngestQueue"]
        self.dead_url = stack.queues["IngestDeadLetterQueue"]

    def send(self, group: str, body: str) -> None:
        self.sqs.send_message(
            QueueUrl=self.url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=f"{group}-{body}"
        )

    def count(self, url: str) -> int:
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return sum(int(value) for name, value in attributes.items() if name.startswith("ApproximateNumber"))

    def poll(self, function: Any, threads: int, until: Any, within_s: float) -> None:
        """Feed the function with so many threads until the condition holds."""
        stop = threading.Event()
        queue = Queue(self.url, "arn", "ingest", 10, True, 180)
        poller = QueuePoller(self.sqs, queue, function, stop)
        pollers = [threading.Thread(target=poller.poll) for _ in range(threads)]
        for thread in pollers:
            thread.start()
        try:
            wait_until(until, within_s)
        finally:
            stop.set()
            for thread in pollers:
                thread.join()


@pytest.fixture
def queues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queues]:
    with running_engine(tmp_path_factory.mktemp("engine") / "home") as port:
        yield Queues(port)


def entries(event: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Message id, group and body of each record."""
    for record in event["Records"]:
        yield record["messageId"], record["attributes"]["MessageGroupId"], record["body"]


def test_each_group_keeps_its_order_while_several_are_worked_on_at_once(queues: Queues) -> None:
    for number in range(MESSAGES):
        for group in range(GROUPS):
            queues.send(f"g{group}", str(number))
    seen: dict[str, list[int]] = defaultdict(list)
    at_work: set[str] = set()
    overlaps: list[str] = []

    def work(event: Mapping[str, Any], _: object) -> None:
        groups = {group for _, group, _ in entries(event)}
        overlaps.extend(groups & at_work)
        at_work.update(groups)
        for _, group, body in entries(event):
            seen[group].append(int(body))
        at_work.difference_update(groups)

    queues.poll(work, threads=4, until=lambda: queues.count(queues.url) == 0, within_s=60)
    assert overlaps == []
    assert seen == {f"g{group}": list(range(MESSAGES)) for group in range(GROUPS)}


@pytest.mark.prove
def test_a_message_that_always_fails_ends_in_the_dead_letter_queue_and_the_others_go_on(queues: Queues) -> None:
    queues.send("bad", "poison")
    for number in range(5):
        queues.send("good", str(number))
    seen: list[str] = []
    attempts: list[str] = []

    def work(event: Mapping[str, Any], _: object) -> dict[str, Any]:
        failed = [message_id for message_id, _, body in entries(event) if body == "poison"]
        attempts.extend(failed)
        seen.extend(body for _, _, body in entries(event) if body != "poison")
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    queues.poll(work, threads=2, until=lambda: queues.count(queues.dead_url) == 1, within_s=90)
    assert len(attempts) == 5
    assert seen == ["0", "1", "2", "3", "4"]
    assert queues.count(queues.url) == 0
