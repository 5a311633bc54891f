"""Free-form values as one flat JSON object, and its numbers as one text each, for engines that compare texts."""

from collections.abc import Iterator, Mapping
from typing import Any

from chalicelib.core import strict_json


def flat(values: Mapping[str, Any]) -> str | None:
    """A JSON object with each scalar that rules find by a path (`core/rules/values.find`), by its whole path.

    Text, numbers, true and false; what is null, a list or an object is left out. None where nothing is left.
    """
    told = [f"{strict_json.dumps(path)}:{scalar_json(value)}" for path, value in _reached(values) if _is_scalar(value)]
    return f"{{{','.join(told)}}}" if told else None


def scalar_json(value: str | int | float) -> str:
    """A scalar as the flat object has it."""
    if isinstance(value, str | bool):
        return strict_json.dumps(value)
    return number_text(value)


def number_text(value: int | float) -> str:
    """A number as text, the same for equal ones: 1.0 is `1`, and an exponent has no leading zeros."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    mantissa, _, power = repr(value).partition("e")
    return f"{mantissa}e{int(power)}" if power else mantissa


def _reached(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each path and what it finds: a key as it stands goes before the objects that its parts may lead through."""
    for key, value in values.items():
        yield key, value
        if isinstance(value, dict) and "." not in key:
            for path, inner in _reached(value):
                if (whole := f"{key}.{path}") not in values:
                    yield whole, inner


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float)
