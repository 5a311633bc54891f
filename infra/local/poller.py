"""Lambda's part for queues: receives messages, calls the function, deletes what it finished."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.local.context import LambdaContext
from infra.local.engine import REGION

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    Batch = Sequence[MessageTypeDef]

Function = Callable[[Mapping[str, Any], LambdaContext], Any]

LEASE_S: Final = 8  # so long a killed pump's messages stay hidden; a living one keeps extending it
_EXTEND_EACH_S: Final = 2.0
_WAIT_S: Final = 1
_RECEIVED_AT_ONCE: Final = 10
_PAUSE_AFTER_ERROR_S: Final = 0.5
_LONGEST_RETRY_S: Final = 8

_log = logging.getLogger("growthos.local.pump")


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue that feeds a function. `hidden_s` is its visibility timeout: what a function may take at most.

    `concurrency` is how many batches may be worked on at once.
    """

    url: str
    arn: str
    function_name: str
    batch_size: int
    partial_failures: bool
    hidden_s: int
    concurrency: int = 1


class QueuePoller:
    """Feeds one function from one queue, several batches at once."""

    def __init__(self, sqs: SQSClient, queue: Queue, function: Function, stop: threading.Event) -> None:
        self._sqs = sqs
        self._queue = queue
        self._function = function
        self._stop = stop
        self._free = threading.Semaphore(queue.concurrency)
        # What is received of a group holds it; of a FIFO queue no more is taken than is worked on at once.
        self._most_places = 1 if queue.url.endswith(".fifo") else max(1, _RECEIVED_AT_ONCE // queue.batch_size)

    def poll(self) -> None:
        """Take messages until asked to stop; what is in hand is finished first."""
        with ThreadPoolExecutor(self._queue.concurrency, thread_name_prefix=self._queue.function_name) as pool:
            while not self._stop.is_set():
                places = self._take_places()
                batches: list[Batch] = []
                try:
                    batches = batched(self._receive(places), self._queue.batch_size)
                except (BotoCoreError, ClientError) as error:
                    _log.warning("%s: %s", self._queue.function_name, error)
                    self._stop.wait(_PAUSE_AFTER_ERROR_S)
                for batch in batches:
                    pool.submit(self._work, batch)
                if places > len(batches):
                    self._free.release(places - len(batches))

    def _take_places(self) -> int:
        """How many batches may be begun now; some at least, except when asked to stop."""
        while not self._free.acquire(timeout=_WAIT_S):
            if self._stop.is_set():
                return 0
        places = 1
        while places < self._most_places and self._free.acquire(blocking=False):
            places += 1
        return places

    def _receive(self, places: int) -> Sequence[MessageTypeDef]:
        if not places:
            return []
        answer = self._sqs.receive_message(
            QueueUrl=self._queue.url,
            MaxNumberOfMessages=min(self._queue.batch_size * places, _RECEIVED_AT_ONCE),
            WaitTimeSeconds=_WAIT_S,
            VisibilityTimeout=LEASE_S,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return answer.get("Messages", [])

    def _work(self, batch: Batch) -> None:
        try:
            failed = self._call_leased(batch)
            self._delete([message for message in batch if message["MessageId"] not in failed])
            self._give_back([message for message in batch if message["MessageId"] in failed])
        except (BotoCoreError, ClientError) as error:
            _log.warning("%s: %s", self._queue.function_name, error)
        except Exception:  # nobody reads the pool's futures, so it would be lost
            _log.exception("%s: a batch was not finished", self._queue.function_name)
        finally:
            self._free.release()

    def _call_leased(self, batch: Batch) -> set[str]:
        """What `_call` answers; meanwhile the messages stay hidden."""
        done = threading.Event()
        keeper = threading.Thread(target=self._keep_hidden, args=(batch, done), name="lease", daemon=True)
        keeper.start()
        try:
            return self._call(batch)
        finally:
            done.set()
            keeper.join()

    def _call(self, messages: Sequence[MessageTypeDef]) -> set[str]:
        """Ids of the messages that the function did not finish; all of them where it raised."""
        ids = [message["MessageId"] for message in messages]
        context = LambdaContext(self._queue.function_name, self._queue.hidden_s)
        try:
            answer = self._function(sqs_event(messages, self._queue.arn), context)
        except Exception:
            _log.exception("%s failed", self._queue.function_name)
            return set(ids)
        return failed_items(answer, ids) if self._queue.partial_failures else set()

    def _keep_hidden(self, messages: Sequence[MessageTypeDef], done: threading.Event) -> None:
        until = time.monotonic() + self._queue.hidden_s - LEASE_S
        while not done.wait(_EXTEND_EACH_S) and time.monotonic() < until:
            self._hide(messages, LEASE_S)

    def _delete(self, messages: Sequence[MessageTypeDef]) -> None:
        if messages:
            entries = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
            self._sqs.delete_message_batch(QueueUrl=self._queue.url, Entries=entries)  # type: ignore[arg-type]

    def _give_back(self, messages: Sequence[MessageTypeDef]) -> None:
        """Let failed messages come again after 1, 2, 4, 8 s, not only after the queue's whole visibility timeout."""
        if messages:
            self._hide(messages, min(2 ** (max(map(_receives, messages)) - 1), _LONGEST_RETRY_S))

    def _hide(self, messages: Sequence[MessageTypeDef], seconds: int) -> None:
        entries = [
            {"Id": str(i), "ReceiptHandle": m["ReceiptHandle"], "VisibilityTimeout": seconds}
            for i, m in enumerate(messages)
        ]
        try:
            self._sqs.change_message_visibility_batch(QueueUrl=self._queue.url, Entries=entries)  # type: ignore[arg-type]
        except (BotoCoreError, ClientError) as error:
            _log.warning("%s: %s", self._queue.function_name, error)


def batched(messages: Sequence[MessageTypeDef], size: int) -> list[Batch]:
    """What was received at once, in batches."""
    return [messages[n : n + size] for n in range(0, len(messages), size)]


def sqs_event(messages: Sequence[MessageTypeDef], arn: str) -> dict[str, Any]:
    """The event that Lambda builds of received messages."""
    return {"Records": [_record(message, arn) for message in messages]}


def failed_items(answer: Any, ids: Sequence[str]) -> set[str]:
    """What a function's answer reports as failed. An answer that names an unknown item fails the batch, as on AWS."""
    failures = answer.get("batchItemFailures") if isinstance(answer, Mapping) else None
    if not failures:
        return set()
    try:
        named = {failure["itemIdentifier"] for failure in failures}
    except (TypeError, KeyError):
        return set(ids)
    return named if named <= set(ids) else set(ids)


def _record(message: MessageTypeDef, arn: str) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": REGION,
    }


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name[0].lower() + name[1:]: entry for name, entry in value.items()}


def _receives(message: MessageTypeDef) -> int:
    return int(message.get("Attributes", {}).get("ApproximateReceiveCount", "1"))
