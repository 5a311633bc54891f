"""From a condition to what judges it, tells its value and gives its evidence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from chalicelib.core.clock import iso
from chalicelib.core.rules.counting import Counting, bound, counting, is_floor, reaches
from chalicelib.core.rules.crossing import first_change
from chalicelib.core.rules.facts import NEVER, Facts, Judge, Piece, Reading
from chalicelib.core.rules.funnel import funnel
from chalicelib.core.rules.model import CAMPAIGN_STEPS, PRESENCE, Condition, Field, Kind, field_of
from chalicelib.core.rules.predicates import Test, is_relative, lifetime, moment_predicate, predicate
from chalicelib.core.rules.values import find, instant

Read = Callable[[Facts], Any]

_HOLDS: Reading = (True, NEVER, True)
_FAILS: Reading = (False, NEVER, True)


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A compiled condition. `actual` is what the contact has, `evidence` the ids of the events that tell of it,
    and `demands` are the events that must be read.

    `cost` orders conditions of which one may decide for all: the cheap and the unchanging come first.
    """

    condition: Condition
    judge: Judge
    actual: Callable[[Facts, int], Any]
    cost: int = 0
    evidence: Callable[[Facts, int], list[str]] | None = None
    demands: tuple[Counting, ...] = ()


def compile_condition(condition: Condition) -> Leaf:
    """The compiled form of a checked condition; ValueError where its field is none."""
    field = field_of(condition.field)
    if field is None:
        raise ValueError(f"{condition.field} is no field")
    return _BUILDERS[field.kind](condition, field)


def _attribute(condition: Condition, field: Field) -> Leaf:
    return _steady(condition, attrgetter(field.name))


def _tags(condition: Condition, _: Field) -> Leaf:
    # A contact without tags has nothing that could exist.
    return _steady(condition, lambda facts: facts.tags or None)


def _trait(condition: Condition, field: Field) -> Leaf:
    return _free_form(condition, _path_reader(field.name))


def _cause(condition: Condition, field: Field) -> Leaf:
    return _free_form(condition, lambda facts: find(facts.cause, field.name))


def _free_form(condition: Condition, read: Read) -> Leaf:
    if is_relative(condition.op, condition.value):
        return _moving(condition, lambda facts: instant(read(facts)), lambda facts, _: read(facts))
    return _steady(condition, read)


def _number(condition: Condition, field: Field) -> Leaf:
    if condition.field == field.name:
        return _attribute(condition, field)
    return _steady(condition, lambda facts: facts.referral_stats.get(field.name))


def _moment(condition: Condition, field: Field) -> Leaf:
    read = attrgetter(field.name)

    def actual(facts: Facts, _: int) -> str | None:
        moment = read(facts)
        return None if moment is None else iso(moment)

    if is_relative(condition.op, condition.value):
        return _moving(condition, read, actual)
    return Leaf(condition, _still(moment_predicate(condition.op, condition.value), read), actual)


def _campaign(condition: Condition, field: Field) -> Leaf:
    asked = frozenset(condition.value)

    def judge(facts: Facts, _: int) -> Reading:
        return _FAILS if asked.isdisjoint(facts.campaigns.get(field.name, ())) else _HOLDS

    def actual(facts: Facts, _: int) -> list[str]:
        happened = facts.campaigns.get(field.name, ())
        return [step for step in CAMPAIGN_STEPS if step in happened]

    return Leaf(condition, judge, actual)


def _event(condition: Condition, field: Field) -> Leaf:
    counted, number, floor = counting(condition, field.name), bound(condition), is_floor(condition)
    line = counted.line

    def judge(facts: Facts, now: int) -> Reading:
        reached, until = reaches(line(facts), number, now)
        return reached is floor, until, True

    # Any contact has zero events or more.
    return Leaf(condition, judge if number else lambda *_: _HOLDS, counted.count, 2, counted.evidence, (counted,))


def _segments(condition: Condition, _: Field) -> Leaf:
    asked: Sequence[str] = [condition.value] if condition.op == "contains" else condition.value

    def judge(facts: Facts, now: int) -> Reading:
        until, flips = NEVER, True
        for segment_id in asked:
            reading = member(facts, segment_id, now)
            if reading[0]:
                # When that ends, another segment may hold the contact.
                return True, reading[1], len(asked) == 1 and reading[2]
            if reading[1] < until:
                _, until, flips = reading
        return False, until, flips

    def actual(facts: Facts, now: int) -> list[str]:
        return [segment_id for segment_id in asked if member(facts, segment_id, now)[0]]

    return Leaf(condition, judge, actual, 3)


def _score(condition: Condition, field: Field) -> Leaf:
    test = predicate(condition.op, condition.value)
    bounds: Sequence[float] = condition.value if condition.op == "in" else [condition.value]
    name = field.name
    lasting = condition.op in PRESENCE

    def judge(facts: Facts, now: int) -> Reading:
        piece = _piece(facts, name, now)
        if piece is None or lasting:
            return test(piece), NEVER, True
        holds = test(piece.begin)
        moment = first_change(piece, test, bounds, now)
        return (holds, piece.until, False) if moment is None else (holds, moment, True)

    def actual(facts: Facts, now: int) -> float | None:
        piece = _piece(facts, name, now)
        return None if piece is None else piece.begin

    return Leaf(condition, judge, actual, 4)


def _funnel(condition: Condition, _: Field) -> Leaf:
    tried = funnel(condition)
    line = tried.line

    def judge(facts: Facts, now: int) -> Reading:
        holds, until = reaches(line(facts), 1, now)
        return holds, until, True

    return Leaf(condition, judge, tried.actual, 5, tried.evidence, tried.demands)


def member(facts: Facts, segment_id: str, now: int) -> Reading:
    """Whether the contact is in a segment, as it was settled for `now`.

    A segment that is unknown, or still being settled because it names itself by others, has no members.
    """
    known = facts.segments.get(segment_id, False)
    if isinstance(known, bool):
        return known, NEVER, True
    return facts.settled.get((segment_id, now), _FAILS)


def _piece(facts: Facts, name: str, now: int) -> Piece | None:
    piece = facts.pieces.get((name, now))
    if piece is None and name in facts.scores:
        piece = facts.pieces[name, now] = facts.scores[name].piece(facts, now)
    return piece


def _path_reader(path: str) -> Read:
    if "." in path:
        return lambda facts: find(facts.traits, path)
    return lambda facts: facts.traits.get(path)


def _steady(condition: Condition, read: Read) -> Leaf:
    return Leaf(condition, _still(predicate(condition.op, condition.value), read), lambda facts, _: read(facts))


def _still(test: Test, read: Read) -> Judge:
    return lambda facts, _: _HOLDS if test(read(facts)) else _FAILS


def _moving(condition: Condition, read: Read, actual: Callable[[Facts, int], Any]) -> Leaf:
    span = lifetime(condition.op, condition.value)

    def judge(facts: Facts, now: int) -> Reading:
        start, end = span(read(facts))
        if now < start:
            return False, start, True
        return (True, end, True) if now < end else _FAILS

    return Leaf(condition, judge, actual, 1)


_BUILDERS: dict[Kind, Callable[[Condition, Field], Leaf]] = {
    "text": _attribute,
    "moment": _moment,
    "tags": _tags,
    "trait": _trait,
    "number": _number,
    "event": _event,
    "score": _score,
    "segments": _segments,
    "campaign": _campaign,
    "cause": _cause,
    "funnel": _funnel,
}
