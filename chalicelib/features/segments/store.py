"""Segments in the table.

| item | attributes |
|---|---|
| segment | the fields of `model.Segment`; `rules` as JSON text |
| `DEFINITIONS` | `version`, raised by every change of a definition |
| `MEMBERSHIPS` of a contact | `standings` as JSON: `{id: [is member, flips at]}`; `definitions judged_at version` |
| `SEG#<segment id>` of a contact | `entered_at`; the row that lists the member |
"""

from collections.abc import Iterable
from typing import Any

from chalicelib.core import strict_json
from chalicelib.features.segments.model import Memberships, Segment, Standing
from chalicelib.platform import definitions, table
from chalicelib.platform.keys import Key, Tenant, contact_of
from chalicelib.platform.listing import Entry, Merge, Range, fill, walk
from chalicelib.platform.table import Delete, Item, Op, Put, Update, attr

_PAGE = 200


def load_all(tenant: Tenant) -> list[Segment]:
    """All segments, the oldest first, read consistently."""
    return [_segment(item) for item in walk(tenant.segments_partition(), a_page=_PAGE)]


def load(tenant: Tenant, segment_id: str) -> Segment | None:
    """The segment, read consistently."""
    item = table.get(tenant.segment(segment_id))
    return None if item is None else _segment(item)


def newest(tenant: Tenant, limit: int, after: str | None) -> list[Segment]:
    """Up to `limit` segments, newest first, that are older than the segment `after`."""
    start = None if after is None else dict(zip(("PK", "SK"), tenant.segment(after), strict=True))
    page = table.query(tenant.segments_partition(), limit=limit, newest_first=True, after=start)
    return [_segment(item) for item in page.items]


def put(tenant: Tenant, segment: Segment, before: int | None, before_all: int) -> list[Op]:
    """Write the segment over its version `before`, None where it is new, and raise that of all definitions.

    Refused where these were changed since the version `before_all`, by which the segment was checked.
    """
    unchanged = attr("PK").not_exists() if before is None else attr("version").eq(before)
    return [Put(tenant.segment(segment.id), _attributes(segment), unchanged), definitions.raise_op(tenant, before_all)]


def settle(tenant: Tenant, segment: Segment) -> Op:
    """Note that the segment is built by its present rules; the definitions stay what they are."""
    return Update(
        tenant.segment(segment.id),
        set_={"status": "ready"},
        condition=attr("rules_version").eq(segment.rules_version),
    )


def remove(tenant: Tenant, segment: Segment, before_all: int) -> list[Op]:
    """Remove the segment; refused as in `put`."""
    gone = Delete(tenant.segment(segment.id), attr("version").eq(segment.version))
    return [gone, definitions.raise_op(tenant, before_all)]


def memberships_key(tenant: Tenant, contact_id: str) -> Key:
    return tenant.memberships(contact_id)


def memberships(item: Item | None) -> Memberships:
    """What a contact's row says; nothing where there is none."""
    if item is None:
        return Memberships()
    raw = strict_json.stored(item["standings"]) if "standings" in item else {}
    standings = {segment_id: Standing(is_member, flips_at) for segment_id, (is_member, flips_at) in raw.items()}
    return Memberships(standings, item["definitions"], item["judged_at"], item["version"])


def save(tenant: Tenant, contact_id: str, after: Memberships) -> Op:
    """Write the memberships over the version that was read."""
    raw = {segment_id: [one.is_member, one.flips_at] for segment_id, one in after.standings.items()}
    attrs = {
        "standings": strict_json.dumps(raw) if raw else None,
        "definitions": after.definitions,
        "judged_at": after.judged_at,
        "version": after.version + 1,
    }
    unchanged = attr("PK").not_exists() if after.version == 0 else attr("version").eq(after.version)
    return Put(tenant.memberships(contact_id), attrs, unchanged)


def forget(tenant: Tenant, contact_id: str, before: Memberships) -> Op:
    return Delete(tenant.memberships(contact_id), attr("version").eq(before.version))


def enter(tenant: Tenant, contact_id: str, created_at: int, segment_id: str, now: int) -> Op:
    """List the contact as a member."""
    entry = tenant.member_entry(contact_id, segment_id, created_at)
    attrs = {"entered_at": now, "list_pk": entry.pk, "list_sk": entry.sk}
    return Put(tenant.member(contact_id, segment_id), attrs)


def leave(tenant: Tenant, contact_id: str, segment_id: str) -> Op:
    return Delete(tenant.member(contact_id, segment_id))


def members(tenant: Tenant, segment_id: str, limit: int) -> list[Key]:
    """Rows that list members, some of each shard; an index, which lags."""
    source = Merge(tenant.member_partitions(segment_id), "list", Range(), limit)
    for batch in source.batches():
        if batch:
            return [entry.key for entry in batch]
    return []


def members_page(
    tenant: Tenant, segment_id: str, limit: int, position: str | None, entered_by: int
) -> tuple[list[str], str | None]:
    """Ids of members who had entered by that moment (ms), the newest contact first, and where the next page goes on."""

    def hydrate(found: list[Entry]) -> list[str | None]:
        rows = table.batch_get([entry.key for entry in found])
        return [
            contact_of(entry.key.pk) if entry.key in rows and rows[entry.key]["entered_at"] <= entered_by else None
            for entry in found
        ]

    span = Range() if position is None else Range(high=position)
    page = fill(iter([Merge(tenant.member_partitions(segment_id), "list", span, limit + 1)]), limit, hydrate)
    return page.rows, page.position


def unlist(keys: Iterable[Key]) -> None:
    """Remove rows that list members of a segment that is no more."""
    gone: list[Op] = [Delete(key) for key in keys]
    for start in range(0, len(gone), table.MAX_TRANSACTION):
        table.transact(gone[start : start + table.MAX_TRANSACTION])


def _attributes(segment: Segment) -> dict[str, Any]:
    return {
        "name": segment.name,
        "type": segment.type,
        "rules": None if segment.rules is None else strict_json.dumps(segment.rules),
        "status": segment.status,
        "created_at": segment.created_at,
        "updated_at": segment.updated_at,
        "rules_version": segment.rules_version,
        "version": segment.version,
    }


def _segment(item: Item) -> Segment:
    return Segment(
        id=item["SK"],
        name=item["name"],
        type=item["type"],
        rules=strict_json.stored(item["rules"]) if "rules" in item else None,
        status=item["status"],
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        rules_version=item["rules_version"],
        version=item["version"],
    )
