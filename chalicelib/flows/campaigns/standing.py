"""What decides of a contact's next step, as the table holds it: reads only, but for runs that a merge left to be moved.

Live runs, previews and simulations are judged by this and by `features.campaigns.decision`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.campaigns.catalog import Catalog
from chalicelib.features.campaigns.model import Run
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.model import Project
from chalicelib.flows.campaigns import follow_merge
from chalicelib.platform import definitions, table
from chalicelib.platform.keys import Tenant


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
