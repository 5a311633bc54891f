"""What happens each minute: timers that fall due soon are put on their queue."""

from typing import Any

from chalicelib.core import clock
from chalicelib.features.timers import service as timers

_RESERVE = 10_000
"""Milliseconds before the invocation's end at which the run stops; the next one goes on."""


def handle(context: Any) -> None:
    """Queue what falls due. Only live projects have such timers, and their clock is the real one."""
    timers.queue_due(clock.system_ms(), lambda: context.get_remaining_time_in_millis() > _RESERVE)
