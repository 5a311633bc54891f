"""The version of all definitions of a project, and what instances keep of them for as long as it stands.

Every change of a definition (a segment, an endpoint) raises the version in its own transaction.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

from chalicelib.platform import table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.table import Item, Op, Update, attr

_PROJECTS_MAX = 64
_read: ContextVar[dict[Tenant, int] | None] = ContextVar("definitions_read", default=None)
T = TypeVar("T")


@contextmanager
def read_once() -> Iterator[None]:
    """Inside, the version of each project is read once: for a batch, whose flows all ask for it."""
    token = _read.set({})
    try:
        yield
    finally:
        _read.reset(token)


def key(tenant: Tenant) -> Key:
    """The row that has the version."""
    return tenant.definitions()


def version(tenant: Tenant, at_least: int = 0) -> int:
    """The version as it stands now, or stood when it was first asked for within `read_once`; read consistently.

    Whoever knows of a newer one, `at_least`, is not given an older one.
    """
    known = _read.get()
    if known is None:
        return version_in(table.get(key(tenant)))
    if tenant not in known or known[tenant] < at_least:
        known[tenant] = version_in(table.get(key(tenant)))
    return known[tenant]


def version_in(item: Item | None) -> int:
    """The version that the row says."""
    return 0 if item is None else int(item["version"])


def raise_op(tenant: Tenant, before: int | None) -> Op:
    """Raise the version; refused where definitions were changed since `before`, unless that is None."""
    unchanged = attr("version").eq(before) if before else attr("PK").not_exists()
    return Update(key(tenant), add={"version": 1}, condition=None if before is None else unchanged)


class Kept(Generic[T]):
    """What this instance made of the definitions lately, by project; each holds for one version."""

    def __init__(self, make: Callable[[Tenant, int], T]) -> None:
        """`make` reads the definitions of a project, given their version, and is called where none is kept of it."""
        self._make = make
        self._lock = threading.Lock()
        self._known: OrderedDict[Tenant, tuple[int, T]] = OrderedDict()

    def at(self, tenant: Tenant, version: int) -> T:
        """What was made of this version, or of a newer one that was there by the time it was read."""
        with self._lock:
            known = self._known.get(tenant)
            if known is not None and known[0] == version:
                self._known.move_to_end(tenant)
                return known[1]
        # Read after the version: it may hold newer definitions than it says, never older ones.
        made = self._make(tenant, version)
        with self._lock:
            self._known[tenant] = (version, made)
            self._known.move_to_end(tenant)
            if len(self._known) > _PROJECTS_MAX:
                self._known.popitem(last=False)
        return made
