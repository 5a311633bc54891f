"""Queue accepted events for the worker, so that the events of each identity keep their order.

What: the events of each lane become one FIFO message (several, where they are large). Order: that of the call. It may
be repeated by the caller: what has a message id is recorded once, and what has none counts each time.

A lane's events stand in two messages only where they exceed MESSAGE_BYTES. Should the first of those fail and the
second be queued, the resent first one arrives later; what contacts become does not depend on it, for it follows the
events' own timestamps.
"""

from collections.abc import Sequence

from chalicelib.core import strict_json
from chalicelib.features.activity import intake
from chalicelib.features.activity.intake import Accepted
from chalicelib.platform import queues
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.platform.queues import Outgoing

MESSAGE_BYTES = 900_000
"""Bytes of one message. A call's body has at most 500 KB, so a lane is one message in all but contrived calls, and a
call is one SQS batch for each ten lanes that it touches."""

_VERSION = 1


def run(tenant: Tenant, events: Sequence[Accepted]) -> list[bool]:
    """For each event, whether it is durably queued."""
    messages: list[Outgoing] = []
    carried: list[list[int]] = []
    for group, members in _by_lane(tenant, events).items():
        for positions, body in _bodies(tenant, [(n, strict_json.dumps(events[n].to_wire())) for n in members]):
            messages.append(Outgoing(group, body))
            carried.append(positions)
    queued = [False] * len(events)
    if not messages:
        return queued
    for positions, done in zip(carried, queues.send_fifo(settings().ingest_queue_url, messages), strict=True):
        for n in positions:
            queued[n] = done
    return queued


def _by_lane(tenant: Tenant, events: Sequence[Accepted]) -> dict[str, list[int]]:
    lanes: dict[str, list[int]] = {}
    for n, event in enumerate(events):
        lanes.setdefault(intake.lane(tenant.project_id, event, settings().ingest_lanes), []).append(n)
    return lanes


def _bodies(tenant: Tenant, wires: Sequence[tuple[int, str]]) -> list[tuple[list[int], str]]:
    """The messages of one lane: the positions of their events, and their bodies."""
    chunks: list[list[tuple[int, str]]] = []
    size = 0
    for n, wire in wires:
        length = len(wire.encode()) + 1
        if not chunks or size + length > MESSAGE_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append((n, wire))
        size += length
    head = strict_json.dumps({"v": _VERSION, "project": tenant.project_id})[:-1]
    return [([n for n, _ in chunk], f'{head},"events":[{",".join(wire for _, wire in chunk)}]}}') for chunk in chunks]
