"""Deliveries a second of one worker, beside a loop that posts the same with `http.client` and nothing around it."""

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from chalicelib.core import clock, strict_json
from chalicelib.features.webhooks import service as webhooks
from chalicelib.features.webhooks.model import Parcel
from chalicelib.workers import webhooks as worker
from tests.bench.beside import rates_beside, seconds
from tests.bench.budgets import Finding, counted
from tests.bench.cpu import recorded, replayed
from tests.bench.world import World
from tests.support import aws, pipeline
from tests.support.hooks import Hook, hook

LEAST = 0.4
_POSTS = 300
_BODY = strict_json.dumps({"id": "evt_1", "type": "contact.created", "data": {"filling": "x" * 700}})

_numbers = count()


def findings(world: World) -> list[Finding]:
    """The calls around a request, and how fast one worker is."""
    with aws.private_webhooks(), sink() as port:
        return _measured(world, hook(world.client, f"http://127.0.0.1:{port}/hook", "contact.created"), port)


def calls(world: World, to: Hook) -> Finding:
    """The calls to AWS of one delivery."""
    records = _records(world, to, 1)
    with counted() as found:
        _work(records)
    kept = found.total() <= 2
    return Finding("webhook delivery", "2 table calls around the POST", str(dict(found)), kept)


def _measured(world: World, to: Hook, port: int) -> list[Finding]:
    first = _records(world, to, 1)
    with recorded() as answers:
        _work(first)
    again = first * _POSTS

    def stubbed() -> None:
        with replayed(answers):
            _work(again)

    share, told = rates_beside(lambda: _bare(port), stubbed, _POSTS, "deliveries/s, AWS stubbed")
    whole = _records(world, to, _POSTS)
    engine = _POSTS / seconds(lambda: _work(whole))
    return [
        calls(world, to),
        Finding("webhooks beside a bare http.client loop", f"{LEAST} of its posts/s", told, share >= LEAST),
        Finding("the same with the local engine", "-", f"{engine:.0f} deliveries/s", None),
    ]


def _records(world: World, to: Hook, number: int) -> list[dict[str, Any]]:
    """Messages for as many new events."""
    now = clock.system_ms()
    parcels = [Parcel(to.id, f"evt_bench_{next(_numbers)}", "contact.created", now) for _ in range(number)]
    webhooks.keep(world.tenant, {parcel.event_id: (None, _BODY) for parcel in parcels})
    project = {"project": world.tenant.project_id}
    return [{"messageId": "m", "body": strict_json.dumps(project | parcel.to_wire())} for parcel in parcels]


def _work(records: list[dict[str, Any]]) -> None:
    for record in records:
        assert worker.handle({"Records": [record]}, pipeline.Context()) == {"batchItemFailures": []}


def _bare(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = _BODY.encode()
    for _ in range(_POSTS):
        connection.request("POST", "/hook", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()


@contextmanager
def sink() -> Iterator[int]:
    """A receiver in a process of its own; its port."""
    with subprocess.Popen([sys.executable, "-m", "tests.bench.sink"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()
