"""Judge the segments that an event or a change concerns, on the bus.

What: for each contact of the batch, the segments whose rules read what happened, and all segments where the contact is
new, was merged, or has got or lost the events of an anonymous id. Counts come first on the bus, campaigns after. May be
repeated: it judges what the table holds.
"""

from collections.abc import Sequence
from typing import Any

from chalicelib.core import events
from chalicelib.features.activity import service as activity
from chalicelib.features.segments import service as segments
from chalicelib.features.segments.model import Occasion, Reason, Starts
from chalicelib.features.segments.service import Catalog
from chalicelib.flows.segments import settle
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent

_JOINED = frozenset({events.CONTACT_MERGED, events.VISITOR_MOVED})
_MAILED = frozenset({events.MAIL_SENT, events.MAIL_OPENED, events.MAIL_CLICKED})
_SCORES = ("scores.engagement", "scores.lead")
_REFERRED = ("referral_stats.referrals_made", "referral_stats.conversions")
_ANSWERED = frozenset({events.SURVEY_ANSWERED, events.SURVEY_CORRECTED})
_LAST_SCORES = ("last_nps_score", "last_csat_score")
_ALWAYS_READ = ("last_seen_at", *_SCORES)
"""What every event of a contact changes."""


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Judge what these events concern, each contact once."""
    catalog = segments.catalog(tenant)
    by_contact: dict[str, dict[str, Occasion]] = {}
    ended: dict[str, Occasion] = {}
    for event in told:
        wanted = by_contact.setdefault(str(event.data["contact_id"]), {})
        left = by_contact.setdefault(str(event.data["source_contact_id"]), {}) if event.name in _JOINED else {}
        starts: Starts = "none" if activity.is_past(event) else "all"
        if event.name == events.CONTACT_DELETED:
            ended[str(event.data["contact_id"])] = settle.MERGED
        elif event.name == events.CONTACT_MERGED:
            ended[str(event.data["source_contact_id"])] = Occasion("merge", starts)
        for segment_id, reason in _concerned(catalog, event).items():
            occasion = Occasion(reason, "including_existing" if reason == "rules" else starts)
            wanted[segment_id] = occasion.or_else(wanted.get(segment_id))
            left[segment_id] = occasion.or_else(left.get(segment_id))
    if not catalog.segments:
        return
    for contact_id, wanted in by_contact.items():
        if wanted or contact_id in ended:
            settle.run(tenant, contact_id, wanted, catalog, handing_on=ended.get(contact_id, settle.MERGED))


def _concerned(catalog: Catalog, event: DomainEvent) -> dict[str, Reason]:
    if event.name == events.CONTACT_DELETED:
        return {}
    if event.name in _JOINED:
        return dict.fromkeys(catalog.rules, "merge")
    if event.name == events.CONTACT_CREATED:
        return dict.fromkeys(catalog.rules, _cause(event))
    if event.name in _MAILED:
        return dict.fromkeys(catalog.concerned_by_campaign(str(event.data["campaign_id"])), "event")
    if event.name == events.REFERRER_MOVED:
        return dict.fromkeys(catalog.concerned(_REFERRED, ()), "event")
    if event.name in _ANSWERED:
        return dict.fromkeys(catalog.concerned(_LAST_SCORES, ()), "event")
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
