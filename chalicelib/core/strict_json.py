"""JSON as RFC 8259 has it: no NaN, no Infinity, no number out of range, no half of a surrogate pair, bounded depth."""

import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 64
_MAX_INTEGER_DIGITS = 308
_NESTING = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def loads(data: bytes) -> Any:
    """The value that UTF-8 JSON stands for. Raises ValueError with a message fit for the caller."""
    _refuse_depth(data)
    try:
        value = json.loads(
            data.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer
        )
    except UnicodeDecodeError as error:
        raise ValueError("the body is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"malformed JSON at line {error.lineno}, column {error.colno}") from error
    if _SURROGATE.search(data):
        _refuse_lone_surrogates(value)
    return value


def dumps(value: Any) -> str:
    """`value` as compact JSON text. Raises ValueError on NaN and Infinity."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _refuse_depth(data: bytes) -> None:
    depth = 0
    for match in _NESTING.finditer(data):
        token = match[0]
        if token in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"JSON nested deeper than {MAX_DEPTH}")
        elif token in b"]}":
            depth -= 1


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_INTEGER_DIGITS:
        raise ValueError("a number is out of range")
    return int(text)


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        dumps(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("a string has half of a surrogate pair") from error
