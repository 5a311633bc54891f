"""How many events of one name count at a moment, and when a number of them is reached or lost. Moments in ms.

Each event counts over one span: from its timestamp until its window has run out, cut by the `where` conditions that
move with now. So their number at a moment is that of the spans begun less that of the spans ended.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from chalicelib.core.durations import parse_duration
from chalicelib.core.rules.facts import NEVER, Event, Facts, Line
from chalicelib.core.rules.model import COUNTS, Condition
from chalicelib.core.rules.predicates import Lifetime, Span, Test, is_relative, lifetime, predicate
from chalicelib.core.rules.values import find, instant

MAX_EVIDENCE = 100

_NO_EVENTS: Line = ((), (), 0)


@dataclass(frozen=True, slots=True, eq=False)
class Counting:
    """Which events of `name` a condition counts.

    `window` in ms, or None for all time. `tests` of the properties never change; `lifetimes` tell when each event fits.
    `enough` events decide the condition, the newest that are not in the future.
    """

    name: str
    window: int | None
    tests: tuple[Callable[[Mapping[str, Any]], bool], ...]
    lifetimes: tuple[Callable[[Mapping[str, Any]], Span], ...]
    enough: int

    def matches(self, event: Event) -> bool:
        """True where its properties fit, as far as that does not change in time."""
        return all(test(event.properties) for test in self.tests)

    def span(self, event: Event) -> Span:
        """When a matching event counts."""
        starts, ends = [event.timestamp], [NEVER if self.window is None else event.timestamp + self.window]
        for bounds in (fits(event.properties) for fits in self.lifetimes):
            starts.append(bounds[0])
            ends.append(bounds[1])
        return max(starts), min(ends)

    def line(self, facts: Facts) -> Line:
        """When the contact's events begin and stop to count."""
        history = facts.events.get(self.name)
        if history is None:
            return _NO_EVENTS
        if not (self.tests or self.lifetimes):
            times, window = history.times, self.window
            return (times, (), 0) if window is None else (times, times, window)
        line = facts.lines.get(self)
        if line is None:
            spans = [self.span(event) for event in history.events if self.matches(event)]
            real = [span for span in spans if span[0] < span[1]]
            line = sorted([start for start, _ in real]), sorted([end for _, end in real if end < NEVER]), 0
            facts.lines[self] = line
        return line

    def count(self, facts: Facts, now: int) -> int:
        """How many count at `now`."""
        return number_at(self.line(facts), now)

    def evidence(self, facts: Facts, now: int) -> list[str]:
        """The ids of those, newest first; at most MAX_EVIDENCE."""
        return list(islice((event.id for event in self._counted(facts, now)), MAX_EVIDENCE))

    def _counted(self, facts: Facts, now: int) -> Iterator[Event]:
        history = facts.events.get(self.name)
        for event in reversed(history.events if history else ()):
            start, end = self.span(event)
            if start <= now < end and self.matches(event):
                yield event


def counting(condition: Condition, name: str) -> Counting:
    """What a condition on `events.<name>` counts; for exists and not_exists that is all that ever happened."""
    moving = [part for part in condition.where if is_relative(part.op, part.value)]
    still = [part for part in condition.where if not is_relative(part.op, part.value)]
    return Counting(
        name,
        parse_duration(condition.window) if condition.window is not None else None,
        tuple(_test(_path(part), predicate(part.op, part.value)) for part in still),
        tuple(_lifetime(_path(part), lifetime(part.op, part.value)) for part in moving),
        bound(condition),
    )


def is_floor(condition: Condition) -> bool:
    """True where enough events make the condition hold, False where they break it."""
    return condition.op in ("count_gte", "exists")


def bound(condition: Condition) -> int:
    """The number of events at which the condition turns: count_lte n is broken by n + 1."""
    if condition.op not in COUNTS:
        return 1
    return int(condition.value) + (condition.op == "count_lte")


def reaches(line: Line, number: int, now: int) -> tuple[bool, int]:
    """Whether `number` (at least 1) or more count at `now`, and the first moment after it at which that changes.

    From one moment it leaps to the next at which the answer could differ: while enough count, so many must stop to
    count as are more than needed, and one; while too few count, so many must begin as are lacking.
    """
    starts, ends, shift = line
    begun, ended = bisect_right(starts, now), bisect_right(ends, now - shift)
    holds = begun - ended >= number
    while True:
        if holds:
            place = begun - number
            if place >= len(ends):
                return True, NEVER
            moment = ends[place] + shift
            if begun == len(starts):
                return True, moment
        else:
            place = ended + number - 1
            if place >= len(starts):
                return False, NEVER
            moment = starts[place]
        begun, ended = bisect_right(starts, moment), bisect_right(ends, moment - shift)
        if (begun - ended >= number) != holds:
            return holds, moment


def number_at(line: Line, now: int) -> int:
    """How many of the line's spans are on at `now`."""
    starts, ends, shift = line
    return bisect_right(starts, now) - bisect_right(ends, now - shift)


def _path(condition: Condition) -> str:
    return condition.field.removeprefix("properties.")


def _test(path: str, test: Test) -> Callable[[Mapping[str, Any]], bool]:
    return lambda properties: test(find(properties, path))


def _lifetime(path: str, fits: Lifetime) -> Callable[[Mapping[str, Any]], Span]:
    return lambda properties: fits(instant(find(properties, path)))
