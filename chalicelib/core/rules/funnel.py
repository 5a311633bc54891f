"""How far a contact gets through the steps of a funnel, and when somebody has converted or dropped out. Moments in ms.

Every event of the first step begins an attempt. It goes on to the earliest later event of the next step, and so on,
as long as these come within the window; one event fulfils one step. An attempt counts from its start until `within`
has passed since. So each is told by a span, as counted events are, and the first millisecond of a change is known.
The answers of funnels in features/analytics say the same of all contacts together.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from chalicelib.core.clock import iso
from chalicelib.core.durations import parse_duration
from chalicelib.core.rules.counting import Counting, number_at
from chalicelib.core.rules.facts import NEVER, Event, Facts, Line
from chalicelib.core.rules.model import Condition
from chalicelib.core.rules.predicates import Span
from chalicelib.core.rules.values import find, same


class Filter(NamedTuple):
    """Holds where the value at the path is one of these, typed; a list is none of them, whatever its members."""

    path: str
    values: Sequence[Any]

    def fits(self, found_in: Mapping[str, Any]) -> bool:
        """True where it holds for these traits or properties."""
        found = find(found_in, self.path)
        return any(same(found, value) for value in self.values)


class Step(NamedTuple):
    """An event of the funnel, with what must hold of it and of the contact as it is now."""

    event: str
    properties: tuple[Filter, ...]
    traits: tuple[Filter, ...]

    def events(self, facts: Facts) -> list[Event]:
        """The events that fulfil it, by time, then receipt."""
        history = facts.events.get(self.event)
        if history is None or not all(one.fits(facts.traits) for one in self.traits):
            return []
        fitting = [event for event in history.events if all(one.fits(event.properties) for one in self.properties)]
        return sorted(fitting, key=_place)


@dataclass(frozen=True, slots=True, eq=False)
class Funnel:
    """A compiled condition: `converted` where an attempt has reached `step`, the first being 1, and `dropped` where
    `step` is the furthest of all attempts and none of those can go on. `window` and `within` in ms."""

    steps: tuple[Step, ...]
    window: int
    within: int
    step: int
    op: str

    @property
    def demands(self) -> tuple[Counting, ...]:
        """What must be read: all of these events that an attempt can have which counts now or later."""
        return tuple(Counting(name, self.within, (), (), NEVER) for name in {step.event: None for step in self.steps})

    def line(self, facts: Facts) -> Line:
        """When it begins and stops to hold."""
        line = facts.lines.get(self)
        if line is None:
            line = facts.lines[self] = self._converted(facts) if self.op == "converted" else self._dropped(facts)
        return line

    def actual(self, facts: Facts, now: int) -> dict[str, Any]:
        """How many steps the best attempt has reached at `now`, and when it started; 0 and None without any."""
        best = self._best(facts, now)
        return {"reached": len(best), "started_at": iso(best[0].timestamp) if best else None}

    def evidence(self, facts: Facts, now: int) -> list[str]:
        """The ids of the best attempt's events, in the order of the steps."""
        return [event.id for event in self._best(facts, now)]

    def _best(self, facts: Facts, now: int) -> Sequence[Event]:
        """The events of the furthest attempt that counts at `now`, of several the earliest."""
        counting = [each for each in self._attempts(facts, len(self.steps)) if now < each[0].timestamp + self.within]
        reached = ([event for event in each if event.timestamp <= now] for each in counting)
        return max(reached, key=len, default=())

    def _converted(self, facts: Facts) -> Line:
        return _line([(each[-1].timestamp, self._end(each)) for each in self._reaching(facts, self.step)])

    def _dropped(self, facts: Facts) -> Line:
        reached, going = [], []
        for each in self._reaching(facts, self.step + 1):
            begin, end = each[self.step - 1].timestamp, self._end(each)
            reached.append((begin, end))
            # An attempt that gets further is beyond the step from the moment at which it can no longer be behind it.
            closed = each[0].timestamp + self.window + 1
            going.append((begin, end if len(each) > self.step else min(closed, end)))
        return _without(reached, going)

    def _reaching(self, facts: Facts, depth: int) -> Iterator[Sequence[Event]]:
        """The attempts that reach `step`, as far as `depth`."""
        return (each for each in self._attempts(facts, depth) if len(each) >= self.step)

    def _attempts(self, facts: Facts, depth: int) -> Iterator[Sequence[Event]]:
        return attempts([step.events(facts) for step in self.steps[:depth]], self.window)

    def _end(self, attempt: Sequence[Event]) -> int:
        return attempt[0].timestamp + self.within


def funnel(condition: Condition) -> Funnel:
    """The compiled form of a checked condition on `funnel`."""
    value = condition.value
    return Funnel(
        tuple(map(_step, value["steps"])),
        parse_duration(value["window"]),
        parse_duration(value["within"]),
        value["step"],
        condition.op,
    )


def attempts(steps: Sequence[Sequence[Event]], window: int) -> Iterator[Sequence[Event]]:
    """For each event of the first step, the events that fulfil the steps it gets to, itself the first.

    `steps` has the events that fulfil each step, by time, then receipt. Later ones may lie in the future.
    """
    places = [[_place(event) for event in step] for step in steps]
    for start in steps[0]:
        reached = [start]
        for events, of_step in zip(steps[1:], places[1:], strict=True):
            following = bisect_right(of_step, _place(reached[-1]))
            if following == len(events) or events[following].timestamp > start.timestamp + window:
                break
            reached.append(events[following])
        yield reached


def _place(event: Event) -> tuple[int, int, str]:
    return event.timestamp, event.received_at, event.id


def _step(raw: Mapping[str, Any]) -> Step:
    filters = raw.get("filters", {})
    return Step(raw["event"], _filters(filters, "properties."), _filters(filters, "traits."))


def _filters(raw: Mapping[str, Any], place: str) -> tuple[Filter, ...]:
    return tuple(
        Filter(path.removeprefix(place), wanted if isinstance(wanted, list) else [wanted])
        for path, wanted in raw.items()
        if path.startswith(place)
    )


def _line(spans: Sequence[Span]) -> Line:
    real = [span for span in spans if span[0] < span[1]]
    return sorted(start for start, _ in real), sorted(end for _, end in real), 0


def _without(spans: Sequence[Span], others: Sequence[Span]) -> Line:
    """When one of `spans` is on and none of `others`."""
    wanted, unwanted = _line(spans), _line(others)
    starts: list[int] = []
    ends: list[int] = []
    is_on = False
    for moment in sorted({*wanted[0], *wanted[1], *unwanted[0], *unwanted[1]}):
        if is_on is not (number_at(wanted, moment) > 0 and not number_at(unwanted, moment)):
            is_on = not is_on
            (starts if is_on else ends).append(moment)
    return starts, ends, 0
