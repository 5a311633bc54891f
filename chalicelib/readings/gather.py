"""What is known of one contact, as far as some rules need it; consistent reads of the table only."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from chalicelib.core import strict_json
from chalicelib.core.rules.compiled import Rules
from chalicelib.core.rules.facts import Event, Facts, History
from chalicelib.core.rules.needs import Need, needs
from chalicelib.core.scoring import Scale, Score, compile_scale
from chalicelib.features.activity import service as activity
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.service import Scoring
from chalicelib.features.referrals import service as referrals
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
    cause: Mapping[str, Any] | None = None,
) -> Facts:
    """The facts that decide the wanted rules and all that these name.

    One Query for each event name in them, or several where a `where`, a funnel or `whole` asks for more. `cause`
    has the properties of the event that something was started by.
    """
    named = {one for rules in wanted.values() for one in rules.segments}
    inlined = catalog.judged_with(named)
    everything = [*wanted.values(), *inlined.values()]
    asked = needs(everything, whole=whole)
    read = {one for rules in everything for one in rules.segments}
    static = {one: standing.of(one).is_member for one in read if one in catalog.static}
    return replace(
        facts(contact),
        scores=scores(contact, _scoring(tenant)) if _named(everything, "scores.") else {},
        campaigns=_campaigns(tenant, contact, _named(everything, "campaigns.")),
        referral_stats=referral_stats(tenant, contact) if _named(everything, "referral_stats.") else {},
        cause=cause or {},
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
        last_nps_score=contact.last_score("nps"),
        last_csat_score=contact.last_score("csat"),
    )


def scores(contact: Contact, by: Scoring) -> dict[str, Score]:
    """The contact's scores, for any moment; they need the facts of the contact for the points of its traits."""
    return {
        name: Score(_scale(strict_json.dumps(how)), contact.scores.get(name, {})) for name, how in by.settings.items()
    }


def referral_stats(tenant: Tenant, contact: Contact) -> dict[str, int]:
    """What the contact has referred in all programs together; one read."""
    standings = referrals.standings(tenant, contact.id)
    return {
        "referrals_made": sum(each.referrals for each in standings),
        "conversions": sum(each.conversions for each in standings),
    }


@lru_cache(maxsize=256)
def _scale(settings: str) -> Scale:
    return compile_scale(strict_json.stored(settings))


def _scoring(tenant: Tenant) -> Scoring:
    key = projects.key(tenant)
    return projects.scoring(table.batch_get([key]).get(key))


def _named(rules: Iterable[Rules], prefix: str) -> set[str]:
    """What follows the prefix in the fields of these rules that begin with it."""
    fields = {leaf.condition.field for one in rules for leaf in one.leaves()}
    return {field.removeprefix(prefix) for field in fields if field.startswith(prefix)}


def _campaigns(tenant: Tenant, contact: Contact, campaign_ids: Iterable[str]) -> dict[str, frozenset[str]]:
    """What the contact has got and done, by campaign."""
    rows = table.batch_get([campaigns.run_key(tenant, contact.id, each) for each in campaign_ids])
    runs = [campaigns.run(tenant, item) for item in rows.values()]
    return {run.campaign_id: run.happened for run in runs if run is not None}


def _history(tenant: Tenant, contact: Contact, name: str, need: Need, now: int) -> History:
    read: list[Event] = []
    # Where each event counts, so many decide; where some do, nobody knows how many to read for them.
    counts_each = not need.whole and not any(demand.tests or demand.lifetimes for demand in need.demands)
    size = min(max(1, need.at_least), _PAGE_MAX) if counts_each else _PAGE_MAX
    pages = activity.history(tenant, contact.lineage, name, page_size=size)
    while not need.is_satisfied(read, now) and (page := next(pages, None)) is not None:
        read += [Event(event.id, event.timestamp, event.properties, event.received_at) for event in page]
    return History(read)
