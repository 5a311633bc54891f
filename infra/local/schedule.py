"""EventBridge's part: calls functions at fixed intervals."""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from infra.local.context import ACCOUNT, LambdaContext
from infra.local.engine import REGION
from infra.local.poller import Function

_RATE: Final = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_SECONDS: Final = {"minute": 60, "hour": 3600, "day": 86400}
_TIMEOUT_S: Final = 60.0

_log = logging.getLogger("growthos.local.pump")


def interval_s(expression: str) -> int:
    """Seconds between two calls. Raises ValueError for anything but `rate(…)`."""
    match = _RATE.fullmatch(expression)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"the local stack knows schedules as rate(1 minute), not {expression}")
    return int(match[1]) * _SECONDS[match[2]]


def run(name: str, expression: str, function: Function, stop: threading.Event) -> None:
    """Call the function at each interval until asked to stop. A failed call is told in the log and not repeated."""
    interval = interval_s(expression)
    due = time.monotonic() + interval
    while not stop.wait(max(0.0, due - time.monotonic())):
        due += interval
        try:
            function(scheduled_event(name), LambdaContext(name, _TIMEOUT_S))
        except Exception:
            _log.exception("%s failed", name)


def scheduled_event(name: str) -> dict[str, Any]:
    """The event that EventBridge sends for a rule."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"],
        "detail": {},
    }
