"""Turns of a rate: so many in each second of the clock. Pure; moments in ms."""

from typing import NamedTuple

from chalicelib.core import clock


class Turns(NamedTuple):
    """How far a rate is used: `used` turns of the second that begins at `second` (ms), and all of those before."""

    second: int
    used: int


def take_turns(turns: Turns | None, rate: int, now: int, count: int = 1) -> tuple[list[int], Turns]:
    """The moments of the next `count` turns, `rate` for each second of the clock, and how far it is used then.

    A turn in the running second is `now`; a later one is the beginning of its second.
    """
    running = now - now % clock.SECOND
    second, used = turns if turns is not None and turns.second >= running else (running, 0)
    moments: list[int] = []
    for _ in range(count):
        if used >= rate:
            second, used = second + clock.SECOND, 0
        used += 1
        moments.append(max(second, now))
    return moments, Turns(second, used)
