"""An endpoint that hangs delays no other: with the concurrency of the deployed functions, and real sockets."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chalicelib.core import clock
from chalicelib.platform import queues
from chalicelib.platform.config import settings
from chalicelib.workers import webhooks as worker
from infra import template
from tests.bench.webhooks import sink
from tests.support import aws, pipeline
from tests.support.hook_world import HookWorld
from tests.support.hooks import hook
from tests.support.mapping import FifoMapping
from tests.support.pipeline import accepted

HEALTHY, HANGING = 15, 5
_BATCH = 100
_CONCURRENCY = {source.function: source.max_concurrency or 1 for source in template.event_sources()}


@contextmanager
def mappings(monkeypatch: pytest.MonkeyPatch) -> Iterator[FifoMapping]:
    """Both queues of webhooks at work; the one for endpoints that are not slow."""
    fast = FifoMapping(worker.handle, pipeline.Context(), _CONCURRENCY["webhooks"])
    slow = FifoMapping(worker.handle, pipeline.Context(), _CONCURRENCY["webhooks_slow"])
    by_url = {settings().webhooks_queue_url: fast, settings().webhooks_slow_queue_url: slow}

    def send(url: str, messages: list[queues.Outgoing]) -> list[bool]:
        by_url[url].send(messages)
        return [True] * len(messages)

    monkeypatch.setattr(queues, "send_fifo", send)
    try:
        yield fast
    finally:
        fast.stop()
        slow.stop()


def seconds(monkeypatch: pytest.MonkeyPatch, urls: list[str], good: int, events: int) -> float:
    """How long it takes from the first event until the first `good` of the endpoints have all events."""
    with monkeypatch.context() as patch:
        world = HookWorld(patch, is_test=False)
        ids = [hook(world.client, url, "contact.created").id for url in urls]
        healthy = set(ids[:good])
        now = clock.system_ms()
        with mappings(patch) as fast:
            begun = time.monotonic()
            for start in range(0, events, _BATCH):
                some = [accepted({"userId": f"u{n}"}, "identify", now) for n in range(start, start + _BATCH)]
                pipeline.record(world.tenant, some)
                world.run_bus()
            while sum(json.loads(body)["endpoint_id"] in healthy for body in list(fast.handled)) < events * good:
                time.sleep(0.05)
            took = time.monotonic() - begun
        rows = list(world.table.rows.values())
        delivered = [row["endpoint_id"] for row in rows if row.get("status") == "delivered"]
        assert {each: delivered.count(each) for each in healthy} == dict.fromkeys(healthy, events)
    return took


@pytest.mark.parametrize(
    ("events", "most"),
    [
        pytest.param(100, 2.0, marks=pytest.mark.alone),
        pytest.param(2_000, 1.2, marks=[pytest.mark.prove, pytest.mark.timeout(900)]),
    ],
)
def test_five_endpoints_that_hang_do_not_delay_the_other_fifteen(
    engine: str, monkeypatch: pytest.MonkeyPatch, events: int, most: float
) -> None:
    # Nobody accepts: whoever connects waits for an answer until the end of his time.
    with aws.private_webhooks(), sink() as port, socket.create_server(("127.0.0.1", 0), backlog=1_000) as silent:
        healthy = [f"http://127.0.0.1:{port}/{n}" for n in range(HEALTHY)]
        hanging = [f"http://127.0.0.1:{silent.getsockname()[1]}/{n}" for n in range(HANGING)]
        before = seconds(monkeypatch, healthy, HEALTHY, events)
        beside = seconds(monkeypatch, [*healthy, *hanging], HEALTHY, events)
        after = seconds(monkeypatch, healthy, HEALTHY, events)
    # Before and after: the machine has other work too, now more and now less.
    ratio = 2 * beside / (before + after)
    told = (
        f"{events} events to 15 endpoints: {before:.1f} and {after:.1f} s; "
        f"beside 5 that hang: {beside:.1f} s; {ratio:.2f} times"
    )
    print(told)  # noqa: T201 - the figure is the result
    assert ratio <= most, told
