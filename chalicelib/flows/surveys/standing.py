"""What decides of a send to a contact, as the table holds it: reads only, but for what a merge left to be moved."""

from dataclasses import dataclass
from typing import cast

from chalicelib.features.campaigns import decision as mailing
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.messaging import service as messaging
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.model import Project
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.catalog import Catalog
from chalicelib.features.surveys.model import Reason, Response, Send, Survey, Surveyed
from chalicelib.flows.surveys import follow_merge
from chalicelib.platform import definitions, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Check, Op, attr
from chalicelib.readings import eligibility


@dataclass(frozen=True, slots=True)
class Standing:
    """A contact that is there, what it was sent, one send and the response to it, all read together, and what the
    project says."""

    contact: Contact
    surveyed: Surveyed
    send: Send | None
    response: Response | None
    survey: Survey | None
    catalog: Catalog
    project: Project


def read(tenant: Tenant, contact_id: str, survey_id: str, send_id: str) -> Standing | None:
    """One consistent read; further ones where the contact was merged, or has absorbed others whose sends are to be
    moved first. None where it is gone."""
    is_read_again = False
    while True:
        keys = {
            "contact": contacts.key(tenant, contact_id),
            "surveyed": surveys.surveyed_key(tenant, contact_id),
            "send": surveys.send_key(tenant, contact_id, survey_id, send_id),
            "response": surveys.response_key(tenant, contact_id, survey_id, send_id),
            "defined": definitions.key(tenant),
            "project": projects.key(tenant),
        }
        rows = table.batch_get(keys.values())
        contact = contacts.read(rows.get(keys["contact"]))
        if contact is not None and contact.status == "merged":
            heir = contacts.heir(tenant, contact_id)
            contact = None
            if heir is not None and heir.id != contact_id:
                contact_id = heir.id
                continue
        if contact is None or contact.status != "active":
            return None
        # Whoever else moved the rest of it meanwhile did so after these rows were read.
        if not follow_merge.absorb(tenant, contact) and (is_read_again or not contact.absorbing):
            break
        is_read_again = True
    catalog = surveys.catalog_of(tenant, rows.get(keys["defined"]))
    return Standing(
        contact,
        surveys.surveyed(contact_id, rows.get(keys["surveyed"])),
        surveys.send(tenant, rows.get(keys["send"])),
        surveys.response(tenant, rows.get(keys["response"])),
        catalog.surveys.get(survey_id),
        catalog,
        projects.read(tenant, rows.get(keys["project"])),
    )


def unchanged(tenant: Tenant, at: Standing) -> Op:
    """Holds as long as the contact is as it was read."""
    return Check(contacts.key(tenant, at.contact.id), attr("version").eq(at.contact.version))


def obstacle(tenant: Tenant, at: Standing, now: int) -> Reason | None:
    """Why the contact gets no mail; None where it may get one."""
    address = at.contact.email
    suppressed = None if address is None else messaging.suppressions(tenant, [address]).get(address)
    return cast("Reason | None", mailing.obstacle(eligibility.person(at.contact, suppressed), now))
