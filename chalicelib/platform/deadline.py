"""Until when the current HTTP request may begin another call to AWS, so that its answer comes before the gateway's own.

Workers have none: what they do not finish their queue or stream delivers again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from chalicelib.core import clock

_end: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Set it for the calls made inside."""
    token = _end.set(clock.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def is_set() -> bool:
    """True while a request is served."""
    return _end.get() is not None


def has_passed() -> bool:
    """True where no further call is to be begun."""
    end = _end.get()
    return end is not None and clock.monotonic() >= end
