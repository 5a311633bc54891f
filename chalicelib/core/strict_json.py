"""JSON as RFC 8259 has it: no NaN, no Infinity, no number out of range, no half of a surrogate pair, bounded depth."""

import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 64
_MAX_INTEGER_DIGITS = 308
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_LONE = re.compile("[\ud800-\udfff]")


def loads(data: bytes) -> Any:
    """The value that UTF-8 JSON stands for. Raises ValueError with a message fit for the caller."""
    value = _decode(data)
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and depth(value) > MAX_DEPTH:
        raise ValueError(f"JSON nested deeper than {MAX_DEPTH}")
    if _SURROGATE.search(data):
        _refuse_lone_surrogates(value)
    return value


def loads_leniently(data: bytes) -> Any:
    """As `loads`, for bodies whose parts are judged one by one: no bound on depth but the parser's own.

    Half of a surrogate pair, which a client makes that cuts a text within an emoji, becomes U+FFFD, as it does in
    every encoder of UTF-8.
    """
    value = _decode(data)
    return _mended(value) if _SURROGATE.search(data) else value


def _decode(data: bytes) -> Any:
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError("the body is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"malformed JSON at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("JSON nested too deep") from error


def stored(text: str) -> Any:
    """The value of text that `dumps` made; it was checked when it came in."""
    return json.loads(text)


def dumps(value: Any) -> str:
    """`value` as compact JSON text. Raises ValueError on NaN and Infinity.

    U+FFFE and U+FFFF stand as escapes: queues refuse messages that hold them.
    """
    return _ENCODER.encode(value).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def depth(value: Any) -> int:
    """How deep objects and lists are nested in `value`: 0 for a scalar, 1 for a flat object; at most MAX_DEPTH + 1."""
    level = [value]
    for deep in range(MAX_DEPTH + 1):
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return deep
        level = [child for parent in level for child in _children(parent)]
    return MAX_DEPTH + 1


def _children(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


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


def _mended(value: Any) -> Any:
    """`value` with U+FFFD for each half of a surrogate pair."""
    try:
        text = dumps(value)
    except RecursionError as error:
        raise ValueError("JSON nested too deep") from error
    return json.loads(_LONE.sub("\ufffd", text))


# Made once: json.loads and json.dumps make new ones in each call that has arguments.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
