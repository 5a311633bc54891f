"""Turns of a rate that many share, taken from one row: a campaign's rate, or that of the account with the mail service.

Nobody gets more turns of a second than there are, and none is taken twice; one that is not used is lost.
"""

import random

from chalicelib.core import clock
from chalicelib.core.errors import Unavailable
from chalicelib.core.pacing import Turns, take_turns
from chalicelib.platform import table
from chalicelib.platform.keys import Key
from chalicelib.platform.table import Condition, ConditionFailed, Item, Put, attr

_ATTEMPTS = 30
_LONGEST_PAUSE = 0.1


def used(key: Key) -> Turns | None:
    """How far the rate of that row is used."""
    return _turns(table.get(key))


def take(key: Key, rate: int, now: int, count: int = 1) -> list[int]:
    """The moments (ms, on the clock of `now`) of the next `count` turns, `rate` for each second.

    Raises Unavailable where others keep taking them.
    """
    for attempt in range(_ATTEMPTS):
        before = used(key)
        moments, after = take_turns(before, rate, now, count)
        try:
            table.write(Put(key, after._asdict(), _stands_at(before)))
        except ConditionFailed:
            clock.sleep(random.uniform(0, _LONGEST_PAUSE * attempt / _ATTEMPTS))  # noqa: S311 - jitter, not a secret
            continue
        return moments
    raise Unavailable


def _turns(item: Item | None) -> Turns | None:
    return None if item is None else Turns(item["second"], item["used"])


def _stands_at(before: Turns | None) -> Condition:
    if before is None:
        return attr("PK").not_exists()
    return attr("second").eq(before.second) & attr("used").eq(before.used)
