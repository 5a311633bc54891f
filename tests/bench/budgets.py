"""The budgets that count calls and capacity: each measures one row of the architecture's table on any engine."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import time_machine

from chalicelib.core import clock
from chalicelib.features.activity.intake import Accepted
from chalicelib.features.segments import service as segments
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.model import Cause, Send, Surveyed
from chalicelib.flows import record_activity
from chalicelib.platform import aws, table
from chalicelib.platform.keys import CONTACT_SHARDS
from chalicelib.workers import bus
from tests.bench import units
from tests.bench.world import LONG, SHORT, World
from tests.support import pipeline
from tests.support.client import Client
from tests.support.ingest_queue import Calls
from tests.support.pipeline import LANES, accepted

_FILLING = "x" * 480
_READS = frozenset({"GetItem", "BatchGetItem", "Query"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the report. `kept` is None where the architecture sets no budget."""

    name: str
    budget: str
    measured: str
    kept: bool | None


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Calls to the table and to the queues, by operation; filled at the end."""
    found: Counter[str] = Counter()
    with Calls(aws.dynamodb(), aws.sqs()) as calls:
        yield found
    found.update(calls.names)


def ingest(world: World) -> list[Finding]:
    """An ingest call of a steady caller: the key is known here and tokens of the rate window are in hand."""
    caller = Client(world.project.write_key)
    found: dict[int, Counter[str]] = {}
    with time_machine.travel(clock.system_ms() // clock.SECOND, tick=False) as standing:
        for lanes in (1, 10, 11, LANES):
            batch = [{"type": "track", "userId": user, "event": "e"} for user in _users_of_lanes(world, lanes)]
            _warm(caller, standing)
            with counted() as found[lanes]:
                answer = caller.post("/v1/batch", {"batch": batch})
            assert answer.status == 202, answer.text
    sent = {lanes: calls["SendMessageBatch"] for lanes, calls in found.items()}
    others = sum(calls.total() for calls in found.values()) - sum(sent.values())
    kept = others == 0 and all(batches <= -(-lanes // 10) for lanes, batches in sent.items())
    told = ", ".join(f"{lanes} lanes: {batches}" for lanes, batches in sent.items())
    return [Finding("ingest call", "1 SQS batch for each 10 lanes, 0 table calls", f"{told}; table: {others}", kept)]


def worker(world: World) -> list[Finding]:
    """Messages of known and new contacts; the last one has many events of one contact, in several chunks."""
    cases: dict[str, Sequence[Accepted]] = {
        "1 event": [event_of(world, "u2")],
        "a new contact's": [event_of(world, "somebody new")],
        "5 contacts": [event_of(world, f"u{n}") for n in range(5)],
        f"{world.volume} events of one": [event_of(world, "u3") for _ in range(world.volume)],
    }
    told, kept = [], True
    for name, events in cases.items():
        with counted() as calls:
            record_activity.run(world.tenant, events)
        chunks = calls["TransactWriteItems"]
        kept &= calls.total() <= 3 * chunks
        told.append(f"{name}: {calls.total()} for {chunks}")
    return [Finding("worker, each chunk", "3 table calls", "; ".join(told), kept)]


def write_units(world: World) -> list[Finding]:
    """An event of 1 KB for a contact of 1 KB, and what a contact's first event costs besides."""
    known, new = (
        event_of(world, "u4", properties={"text": _FILLING}),
        event_of(world, "another new one", properties={"text": _FILLING}),
    )
    with units.recorded() as written:
        record_activity.run(world.tenant, [known])
    with units.recorded() as first:
        record_activity.run(world.tenant, [new])
    sizes = written.sizes
    assert all(0.8 * units.KB < sizes[kind] <= units.KB for kind in ("EVT", "CONTACT")), sizes
    shape = f"event {sizes['EVT']} B, contact {sizes['CONTACT']} B"
    if written.reported:
        shape += f"; the engine says {written.reported:g}"
    return [
        Finding("event and contact of 1 KB", "8 write units", f"{written.units} ({shape})", written.units <= 8),
        Finding("the same, contact made by it", "-", f"{first.units} write units", None),
    ]


def bus_without_rules(world: World) -> list[Finding]:
    """Stream records that no rule wants: many of one project in one batch, as one alone."""
    few = _bus_calls(world, [event_of(world, "u5")])
    many = _bus_calls(world, [event_of(world, f"u{n % 5}") for n in range(world.volume)])
    new = _bus_calls(world, [event_of(world, f"new {n}") for n in range(3)])
    days = _bus_calls(world, [event_of(world, "u6", now=world.now - n * clock.DAY) for n in range(3)])
    kept = few == many and _reads(many) <= 1 and many.total() - _reads(many) <= 1
    return [
        Finding("bus, event without a rule", "1 read, 1 update a batch; 0 an event", _both(few, many), kept),
        Finding("the same, contacts made", "1 read, 1 update and the day's", told_calls(new), new.total() <= 3),
        Finding("the same, events of 3 days", "-", told_calls(days), None),
    ]


def bus_with_segments(world: World) -> list[Finding]:
    """An event that some of a project's segments read: those that do not cost nothing, and those that do little."""
    found = {}
    for others in (0, 20):
        _define(world, [*(f"other {n}" for n in range(others)), "opened", "opened", "opened"])
        _bus_calls(world, [event_of(world, "u7")])
        found[others] = _bus_calls(world, [event_of(world, "u7")])
    around = found[20]["GetItem"] + found[20]["UpdateItem"]
    kept = found[0] == found[20] and around <= 2 and found[20].total() - around <= 3
    told = "; ".join(f"{others} others: {told_calls(calls)}" for others, calls in found.items())
    budget = "2 table calls + 1 Query for each event name; 1 read, 1 update a batch"
    return [Finding("bus, event that concerns segments", budget, told, kept)]


def read_contact(world: World) -> list[Finding]:
    """The profile of contacts with a short and with a long history; the door's count of the rate window is apart."""
    found = {}
    for history, contact_id in zip((SHORT, LONG), world.contact_ids, strict=False):
        calls = _request(world.client, f"/v1/contacts/{contact_id}")
        found[history] = calls.total()
    told = ", ".join(f"{history} events: {calls}" for history, calls in found.items())
    return [Finding("GET /contacts/:id", "4 table calls", told, max(found.values()) <= 4)]


def decide(world: World) -> list[Finding]:
    """What is shown to somebody who has a survey to answer, a link and a place in a waitlist, and to somebody new."""
    contact_id = world.contact_ids[0]
    _give_everything(world, contact_id)
    answer = world.client.get("/v1/decide?user_id=u0").json
    assert all([answer["surveys"], *answer["widgets"].values()]), answer
    found = {name: _request(world.client, f"/v1/decide?user_id={name}").total() for name in ("u0", "u1", "nobody")}
    told = ", ".join(f"{name}: {calls}" for name, calls in found.items())
    return [Finding("GET /decide", "2 table calls", told, max(found.values()) <= 2)]


def list_contacts(world: World) -> list[Finding]:
    """The first page of 25, and the second."""
    path = "/v1/contacts?limit=25"
    cursor = world.client.get(path).json["next_cursor"]
    pages = [_request(world.client, path), _request(world.client, f"{path}&cursor={cursor}")]
    kept = all(calls["Query"] <= CONTACT_SHARDS and calls.total() - calls["Query"] <= 1 for calls in pages)
    return [Finding("list page of 25", f"{CONTACT_SHARDS} Query, 1 BatchGetItem", _both(*pages), kept)]


COUNTED: tuple[Callable[[World], list[Finding]], ...] = (
    ingest,
    worker,
    write_units,
    bus_without_rules,
    bus_with_segments,
    read_contact,
    decide,
    list_contacts,
)


def event_of(world: World, user: str, now: int | None = None, **fields: Any) -> Accepted:
    return accepted({"userId": user, "event": "opened"} | fields, "track", now or world.now)


def _give_everything(world: World, contact_id: str) -> None:
    """Let the contact have a survey to answer, a link and a place in a waitlist."""

    def made(path: str, **body: Any) -> str:
        answer = world.client.post(path, body)
        assert answer.status in (200, 201), answer.text
        return str(answer.json["id"])

    made("/v1/contacts", external_id="u0", email="u0@example.com")
    program = made("/v1/referrals/programs", name="P", reward_type="credit", reward_amount=1, reward_currency="USD")
    made("/v1/referrals/links", program_id=program, contact_id=contact_id, channel="email")
    made(f"/v1/waitlists/{made('/v1/waitlists', name='W', slug='w')}/entries", email="u0@example.com")
    survey = made("/v1/surveys", name="S", type="nps", question="?", trigger={"event": "e"}, channels=["widget"])
    made(f"/v1/surveys/{survey}/activate")
    sent = Send("s", contact_id, survey, Cause("api", "s", world.now), world.now, by=("widget",))
    table.write(surveys.save_surveyed(world.tenant, Surveyed(contact_id).was_sent(sent, world.now)))


def _warm(caller: Client, standing: time_machine.Traveller) -> None:
    """Call as a busy caller does, until this instance knows the key and has some of its rate in hand."""
    for _ in range(15):
        _tracks(caller, 12)
        standing.shift(0.1)
        _tracks(caller, 1)
        if _tracks(caller, 2).total() == 2:
            return
    raise AssertionError("a busy instance takes no lease")


def _tracks(caller: Client, times: int) -> Counter[str]:
    with counted() as calls:
        for _ in range(times):
            caller.post("/v1/track", {"userId": "u0", "event": "e"})
    return calls


def _users_of_lanes(world: World, lanes: int) -> list[str]:
    """One user for each of so many lanes."""
    users: dict[str, str] = {}
    n = 0
    while len(users) < lanes:
        (message,) = pipeline.messages(world.tenant, [event_of(world, f"user {n}")])
        users.setdefault(message["attributes"]["MessageGroupId"], f"user {n}")
        n += 1
    return list(users.values())


def counting(name: str) -> dict[str, Any]:
    """A condition that reads the events of that name."""
    return {"field": f"events.{name}", "op": "count_gte", "value": 1, "window": "7d"}


def _define(world: World, names: Sequence[str]) -> None:
    """Segments that count events of these names, without building them."""
    for name in names:
        rules = {"operator": "AND", "conditions": [counting(name)]}
        table.transact(segments.created(world.tenant, "S", "dynamic", rules, world.now).ops)


def _bus_calls(world: World, events: Sequence[Accepted]) -> Counter[str]:
    """The table calls of the bus for the records that these events leave in the stream, in one batch."""
    with units.recorded() as written:
        record_activity.run(world.tenant, events)
    with counted() as calls:
        answer = bus.handle({"Records": written.stream_records()}, pipeline.Context())
    assert answer == {"batchItemFailures": []}
    return calls


def _request(caller: Client, path: str) -> Counter[str]:
    """The calls of a request behind its door; the door itself counts the call, with one update, or none where a busy
    caller's instance has some of the rate in hand.

    The clock stands, for a slow engine may take longer than a key is kept.
    """
    with time_machine.travel(clock.system_ms() / clock.SECOND, tick=False):
        caller.get(path)
        with counted() as calls:
            answer = caller.get(path)
    assert answer.status == 200, answer.text
    assert calls["UpdateItem"] <= 1, calls
    del calls["UpdateItem"]
    return calls


def _reads(calls: Counter[str]) -> int:
    return sum(calls[name] for name in _READS)


def told_calls(calls: Counter[str]) -> str:
    return " + ".join(f"{count} {name}" for name, count in sorted(calls.items()) if count) or "none"


def _both(first: Counter[str], second: Counter[str]) -> str:
    return told_calls(first) if first == second else f"{told_calls(first)}; then {told_calls(second)}"
