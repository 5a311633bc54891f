"""A local stack in a temporary home, as `make run` starts it, for the tests that need the whole."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3

from chalicelib.platform.marshal import from_item
from infra.local import engine
from infra.local.child import Child
from infra.local.home import Home, read_json

ROOT = Path(__file__).resolve().parents[2]
READY_WITHIN_S = 60.0
STOPS_WITHIN_S = 120.0
_OF_OTHER_TESTS = {"GROWTHOS_ALLOW_PRIVATE_WEBHOOKS", "GROWTHOS_PUBLIC_URL"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with its JSON body, or its text where it is none; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Stack:
    """One local stack. `home` outlives a stop, so that the next `start` finds its state."""

    def __init__(self, home: Path, port: int | None = None, environ: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.port = port or free_port()
        inherited = {name: value for name, value in os.environ.items() if name not in _OF_OTHER_TESTS}
        self._environ = inherited | {"GROWTHOS_HOME": str(home), "PORT": str(self.port)} | dict(environ or {})
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> float:
        """Start it and wait until it is ready; returns the seconds that took."""
        began = time.monotonic()
        self.launch()
        wait_until(lambda: self._is_ready(), READY_WITHIN_S)
        return time.monotonic() - began

    def launch(self) -> subprocess.Popen[str]:
        """Start the process without waiting."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home.parent / f"{self.home.name}.out").open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "infra.local", "run"],
                cwd=ROOT,
                env=self._environ,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        return self._process

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to the process in front and wait for its end; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait until the process in front has ended; returns its exit code."""
        assert self._process is not None
        return self._process.wait(STOPS_WITHIN_S)

    def pid_of(self, module: str) -> int:
        """Id of the process that runs the module; the parent where it has forked."""
        named = [pid for pid in processes_of(self.home) if module in _command(pid)]
        return min(named)

    @property
    def output(self) -> str:
        """What it printed since its last start."""
        return (self.home.parent / f"{self.home.name}.out").read_text()

    @property
    def base_url(self) -> str:
        """Where its API answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def local(self) -> dict[str, Any]:
        """What local.json says."""
        return dict(json.loads((self.home / "local.json").read_text()))

    @property
    def secret_key(self) -> str:
        """The live project's."""
        return str(self.local["live"]["secret_key"])

    @property
    def write_key(self) -> str:
        """The live project's."""
        return str(self.local["live"]["write_key"])

    def pump_pid(self) -> int | None:
        """Id of the pump's process, or None while there is none."""
        try:
            return int((self.home / "pump.heartbeat").read_text())
        except (OSError, ValueError):
            return None

    def kill_pump(self) -> int:
        """SIGKILL the pump and wait until the supervisor has brought up another one, whose id is returned."""
        old = self.pump_pid()
        assert old is not None
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: self.pump_pid() not in (None, old), READY_WITHIN_S)
        new = self.pump_pid()
        assert new is not None
        return new

    def get(self, path: str, key: str | None = None, **query: str | int) -> Answer:
        """GET with the live secret key, unless another is given; waits and repeats where the rate limit says so."""
        return self.request("GET", f"{path}?{urlencode(query)}" if query else path, key=key)

    def post(self, path: str, body: Any, key: str | None = None) -> Answer:
        """POST JSON, by default with the live secret key."""
        return self.request("POST", path, json.dumps(body).encode(), key)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; a 429 is repeated after its Retry-After."""
        while True:
            answer = self._request(method, path, body, key or self.secret_key, headers)
            if answer.status != http.HTTPStatus.TOO_MANY_REQUESTS:
                return answer
            time.sleep(float(answer.headers.get("retry-after", "1")))

    def health(self) -> int:
        """Status of GET /health; 0 while nothing answers."""
        try:
            return self._request("GET", "/health", None, "").status
        except OSError:
            return 0

    def await_settled(self, within_s: float = 60.0) -> None:
        """Wait until no message is due or in flight, and the pump has read the stream to its end.

        What was put off is not waited for: a timer, or a job's next step, as the end of an earlier test's merge, which
        comes a minute later and which no answer of the API shows.
        """
        wait_until(lambda: self._queued() == 0 and self._unread() == 0, within_s, pause_s=0.1)

    def _queued(self) -> int:
        """Messages in the queues, those in flight included; of timers and jobs only those that have fallen due."""
        sqs, total = self._client("sqs"), 0
        for name in (
            "IngestQueue",
            "BusQueue",
            "JobsQueue",
            "TimersQueue",
            "WebhooksQueue",
            "WebhooksSlowQueue",
            "MailsQueue",
            "FeedbackQueue",
        ):
            url = self._shared["queues"][name]
            attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            if name in ("TimersQueue", "JobsQueue"):
                attributes.pop("ApproximateNumberOfMessagesDelayed", None)
            total += sum(int(value) for kind, value in attributes.items() if kind.startswith("ApproximateNumber"))
        return total

    def _unread(self) -> int:
        """Records of the table's stream that the pump has not finished, as far as one page tells."""
        streams, arn = self._client("dynamodbstreams"), self._shared["stream_arn"]
        positions = (read_json(self.home / "stream.bus.json") or {"positions": {}})["positions"]
        total = 0
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            iterator = _iterator(streams, arn, shard["ShardId"], positions.get(shard["ShardId"]))
            total += len(streams.get_records(ShardIterator=iterator)["Records"])
        return total

    @property
    def environment(self) -> dict[str, str]:
        """What the functions of this stack are given as their environment."""
        return dict(self._shared["environment"])

    @property
    def _shared(self) -> dict[str, Any]:
        return dict(json.loads((self.home / "stack.json").read_text()))

    def table_items(self, endpoint: str) -> int:
        """How many rows the stack's table has at a DynamoDB endpoint, counted up to one page."""
        name = self._shared["environment"]["GROWTHOS_TABLE"]
        return int(self._client("dynamodb", endpoint).scan(TableName=name)["Count"])

    def rows(self, sort_key: str) -> list[dict[str, Any]]:
        """All rows of the table with that sort key, as plain values."""
        scan = self._client("dynamodb").get_paginator("scan")
        pages = scan.paginate(
            TableName=self.environment["GROWTHOS_TABLE"],
            FilterExpression="SK = :sk",
            ExpressionAttributeValues={":sk": {"S": sort_key}},
        )
        return [from_item(item) for page in pages for item in page["Items"]]

    def _client(self, service: str, endpoint: str | None = None) -> Any:
        environment = self._shared["environment"]
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=endpoint or environment["AWS_ENDPOINT_URL"],
            region_name=environment["AWS_REGION"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )

    def _request(
        self, method: str, path: str, body: bytes | None, key: str, more: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        headers |= dict(more or {})
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        is_json = response.headers.get_content_subtype() == "json"
        return Answer(
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            json.loads(raw) if raw and is_json else raw.decode() or None,
        )

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the stack ended while it was starting:\n{self.output}")
        return (self.home / "local.json").exists() and bool(self.local["pid"])


def _iterator(streams: Any, arn: str, shard_id: str, position: str | None) -> str:
    """After the position; at the horizon where there is none, or the engine has forgotten it in a restart."""
    shard = {"StreamArn": arn, "ShardId": shard_id}
    try:
        if position is not None:
            after = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": position}
            return str(streams.get_shard_iterator(**shard, **after)["ShardIterator"])
    except streams.exceptions.TrimmedDataAccessException:
        pass
    return str(streams.get_shard_iterator(**shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"])


@contextmanager
def running(home: Path, environ: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A started stack, stopped at the end if the test has not done so."""
    stack = Stack(home, environ=environ)
    stack.start()
    try:
        yield stack
    finally:
        stack.stop()


@contextmanager
def running_engine(path: Path) -> Iterator[int]:
    """The local engine alone, with nothing in it; its port."""
    home, port = Home(path), free_port()
    home.prepare()
    child = Child("engine", ["infra.local.engine"], engine.environment(home, port, os.environ), home.logs)
    child.start()
    try:
        wait_until(lambda: engine.is_healthy(port), READY_WITHIN_S)
        yield port
    finally:
        child.stop(STOPS_WITHIN_S)


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], within_s: float, pause_s: float = 0.02) -> None:
    """Poll what happens in other processes. Raises AssertionError where it has not happened in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not so after {within_s} s"
        time.sleep(pause_s)


def _command(pid: int) -> str:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def processes_of(home: Path) -> list[int]:
    """Ids of the running processes whose environment names the home."""
    needle = f"GROWTHOS_HOME={home}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if needle in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found
