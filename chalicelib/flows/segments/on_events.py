"""Judge the segments that an event or a change concerns, on the bus.

What: for each contact of the batch, the segments whose rules read what happened, and all segments where the contact is
new or was merged. Counts come first on the bus, campaigns after. May be repeated: it judges what the table holds.
"""

from collections.abc import Sequence
from typing import Any

from chalicelib.core import events
from chalicelib.features.segments import service as segments
from chalicelib.features.segments.model import Reason
from chalicelib.features.segments.service import Catalog
from chalicelib.flows.segments import settle
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent

_NEW = frozenset({events.CONTACT_CREATED, events.CONTACT_MERGED})
_GONE = frozenset({events.CONTACT_DELETED})
_SCORES = ("scores.engagement", "scores.lead")
_ALWAYS_READ = ("last_seen_at", *_SCORES)
"""What every event of a contact changes."""


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Judge what these events concern, each contact once."""
    catalog = segments.catalog(tenant)
    by_contact: dict[str, dict[str, Reason]] = {}
    for event in told:
        wanted = by_contact.setdefault(str(event.data["contact_id"]), {})
        for segment_id, reason in _concerned(catalog, event).items():
            wanted.setdefault(segment_id, reason)
        if event.name == events.CONTACT_MERGED:
            by_contact.setdefault(str(event.data["source_contact_id"]), {})
    ended = {str(event.data["contact_id"]) for event in told if event.name in _GONE}
    ended |= {str(event.data["source_contact_id"]) for event in told if event.name == events.CONTACT_MERGED}
    affected = {contact: wanted for contact, wanted in by_contact.items() if wanted or contact in ended}
    if not affected or not catalog.segments:
        return
    for contact_id, wanted in affected.items():
        settle.run(tenant, contact_id, wanted, catalog)


def _concerned(catalog: Catalog, event: DomainEvent) -> dict[str, Reason]:
    if event.name in _GONE:
        return {}
    if event.name in _NEW:
        reason: Reason = "merge" if event.name == events.CONTACT_MERGED else _cause(event)
        return dict.fromkeys(catalog.rules, reason)
    if event.name == events.CONTACT_RESCORED:
        return dict.fromkeys(catalog.concerned(_SCORES, ()), "rules")
    # Traits give points too.
    fields = _fields(event.data)
    changed = catalog.concerned([*fields, *_SCORES] if fields else [], ())
    if event.name != events.ACTIVITY_RECORDED:
        return dict.fromkeys(changed, "trait")
    happened = catalog.concerned(_ALWAYS_READ, [str(event.data["event"])])
    return {one: "trait" if one in changed else "event" for one in happened | changed}


def _cause(event: DomainEvent) -> Reason:
    """A contact that an event made entered by that event; one that was imported, by its traits."""
    return "event" if "event" in event.data else "trait"


def _fields(data: Any) -> list[str]:
    """The fields that changed, as rules name them."""
    return [str(name) for name in data.get("changed", ())]
