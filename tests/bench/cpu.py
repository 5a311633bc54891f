"""CPU of a request in this process, where AWS answers at once with what it answered before."""

import copy
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

import pytest
import time_machine

from app import app as product
from chalicelib.core import clock
from chalicelib.edge.rate_limit import limiter
from chalicelib.platform import queues, table
from tests.bench.budgets import Finding
from tests.bench.world import World
from tests.support.client import Client, Response

BUDGET_MS = 0.5
_WARMUP, _RUNS = 200, 1_000

STUBBED = "stubbed: table._call (boto3 for DynamoDB) answers what the engine did, queues._send_batch takes all"


class _Tap:
    """The app, with the last event that a client sent to it."""

    routes = product.routes

    def __call__(self, event: dict[str, Any], context: Any) -> Any:
        self.event = copy.deepcopy(event)
        return product(event, context)


def findings(world: World) -> list[Finding]:
    """The requests that a project makes most."""
    secret, write = world.project.secret_key, world.project.write_key
    track = {"userId": "u7", "event": "opened", "messageId": "m", "properties": {f"p{n}": n for n in range(6)}}
    requests: dict[str, tuple[str, Callable[[Client], Response]]] = {
        "GET /contacts/:id": (secret, lambda caller: caller.get(f"/v1/contacts/{world.contact_ids[0]}")),
        "list page of 25": (secret, lambda caller: caller.get("/v1/contacts?limit=25")),
        "ingest track": (write, lambda caller: caller.post("/v1/track", track)),
    }
    # The clock stands, so that no key has to be read again and no window ends between two runs.
    with time_machine.travel(clock.system_ms() / clock.SECOND, tick=False):
        return [_finding(name, key, act) for name, (key, act) in requests.items()]


def _finding(name: str, key: str, act: Callable[[Client], Response]) -> Finding:
    times = sorted(_measure(key, act))
    median = statistics.median(times)
    quartiles = f"{times[len(times) // 4]:.2f} to {times[len(times) * 3 // 4]:.2f}"
    told = f"{median:.2f} ms (half of the runs: {quartiles})"
    return Finding(f"CPU, {name}", f"{BUDGET_MS} ms median", told, median <= BUDGET_MS)


def _measure(key: str, act: Callable[[Client], Response]) -> Iterator[float]:
    """Milliseconds of this thread's CPU for each run."""
    tap = _Tap()
    act(Client(key))
    limiter.forget()
    with _recorded() as answers:
        assert act(Client(key, app=tap)).status < 300  # type: ignore[arg-type]
    with _replayed(answers):
        for n in range(_WARMUP + _RUNS):
            event = copy.deepcopy(tap.event)
            started = time.thread_time_ns()
            product(event, None)
            spent = time.thread_time_ns() - started
            if n >= _WARMUP:
                yield spent / 1e6


@contextmanager
def _recorded() -> Iterator[dict[str, list[Any]]]:
    answers: dict[str, list[Any]] = defaultdict(list)
    call = table._call

    def record(operation: str, **arguments: Any) -> Any:
        answers[operation].append(call(operation, **arguments))
        return answers[operation][-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_call", record)
        yield answers


@contextmanager
def _replayed(answers: dict[str, list[Any]]) -> Iterator[None]:
    turns = {operation: cycle(given) for operation, given in answers.items()}

    def replay(operation: str, **_: Any) -> Any:
        return next(turns[operation])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_call", replay)
        patch.setattr(queues, "_send_batch", lambda _url, entries: [entry["Id"] for entry in entries])
        yield
