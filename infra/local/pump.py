"""The process that feeds the workers: polls the queues, the table's stream and the schedules, as Lambda does on AWS.

It calls the functions that app.py declares, with the events that Lambda would build.
"""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

import boto3
from botocore.config import Config

from chalicelib import workers
from infra import template
from infra.local import heartbeat, schedule
from infra.local.home import Home, home_from
from infra.local.lifeline import follow_parent
from infra.local.poller import Function, Queue, QueuePoller
from infra.local.resources import Stack, load_stack
from infra.local.stream import StreamReader, StreamSource

_SHARE: Final = 4
"""Into how many parts the concurrency of the deployed functions goes here: it is one machine."""
_CONCURRENCY_MIN: Final = 2
_DRAIN_WITHIN_S: Final = 40.0
_CONFIG: Final = Config(connect_timeout=2, read_timeout=20, retries={"total_max_attempts": 2}, max_pool_connections=96)

_log = logging.getLogger("growthos.local.pump")


class Pump:
    """All pollers of one stack, for the event sources that the template states."""

    def __init__(self, home: Home, stack: Stack, functions: Mapping[str, Function]) -> None:
        self._home = home
        self._stack = stack
        self._functions = functions
        self._stop = threading.Event()
        self._stop_streams = threading.Event()
        self._sqs = boto3.client("sqs", config=_CONFIG)
        self._streams = boto3.client(
            "dynamodbstreams", config=_CONFIG, endpoint_url=os.environ.get("DYNAMODB_ENDPOINT") or None
        )

    def stop(self) -> None:
        """Take no more work; `run` returns when what is in hand is finished."""
        self._stop.set()

    def run(self) -> None:
        """Feed the functions until `stop`, then finish: the queues first, for their functions write to the stream."""
        sources = template.event_sources()
        readers = [self._reader(source) for source in sources if source.kind == "dynamodb"]
        feeders = [thread for source in sources for thread in self._feeders(source)]
        reading = [_thread("stream", reader.read, self._stop_streams) for reader in readers]
        self._stop.wait()
        for feeder in feeders:
            feeder.join()
        self._stop_streams.set()
        for thread in reading:
            thread.join()
        for reader in readers:
            if not reader.drain(_DRAIN_WITHIN_S):
                _log.error("the stream was not drained; the engine forgets what is left of it")

    def _feeders(self, source: template.EventSource) -> Iterator[threading.Thread]:
        function = self._functions[source.function]
        if source.kind == "schedule":
            yield _thread(source.function, schedule.run, source.function, source.source, function, self._stop)
        if source.kind == "sqs":
            yield _thread(source.function, QueuePoller(self._sqs, self._queue(source), function, self._stop).poll)

    def _queue(self, source: template.EventSource) -> Queue:
        url = self._stack.queues[source.source]
        attributes = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        return Queue(
            url=url,
            arn=attributes["QueueArn"],
            function_name=source.function,
            batch_size=source.batch_size,
            partial_failures=source.partial_failures,
            hidden_s=template.visibility_timeout(source.source),
            concurrency=max(_CONCURRENCY_MIN, (source.max_concurrency or 0) // _SHARE),
        )

    def _reader(self, source: template.EventSource) -> StreamReader:
        arn, function = self._stack.stream_arn, source.function
        stream = StreamSource(arn, function, source.batch_size, source.partial_failures, source.window_s)
        return StreamReader(self._streams, stream, self._functions[function], self._home.stream_json(function))


def _thread(name: str, target: Any, *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, name=name)
    thread.start()
    return thread


def _functions() -> dict[str, Function]:
    """The functions of app.py that have an event source; their workers are imported, so that no first event waits."""
    module = importlib.import_module("app")
    for worker in pkgutil.iter_modules(workers.__path__, f"{workers.__name__}."):
        importlib.import_module(worker.name)
    return {source.function: getattr(module, source.function) for source in template.event_sources()}


def main() -> None:
    """Run the pump of the stack in GROWTHOS_HOME until SIGTERM."""
    follow_parent()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    home = home_from(os.environ)
    pump = Pump(home, load_stack(home), _functions())
    signal.signal(signal.SIGTERM, lambda *_: pump.stop())
    ended = threading.Event()
    beating = _thread("heartbeat", heartbeat.beat, home.heartbeat, os.getpid(), ended)
    try:
        pump.run()
    finally:
        ended.set()
        beating.join()


if __name__ == "__main__":
    main()
