"""What must be read of a contact to evaluate rules: fields, other segments, and how much of each history."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chalicelib.core.rules.compiled import Rules
from chalicelib.core.rules.counting import Counting
from chalicelib.core.rules.facts import Event
from chalicelib.core.rules.funnel import funnel
from chalicelib.core.rules.model import Condition, Field, Group, field_of


@dataclass(frozen=True, slots=True)
class Reads:
    """What rules depend on: a change of anything else can't change them.

    `fields` are named as in rules, but a trait by its key at the top of the traits. `segments` are those named here,
    not what these name in turn.
    """

    fields: frozenset[str]
    events: frozenset[str]
    segments: frozenset[str]
    campaigns: frozenset[str]


@dataclass(frozen=True, slots=True)
class Need:
    """How much of one event's history decides the rules. `at_least` is how many events that is, with no `where`."""

    demands: tuple[Counting, ...]
    whole: bool

    @property
    def at_least(self) -> int:
        """How many events to read first; more may be needed."""
        return max(demand.enough for demand in self.demands)

    def is_satisfied(self, read: Sequence[Event], now: int) -> bool:
        """True where `read`, the newest events of the name, newest first, are enough for every moment (ms) from `now`.

        Where it is False and there are no more, those read are all.
        """
        return all(_is_met(demand, read, now, whole=self.whole) for demand in self.demands)


def reads(group: Group) -> Reads:
    """What the rules of a parsed tree depend on."""
    fields: set[str] = set()
    named: dict[str, set[str]] = defaultdict(set)
    for condition in _conditions(group):
        kind, name = _field(condition)
        if kind in ("event", "campaign"):
            named[kind].add(name)
        elif kind == "segments":
            named[kind].update([condition.value] if condition.op == "contains" else condition.value)
        elif kind == "trait":
            fields.update(_trait(name))
        elif kind == "funnel":
            for step in funnel(condition).steps:
                named["event"].add(step.event)
                fields.update(name for one in step.traits for name in _trait(one.path))
        else:
            fields.add(condition.field)
    return Reads(*map(frozenset, (fields, named["event"], named["segments"], named["campaign"])))


def needs(rules: Iterable[Rules], *, whole: bool = False) -> dict[str, Need]:
    """By event name, what must be read to evaluate all of these; segments that they name must be among them.

    `whole` asks for all that lies in the windows, so that `explain` tells whole counts.
    """
    demands: dict[str, list[Counting]] = defaultdict(list)
    for one in rules:
        for leaf in one.leaves():
            for demand in leaf.demands:
                demands[demand.name].append(demand)
    return {name: Need(tuple(found), whole) for name, found in demands.items()}


def _trait(path: str) -> set[str]:
    """The path is a literal key, or begins with the key of an object."""
    return {f"traits.{path}", f"traits.{path.partition('.')[0]}"}


def _is_met(demand: Counting, read: Sequence[Event], now: int, *, whole: bool) -> bool:
    if demand.window is not None and read and read[-1].timestamp <= now - demand.window:
        return True
    # An event that counts in some moments only takes no other's place.
    if whole or demand.lifetimes:
        return False
    if len(read) < demand.enough:
        return False
    matching = (event for event in read if event.timestamp <= now and demand.matches(event))
    return sum(1 for _ in matching) >= demand.enough


def _conditions(node: Group | Condition) -> Iterator[Condition]:
    if isinstance(node, Condition):
        yield node
    else:
        for child in node.conditions:
            yield from _conditions(child)


def _field(condition: Condition) -> Field:
    field = field_of(condition.field)
    if field is None:
        raise ValueError(f"{condition.field} is no field")
    return field
