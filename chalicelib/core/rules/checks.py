"""What a condition's value and window may be, by op and kind of field."""

from collections.abc import Collection
from typing import Any, NamedTuple

from chalicelib.core import strict_json
from chalicelib.core.clock import DAY
from chalicelib.core.durations import parse_duration
from chalicelib.core.ids import is_id
from chalicelib.core.rules.model import CAMPAIGN_STEPS, COUNTS, ORDER, Kind
from chalicelib.core.rules.values import MAX_DURATION, instant, is_number, relative

MAX_COUNT = 1_000
MAX_LISTED = 500
MAX_TEXT = 1_024
MAX_NESTING = 8
"""Levels of lists and objects in a value."""

_NUMBERS = ("score", "number")


class Fault(NamedTuple):
    """`place` is what follows the value's own path: empty, or `.3` for a member of a list."""

    place: str
    reason: str
    message: str


def window_fault(window: Any, longest: int = MAX_DURATION) -> list[Fault]:
    """At most one fault; `longest` in ms."""
    try:
        sound = isinstance(window, str) and 0 < parse_duration(window) <= longest
    except ValueError:
        sound = False
    bound = f"at most {longest // DAY}d"
    return [] if sound else [Fault("", "window", f"A window is a duration such as 30m, 24h or 7d, {bound}.")]


def text_faults(value: Any, place: str = "") -> list[Fault]:
    """A fault where any text in the value, keys included, is too long."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and len(one) > MAX_TEXT:
            return [Fault(place, "too_long", f"Text in rules has at most {MAX_TEXT:,} characters.")]
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
    return []


def value_faults(kind: Kind | None, op: str, value: Any, segments: Collection[str] | None) -> list[Fault]:
    """All faults of the value of an op that fits the field; `kind` is None where the field is unknown."""
    if op in COUNTS:
        return _count(value)
    if op == "in":
        return _listed(kind, value, segments)
    if kind == "segments":
        return _segment("", value, segments)
    if op == "contains":
        return scalar_faults("", value)
    if op in ORDER:
        return _bound(kind, value)
    return _equal(kind, value)


def _count(value: Any) -> list[Fault]:
    if type(value) is int and 0 <= value <= MAX_COUNT:
        return []
    return [Fault("", "count", f"A count is a whole number from 0 to {MAX_COUNT:,}.")]


def _listed(kind: Kind | None, value: Any, segments: Collection[str] | None) -> list[Fault]:
    if not isinstance(value, list):
        return [Fault("", "list_type", "in takes a list of values.")]
    if not 1 <= len(value) <= MAX_LISTED:
        return [Fault("", "length", f"in takes 1 to {MAX_LISTED} values.")]
    return [fault for place, one in enumerate(value) for fault in _member(f".{place}", kind, one, segments)]


def _member(place: str, kind: Kind | None, value: Any, segments: Collection[str] | None) -> list[Fault]:
    if kind == "segments":
        return _segment(place, value, segments)
    if kind == "campaign":
        return [] if value in CAMPAIGN_STEPS else [Fault(place, "choice", "The value is sent, opened or clicked.")]
    return _number(place, value) if kind in _NUMBERS else scalar_faults(place, value)


def _segment(place: str, value: Any, segments: Collection[str] | None) -> list[Fault]:
    if not isinstance(value, str) or not is_id("seg", value):
        return [Fault(place, "segment_id", "The value is the id of a segment.")]
    if segments is not None and value not in segments:
        return [Fault(place, "unknown_segment", "There is no such segment.")]
    return []


def scalar_faults(place: str, value: Any) -> list[Fault]:
    """At most one fault, at `place`."""
    if not isinstance(value, str | int | float):
        return [Fault(place, "scalar_type", "The value is text, a number, true or false.")]
    return text_faults(value, place)


def _number(place: str, value: Any) -> list[Fault]:
    return [] if is_number(value) else [Fault(place, "number_type", "The value is a number.")]


def _bound(kind: Kind | None, value: Any) -> list[Fault]:
    if kind in _NUMBERS:
        return _number("", value)
    if kind != "moment" and is_number(value):
        return []
    if isinstance(value, str) and len(value) <= MAX_TEXT and (_is_instant(value) or relative(value) is not None):
        return []
    kinds = "an ISO 8601 moment" if kind == "moment" else "a number, an ISO 8601 moment"
    return [Fault("", "bound", f"The value is {kinds}, or relative such as now-7d, at most 3650d from now.")]


def _equal(kind: Kind | None, value: Any) -> list[Fault]:
    if kind in _NUMBERS:
        return _number("", value)
    if kind == "moment":
        return [] if _is_instant(value) else [Fault("", "instant", "The value is an ISO 8601 moment.")]
    if value is None:
        return [Fault("", "null", "Nothing equals null; use not_exists.")]
    if strict_json.depth(value) > MAX_NESTING:
        return [Fault("", "too_deep", f"A value nests at most {MAX_NESTING} deep.")]
    return text_faults(value)


def _is_instant(value: Any) -> bool:
    return instant(value) is not None
