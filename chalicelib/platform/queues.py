"""Sending to queues; receiving is the mapping's work."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.core.errors import Unavailable
from chalicelib.platform.aws import sqs

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

MAX_BYTES = 1_000_000
"""Bytes of one message and of one call; the service takes 1 MiB (since August 2025), attributes included."""

_BATCH = 10


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One FIFO message; messages of one group are received in the order in which they were sent."""

    group: str
    body: str


def send_fifo(queue_url: str, messages: Sequence[Outgoing]) -> list[bool]:
    """Queue messages, ten in a call; for each, whether it was durably queued."""
    outcome = [False] * len(messages)
    for batch in _batches(messages):
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {
                "Id": str(n),
                "MessageBody": messages[n].body,
                "MessageGroupId": messages[n].group,
                # Chosen once for each message, so that a retry of the call by the client is not a second message.
                "MessageDeduplicationId": uuid.uuid4().hex,
            }
            for n in batch
        ]
        for ident in _send_batch(queue_url, entries):
            outcome[int(ident)] = True
    return outcome


@dataclass(frozen=True, slots=True)
class Delayed:
    """A message of a standard queue, to be received after `delay_s` seconds, 0 to 900."""

    body: str
    delay_s: int


def send_delayed(queue_url: str, messages: Sequence[Delayed]) -> list[bool]:
    """Queue small messages on a standard queue, ten in a call; for each, whether it was durably queued."""
    outcome = [False] * len(messages)
    for start in range(0, len(messages), _BATCH):
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {"Id": str(n), "MessageBody": message.body, "DelaySeconds": message.delay_s}
            for n, message in enumerate(messages[start : start + _BATCH], start)
        ]
        for ident in _send_batch(queue_url, entries):
            outcome[int(ident)] = True
    return outcome


def send(queue_url: str, body: str, *, delay_s: int = 0) -> None:
    """Queue one message on a standard queue, to be received after `delay_s` seconds, 0 to 900.

    Raises Unavailable where it was not queued.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        sqs().send_message(QueueUrl=queue_url, MessageBody=body, DelaySeconds=delay_s)
    except (BotoCoreError, ClientError) as error:
        raise Unavailable from error


def _send_batch(queue_url: str, entries: "list[SendMessageBatchRequestEntryTypeDef]") -> list[str]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = sqs().send_message_batch(QueueUrl=queue_url, Entries=entries)
    except (BotoCoreError, ClientError):
        return []
    return [done["Id"] for done in answer.get("Successful", [])]


def _batches(messages: Sequence[Outgoing]) -> list[list[int]]:
    batches: list[list[int]] = []
    size = 0
    for n, message in enumerate(messages):
        length = len(message.body.encode())
        if not batches or len(batches[-1]) == _BATCH or size + length > MAX_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(n)
        size += length
    return batches
