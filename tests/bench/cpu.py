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
from chalice.app import Chalice

from app import app as product
from chalicelib.core import clock
from chalicelib.edge.rate_limit import limiter
from chalicelib.platform import queues, table
from tests.bench import rules
from tests.bench.budgets import Finding
from tests.bench.world import World
from tests.support.client import Client, Response

BUDGET_MS = 0.5
_THE_REQUEST = "ingest track"
"""The budget speaks of a request; nearly all that a project makes are of this kind. Others are told beside it."""

_WARMUP, _RUNS = 200, 1_000

STUBBED = (
    "a bare one goes to a Chalice app that does nothing; stubbed: table._call (boto3 for DynamoDB) answers "
    "what the engine did, queues._send_batch takes all"
)


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
    before = rules.slowness()
    runs = list(_measure(key, act))
    slowness = (before + rules.slowness()) / 2
    times = sorted(ours for ours, _ in runs)
    median, bare = statistics.median(times), statistics.median(bare for _, bare in runs)
    quartiles = f"{times[len(times) // 4]:.2f} to {times[len(times) * 3 // 4]:.2f}"
    told = f"{median:.2f} ms (half of the runs: {quartiles}); a bare one beside it {bare:.3f} ms"
    if name != _THE_REQUEST:
        return Finding(f"CPU, {name}", "-", told, None)
    told += f"; machine {slowness:.1f}x slower than the budget's"
    return Finding(f"CPU, {name}", f"{BUDGET_MS} ms median", told, median <= BUDGET_MS * slowness)


def _measure(key: str, act: Callable[[Client], Response]) -> Iterator[tuple[float, float]]:
    """Milliseconds of this thread's CPU for each run, and for one of the bare app beside it."""
    tap = _Tap()
    act(Client(key))
    limiter.forget()
    with recorded() as answers:
        assert act(Client(key, app=tap)).status < 300  # type: ignore[arg-type]
    bare = _bare_app()
    bare_event = tap.event | {"httpMethod": "GET", "pathParameters": None, "body": None, "isBase64Encoded": False}
    bare_event["requestContext"] = tap.event["requestContext"] | {"httpMethod": "GET", "resourcePath": "/r0"}
    with replayed(answers):
        for n in range(_WARMUP + _RUNS):
            spent = _spent(product, copy.deepcopy(tap.event)), _spent(bare, copy.deepcopy(bare_event))
            if n >= _WARMUP:
                yield spent


def _spent(app: Chalice, event: dict[str, Any]) -> float:
    started = time.thread_time_ns()
    assert app(event, None)["statusCode"] < 300
    return (time.thread_time_ns() - started) / 1e6


def _bare_app() -> Chalice:
    """Chalice with routes and middleware that do nothing: the measure of this machine at this moment."""
    bare = Chalice(app_name="bare")
    for n in range(60):
        bare.route(f"/r{n}", name=f"r{n}")(lambda: {"ok": True})
    for _ in range(3):
        bare.register_middleware(lambda event, get_response: get_response(event), "http")
    return bare


@contextmanager
def recorded() -> Iterator[dict[str, list[Any]]]:
    """What the table answers within, by operation, and by operation and key where it names one."""
    answers: dict[str, list[Any]] = defaultdict(list)
    call = table._call

    def record(operation: str, **arguments: Any) -> Any:
        answer = call(operation, **arguments)
        for which in {operation, _named(operation, arguments)}:
            answers[which].append(answer)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_call", record)
        yield answers


def _named(operation: str, arguments: dict[str, Any]) -> str:
    return f"{operation} {arguments['Key']}" if "Key" in arguments else operation


@contextmanager
def replayed(answers: dict[str, list[Any]]) -> Iterator[None]:
    """The table answers the same again within, over and over, and queues take all."""
    turns = {operation: cycle(given) for operation, given in answers.items()}

    def replay(operation: str, **arguments: Any) -> Any:
        return next(turns.get(_named(operation, arguments), turns[operation]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "_call", replay)
        patch.setattr(queues, "_send_batch", lambda _url, entries: [entry["Id"] for entry in entries])
        yield
