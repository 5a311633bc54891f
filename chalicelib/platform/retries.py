"""What is done again where somebody else was faster."""

import random
from collections.abc import Callable
from typing import Final, TypeVar

from chalicelib.core import clock
from chalicelib.core.errors import Unavailable
from chalicelib.platform.table import ConditionFailed

T = TypeVar("T")

_ATTEMPTS: Final = 30
_LONGEST_PAUSE: Final = 0.2
"""Seconds: pauses grow up to this, each by chance, so that those who collide do not do so again."""


def retried(act: Callable[[], T]) -> T:
    """What `act` returns, which is called again, and reads anew, where the table has refused what it was to write.

    Raises Unavailable where others keep changing the same.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return act()
        except ConditionFailed:
            clock.sleep(random.uniform(0, _LONGEST_PAUSE * attempt / _ATTEMPTS))  # noqa: S311 - jitter, not a secret
    raise Unavailable
