"""Where this deployment is reached: the address that its owner has given it, or the one by which a caller came.

The API can't be told its own address where it has none but the gateway's: its functions are made before that is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from chalicelib.platform.config import settings

_reached_at: ContextVar[str] = ContextVar("reached_at", default="")


@contextmanager
def reached_at(address: str) -> Iterator[None]:
    """Set it for what is answered inside: the scheme, the host that the gateway names, and the stage."""
    token = _reached_at.set(address)
    try:
        yield
    finally:
        _reached_at.reset(token)


def public_url() -> str:
    """The address without a slash at its end; empty where neither is known."""
    return settings().public_url or _reached_at.get()
