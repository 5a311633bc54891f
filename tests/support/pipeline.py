"""Queue and stream of the tests: what the mappings do on AWS, in this process and step by step."""

import base64
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

import boto3

from chalicelib.core import clock, strict_json
from chalicelib.features.activity.intake import Accepted, Arrival, accept, lane
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.schemas import AdvanceBody
from chalicelib.platform import aws
from chalicelib.platform.config import settings
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.marshal import from_item
from chalicelib.workers import bus, ingest, jobs, minute, webhooks
from tests.support import aws as support

LANES = 64
RECEIVES = 5
MINUTE = 60_000
"""In ms."""
MOST_PAGES = 2_000

_position: dict[str, Any] = {"table": None, "after": None}

Handler = Callable[[Any, Any], dict[str, Any]]


class Killed(BaseException):
    """The process dies here; no handler of exceptions sees it."""


class Context:
    """What Lambda tells of the invocation, which has that many ms left whenever it is asked."""

    aws_request_id = "test"

    def __init__(self, time_left: int = MINUTE) -> None:
        self._time_left = time_left

    def get_remaining_time_in_millis(self) -> int:
        return self._time_left


def accepted(raw: dict[str, Any], kind: str, now: int, *, historical: bool = False) -> Accepted:
    """An event that the door lets in; `historical` as it is on the import's path."""
    event = accept(raw, kind, Arrival(now, historical=historical))
    assert isinstance(event, Accepted), event
    return event


def messages(tenant: Tenant, events: Iterable[Accepted]) -> list[dict[str, Any]]:
    """One queue record for each lane, as the mapping hands them over."""
    lanes: dict[str, list[Accepted]] = {}
    for event in events:
        lanes.setdefault(lane(tenant.project_id, event, LANES), []).append(event)
    return [
        {
            "messageId": uuid.uuid4().hex,
            "body": strict_json.dumps({"v": 1, "project": tenant.project_id, "events": [e.to_wire() for e in some]}),
            "attributes": {"MessageGroupId": group, "ApproximateReceiveCount": "1"},
        }
        for group, some in lanes.items()
    ]


def work(records: Sequence[dict[str, Any]], tries: int = 5, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Deliver until all is done, as the queue does; a death of the worker is a redelivery of the whole batch.

    `meanwhile` is what the others do before a message comes again.
    """
    waiting = list(records)
    for n in range(tries):
        if n:
            meanwhile()
        try:
            answer = ingest.handle({"Records": waiting}, Context())
        except Killed:
            continue
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        waiting = [record for record in waiting if record["messageId"] in failed]
        if not waiting:
            return
    raise AssertionError(f"{len(waiting)} messages left after {tries} tries")


def record(tenant: Tenant, events: Iterable[Accepted], meanwhile: Callable[[], object] = lambda: None) -> None:
    """Let the worker write these events; `meanwhile` as in `work`."""
    work(messages(tenant, events), meanwhile=meanwhile)


def stream_records(after: str | None = None) -> list[dict[str, Any]]:
    """The records of the table's stream, as Lambda gets them: all, or those after a sequence number."""
    client = _streams()
    arn, shards = _stream(settings().table)
    position = {"ShardIteratorType": "TRIM_HORIZON"}
    if after is not None:
        position = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
    found: list[dict[str, Any]] = []
    for shard in shards:
        iterator = client.get_shard_iterator(StreamArn=arn, ShardId=shard, **position)["ShardIterator"]
        while iterator:
            answer = client.get_records(ShardIterator=iterator)
            if not answer["Records"]:
                break
            found += [json.loads(json.dumps(record, default=_as_lambda_does)) for record in answer["Records"]]
            iterator = answer.get("NextShardIterator")
    return found


def fresh_records() -> list[dict[str, Any]]:
    """The records of the stream that this function has not given since the table was emptied."""
    if _position["table"] != support.times_cleared:
        _position.update(table=support.times_cleared, after=None)
    fresh = stream_records(_position["after"])
    if fresh:
        _position["after"] = fresh[-1]["dynamodb"]["SequenceNumber"]
    return fresh


def _as_lambda_does(value: object) -> object:
    """Lambda hands records over as JSON: moments as seconds, bytes as base64."""
    if isinstance(value, datetime):
        return int(value.timestamp())
    assert isinstance(value, bytes), value
    return base64.b64encode(value).decode()


def run_bus(records: Sequence[dict[str, Any]] | None = None, batch: int = 100) -> None:
    """Let the bus work through the stream, from its start if nothing else is given."""
    rest = list(stream_records() if records is None else records)
    while rest:
        answer = bus.handle({"Records": rest[:batch]}, Context())
        assert answer == {"batchItemFailures": []}
        rest = rest[batch:]


def run_ingest() -> int:
    """Let the worker write what the API has queued; how many messages there were."""
    return _deliver(settings().ingest_queue_url, ingest.handle)


def drain() -> None:
    """Run ingest, the bus, the jobs and webhooks until nothing is left to do; jobs do not wait."""
    for _ in range(MOST_PAGES):
        records = fresh_records()
        run_bus(records)
        if not run_ingest() + len(records) + run_job_pages() + run_webhooks():
            return
    raise AssertionError("the work does not end")


def ask_to_advance(tenant: Tenant, target: int) -> None:
    """Ask a test project's clock to go to `target`, in ms; it does not move yet."""
    body = AdvanceBody.model_validate({"to": clock.iso(target)})
    projects.ask_to_advance(tenant, body, Receipt(tenant, target))


def advance(tenant: Tenant, target: int) -> None:
    """Let a test project's clock go to `target`, in ms, with all workers at work until it has arrived."""
    ask_to_advance(tenant, target)
    drain()
    stands = projects.test_clock(tenant)
    assert (stands.now, stands.status) == (target, "ready")


def run_jobs() -> int:
    """Run all pages in the jobs' queue, and those that they queue, without waiting; how many there were."""
    count = 0
    while pages := run_job_pages():
        count += pages
        assert count < MOST_PAGES, "the job does not end"
    return count


def run_webhooks() -> int:
    """Make the attempts that lie in the two queues of webhooks now; how many there were."""
    queues = settings().webhooks_queue_url, settings().webhooks_slow_queue_url
    return sum(_deliver(url, webhooks.handle) for url in queues)


def run_job_pages() -> int:
    """Run the pages that lie in the jobs' queue now; how many there were."""
    return _deliver(settings().jobs_queue_url, jobs.handle)


def _deliver(url: str, handle: Handler) -> int:
    """Hand each message of a queue to its worker until it is done, as the mapping does; a death is a redelivery."""
    messages = support.take(url)
    for message in messages:
        attributes = {"MessageGroupId": message.group, "ApproximateReceiveCount": "1"}
        one = {"messageId": uuid.uuid4().hex, "body": message.body, "attributes": attributes}
        for _ in range(RECEIVES):
            try:
                if handle({"Records": [one]}, Context()) == {"batchItemFailures": []}:
                    break
            except Killed:
                continue
        else:
            raise AssertionError(f"given up: {message.body}")
    return len(messages)


def run_minute() -> None:
    """Run the schedule once, at the moment that the system's clock shows."""
    minute.handle(Context())


def rows(tenant: Tenant, prefix: str) -> list[dict[str, Any]]:
    """All rows of the tenant whose sort key begins so, by a scan."""
    pages = aws.dynamodb().get_paginator("scan").paginate(TableName=settings().table, ConsistentRead=True)
    items = [from_item(raw) for answer in pages for raw in answer["Items"]]
    mine = f"P#{tenant.project_id}#"
    return [item for item in items if item["PK"].startswith(mine) and item["SK"].startswith(prefix)]


def delete(row: dict[str, Any]) -> None:
    """Take one row out of the table, as its time to live does."""
    key = {"PK": {"S": row["PK"]}, "SK": {"S": row["SK"]}}
    aws.dynamodb().delete_item(TableName=settings().table, Key=key)


@contextmanager
def on_call(moment: str, act: Callable[[int, str], None]) -> Iterator[list[str]]:
    """Run `act(number, operation)` before (`before-call`) or after (`after-call`) each call to the table."""
    seen: list[str] = []

    def handler(model: Any, **_: Any) -> None:
        if model.name == "DescribeTable":
            return  # the tests' own way to the stream
        seen.append(model.name)
        act(len(seen) - 1, model.name)

    hooks = aws.dynamodb().meta.events
    hooks.register_first(f"{moment}.dynamodb", handler)
    try:
        yield seen
    finally:
        hooks.unregister(f"{moment}.dynamodb", handler)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The names of the calls made to the table within."""
    with on_call("before-call", lambda _number, _operation: None) as seen:
        yield seen


@cache
def _stream(table: str) -> tuple[str, list[str]]:
    """The table's stream and its shards; the mock's never split."""
    arn = aws.dynamodb().describe_table(TableName=table)["Table"]["LatestStreamArn"]
    shards = _streams().describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    return arn, [shard["ShardId"] for shard in shards]


@cache
def _streams() -> Any:
    return boto3.client("dynamodbstreams")
