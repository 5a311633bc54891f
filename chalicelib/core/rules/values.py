"""Values as rules compare them: typed, found by path, and read as moments. Moments and offsets in ms."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeGuard

from chalicelib.core.clock import DAY, parse_instant
from chalicelib.core.durations import parse_duration

MAX_DURATION = 3650 * DAY
"""The longest window, and the farthest a relative value may lie from now, in ms."""

LAST_MOMENT = parse_instant("9999-12-31T23:59:59.999Z")
"""The last moment that can be written as text. What changes after it never changes."""

_RELATIVE = re.compile(r"now(?:([+-])([0-9]+[smhdw]))?")
_REMEMBERED_LENGTH = 64


def is_number(value: object) -> TypeGuard[int | float]:
    """True for a JSON number; true and false are none."""
    return type(value) is int or type(value) is float


def same(one: Any, other: Any) -> bool:
    """Typed, deep equality of JSON values: 1 equals 1.0, true is not 1, a list equals a list."""
    if is_number(one) and is_number(other):
        return one == other
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    return bool(one == other)


def find(values: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path: the literal key first, then nested objects; None where there is none."""
    if path in values:
        return values[path]
    head, dot, rest = path.partition(".")
    inner = values.get(head) if dot else None
    return find(inner, rest) if isinstance(inner, dict) else None


def instant(value: object) -> int | None:
    """The moment that a JSON value names, if it is text in ISO 8601; a date is midnight UTC."""
    if not isinstance(value, str):
        return None
    return _remembered(value) if len(value) <= _REMEMBERED_LENGTH else _parsed(value)


def relative(value: object) -> int | None:
    """The offset from now that `now-7d`, `now+3d` or `now` stands for; None for anything else."""
    match = _RELATIVE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    sign, duration = match.groups()
    if duration is None:
        return 0
    try:
        offset = parse_duration(duration)
    except ValueError:
        return None
    if offset > MAX_DURATION:
        return None
    return -offset if sign == "-" else offset


def _parsed(text: str) -> int | None:
    try:
        return parse_instant(text)
    except ValueError:
        return None


_remembered = lru_cache(maxsize=4096)(_parsed)
