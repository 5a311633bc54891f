"""What the value of a condition on a funnel may be."""

from collections.abc import Iterator
from typing import Any

from chalicelib.core.bounds import MAX_NAME_BYTES, has_control
from chalicelib.core.clock import DAY
from chalicelib.core.rules.checks import Fault, scalar_faults, window_fault

MAX_STEPS = 10
MAX_FILTERS = 10
MAX_VALUES = 100
MAX_PATH = 256
"""Bytes of a filter's path."""

LONGEST = 365 * DAY
"""Of both periods, in ms."""

_KEYS = ("steps", "window", "step", "within")
_STEP_KEYS = ("event", "filters")
_PLACES = ("traits", "properties")


def funnel_faults(op: str, value: Any) -> list[Fault]:
    """All faults of the value of `converted` or `dropped`."""
    if not isinstance(value, dict):
        return [Fault("", "object_type", "The value is an object with `steps`, `window`, `step` and `within`.")]
    faults = [Fault(f".{key}", "missing", f"The value needs `{key}`.") for key in _KEYS if key not in value]
    faults += _unknown(value, "", _KEYS)
    for key in ("window", "within"):
        if key in value:
            faults += _at(f".{key}", window_fault(value[key], LONGEST))
    if "steps" in value:
        faults += _steps(value["steps"])
    if "step" in value:
        faults += _number(op, value["step"], value.get("steps"))
    return faults


def _steps(steps: Any) -> list[Fault]:
    if not isinstance(steps, list):
        return [Fault(".steps", "list_type", "Steps are a list of objects with `event` and `filters`.")]
    if not 1 <= len(steps) <= MAX_STEPS:
        return [Fault(".steps", "length", f"A funnel has 1 to {MAX_STEPS} steps.")]
    return [fault for place, step in enumerate(steps) for fault in _step(f".steps.{place}", step)]


def _number(op: str, number: Any, steps: Any) -> list[Fault]:
    of = len(steps) if isinstance(steps, list) and 1 <= len(steps) <= MAX_STEPS else MAX_STEPS
    if type(number) is not int or not 1 <= number <= of:
        return [Fault(".step", "step", "The step is a whole number from 1, the first, to the number of steps.")]
    if op == "dropped" and number == of:
        return [Fault(".step", "last_step", "After the last step nobody drops out: it is a step before that.")]
    return []


def _step(place: str, step: Any) -> Iterator[Fault]:
    if not isinstance(step, dict):
        yield Fault(place, "object_type", "A step is an object with `event` and `filters`.")
        return
    yield from _unknown(step, place, _STEP_KEYS)
    if "event" not in step:
        yield Fault(f"{place}.event", "missing", "A step needs `event`.")
    elif not _is_name(step["event"]):
        yield Fault(f"{place}.event", "event", f"An event's name is not blank and has at most {MAX_NAME_BYTES} bytes.")
    if "filters" in step:
        yield from _filters(f"{place}.filters", step["filters"])


def _filters(place: str, filters: Any) -> Iterator[Fault]:
    if not isinstance(filters, dict):
        yield Fault(place, "object_type", "Filters are an object from paths to values.")
        return
    if len(filters) > MAX_FILTERS:
        yield Fault(place, "length", f"A step has at most {MAX_FILTERS} filters.")
        return
    for path, wanted in filters.items():
        if _is_path(path):
            yield from _values(f"{place}.{path}", wanted)
        else:
            kinds = f"`traits.` or `properties.` and a path of at most {MAX_PATH} bytes"
            yield Fault(f"{place}.{path}", "field", f"A filter is named {kinds}.")


def _values(place: str, wanted: Any) -> list[Fault]:
    if not isinstance(wanted, list):
        return scalar_faults(place, wanted)
    if not 1 <= len(wanted) <= MAX_VALUES:
        return [Fault(place, "length", f"A filter takes 1 to {MAX_VALUES} values.")]
    return [fault for number, one in enumerate(wanted) for fault in scalar_faults(f"{place}.{number}", one)]


def _is_name(event: Any) -> bool:
    return (
        isinstance(event, str)
        and bool(event.strip())
        and not has_control(event)
        and len(event.encode()) <= MAX_NAME_BYTES
    )


def _is_path(path: str) -> bool:
    place, _, name = path.partition(".")
    return place in _PLACES and bool(name) and len(name.encode()) <= MAX_PATH


def _unknown(value: dict[str, Any], place: str, known: tuple[str, ...]) -> list[Fault]:
    message = f"There is no such key; known are: {' '.join(sorted(known))}."
    return [Fault(f"{place}.{key}", "unknown", message) for key in sorted(value.keys() - set(known))]


def _at(place: str, faults: list[Fault]) -> list[Fault]:
    return [fault._replace(place=place + fault.place) for fault in faults]
