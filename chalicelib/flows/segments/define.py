"""Create a segment, or change it, and build it at once where it is small enough.

Order: the definition is written first, with the event that starts the job; the building here only spares the caller
the wait. A death in between leaves the rest to the job.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from chalicelib.core.errors import Unavailable
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.contacts import service as contacts
from chalicelib.features.segments import service as segments
from chalicelib.features.segments.model import Type
from chalicelib.features.segments.service import Segment
from chalicelib.features.surveys import service as surveys
from chalicelib.flows.segments import build, change_members
from chalicelib.platform import table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import ConditionFailed, Op

_SMALL = 1_000
"""Contacts up to which a segment is built before the answer."""

_PATIENCE_S = 5.0
T = TypeVar("T")
_ATTEMPTS = 10


def create(
    tenant: Tenant,
    name: str,
    kind: Type,
    rules: Mapping[str, Any] | None,
    contact_ids: Sequence[str],
    now: int,
    receipt: Receipt,
) -> tuple[Segment, int]:
    """The new segment and its count of members as far as it is built.

    Raises ValidationFailed with every fault, and Conflict where the project has too many.
    """
    # The workers use this package too, and start without the models of the API.
    from chalicelib.features.segments.schemas import shown

    change_members.check(tenant, contact_ids)
    defined = _committed(
        lambda: segments.created(tenant, name, kind, rules, now, contact_ids),
        lambda made: receipt.commit(made.ops, 201, shown(made.segment, 0).model_dump(mode="json"), is_final=False),
    )
    if kind == "static":
        change_members.put(tenant, defined.segment.id, contact_ids, is_member=True)
        segments.settled(tenant, defined.segment)
    made = _built(tenant, defined.segment)
    receipt.amend(201, shown(*made).model_dump(mode="json"))
    return made


def change(
    tenant: Tenant, segment_id: str, name: str | None, rules: Mapping[str, Any] | None, now: int
) -> tuple[Segment, int]:
    """The segment after the change, and its count. Raises NotFound, and ValidationFailed with every fault."""
    before = segments.get(tenant, segment_id)
    if name is None and rules is None:
        return before, segments.counts(tenant, [before])[before.id]
    defined = _committed(
        lambda: segments.changed(tenant, segments.get(tenant, segment_id), name, rules, now),
        lambda made: table.transact(made.ops),
    )
    return _built(tenant, defined.segment)


def remove(tenant: Tenant, segment_id: str, now: int) -> None:
    """Delete the segment. Raises NotFound, and Conflict where another one's rules, a campaign or a survey names
    it."""

    def make() -> list[Op]:
        ops = segments.removal(tenant, segments.get(tenant, segment_id), now)
        # Asked after the version was read over which the operations hold: no activation comes between.
        campaigns.check_unused(tenant, segment_id=segment_id)
        surveys.check_unused(tenant, segment_id=segment_id)
        return ops

    _committed(make, table.transact)


def _committed(make: Callable[[], T], commit: Callable[[T], None]) -> T:
    """What is made of the definitions as they are, written; made again where others changed them meanwhile."""
    for _ in range(_ATTEMPTS):
        made = make()
        try:
            commit(made)
        except ConditionFailed:
            continue
        return made
    raise Unavailable


def _built(tenant: Tenant, segment: Segment) -> tuple[Segment, int]:
    """The segment as it is after a try to build it here."""
    if segment.type == "dynamic" and segment.status == "building" and contacts.count(tenant) <= _SMALL:
        # Whatever keeps it from being built here, the job builds it.
        with suppress(Unavailable):
            build.at_once(tenant, segment, _PATIENCE_S)
    built = segments.get(tenant, segment.id)
    return built, segments.counts(tenant, [built])[built.id]
