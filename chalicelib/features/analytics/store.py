"""Definitions of funnels and cohorts in the table: a row for each, with its fields as JSON text."""

from chalicelib.core import strict_json
from chalicelib.features.analytics.model import Definition, Kind
from chalicelib.platform import table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.table import Delete, Item, Op, Put, attr

_COUNTED_AT_ONCE = 200


def load(tenant: Tenant, kind: Kind, ident: str) -> Definition | None:
    """The definition, read consistently."""
    item = table.get(_key(tenant, kind, ident))
    return None if item is None else _definition(kind, item)


def newest(tenant: Tenant, kind: Kind, limit: int, after: str | None) -> list[Definition]:
    """Up to `limit` definitions, newest first, that are older than the one `after`."""
    start = None if after is None else dict(zip(("PK", "SK"), _key(tenant, kind, after), strict=True))
    page = table.query(_partition(tenant, kind), limit=limit, newest_first=True, after=start)
    return [_definition(kind, item) for item in page.items]


def count(tenant: Tenant, kind: Kind, at_most: int) -> int:
    """How many there are, or `at_most` where there are more."""
    found, after = 0, None
    while found < at_most:
        page = table.query(_partition(tenant, kind), limit=_COUNTED_AT_ONCE, after=after)
        found += len(page.items)
        if (after := page.last) is None:
            break
    return min(found, at_most)


def put(tenant: Tenant, after: Definition) -> Op:
    """Write the definition over the version before."""
    unchanged = attr("PK").not_exists() if after.version == 1 else attr("version").eq(after.version - 1)
    attrs = {
        "name": after.name,
        "fields": strict_json.dumps(dict(after.fields)),
        "created_at": after.created_at,
        "updated_at": after.updated_at,
        "version": after.version,
    }
    return Put(_key(tenant, after.kind, after.id), attrs, unchanged)


def remove(tenant: Tenant, kind: Kind, ident: str) -> Op:
    """Remove the definition; refused where there is none."""
    return Delete(_key(tenant, kind, ident), attr("PK").exists())


def _key(tenant: Tenant, kind: Kind, ident: str) -> Key:
    return tenant.funnel(ident) if kind == "funnel" else tenant.cohort(ident)


def _partition(tenant: Tenant, kind: Kind) -> str:
    return tenant.funnels_partition() if kind == "funnel" else tenant.cohorts_partition()


def _definition(kind: Kind, item: Item) -> Definition:
    return Definition(
        id=item["SK"],
        kind=kind,
        name=item["name"],
        fields=strict_json.stored(item["fields"]),
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        version=item["version"],
    )
