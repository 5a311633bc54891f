"""Durations as callers write them: `30s`, `30m`, `24h`, `7d`, `4w`."""

import re

_PATTERN = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def parse_duration(text: str) -> int:
    """Milliseconds. Raises ValueError where the text is not a whole number and one of `s m h d w`."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError("a duration is a whole number and one of s, m, h, d, w")
    return int(match[1]) * _UNITS[match[2]]


def format_duration(milliseconds: int) -> str:
    """A duration as callers write it, in the largest unit that gives a whole number; none is `0m`."""
    if not milliseconds:
        return "0m"
    units = sorted(_UNITS.items(), key=lambda each: -each[1])
    return next(f"{milliseconds // size}{unit}" for unit, size in units if milliseconds % size == 0)
