"""The local engine as a whole AWS account: it runs the packaged functions, which the daily local stack does not."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import boto3

HOST = "127.0.0.1"
START_SECONDS = 30.0
ARRIVAL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway answered."""

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @classmethod
    def start(cls, folder: Path) -> Self:
        """Start it on a free loopback port, with its files in the folder, and wait until it answers."""
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(port),
            "LAMBDA_EXECUTOR": "local",
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": "unix:///nonexistent",
        }
        log = folder / "engine.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "ministack"], env=environment, cwd=folder, stdout=output, stderr=output
            )
        running = cls(process, port, log)
        running._await_health()
        return running

    def stop(self) -> None:
        """End it and its functions."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def url(self) -> str:
        """Where AWS clients find it."""
        return f"http://{HOST}:{self.port}"

    def session(self) -> boto3.Session:
        """The account's root; clients find the engine by AWS_ENDPOINT_URL."""
        return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")

    def _await_health(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2).close()  # noqa: S310
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise RuntimeError(f"the engine did not start:\n{self.log.read_text()}")


@dataclass(frozen=True, slots=True)
class Api:
    """The deployed API with this id, and a project's secret key for it."""

    engine: Engine
    id: str
    secret_key: str

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request through the gateway."""
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            f"{self.engine.url}/_aws/execute-api/{self.id}/api{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {key or self.secret_key}",
                "Content-Type": "application/json",
                **(headers or {}),
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                return Answer(response.status, json.load(response), dict(response.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.load(error), dict(error.headers))

    def poll_until_found(self, path: str, at_least: int = 1) -> list[dict[str, Any]]:
        """The rows of a listing once it has that many."""
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while time.monotonic() < deadline:
            answer = self.call("GET", path)
            assert answer.status == 200, answer.body
            rows: list[dict[str, Any]] = answer.body["data"]
            if len(rows) >= at_least:
                return rows
            time.sleep(0.1)
        raise AssertionError(f"nothing came:\n{self.engine.log.read_text()[-4000:]}")
