"""What decides of one contact whether it is mailed: who may be, when, and whether rules and segments hold for it."""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.rules.compiled import Rules
from chalicelib.core.rules.evaluate import evaluate
from chalicelib.features.campaigns.decision import Person
from chalicelib.features.campaigns.model import SkipReason
from chalicelib.features.campaigns.schedule import Quiet
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects.model import Project
from chalicelib.features.segments import service as segments
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.readings import gather


def person(contact: Contact | None, suppressed: SkipReason | None = None) -> Person:
    """What decides whether the contact may be mailed."""
    if contact is None:
        return Person(False, None, False)
    return Person(
        contact.status == "active",
        contact.email,
        contact.unsubscribed_at is not None,
        suppressed,
        contact.marketing_paused_until,
    )


def quiet(project: Project) -> Quiet | None:
    """The project's quiet hours."""
    hours = project.quiet_hours
    return None if hours is None else Quiet(hours.start, hours.end, project.timezone)


def holds(
    tenant: Tenant, contact: Contact, wanted: Mapping[str, Rules], now: int, cause: Mapping[str, Any]
) -> dict[str, bool]:
    """Which of these rules hold for the contact at `now`; they may read the properties of the `cause`."""
    if not wanted:
        return {}
    key = segments.memberships_key(tenant, contact.id)
    known = segments.memberships(table.batch_get([key]).get(key))
    facts = gather.run(tenant, contact, known, segments.catalog(tenant), wanted, now, cause=cause)
    return {name: evaluate(rules, facts, now).holds for name, rules in wanted.items()}


def is_member(tenant: Tenant, contact: Contact, segment_id: str, now: int) -> bool:
    """Whether the contact is in the segment at `now`: judged by its rules, or as the caller has listed it."""
    catalog = segments.catalog(tenant)
    rules = catalog.rules.get(segment_id)
    if rules is not None:
        return holds(tenant, contact, {segment_id: rules}, now, {})[segment_id]
    key = segments.memberships_key(tenant, contact.id)
    return (
        segment_id in catalog.static and segments.memberships(table.batch_get([key]).get(key)).of(segment_id).is_member
    )
