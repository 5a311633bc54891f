"""Move the events of a source to the contact that is absorbing it: a job, page by page.

What: first all rows are copied, then, after the indexes had time to show the copies, the originals are removed. Until
the last one is gone the contact reads both places. Where it was deleted meanwhile its rows are just removed. May be
repeated and doubled at any point: copies come out the same, and each page is written only if the contact still absorbs
that source, so a move that another one has overtaken stops.
"""

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.core.lineage import Lineage, Source
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.contacts.names import Names
from chalicelib.platform import table
from chalicelib.platform.jobs import Later
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import ConditionFailed, Put

_SETTLING_S = 60
"""Seconds for which copies and originals both stand: an index follows the table within one or two."""


def run(tenant: Tenant, data: Mapping[str, Any], has_time: Callable[[], bool]) -> Mapping[str, Any] | Later | None:
    """Do some pages. `data`: `{contact, move, phase?: copy | remove | drop, after?}`; returns that of the next run."""
    phase, after = data.get("phase", "copy"), data.get("after")
    same = {"contact": data["contact"], "move": data["move"]}
    while True:
        contact = contacts.heir(tenant, data["contact"])
        source = next((each for each in contact.absorbing if each.id == data["move"]), None) if contact else None
        if contact is None or source is None or contact.status == "purging":
            return None
        if contact.status == "deleted" and phase != "drop":
            phase, after = "drop", None
        try:
            has_copied, following = _page(tenant, contact, source, after, phase)
        except ConditionFailed:
            # What is this contact's has changed meanwhile: the same page is judged again.
            return same | {"phase": phase, "after": after}
        if phase == "remove" and has_copied:
            # A row had no copy yet; the copy made now needs its time too.
            return Later(same | {"phase": phase}, _SETTLING_S)
        if following is None:
            break
        after = following
        if not has_time():
            return same | {"phase": phase, "after": after}
    if phase == "copy":
        return Later(same | {"phase": "remove"}, _SETTLING_S)
    contacts.has_absorbed(tenant, contact.id, source)
    return None


def _page(tenant: Tenant, contact: Contact, source: Source, after: str | None, phase: str) -> tuple[bool, str | None]:
    """Write one page; returns whether copies were made, and where to go on."""
    still = contacts.still_absorbs(tenant, contact, source)
    if phase == "drop":
        only = Lineage(contact.id, (source,), contact.ceding)
        rows, told, following = activity.owned_page(tenant, only, source.contact_id, after)
        contacts.erase(tenant, contact.id, rows, Names.told(told), still)
        return False, following
    ops, following = activity.move_page(tenant, contact.lineage, source, after, remove=phase == "remove")
    if ops:
        table.transact([*ops, still])
    return any(isinstance(op, Put) for op in ops), following
