"""Objects of the lake on this machine's disk, so that a question finds most of what it reads there.

An object never changes, so what is there is right. The folder is the process's own, and goes with it.
"""

import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from chalicelib.platform import objects

_MOST_BYTES: Final = 2_500_000_000


@cache
def folder() -> Path:
    """Where this process keeps objects, and what it makes of them."""
    return Path(_kept().name)


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="lake")


def local(keys: Iterable[str]) -> dict[str, Path]:
    """Where the objects of these keys lie on disk, by key; those that do not yet are downloaded.

    Raises ObjectGone where one is not in the bucket any more, Unavailable. Not for several threads at once.
    """
    wanted = {key: folder() / key.replace("/", "~") for key in keys}
    objects.fetch({key: path for key, path in wanted.items() if not path.exists()})
    for path in wanted.values():
        path.touch()
    _make_room(set(wanted.values()))
    return wanted


def _make_room(needed: set[Path]) -> None:
    """Remove what was not used for longest, as far as there is more than may be kept."""
    kept = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in folder().iterdir())
    excess = sum(size for _, size, _ in kept) - _MOST_BYTES
    for _, size, path in kept:
        if excess <= 0:
            return
        if path not in needed:
            path.unlink()
            excess -= size
