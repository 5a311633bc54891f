"""Reads who is who among contacts that were merged or have lost an anonymous id, from their rows in the table.

Of a contact's row it knows: `status`, `merged_into`, `absorbing` (a list of the JSON of each Source) and `ceding` (a
map of an anonymous id to the contact that has it now).
"""

from collections.abc import Iterable, Mapping, Sequence

from chalicelib.core import strict_json
from chalicelib.core.lineage import Lineage, Source
from chalicelib.platform import table
from chalicelib.platform.keys import Key, Tenant
from chalicelib.platform.table import Item

_HOPS_MAX = 1_000
"""Contacts that one chain of merges is followed along; each new one is a read, so identities are led to the end of a
chain when they are used."""


def packed(source: Source) -> str:
    """The source as it stands in `absorbing`."""
    return strict_json.dumps(list(source))


def of_item(item: Item) -> Lineage:
    """Where the rows of the contact lie whose row that is."""
    stored = [strict_json.stored(text) for text in item.get("absorbing", [])]
    sources = [Source(move, lying, visitor, tuple(ceded_by)) for move, lying, visitor, ceded_by in stored]
    return Lineage(item["id"], tuple(sources), item.get("ceding", {}))


def find(tenant: Tenant, contact_id: str) -> Lineage | None:
    """Where the rows of an active contact lie; None for any other."""
    item = table.get(tenant.contact(contact_id))
    return of_item(item) if item and item["status"] == "active" else None


def chains(tenant: Tenant, known: Mapping[Key, Item], contact_ids: Iterable[str]) -> dict[str, Item]:
    """Rows by contact id: those of `known`, and all to which the merged ones among `contact_ids` lead.

    One read for each step of the longest chain; none where nothing was merged.
    """
    found = {item["id"]: item for item in known.values() if "status" in item}
    ahead = list(contact_ids)
    for _ in range(_HOPS_MAX):
        merged = [found[each] for each in ahead if each in found and found[each]["status"] == "merged"]
        ahead = [item["merged_into"] for item in merged]
        missing = [each for each in ahead if each not in found]
        if not ahead:
            break
        for item in table.batch_get([tenant.contact(each) for each in missing]).values():
            found[item["id"]] = item
    return found


def owners(tenant: Tenant, rows: Sequence[tuple[str, Item]], known: Mapping[Key, Item]) -> list[str | None]:
    """For each row of a timeline, given with the contact in whose partition it lies, the active contact whose it is.

    `known` holds the rows of these contacts. None where the contact is gone.
    """
    found = {item["id"]: item for item in known.values() if "status" in item}
    at: list[str | None] = [contact_id for contact_id, _ in rows]
    for _ in range(_HOPS_MAX):
        following = [_next(found, contact_id, row) for contact_id, (_, row) in zip(at, rows, strict=True)]
        if following == at:
            return at
        at, before = following, at
        missing = {each for each in at if each is not None and each not in found}
        for item in table.batch_get([tenant.contact(each) for each in missing]).values():
            found[item["id"]] = item
    return [here if here == there else None for here, there in zip(at, before, strict=True)]


def _next(found: Mapping[str, Item], contact_id: str | None, row: Item) -> str | None:
    """The contact itself where it is the row's, another one that may be, None where there is none."""
    item = found.get(contact_id or "")
    if item is None:
        return None
    if "user_id" not in row and row.get("anonymous_id") in item.get("ceding", {}):
        return str(item["ceding"][row["anonymous_id"]])
    if item["status"] == "merged":
        return str(item["merged_into"])
    return contact_id if item["status"] == "active" else None
