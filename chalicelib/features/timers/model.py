"""A timer, and what travels on its way to being due. Moments are milliseconds on the project's clock."""

from dataclasses import dataclass
from typing import Any

from chalicelib.core import clock

HORIZON = 5 * clock.MINUTE
"""How far ahead timers are put on the queue, in milliseconds. Runs of the schedule may be that far apart: what is set
to fall due sooner is queued when it is set, the rest by a run before."""

_GRACE = 2 * clock.MINUTE
_DOUBLINGS_MAX = 9
_DELAY_MAX_S = 900
"""The longest that the queue delays a message."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer as its flow gets it; `data` is the JSON value that it was set with."""

    name: str
    kind: str
    moment: int
    data: Any = None


@dataclass(frozen=True, slots=True)
class Due:
    """The partition and the name of a timer, and the moment for which it was set when this was said of it."""

    owner_pk: str
    name: str
    moment: int
    token: str = ""
    """Of a test project's pointer: made anew each time that the timer is set."""

    def delay_s(self, now: int) -> int:
        """Whole seconds until the moment, rounded down; 0 where it has come, and never more than the queue takes."""
        return min(max(0, (self.moment - now) // clock.SECOND), _DELAY_MAX_S)


def queued_until(moment: int, now: int, tries: int) -> int:
    """When a message queued now counts as lost. Each further try doubles the time: a timer may fail for good."""
    return max(moment, now) + (_GRACE << min(tries, _DOUBLINGS_MAX))
