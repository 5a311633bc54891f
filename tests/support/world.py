"""One project with all its workers in this process: what comes in is worked through until nothing is left to do."""

from typing import Any

from chalicelib.core import clock
from chalicelib.features.activity.intake import Accepted, Arrival, accept
from chalicelib.platform.keys import Tenant
from chalicelib.workers.timers import fire_due
from tests.support import pipeline


def fire(tenant: Tenant) -> int:
    """Fire every timer of a live project that is due by the system's clock, the earliest first; how many there were."""
    now, fired = clock.system_ms(), 0
    while due := sorted((r for r in pipeline.rows(tenant, "TIMER#") if r["moment"] <= now), key=lambda r: r["moment"]):
        row = due[0]
        fire_due(tenant, row["PK"], row["SK"].removeprefix("TIMER#"), row["moment"], now)
        fired += 1
        pipeline.drain()
    return fired


def send(tenant: Tenant, kind: str, now: int | None = None, **raw: Any) -> None:
    """Record one event as received at `now` (ms; the system's moment without it) and let it act."""
    moment = clock.system_ms() if now is None else now
    event = accept(raw, kind, Arrival(moment))
    assert isinstance(event, Accepted), event
    pipeline.record(tenant, [event])
    pipeline.drain()
