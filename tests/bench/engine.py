"""The local engine by itself, with the template's resources, and this process pointed to it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from chalicelib.platform import aws, config
from infra.local import engine, resources
from infra.local.home import Home
from tests.bench.world import Row
from tests.support import aws as support

ROOT = Path(__file__).parents[2]
_READY_WITHIN_S = 30.0
_BATCH = 25


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Start it with its files in the folder; its state is not kept."""
    home = Home(folder)
    home.prepare()
    port = engine.free_port()
    environment = engine.environment(home, port, os.environ) | {"PERSIST_STATE": "0", "PYTHONPATH": str(ROOT)}
    before = os.environ.copy()
    with (home.logs / "engine.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.engine"], env=environment, cwd=ROOT, stdout=log, stderr=log
        )
    try:
        _await_health(port)
        stack = resources.create(port, None)
        support.forget_clients()
        support.use(**stack.environment)
        yield
    finally:
        process.terminate()
        process.wait()
        os.environ.clear()
        os.environ.update(before)
        support.forget_clients()
        config.settings.cache_clear()


def load(rows: Iterable[Row]) -> None:
    """Write rows by the engine's own batches."""
    name = config.settings().table
    waiting = iter(rows)
    while some := list(islice(waiting, _BATCH)):
        pending: Any = {name: [{"PutRequest": {"Item": row}} for row in some]}
        while pending:
            pending = aws.dynamodb().batch_write_item(RequestItems=pending).get("UnprocessedItems")


def _await_health(port: int) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while not engine.is_healthy(port):
        assert time.monotonic() < deadline, "the engine did not start"
        time.sleep(0.05)
