"""What decides of a contact's next step, as the table holds it: reads only, but for runs that a merge left to be moved.

Live runs, previews and simulations are judged by this and by `features.campaigns.decision`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.core.rules.compiled import Rules
from chalicelib.core.rules.evaluate import evaluate
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.catalog import Catalog
from chalicelib.features.campaigns.decision import Person
from chalicelib.features.campaigns.model import Run, SkipReason
from chalicelib.features.campaigns.schedule import Quiet
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.model import Project
from chalicelib.features.segments import service as segments
from chalicelib.flows.campaigns import follow_merge
from chalicelib.platform import definitions, table
from chalicelib.platform.keys import Tenant
from chalicelib.readings import gather


@dataclass(frozen=True, slots=True)
class Standing:
    """A contact and its runs in the campaigns asked for, all read together, and what the project says."""

    contact: Contact | None
    runs: Mapping[str, Run]
    catalog: Catalog
    project: Project


def read(tenant: Tenant, contact_id: str, campaign_ids: list[str]) -> Standing:
    """One consistent read; further ones where the contact has absorbed others whose runs are to be moved first."""
    while True:
        keys = campaigns.keys(tenant, contact_id, campaign_ids)
        own, project, defined = contacts.key(tenant, contact_id), projects.key(tenant), definitions.key(tenant)
        rows = table.batch_get([own, project, defined, *keys.values()])
        contact = contacts.read(rows.get(own))
        if contact is None or not follow_merge.absorb(tenant, contact):
            break
    found = {each: run for each, key in keys.items() if (run := campaigns.run(tenant, rows.get(key))) is not None}
    return Standing(
        contact, found, campaigns.catalog_of(tenant, rows.get(defined)), projects.read(tenant, rows.get(project))
    )


def person(contact: Contact | None, suppressed: SkipReason | None = None) -> Person:
    """What decides whether the contact may be mailed."""
    if contact is None:
        return Person(False, None, False)
    return Person(contact.status == "active", contact.email, contact.unsubscribed_at is not None, suppressed)


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
