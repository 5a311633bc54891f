"""What is known of one contact, as far as some segments need it; consistent reads of the table only."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from chalicelib.core import strict_json
from chalicelib.core.rules.compiled import Rules
from chalicelib.core.rules.facts import Event, Facts, History
from chalicelib.core.rules.needs import Need, needs
from chalicelib.core.scoring import Scale, Score, compile_scale
from chalicelib.features.activity import service as activity
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.service import Scoring
from chalicelib.features.segments.catalog import Catalog
from chalicelib.features.segments.service import Memberships
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant

_PAGE_MAX = 200
"""Events read at a time: as many as decide, where no more than these are asked for."""


def run(
    tenant: Tenant,
    contact: Contact,
    standing: Memberships,
    catalog: Catalog,
    wanted: Mapping[str, Rules],
    now: int,
    *,
    whole: bool = False,
) -> Facts:
    """The facts that decide the wanted rules and all that these name.

    One Query for each event name in them, or several where a `where` or `whole` asks for more.
    """
    named = {one for rules in wanted.values() for one in rules.segments}
    inlined = catalog.judged_with(named)
    asked = needs([*wanted.values(), *inlined.values()], whole=whole)
    read = {one for rules in [*wanted.values(), *inlined.values()] for one in rules.segments}
    static = {one: standing.of(one).is_member for one in read if one in catalog.static}
    return replace(
        facts(contact),
        scores=scores(contact, _scoring(tenant)) if _reads_scores([*wanted.values(), *inlined.values()]) else {},
        events={name: _history(tenant, contact, name, need, now) for name, need in asked.items()},
        segments={**static, **inlined},
    )


def facts(contact: Contact) -> Facts:
    """What the contact's own row says."""
    return Facts(
        email=contact.email,
        external_id=contact.external_id,
        created_at=contact.created_at,
        last_seen_at=contact.last_seen_at,
        tags=contact.tags,
        traits=contact.traits,
        referral_stats={"referrals_made": 0, "conversions": 0},
    )


def scores(contact: Contact, by: Scoring) -> dict[str, Score]:
    """The contact's scores, for any moment; they need the facts of the contact for the points of its traits."""
    return {
        name: Score(_scale(strict_json.dumps(how)), contact.scores.get(name, {})) for name, how in by.settings.items()
    }


@lru_cache(maxsize=256)
def _scale(settings: str) -> Scale:
    return compile_scale(strict_json.stored(settings))


def _scoring(tenant: Tenant) -> Scoring:
    key = projects.key(tenant)
    return projects.scoring(table.batch_get([key]).get(key))


def _reads_scores(rules: Iterable[Rules]) -> bool:
    return any(leaf.condition.field.startswith("scores.") for one in rules for leaf in one.leaves())


def _history(tenant: Tenant, contact: Contact, name: str, need: Need, now: int) -> History:
    read: list[Event] = []
    # Where each event counts, so many decide; where some do, nobody knows how many to read for them.
    counts_each = not need.whole and not any(demand.tests or demand.lifetimes for demand in need.demands)
    size = min(max(1, need.at_least), _PAGE_MAX) if counts_each else _PAGE_MAX
    pages = activity.history(tenant, contact.lineage, name, page_size=size)
    while not need.is_satisfied(read, now) and (page := next(pages, None)) is not None:
        read += [Event(event.id, event.timestamp, event.properties) for event in page]
    return History(read)
