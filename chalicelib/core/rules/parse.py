"""From a caller's JSON to a rule tree, with every fault at its dotted path."""

from collections.abc import Collection
from typing import Any

from chalicelib.core import strict_json
from chalicelib.core.bounds import MAX_NAME_BYTES
from chalicelib.core.errors import Detail, ValidationFailed, detail
from chalicelib.core.ids import is_id
from chalicelib.core.rules.checks import Fault, text_faults, value_faults, window_fault
from chalicelib.core.rules.funnel_checks import funnel_faults
from chalicelib.core.rules.model import (
    COUNTS,
    FUNNEL,
    OPERATORS,
    OPS,
    OPS_OF,
    PRESENCE,
    Condition,
    Field,
    Group,
    Kind,
    field_of,
    property_of,
)

MAX_DEPTH = 8
"""Groups within groups, the root being the first."""

MAX_CONDITIONS = 100
MAX_LOOKING = 10
"""Conditions that look into events: those with `where`, and those on a funnel."""

MAX_WHERE = 10
MAX_BYTES = 64 * 1024

_GROUP_KEYS = frozenset({"operator", "conditions"})
_CONDITION_KEYS = frozenset({"field", "op", "value", "window", "where"})
_WHERE_KEYS = frozenset({"field", "op", "value"})
_UNREADABLE = Condition("", "")
"""Stands for what has a fault; no caller sees it."""


def parse(raw: Any, *, path: str = "rules", segments: Collection[str] | None = None, has_cause: bool = False) -> Group:
    """The tree that `raw` (a value that strict_json.loads gave) stands for.

    `path` is where it stands in the request. With `segments`, the ids of the project's segments, any other id is a
    fault. With `has_cause` they may read `event.properties.<path>`, of the event that something was started by.
    Raises ValidationFailed with one entry for each fault.
    """
    reader = _Reader(segments, has_cause=has_cause)
    if len(strict_json.dumps(raw).encode()) > MAX_BYTES:
        reader.fault(path, "too_large", f"Rules are at most {MAX_BYTES:,} bytes of JSON.")
        raise ValidationFailed("The rules are too large.", details=reader.faults)
    root = reader.group(raw, path, 1)
    reader.raise_faults()
    return root


def parse_condition(raw: Any, *, path: str) -> Condition:
    """One condition outside of a tree. Raises ValidationFailed as `parse` does."""
    reader = _Reader(None)
    condition = reader.condition(raw, path)
    reader.raise_faults()
    return condition


class _Reader:
    def __init__(self, segments: Collection[str] | None, *, has_cause: bool = False) -> None:
        self._segments = segments
        self._has_cause = has_cause
        self._faults: dict[str, Detail] = {}
        self._conditions = 0
        self._looking = 0

    @property
    def faults(self) -> list[Detail]:
        return list(self._faults.values())

    def raise_faults(self) -> None:
        if self._faults:
            raise ValidationFailed("The rules are not valid.", details=self.faults)

    def fault(self, path: str, reason: str, message: str) -> None:
        """Note a fault; of several at one path the first is told."""
        self._faults.setdefault(path, detail(path, reason, message))

    def group(self, raw: Any, path: str, depth: int) -> Group:
        if not isinstance(raw, dict):
            self.fault(path, "object_type", "A group is an object with `operator` and `conditions`.")
            return Group("AND", ())
        self._refuse_unknown(raw, path, _GROUP_KEYS)
        operator = next((known for known in OPERATORS if known == raw.get("operator")), None)
        if operator is None:
            self._missing_or(raw, path, "operator", "operator", "The operator is AND, OR or NOT.")
        return Group(operator or "AND", self._children(raw, path, depth, single=operator == "NOT"))

    def condition(self, raw: Any, path: str) -> Condition:
        if not isinstance(raw, dict):
            self.fault(path, "object_type", "A condition is an object with `field` and `op`.")
            return _UNREADABLE
        self._refuse_unknown(raw, path, _CONDITION_KEYS)
        field = self._field(raw, path, field_of(raw["field"]) if isinstance(raw.get("field"), str) else None)
        op = self._op(raw, path, field)
        if op is None:
            return _UNREADABLE
        self._value(raw, path, op, field.kind if field else None)
        self._window(raw, path, op)
        return Condition(str(raw.get("field")), op, raw.get("value"), raw.get("window"), self._where(raw, path, op))

    def _children(self, raw: dict[str, Any], path: str, depth: int, *, single: bool) -> tuple[Group | Condition, ...]:
        conditions, at = raw.get("conditions"), f"{path}.conditions"
        if not isinstance(conditions, list):
            self._missing_or(raw, path, "conditions", "list_type", "Conditions are a list.")
            return ()
        if not conditions:
            self.fault(at, "too_short", "A group has at least one condition.")
        elif single and len(conditions) > 1:
            self.fault(at, "too_long", "NOT is over exactly one condition or group.")
        return tuple(self._child(child, f"{at}.{place}", depth) for place, child in enumerate(conditions))

    def _child(self, raw: Any, path: str, depth: int) -> Group | Condition:
        if isinstance(raw, dict) and not _GROUP_KEYS.isdisjoint(raw):
            if depth < MAX_DEPTH:
                return self.group(raw, path, depth + 1)
            self.fault(path, "too_deep", f"Groups nest at most {MAX_DEPTH} deep.")
            return _UNREADABLE
        self._conditions += 1
        if self._conditions == MAX_CONDITIONS + 1:
            self.fault(path, "too_many", f"Rules have at most {MAX_CONDITIONS} conditions in all.")
        return self.condition(raw, path)

    def _field(self, raw: dict[str, Any], path: str, field: Field | None) -> Field | None:
        if field is None or (field.kind == "cause" and not self._has_cause):
            self._missing_or(raw, path, "field", "field", "There is no such field.")
        elif field.kind == "campaign" and not is_id("cmpgn", field.name):
            self.fault(f"{path}.field", "campaign_id", "The field is `campaigns.` and the id of a campaign.")
        elif field.kind == "event" and len(field.name.encode()) > MAX_NAME_BYTES:
            self.fault(f"{path}.field", "too_long", f"An event's name has at most {MAX_NAME_BYTES} bytes of UTF-8.")
        else:
            self._report(f"{path}.field", text_faults(raw["field"]))
        return field

    def _op(self, raw: dict[str, Any], path: str, field: Field | None) -> str | None:
        op = raw.get("op")
        fitting = OPS_OF[field.kind] if field else OPS
        if isinstance(op, str) and op in fitting:
            return op
        known = isinstance(op, str) and op in OPS
        allowed = " ".join(sorted(fitting))
        self._missing_or(raw, path, "op", "unfit_op" if known else "op", f"The op is one of: {allowed}.")
        return None

    def _value(self, raw: dict[str, Any], path: str, op: str, kind: Kind | None) -> None:
        at = f"{path}.value"
        if op in PRESENCE:
            if "value" in raw:
                self.fault(at, "unexpected", f"{op} takes no value.")
        elif "value" not in raw:
            self.fault(at, "missing", f"{op} needs a value.")
        elif op in FUNNEL:
            self._count_looking(at)
            self._report(at, funnel_faults(op, raw["value"]))
        else:
            self._report(at, value_faults(kind, op, raw["value"], self._segments))

    def _window(self, raw: dict[str, Any], path: str, op: str) -> None:
        if "window" not in raw:
            return
        if op not in COUNTS:
            self.fault(f"{path}.window", "unexpected", "Only count_gte and count_lte have a window.")
        else:
            self._report(f"{path}.window", window_fault(raw["window"]))

    def _where(self, raw: dict[str, Any], path: str, op: str) -> tuple[Condition, ...]:
        if "where" not in raw:
            return ()
        where, at = raw["where"], f"{path}.where"
        if op not in COUNTS:
            self.fault(at, "unexpected", "Only count_gte and count_lte have `where`.")
        self._count_looking(at)
        if not isinstance(where, list):
            self.fault(at, "list_type", "`where` is a list of conditions on properties.")
        elif not 1 <= len(where) <= MAX_WHERE:
            self.fault(at, "length", f"`where` has 1 to {MAX_WHERE} conditions.")
        else:
            return tuple(self._property(part, f"{at}.{place}") for place, part in enumerate(where))
        return ()

    def _count_looking(self, path: str) -> None:
        self._looking += 1
        if self._looking > MAX_LOOKING:
            self.fault(path, "too_many", f"Rules have at most {MAX_LOOKING} conditions with `where` or on a funnel.")

    def _property(self, raw: Any, path: str) -> Condition:
        if not isinstance(raw, dict):
            self.fault(path, "object_type", "A condition is an object with `field` and `op`.")
            return _UNREADABLE
        self._refuse_unknown(raw, path, _WHERE_KEYS)
        named = property_of(raw["field"]) if isinstance(raw.get("field"), str) else None
        field = self._field(raw, path, named)
        op = self._op(raw, path, field or Field("property", ""))
        if op is None:
            return _UNREADABLE
        self._value(raw, path, op, "property")
        return Condition(str(raw.get("field")), op, raw.get("value"))

    def _refuse_unknown(self, raw: dict[str, Any], path: str, known: frozenset[str]) -> None:
        for key in sorted(raw.keys() - known):
            self.fault(f"{path}.{key}", "unknown", f"There is no such key; known are: {' '.join(sorted(known))}.")

    def _missing_or(self, raw: dict[str, Any], path: str, key: str, reason: str, message: str) -> None:
        self.fault(f"{path}.{key}", reason if key in raw else "missing", message)

    def _report(self, path: str, faults: list[Fault]) -> None:
        for fault in faults:
            self.fault(path + fault.place, fault.reason, fault.message)
