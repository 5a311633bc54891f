"""What keys are made of. They are made in `platform/keys.py`, and in `growth_keys.py` and `survey_keys.py` by it."""

import zlib
from typing import NamedTuple

_MOMENT_DIGITS = 15
"""Milliseconds up to the year 9999."""


class Key(NamedTuple):
    """The primary key of one item."""

    pk: str
    sk: str


class IndexEntry(NamedTuple):
    """Where an item stands in one index: the partition and the sort key."""

    pk: str
    sk: str


def moment_sk(moment: int, ident: str) -> str:
    """A sort key by time, then by identifier; `moment` in milliseconds, not negative."""
    return f"{moment:0{_MOMENT_DIGITS}d}#{ident}"


def shard_of(ident: str, shards: int) -> int:
    """The shard that an identifier always falls into."""
    return zlib.crc32(ident.encode()) % shards


def part(text: str) -> str:
    """`text` as one part of a key: the separator cannot occur in it."""
    return text.replace("%", "%25").replace("#", "%23")
