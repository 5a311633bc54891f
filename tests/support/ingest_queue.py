"""What lies in the ingest queue of the tests."""

import json
from typing import Any

from botocore.client import BaseClient

from chalicelib.platform import aws
from chalicelib.platform.config import settings


def size() -> int:
    """How many messages wait."""
    url = settings().ingest_queue_url
    answer = aws.sqs().get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def take() -> list[dict[str, Any]]:
    """The bodies of all messages, which leave the queue; those of one lane in their order."""
    url = settings().ingest_queue_url
    bodies: list[dict[str, Any]] = []
    while messages := aws.sqs().receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            bodies.append(json.loads(message["Body"]))
            aws.sqs().delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


def empty() -> None:
    """Take all messages and drop them (the service's own purge may be called once a minute only)."""
    take()


def events() -> list[dict[str, Any]]:
    """The events of all messages, which leave the queue."""
    return [event for body in take() for event in body["events"]]


class Calls:
    """The operations that a client of AWS is asked for, while it is watched."""

    def __init__(self, *clients: BaseClient) -> None:
        self.names: list[str] = []
        self._clients = clients

    def __enter__(self) -> "Calls":
        for client in self._clients:
            client.meta.events.register_first("before-call", self._note, unique_id="tests.calls")
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.meta.events.unregister("before-call", self._note, unique_id="tests.calls")

    def _note(self, model: Any, **_: Any) -> None:
        self.names.append(model.name)
