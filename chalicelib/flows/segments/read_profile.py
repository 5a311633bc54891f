"""A contact with its latest activity, its segments and its scores at a moment, for the profile. Reads only."""

from dataclasses import dataclass

from chalicelib.core.scoring import shown
from chalicelib.features.activity import service as activity
from chalicelib.features.activity.model import Event
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects import service as projects
from chalicelib.features.segments import service as segments
from chalicelib.platform import definitions, table
from chalicelib.platform.keys import Tenant
from chalicelib.readings import gather

_RECENT = 10


@dataclass(frozen=True, slots=True)
class Profile:
    """`segments` are ids; `scores` from 0 to 100, rounded down to two decimals."""

    contact: Contact
    recent: list[Event]
    segments: list[str]
    scores: dict[str, int | float]
    referral_stats: dict[str, int]


def run(tenant: Tenant, contact_id: str, now: int) -> Profile:
    """The profile at `now` (ms). Raises NotFound."""
    own, memberships = contacts.key(tenant, contact_id), segments.memberships_key(tenant, contact_id)
    project, defined = projects.key(tenant), definitions.key(tenant)
    rows = table.batch_get([own, memberships, project, defined])
    found = contacts.read(rows.get(own))
    contact = found if found is not None and found.status == "active" else contacts.get(tenant, contact_id)
    known = segments.catalog_of(tenant, rows.get(defined)).segments
    standing = segments.memberships(rows.get(memberships))
    facts = gather.facts(contact)
    scores = gather.scores(contact, projects.scoring(rows.get(project)))
    return Profile(
        contact,
        activity.recent(tenant, contact.lineage, _RECENT),
        [segment_id for segment_id in standing.members_of() if segment_id in known],
        {name: shown(score.value(facts, now)) for name, score in scores.items()},
        gather.referral_stats(tenant, contact),
    )
