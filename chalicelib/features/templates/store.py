"""Templates in the table.

| item | attributes |
|---|---|
| template | the fields of `model.Template`; `source` and `text` compressed: an item has 400 KB at the most |
"""

import zlib
from typing import Any

from chalicelib.features.templates.model import Template
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Delete, Item, Op, Put, attr

_COUNTED_AT_ONCE = 200


def load(tenant: Tenant, template_id: str) -> Template | None:
    """The template, read consistently."""
    item = table.get(tenant.template(template_id))
    return None if item is None else _template(item)


def newest(tenant: Tenant, limit: int, after: str | None) -> list[Template]:
    """Up to `limit` templates, newest first, that are older than the template `after`; at least one where there is one,
    and fewer than `limit` where they are large."""
    start = None if after is None else dict(zip(("PK", "SK"), tenant.template(after), strict=True))
    page = table.query(tenant.templates_partition(), limit=limit, newest_first=True, after=start)
    return [_template(item) for item in page.items]


def count(tenant: Tenant, at_most: int) -> int:
    """How many templates there are, or `at_most` where there are more."""
    found, after = 0, None
    while found < at_most:
        page = table.query(tenant.templates_partition(), limit=_COUNTED_AT_ONCE, after=after)
        found += len(page.items)
        after = page.last
        if after is None:
            break
    return min(found, at_most)


def put(tenant: Tenant, after: Template) -> Op:
    """Write the template over the version before."""
    unchanged = attr("PK").not_exists() if after.version == 1 else attr("version").eq(after.version - 1)
    attrs: dict[str, Any] = {
        "name": after.name,
        "format": after.format,
        "source": zlib.compress(after.source.encode()),
        "text": None if after.text is None else zlib.compress(after.text.encode()),
        "subject": after.subject,
        "preheader": after.preheader,
        "created_at": after.created_at,
        "updated_at": after.updated_at,
        "version": after.version,
    }
    return Put(tenant.template(after.id), attrs, unchanged)


def remove(tenant: Tenant, template_id: str) -> Op:
    """Remove the template; refused where there is none."""
    return Delete(tenant.template(template_id), attr("PK").exists())


def _template(item: Item) -> Template:
    return Template(
        id=item["SK"],
        name=item["name"],
        format=item["format"],
        source=zlib.decompress(item["source"]).decode(),
        created_at=item["created_at"],
        updated_at=item["updated_at"],
        subject=item.get("subject"),
        preheader=item.get("preheader"),
        text=zlib.decompress(item["text"]).decode() if "text" in item else None,
        version=item["version"],
    )
