"""The door's verdict on one event, for the tests of its rules."""

from typing import Any

from chalicelib.core import clock
from chalicelib.features.activity import intake
from chalicelib.features.activity.intake import Accepted, Arrival, Refused

NOW = clock.parse_instant("2026-02-23T10:00:00Z")
ARRIVAL = Arrival(NOW)


def taken(raw: dict[str, Any], kind: str = "track", arrival: Arrival = ARRIVAL) -> Accepted:
    outcome = intake.accept({"user_id": "u1", "event": "signed_up"} | raw, kind, arrival)
    assert isinstance(outcome, Accepted), outcome
    return outcome


def refused(raw: dict[str, Any], kind: str = "track", arrival: Arrival = ARRIVAL) -> list[tuple[str, str]]:
    outcome = intake.accept(raw, kind, arrival)
    assert isinstance(outcome, Refused), outcome
    return [(entry["field"], entry["reason"]) for entry in outcome.details]
