"""Queue accepted events for the worker, so that the events of each identity keep their order.

What: the events of each lane become one FIFO message (several, where they are large). Order: that of the call. It may
be repeated by the caller: what has a message id is recorded once, and what has none counts each time.

A lane's events stand in two messages only where they exceed MESSAGE_BYTES. Should the first of those fail and the
second be queued, the resent first one arrives later; what contacts become does not depend on it, for it follows the
events' own timestamps.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from chalicelib.core import ids, strict_json
from chalicelib.core.errors import Unavailable
from chalicelib.features.activity import intake
from chalicelib.features.activity.intake import Accepted
from chalicelib.platform import pending, queues
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.platform.queues import Outgoing
from chalicelib.platform.table import Put

MESSAGE_BYTES = 900_000
"""Bytes of one message. A call's body has at most 500 KB, so a lane is one message in all but contrived calls, and a
call is one SQS batch for each ten lanes that it touches."""

_VERSION = 1


def run(tenant: Tenant, events: Sequence[Accepted]) -> list[bool]:
    """For each event, whether it is durably queued. Raises Unavailable where a test project can't be marked busy."""
    messages: list[Outgoing] = []
    carried: list[list[int]] = []
    marks: list[list[Put]] = []
    for group, members in _by_lane(tenant, events).items():
        for chunk in _chunks([(n, strict_json.dumps(events[n].to_wire())) for n in members]):
            ident = ids.new_ulid() if tenant.is_test else ""
            marks.append(pending.mark(tenant, "INGEST", ident))
            messages.append(Outgoing(group, _body(tenant, [wire for _, wire in chunk], ident)))
            carried.append([n for n, _ in chunk])
    queued = [False] * len(events)
    if not messages:
        return queued
    pending.put([mark for each in marks for mark in each])
    outcome = queues.send_fifo(settings().ingest_queue_url, messages)
    for positions, done in zip(carried, outcome, strict=True):
        for n in positions:
            queued[n] = done
    with suppress(Unavailable):  # then the marks expire
        pending.remove(mark.key for each, done in zip(marks, outcome, strict=True) if not done for mark in each)
    return queued


def _by_lane(tenant: Tenant, events: Sequence[Accepted]) -> dict[str, list[int]]:
    lanes: dict[str, list[int]] = {}
    for n, event in enumerate(events):
        lanes.setdefault(intake.lane(tenant.project_id, event, settings().ingest_lanes), []).append(n)
    return lanes


def _chunks(wires: Sequence[tuple[int, str]]) -> list[list[tuple[int, str]]]:
    """The events of one lane, with their positions, by message."""
    chunks: list[list[tuple[int, str]]] = []
    size = 0
    for n, wire in wires:
        length = len(wire.encode()) + 1
        if not chunks or size + length > MESSAGE_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append((n, wire))
        size += length
    return chunks


def _body(tenant: Tenant, wires: Sequence[str], mark: str) -> str:
    head: dict[str, Any] = {"v": _VERSION, "project": tenant.project_id}
    if mark:
        head["mark"] = mark
    return f'{strict_json.dumps(head)[:-1]},"events":[{",".join(wires)}]}}'
