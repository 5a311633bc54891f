"""Public verbs of the segments feature."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.core import ids, strict_json
from chalicelib.core.errors import Conflict, NotFound, ValidationFailed, detail
from chalicelib.core.events import SEGMENT_DEFINED, SEGMENT_REMOVED
from chalicelib.core.rules.compiled import compile_rules
from chalicelib.core.rules.parse import parse
from chalicelib.features.segments import store
from chalicelib.features.segments.catalog import Catalog
from chalicelib.features.segments.model import MAX_SEGMENTS, TIMER, Memberships, Segment, Standing, Type
from chalicelib.platform import counters, cursor, definitions, outbox, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import ConditionFailed, Item, Op

__all__ = [
    "TIMER",
    "Catalog",
    "Memberships",
    "Segment",
    "Standing",
    "catalog",
    "catalog_of",
    "changed",
    "checked_rules",
    "count_moves",
    "counts",
    "created",
    "enter",
    "forget",
    "get",
    "leave",
    "listing",
    "members",
    "members_page",
    "memberships",
    "memberships_key",
    "removal",
    "save",
    "settled",
    "unlist",
]

memberships_key = store.memberships_key
memberships = store.memberships
save = store.save
forget = store.forget
enter = store.enter
leave = store.leave
members = store.members
members_page = store.members_page
unlist = store.unlist

_ENDPOINT = "segments"


def _compiled(tenant: Tenant, version: int) -> Catalog:
    return Catalog(version, store.load_all(tenant) if version else [])


_catalogs = definitions.Kept(_compiled)


def catalog(tenant: Tenant, at_least: int = 0) -> Catalog:
    """All segments as they stand now; one consistent read where this instance knows them already.

    `at_least` is the version that the caller knows the definitions to have.
    """
    return _catalogs.at(tenant, definitions.version(tenant, at_least))


def catalog_of(tenant: Tenant, item: Item | None) -> Catalog:
    """The same, given the row of the definitions' version as it was just read."""
    return _catalogs.at(tenant, definitions.version_in(item))


def find(tenant: Tenant, segment_id: str) -> Segment | None:
    """The segment, read consistently."""
    return store.load(tenant, segment_id)


def get(tenant: Tenant, segment_id: str) -> Segment:
    """The segment. Raises NotFound."""
    segment = find(tenant, segment_id)
    if segment is None:
        raise NotFound("There is no such segment.")
    return segment


def listing(tenant: Tenant, limit: int, after: str | None) -> tuple[list[Segment], str | None]:
    """One page of segments, newest first, and the cursor of the next one. Raises BadRequest on a foreign cursor."""
    position = None if after is None else cursor.decode(after, tenant, _ENDPOINT, {})
    segments = store.newest(tenant, limit + 1, position)
    shown = segments[:limit]
    more = len(segments) > limit
    return shown, cursor.encode(tenant, _ENDPOINT, {}, shown[-1].id) if more else None


def _counter(segment_id: str) -> str:
    """The name of the counter of a segment's members."""
    return f"SEG#{segment_id}"


def counts(tenant: Tenant, some: Sequence[Segment]) -> dict[str, int]:
    """How many members each segment has, by id; lags a change by less than 2 s."""
    sums = counters.totals(tenant, [_counter(segment.id) for segment in some])
    return {segment.id: sums[_counter(segment.id)] for segment in some}


def count_moves(tenant: Tenant, moves: Iterable[tuple[str, str, bool]]) -> None:
    """Count members gained and lost, given as (segment id, event id, whether gained); each event once."""
    deltas: dict[str, dict[str, int]] = defaultdict(dict)
    for segment_id, event_id, is_member in moves:
        deltas[segment_id][event_id] = 1 if is_member else -1
    for segment_id, some in deltas.items():
        counters.apply(tenant, _counter(segment_id), some)


def checked_rules(known: Catalog, raw: Mapping[str, Any], segment_id: str | None = None) -> dict[str, Any]:
    """The rules, where they may be those of a segment. Raises ValidationFailed with every fault."""
    group = parse(raw, segments=known.segments.keys())
    if segment_id is not None and known.would_circle(segment_id, compile_rules(group)):
        message = "The segment would depend on itself."
        raise ValidationFailed(message, details=[detail("rules", "cycle", message)])
    return dict(raw)


@dataclass(frozen=True, slots=True)
class Defined:
    """A definition as it will be, and the operations that make it so."""

    segment: Segment
    ops: list[Op]


def created(
    tenant: Tenant, name: str, kind: Type, rules: Mapping[str, Any] | None, now: int, contact_ids: Sequence[str] = ()
) -> Defined:
    """A new segment, with its first members where it is static.

    Raises ValidationFailed with every fault of its rules, and Conflict over MAX_SEGMENTS.
    """
    known = catalog(tenant)
    if len(known.segments) >= MAX_SEGMENTS:
        raise Conflict(f"A project has at most {MAX_SEGMENTS:,} segments.")
    segment = Segment(
        id=ids.new_id("seg"),
        name=name,
        type=kind,
        rules=None if rules is None else checked_rules(known, rules),
        status="building",
        created_at=now,
        updated_at=now,
    )
    told = _told(tenant, SEGMENT_DEFINED, segment, now, contact_ids)
    return Defined(segment, [*store.put(tenant, segment, None, known.version), told])


def changed(tenant: Tenant, before: Segment, name: str | None, rules: Mapping[str, Any] | None, now: int) -> Defined:
    """The segment with another name or other rules; with the same rules it stays as it is built.

    Raises ValidationFailed with every fault.
    """
    after = replace(before, name=name or before.name, updated_at=now, version=before.version + 1)
    if rules is not None and before.type == "static":
        message = "A static segment has no rules."
        raise ValidationFailed(message, details=[detail("rules", "static", message)])
    known = catalog(tenant)
    # As JSON: True and 1 are equal in Python and different rules.
    if rules is not None and strict_json.dumps(rules) != strict_json.dumps(before.rules):
        wanted = checked_rules(known, rules, before.id)
        after = replace(after, rules=wanted, rules_version=before.rules_version + 1, status="building")
    told = [_told(tenant, SEGMENT_DEFINED, after, now)] if after.status == "building" else []
    return Defined(after, [*store.put(tenant, after, before.version, known.version), *told])


def removal(tenant: Tenant, segment: Segment, now: int) -> list[Op]:
    """The operations that remove the segment. Raises Conflict where another one's rules name it."""
    known = catalog(tenant)
    if naming := known.naming(segment.id):
        message = "Other segments' rules name this one."
        raise Conflict(message, details=[detail("id", "in_use", f"Named by {one}.") for one in naming[:20]])
    return [*store.remove(tenant, segment, known.version), _told(tenant, SEGMENT_REMOVED, segment, now)]


def settled(tenant: Tenant, segment: Segment) -> None:
    """Note that the segment is built, unless its rules changed meanwhile, or it is gone."""
    with suppress(ConditionFailed):
        table.write(store.settle(tenant, segment))


def _told(tenant: Tenant, name: str, segment: Segment, now: int, contact_ids: Sequence[str] = ()) -> Op:
    data = {"segment_id": segment.id, "rules_version": segment.rules_version, "contact_ids": list(contact_ids)}
    return outbox.emit(tenant, name, data, now)
