"""When a number that time moves makes a test come out differently. Moments in ms."""

import math
import operator
from collections.abc import Callable, Sequence

from chalicelib.core.rules.facts import Piece
from chalicelib.core.rules.predicates import Test
from chalicelib.core.rules.values import LAST_MOMENT

_FALLING = (operator.le, operator.lt)
_RISING = (operator.ge, operator.gt)


def first_change(piece: Piece, test: Test, bounds: Sequence[float], now: int) -> int | None:
    """The first moment of the piece after `now`, its beginning, at which the test of the number differs; None if none.

    `bounds` are the numbers that the test compares with. Within the piece the number never turns, so the answer can
    change only where the number reaches one of them and where it leaves it.
    """
    begin, end = piece.begin, piece.end
    if begin == end:
        return None
    holds, last = test(begin), min(piece.until - 1, LAST_MOMENT)
    first = None
    for bound in bounds:
        for passes in _FALLING if end < begin else _RISING:
            if passes(end, bound) and not passes(begin, bound):
                moment = _first(piece, passes, bound, now, last)
                if test(piece.value(moment)) is not holds:
                    first = moment if first is None else min(first, moment)
                    break
    return first


def _first(piece: Piece, passes: Callable[[float, float], bool], bound: float, low: int, high: int) -> int:
    """The first moment at which the number passes the bound, which it does not at `low` and does at `high`."""
    value, estimate = piece.value, piece.estimate(bound)
    if estimate is not None and low < estimate < high:
        # An estimate is seldom off by more than a few, so the steps away from it begin at one and double.
        near, step = math.ceil(estimate), 1
        if passes(value(near), bound):
            high = near
            while near - step > low and passes(value(near - step), bound):
                high = near - step
                step *= 2
            low = max(near - step, low)
        else:
            low = near
            while near + step < high and not passes(value(near + step), bound):
                low = near + step
                step *= 2
            high = min(near + step, high)
    while high - low > 1:
        middle = (low + high) // 2
        if passes(value(middle), bound):
            high = middle
        else:
            low = middle
    return high
