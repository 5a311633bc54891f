"""Tests on one value, made once from an op and the rule's value."""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from chalicelib.core.rules.facts import NEVER
from chalicelib.core.rules.values import instant, is_number, relative, same

Test = Callable[[Any], bool]
Span = tuple[int, int]
"""The moments (ms) at which something holds: from the first on, and no longer at the second."""

Lifetime = Callable[[Any], Span]

NOWHEN: Span = (NEVER, NEVER)

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def is_relative(op: str, value: object) -> bool:
    """True where the bound moves with now."""
    return op in _COMPARE and relative(value) is not None


def predicate(op: str, value: Any) -> Test:
    """The test of a JSON value; None is a missing one. Not for relative values and counts."""
    return _PREDICATES[op](value) if op in _PREDICATES else _ordered(op, value)


def moment_predicate(op: str, value: Any) -> Test:
    """The test of a moment in ms, or None; `value` is ISO text."""
    bound = instant(value)
    if op in _COMPARE:
        compare = _COMPARE[op]
        return lambda found: found is not None and compare(found, bound)
    return predicate(op, bound)


def lifetime(op: str, value: Any) -> Lifetime:
    """For a moment in ms, or None: when it stands so to `now` and the offset that `value` names."""
    offset = relative(value) or 0
    later = op in ("gt", "gte")
    # The bound passes `found` at found - offset; in that millisecond they are equal, so gte still holds and lt not yet.
    equal = 1 if op in ("gte", "lt") else 0

    def span(found: int | None) -> Span:
        if found is None:
            return NOWHEN
        edge = found - offset + equal
        return (-NEVER, edge) if later else (edge, NEVER)

    return span


def _equal(value: Any) -> Test:
    if isinstance(value, str):
        return partial(operator.eq, value)
    return lambda found: same(found, value)


def _unequal(value: Any) -> Test:
    equal = _equal(value)
    return lambda found: not equal(found)


def _contains(value: Any) -> Test:
    folded = value.casefold() if isinstance(value, str) else None

    def test(found: Any) -> bool:
        if isinstance(found, str):
            return folded is not None and folded in found.casefold()
        return isinstance(found, list) and any(same(member, value) for member in found)

    return test


def _in(values: list[Any]) -> Test:
    # Equal text is text, and no number equals a truth value: so sets can tell members as `same` does.
    truths = {value for value in values if isinstance(value, bool)}
    others = {value for value in values if not isinstance(value, bool)}

    def is_one(found: Any) -> bool:
        kind = type(found)
        if kind is str or kind is int or kind is float:
            return found in others
        return kind is bool and found in truths

    return lambda found: any(map(is_one, found)) if type(found) is list else is_one(found)


def _exists(_: Any) -> Test:
    return lambda found: found is not None


def _is_missing(_: Any) -> Test:
    return lambda found: found is None


def _ordered(op: str, value: Any) -> Test:
    compare = _COMPARE[op]
    if is_number(value):
        return lambda found: is_number(found) and compare(found, value)
    bound = instant(value)

    def test(found: Any) -> bool:
        moment = instant(found)
        return moment is not None and compare(moment, bound)

    return test


_PREDICATES: dict[str, Callable[[Any], Test]] = {
    "eq": _equal,
    "neq": _unequal,
    "contains": _contains,
    "in": _in,
    "exists": _exists,
    "not_exists": _is_missing,
}
