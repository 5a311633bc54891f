"""What is live of the lake, in the table.

| item | attributes |
|---|---|
| `HOT#<object>` of a project | `events`, `people` (rows), `since`, `until` (ms, of its events) |
| `MANIFEST` of a project | `version`, `manifest` as JSON text, compressed: an item has 400 KB at the most |
| `<moment>#<contact>` of those who were deleted | `ids`: the contact and all that it had absorbed |
| `LAKE#OBJECT#<object>` | `projects` that it is still of use to |
| `LAKE#WAITING` / `<project>` | `told`: the last hot object that has something of it |
"""

import zlib
from collections.abc import Iterable, Sequence

from chalicelib.features.lake import manifest as manifests
from chalicelib.features.lake.model import Hot, Manifest
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant, lake_object, lake_waiting, lake_waiting_partition, moment_sk
from chalicelib.platform.listing import walk
from chalicelib.platform.table import Delete, Op, Put, Update, attr

_A_PAGE = 500


def hot(tenant: Tenant) -> list[Hot]:
    """All hot objects that have something of the project, read consistently."""
    pk, prefix = tenant.hot_rows()
    return [
        Hot(tenant.hot_name(row["SK"]), row["events"], row["people"], row.get("since"), row.get("until"))
        for row in walk(pk, prefix, a_page=_A_PAGE)
    ]


def tell(tenant: Tenant, what: Hot) -> None:
    """Note what a hot object has of the project; told once more, it changes nothing."""
    attrs = {"events": what.events, "people": what.people, "since": what.since, "until": what.until}
    table.write(Put(tenant.hot(what.name), attrs))


def untell(tenant: Tenant, names: Iterable[str]) -> None:
    """Forget that hot objects have something of the project."""
    keys = [tenant.hot(name) for name in names]
    for start in range(0, len(keys), table.MAX_TRANSACTION):
        table.transact([Delete(key) for key in keys[start : start + table.MAX_TRANSACTION]])


def manifest(tenant: Tenant) -> Manifest:
    """The manifest as it stands, read consistently."""
    row = table.get(tenant.manifest())
    return Manifest() if row is None else manifests.of_text(row["version"], zlib.decompress(row["manifest"]).decode())


def publish(tenant: Tenant, new: Manifest) -> None:
    """Write the manifest over the one before it. Raises ConditionFailed where that does not stand any more."""
    before = new.version - 1
    stands = attr("version").eq(before) if before else attr("PK").not_exists()
    packed = zlib.compress(manifests.to_text(new).encode())
    table.write(Put(tenant.manifest(), {"version": new.version, "manifest": packed}, stands))


def gone(tenant: Tenant, since: int) -> list[str]:
    """The contacts that were deleted since that moment of the real clock, and those whom they had absorbed."""
    found: list[str] = []
    after = None
    while True:
        between = (moment_sk(since, ""), "~")
        page = table.query(tenant.gone_partition(), between=between, limit=_A_PAGE, after=after)
        found += [contact_id for row in page.items for contact_id in row["ids"]]
        if (after := page.last) is None:
            return found


def gone_op(tenant: Tenant, contact_id: str, ids: Sequence[str], moment: int, expiry: int) -> Op:
    """Note that a contact is deleted, for readers of the lake, which hears of it later."""
    return Put(tenant.gone(moment, contact_id), {"ids": list(ids), "ttl": expiry})


def use(name: str, tenants: Iterable[Tenant]) -> None:
    """Note to which projects a hot object is of use."""
    table.write(Update(lake_object(name), add={"projects": {tenant.project_id for tenant in tenants}}))


def unuse(name: str, tenant: Tenant) -> bool:
    """Note that a hot object is of no use to the project any more; True where it is to none."""
    row = table.update_returning(Update(lake_object(name), discard={"projects": {tenant.project_id}}))
    return not row.get("projects")


def forget(name: str) -> None:
    """Remove the row of a hot object that is of use to nobody; a project to which it is again keeps it."""
    table.write(Delete(lake_object(name), attr("projects").not_exists()))


def await_compaction(tenant: Tenant, told: str) -> None:
    """Note that the project has something to compact."""
    table.write(Put(lake_waiting(tenant.project_id), {"told": told}))


def waiting(after: str | None, limit: int) -> tuple[list[Tenant], str | None]:
    """Projects that have something to compact, and where to go on."""
    start = None if after is None else {"PK": lake_waiting_partition(), "SK": after}
    page = table.query(lake_waiting_partition(), limit=limit, after=start)
    return [Tenant(row["SK"]) for row in page.items], page.last["SK"] if page.last else None


def awaited(tenant: Tenant) -> str | None:
    """What was told of the project last; None where it has nothing to compact."""
    row = table.get(lake_waiting(tenant.project_id))
    return None if row is None else str(row["told"])


def settle(tenant: Tenant, told: str) -> None:
    """The project has nothing to compact, unless more was told since. Raises ConditionFailed then."""
    table.write(Delete(lake_waiting(tenant.project_id), attr("told").eq(told)))
