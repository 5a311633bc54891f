"""Rules once more, slowly and from the contract's words: it reads raw JSON and looks at every event each time.

Scores follow their definition in whole numbers and decimals of forty digits. Moments in ms.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from itertools import chain, combinations
from typing import Any

UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
GRAIN = Decimal("1e-9")
LAST_YEAR = 9999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Happened:
    """One event; `name` is the event's. `received` tells which of one millisecond came first."""

    id: str
    name: str
    at: int
    properties: dict[str, Any]
    received: int = 0


@dataclass
class Person:
    """A contact. `scoring` has settings by score; every event gives the points that `events` lists for its name.

    `segments` has raw rules, or membership in a static segment.
    """

    fields: dict[str, Any]
    traits: dict[str, Any]
    events: list[Happened]
    campaigns: dict[str, set[str]]
    segments: dict[str, Any]
    scoring: dict[str, Any] = field(default_factory=dict)


def holds(rule: dict[str, Any], person: Person, now: int) -> bool:
    """Whether a group or condition holds."""
    if "operator" in rule:
        judged = [holds(child, person, now) for child in rule["conditions"]]
        return {"AND": all(judged), "OR": any(judged), "NOT": not judged[0]}[rule["operator"]]
    name, op = rule["field"], rule["op"]
    value: Any = rule.get("value")
    if name.startswith("events."):
        return _events_hold(rule, person, now)
    if name == "funnel":
        return _funnel_holds(rule, person, now)
    if name == "segments":
        return any(_is_member(person, one, now) for one in ([value] if op == "contains" else value))
    if name.startswith("campaigns."):
        return bool(person.campaigns.get(name.split(".", 1)[1], set()) & set(value))
    found = actual(person, name, now)
    if name in ("created_at", "last_seen_at") and op in ("eq", "neq"):
        is_equal = found is not None and moment_of(found) == moment_of(value)
        return is_equal if op == "eq" else not is_equal
    return compare(found, op, value, now)


def actual(person: Person, name: str, now: int) -> Any:
    """What the contact has in a field; moments as ISO text."""
    if name.startswith("traits."):
        return lookup(person.traits, name.split(".", 1)[1])
    if name.startswith("scores."):
        return score(person, name.split(".", 1)[1], now)
    if name == "tags":
        return person.fields.get("tags") or None
    return person.fields.get(name)


def counted(rule: dict[str, Any], person: Person, now: int) -> list[Happened]:
    """The events that a condition counts, in no order."""
    window = duration(rule["window"]) if "window" in rule else math.inf
    return [
        event
        for event in person.events
        if event.name == rule["field"].split(".", 1)[1]
        and now - window < event.at <= now
        and all(
            compare(lookup(event.properties, part["field"].split(".", 1)[1]), part["op"], part.get("value"), now)
            for part in rule.get("where", [])
        )
    ]


def attempts(rule: dict[str, Any], person: Person, now: int) -> list[list[Happened]]:
    """What each attempt that counts has reached, the earliest attempt first."""
    asked = rule["value"]
    known = sorted((e for e in person.events if e.at <= now), key=lambda e: (e.at, e.received, e.id))
    begun: list[list[Happened]] = []
    for event in known:
        for attempt in begun:
            following = asked["steps"][len(attempt)] if len(attempt) < len(asked["steps"]) else None
            is_in_time = event.at - attempt[0].at <= duration(asked["window"])
            if following is not None and is_in_time and _fulfils(following, event, person):
                attempt.append(event)
        if _fulfils(asked["steps"][0], event, person):
            begun.append([event])
    return [attempt for attempt in begun if now - duration(asked["within"]) < attempt[0].at <= now]


def best_attempt(rule: dict[str, Any], person: Person, now: int) -> list[Happened]:
    """The furthest, of several the earliest."""
    best: list[Happened] = []
    for attempt in attempts(rule, person, now):
        best = attempt if len(attempt) > len(best) else best
    return best


def compare(found: Any, op: str, value: Any, now: int) -> bool:
    """Whether a value that may be missing (None) fits."""
    if op in ("exists", "not_exists"):
        return (found is not None) == (op == "exists")
    if op in ("eq", "neq"):
        return (found is not None and tagged(found) == tagged(value)) == (op == "eq")
    if op == "in":
        mine = found if isinstance(found, list) else [found]
        return any(one is not None and tagged(one) in [tagged(each) for each in value] for one in mine)
    if op == "contains":
        if isinstance(found, str):
            return isinstance(value, str) and value.lower() in found.lower()
        return isinstance(found, list) and tagged(value) in [tagged(one) for one in found]
    left, right = rank(found, now, relative=False), rank(value, now, relative=True)
    if left is None or right is None or left[0] != right[0]:
        return False
    return {"gt": left > right, "gte": left >= right, "lt": left < right, "lte": left <= right}[op]


def tagged(value: Any) -> Any:
    """A form in which equality is JSON's, typed."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return (type(value).__name__, value)
    if isinstance(value, list):
        return ("list", [tagged(one) for one in value])
    if isinstance(value, dict):
        return ("dict", {key: tagged(one) for key, one in value.items()})
    return ("number", Fraction(value))


def rank(value: Any, now: int, *, relative: bool) -> tuple[str, Fraction] | None:
    """A number or a moment, each to be compared with its like."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ("number", Fraction(value))
    if not isinstance(value, str):
        return None
    if relative and value.startswith("now"):
        offset = duration(value[4:]) * (-1 if value[3] == "-" else 1) if value != "now" else 0
        return ("moment", Fraction(now + offset))
    moment = moment_of(value)
    return None if moment is None else ("moment", Fraction(moment))


def moment_of(text: str) -> int | None:
    """The moment of an ISO text."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    return ((read if read.tzinfo else read.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)


def text_of(moment: int) -> str:
    """ISO text of a moment."""
    return (_EPOCH + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def duration(text: str) -> int:
    """Milliseconds of `7d`."""
    return int(text[:-1]) * UNITS[text[-1]]


def lookup(values: dict[str, Any], path: str) -> Any:
    """The literal key, then nested objects."""
    if path in values:
        return values[path]
    parts = path.split(".")
    inner = values.get(parts[0])
    return lookup(inner, ".".join(parts[1:])) if len(parts) > 1 and isinstance(inner, dict) else None


def score(person: Person, name: str, now: int) -> float:
    """The score by its definition, to nine decimals."""
    settings = person.scoring[name]
    steady = sum(rule["points"] for rule in settings["traits"] if holds(rule, person, now))
    with localcontext() as context:
        context.prec = 40
        exact = min(Decimal(100), max(Decimal(0), Decimal(steady) + decayed(person, name, now)))
        return float(exact.quantize(GRAIN, ROUND_HALF_UP))


def decayed(person: Person, name: str, now: int) -> Decimal:
    """The points of all events, decayed until now."""
    half_life = duration(person.scoring[name]["half_life"])
    given = person.scoring[name]["events"]
    points = Fraction(0)
    for event in person.events:
        bucket, rest = divmod(event.at, half_life)
        units = round(given.get(event.name, 0) * 2.0 ** (rest / half_life) * 2**32)
        points += units * Fraction(2) ** (bucket - now // half_life - 32)
    with localcontext() as context:
        context.prec = 40
        part = Decimal(2) ** (-Decimal(now % half_life) / Decimal(half_life))
        return Decimal(points.numerator) / Decimal(points.denominator) * part


def moments_of_change(rule: dict[str, Any], person: Person, now: int) -> list[int]:
    """Every later moment at which some part of the rule could change, and its neighbours; sorted."""
    found = set(_changes(rule, person, now, frozenset()))
    around = {moment + beside for moment in found for beside in (-1, 0, 1)}
    return sorted(moment for moment in around if moment > now)


def _changes(rule: dict[str, Any], person: Person, now: int, seen: frozenset[str]) -> Iterator[int]:
    if "operator" in rule:
        for child in rule["conditions"]:
            yield from _changes(child, person, now, seen)
        return
    name = rule["field"]
    value: Any = rule.get("value")
    if name == "segments":
        for one in value if isinstance(value, list) else [value]:
            if isinstance(person.segments.get(one), dict) and one not in seen:
                yield from _changes(person.segments[one], person, now, seen | {one})
    elif name == "funnel":
        for event in person.events:
            yield from (event.at, event.at + duration(value["window"]), event.at + duration(value["within"]))
    elif name.startswith("events."):
        yield from _event_changes(rule, person)
    elif name.startswith("scores."):
        yield from _score_changes(rule, person, now)
    else:
        yield from _passings(actual(person, name, now), value)


def _passings(found: Any, value: Any) -> Iterator[int]:
    """When a relative bound passes the value found."""
    moving, moment = rank(value, 0, relative=True), rank(found, 0, relative=False)
    if isinstance(value, str) and value.startswith("now") and moving and moment and moment[0] == "moment":
        yield int(moment[1] - moving[1])


def _event_changes(rule: dict[str, Any], person: Person) -> Iterator[int]:
    window = duration(rule["window"]) if "window" in rule else 0
    for event in person.events:
        if event.name == rule["field"].split(".", 1)[1]:
            yield from (event.at, event.at + window)
            for part in rule.get("where", []):
                yield from _passings(lookup(event.properties, part["field"].split(".", 1)[1]), part.get("value"))


def _score_changes(rule: dict[str, Any], person: Person, now: int) -> Iterator[int]:
    """Around the moments at which the decaying part is what is lacking, for every set of trait rules that may hold."""
    settings = person.scoring[rule["field"].split(".", 1)[1]]
    half_life, points = duration(settings["half_life"]), float(decayed(person, rule["field"].split(".", 1)[1], now))
    for trait in settings["traits"]:
        yield from _passings(actual(person, trait["field"], now), trait.get("value"))
    value = rule.get("value")
    gifts = [trait["points"] for trait in settings["traits"]]
    for chosen in chain.from_iterable(combinations(gifts, size) for size in range(len(gifts) + 1)):
        for bound in value if isinstance(value, list) else [value]:
            for edge in (-0.5e-9, 0.5e-9):
                lacking = (bound or 0) + edge - sum(chosen)
                if lacking * points > 0:
                    yield now + math.floor(half_life * math.log2(points / lacking))
                    yield now + math.floor(half_life * math.log2(points / lacking)) + 2


def _events_hold(rule: dict[str, Any], person: Person, now: int) -> bool:
    number = len(counted(rule, person, now))
    bound: int = rule.get("value", 0)
    tests = {
        "exists": number > 0,
        "not_exists": number == 0,
        "count_gte": number >= bound,
        "count_lte": number <= bound,
    }
    return tests[rule["op"]]


def _funnel_holds(rule: dict[str, Any], person: Person, now: int) -> bool:
    step, tried = rule["value"]["step"], attempts(rule, person, now)
    if rule["op"] == "converted":
        return any(len(attempt) >= step for attempt in tried)
    if max((len(attempt) for attempt in tried), default=0) != step:
        return False
    window = duration(rule["value"]["window"])
    return all(now > attempt[0].at + window for attempt in tried if len(attempt) == step)


def _fulfils(step: dict[str, Any], event: Happened, person: Person) -> bool:
    if event.name != step["event"]:
        return False
    for path, wanted in step.get("filters", {}).items():
        place, name = path.split(".", 1)
        found = lookup(person.traits if place == "traits" else event.properties, name)
        if tagged(found) not in [tagged(one) for one in (wanted if isinstance(wanted, list) else [wanted])]:
            return False
    return True


def _is_member(person: Person, segment_id: str, now: int) -> bool:
    rules = person.segments.get(segment_id, False)
    return holds(rules, person, now) if isinstance(rules, dict) else bool(rules)
