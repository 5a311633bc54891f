"""When a failed delivery is tried again. Pure."""

import hashlib
from datetime import UTC
from email.utils import parsedate_to_datetime

from chalicelib.core import clock

WAITS = (5 * clock.MINUTE, 30 * clock.MINUTE, 3 * clock.HOUR, 20 * clock.HOUR)
"""Milliseconds from each attempt to the next one, at the most."""

ATTEMPTS = len(WAITS) + 1
_JITTER = 0.1
_RETRY_AFTER_MAX = 24 * clock.HOUR
_HASH_BYTES = 4


def next_moment(attempt: int, attempted_at: int, jitter: float, retry_after: int | None = None) -> int | None:
    """The moment of the attempt after this one, in ms; None after the last.

    `jitter`, from 0 to 1, takes up to a tenth off the wait, so that what failed together does not come back together.
    `retry_after`, in ms, is what the receiver asked for: it is never called sooner, nor more often for it.
    """
    if attempt >= ATTEMPTS:
        return None
    wait = round(WAITS[attempt - 1] * (1 - _JITTER * jitter))
    return attempted_at + max(wait, min(retry_after or 0, _RETRY_AFTER_MAX))


def jitter(endpoint_id: str, event_id: str, attempt: int) -> float:
    """From 0 to below 1, and the same whenever it is asked for: an attempt that is judged twice is judged alike."""
    digest = hashlib.sha256(f"{endpoint_id} {event_id} {attempt}".encode()).digest()
    return int.from_bytes(digest[:_HASH_BYTES]) / 256.0**_HASH_BYTES


def parse_retry_after(text: str | None, real_now: int) -> int | None:
    """Milliseconds to wait, of a Retry-After header in seconds or as a date (RFC 9110, 10.2.3); None for others.

    `real_now` is the real moment in ms: a date is told on the real clock.
    """
    text = (text or "").strip()
    if text.isascii() and text.isdecimal():
        return min(int(text) * clock.SECOND, _RETRY_AFTER_MAX)
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return max(0, round(moment.timestamp() * clock.SECOND) - real_now)
    except (ValueError, OverflowError, TypeError):
        return None
