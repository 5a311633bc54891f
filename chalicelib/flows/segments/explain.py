"""Why a contact is in a segment or not: the rules as a tree, judged now by the same code. Reads only."""

from dataclasses import dataclass
from typing import Any

from chalicelib.core.rules.evaluate import evaluate, explain
from chalicelib.features.contacts import service as contacts
from chalicelib.features.segments import service as segments
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.readings import gather


@dataclass(frozen=True, slots=True)
class Explanation:
    """`flips_at` in ms is the first moment at which time alone changes `is_member`; `rules` is None where static."""

    is_member: bool
    flips_at: int | None
    rules: dict[str, Any] | None


def run(tenant: Tenant, segment_id: str, contact_id: str, now: int) -> Explanation:
    """The explanation at `now` (ms). Raises NotFound for an unknown segment or contact."""
    segment = segments.get(tenant, segment_id)
    contact = contacts.get(tenant, contact_id)
    key = segments.memberships_key(tenant, contact_id)
    standing = segments.memberships(table.batch_get([key]).get(key))
    if segment.type == "static":
        return Explanation(standing.of(segment_id).is_member, None, None)
    catalog = segments.catalog(tenant)
    rules = catalog.rules[segment_id]
    facts = gather.run(tenant, contact, standing, catalog, {segment_id: rules}, now, whole=True)
    verdict = evaluate(rules, facts, now)
    return Explanation(verdict.holds, verdict.flips_at, explain(rules, facts, now))
