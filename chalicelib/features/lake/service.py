"""Public verbs of the lake: what is live, what is told to be, and what nobody needs any more."""

from collections.abc import Iterable, Mapping, Sequence

from chalicelib.core import clock
from chalicelib.features.lake import store
from chalicelib.features.lake.model import Hot, Live, Manifest
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Op

await_compaction = store.await_compaction
awaited = store.awaited
forget = store.forget
hot = store.hot
manifest = store.manifest
publish = store.publish
settle = store.settle
unuse = store.unuse
untell = store.untell
waiting = store.waiting

_GONE_FOR = clock.DAY
"""Milliseconds for which readers are told of a deletion: the stream keeps records for as long."""

_GONE_MARGIN = clock.HOUR
_ABSORBED_MAX = 5_000


def live(tenant: Tenant) -> Live:
    """What a reader takes as the project's lake.

    The hot objects are read before the manifest: whatever is forgotten of them meanwhile is in the manifest then.
    """
    told = store.hot(tenant)
    compacted = store.manifest(tenant)
    gone = store.gone(tenant, clock.system_ms() - _GONE_FOR)
    return Live(compacted, tuple(each for each in told if each.name not in compacted.applied), tuple(gone))


def tell(name: str, told: Mapping[Tenant, Hot]) -> None:
    """Let readers see a hot object, which is there already, in each project of which it has something.

    May be repeated at any point: whoever is told of it is to be compacted, and it is kept for whoever will be told.
    """
    for tenant, what in told.items():
        store.tell(tenant, what)
        store.await_compaction(tenant, name)


def reserve(name: str, tenants: Iterable[Tenant]) -> None:
    """Note for whom a hot object is written, before it is: so nobody removes it as of no use."""
    store.use(name, tenants)


def gone_ops(tenant: Tenant, contact_id: str, absorbed: Sequence[str]) -> list[Op]:
    """What belongs into the transaction that deletes a contact, so that no answer counts it from then on."""
    now = clock.system_ms()
    expiry = (now + _GONE_FOR + _GONE_MARGIN) // clock.SECOND
    return [store.gone_op(tenant, contact_id, [contact_id, *absorbed[:_ABSORBED_MAX]], now, expiry)]


__all__ = [
    "Hot",
    "Live",
    "Manifest",
    "await_compaction",
    "awaited",
    "forget",
    "gone_ops",
    "hot",
    "live",
    "manifest",
    "publish",
    "reserve",
    "settle",
    "tell",
    "untell",
    "unuse",
    "waiting",
]
