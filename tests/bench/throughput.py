"""Events per second of the worker, beside a loop that sends one transaction for each with nothing around it."""

import copy
import statistics
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from chalicelib.core import strict_json
from chalicelib.features.activity.intake import Accepted
from chalicelib.platform import aws
from chalicelib.workers import ingest
from tests.bench.budgets import Finding
from tests.bench.world import ACTIVE, World
from tests.support import pipeline
from tests.support.pipeline import accepted

LEAST = 0.5
_ROUNDS = 5
_TRANSACTIONS = 80
_BARE = "u19"
"""The contact of the bare loop; the worker writes to the others."""

_numbers = count()


def findings(world: World) -> list[Finding]:
    """Rounds of each kind in turn, so that the machine's other work falls on all of them."""
    template = _transaction(world)
    kinds: dict[str, Callable[[], None]] = {
        "bare": lambda: _bare(template),
        "messages of 8": lambda: _worker(world, 8),
        "messages of 1": lambda: _worker(world, 1),
    }
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(_ROUNDS):
        for kind, run in kinds.items():
            started = time.perf_counter()
            run()
            rates[kind].append(_TRANSACTIONS / (time.perf_counter() - started))
    bare = statistics.median(rates["bare"])
    found = []
    for kind in ("messages of 8", "messages of 1"):
        ours = statistics.median(rates[kind])
        shares = [one / other for one, other in zip(rates[kind], rates["bare"], strict=True)]
        spread = f"{min(shares):.2f} to {max(shares):.2f}"
        told = f"{statistics.median(shares):.2f} ({spread}); {ours:.0f} of {bare:.0f} events/s"
        kept = statistics.median(shares) >= LEAST
        found.append(Finding(f"worker beside bare loop, {kind}", f"{LEAST} of its events/s", told, kept))
    return found


def _worker(world: World, people: int) -> None:
    """Queue messages, each with one event of each of so many contacts."""
    events = [_event(world, f"u{n % (ACTIVE - 1)}") for n in range(_TRANSACTIONS)]
    records = [_message(world, events[first : first + people]) for first in range(0, _TRANSACTIONS, people)]
    for first in range(0, len(records), 10):
        answer = ingest.handle({"Records": records[first : first + 10]}, pipeline.Context())
        assert answer == {"batchItemFailures": []}


def _message(world: World, events: list[Accepted]) -> dict[str, Any]:
    """One message with all of the events, as if their contacts shared a lane."""
    (record,) = pipeline.messages(world.tenant, events[:1])
    body = {"v": 1, "project": world.tenant.project_id, "events": [event.to_wire() for event in events]}
    return record | {"body": strict_json.dumps(body)}


def _event(world: World, user: str) -> Accepted:
    n = next(_numbers)
    raw = {"userId": user, "event": "opened", "messageId": f"bench-{n}", "properties": {"n": n}}
    return accepted(raw, "track", world.now + n)


def _transaction(world: World) -> list[dict[str, Any]]:
    """A transaction as the worker sends it for an event of a known contact."""
    sent: list[dict[str, Any]] = []
    hooks = aws.dynamodb().meta.events

    def keep(params: dict[str, Any], **_: Any) -> None:
        sent[:] = copy.deepcopy(params["TransactItems"])

    hooks.register("before-parameter-build.dynamodb.TransactWriteItems", keep)
    try:
        pipeline.record(world.tenant, [_event(world, _BARE)])
    finally:
        hooks.unregister("before-parameter-build.dynamodb.TransactWriteItems", keep)
    assert [next(iter(op)) for op in sent] == ["Put", "Put", "Update"]
    return sent


def _bare(template: list[dict[str, Any]]) -> None:
    """Send it again and again, with new keys and the contact's next version."""
    event, message, contact = (next(iter(op.values())) for op in template)
    values = contact["ExpressionAttributeValues"]
    (expected,) = (name for name in values if name.startswith(":c"))
    (following,) = (name for name in values if name != expected and values[name] == _plus_one(values[expected]))
    client = aws.dynamodb()
    for _ in range(_TRANSACTIONS):
        n = f"{next(_numbers):012d}"
        for name in ("SK", "list_sk", "stream_sk"):
            event["Item"][name]["S"] = event["Item"][name]["S"][:-12] + n
        message["Item"]["PK"]["S"] = message["Item"]["PK"]["S"][:-12] + n
        values[expected], values[following] = values[following], _plus_one(values[following])
        client.transact_write_items(TransactItems=template)  # type: ignore[arg-type]


def _plus_one(number: dict[str, str]) -> dict[str, str]:
    return {"N": str(int(number["N"]) + 1)}
