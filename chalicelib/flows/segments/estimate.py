"""How many contacts rules would hold for, without making a segment. Reads only."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.core.rules.compiled import compile_rules
from chalicelib.core.rules.evaluate import evaluate
from chalicelib.core.rules.parse import parse
from chalicelib.features.contacts import service as contacts
from chalicelib.features.segments import service as segments
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.readings import gather

_EXACT = 1_000
"""Contacts up to which each is judged; of more a sample of so many is."""

_STRATA = 20
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Estimate:
    """`count` of `total` contacts; `is_sampled` where not all of them were judged."""

    count: int
    total: int
    is_sampled: bool


def run(tenant: Tenant, raw: Mapping[str, Any], now: int) -> Estimate:
    """The estimate at `now` (ms). Raises ValidationFailed with every fault of the rules."""
    catalog = segments.catalog(tenant)
    rules = compile_rules(parse(raw, segments=catalog.segments.keys()))
    total = contacts.count(tenant)
    sample = _all_or_enough(tenant)
    is_sampled = len(sample) > _EXACT
    if is_sampled:
        sample = _sample(tenant, now)
    held = judged = 0
    for start in range(0, len(sample), _AT_ONCE):
        ids = sample[start : start + _AT_ONCE]
        keys = {one: (contacts.key(tenant, one), segments.memberships_key(tenant, one)) for one in ids}
        rows = table.batch_get([key for pair in keys.values() for key in pair])
        for contact_key, memberships_key in keys.values():
            contact = contacts.read(rows.get(contact_key))
            if contact is None or contact.status != "active":
                continue
            judged += 1
            standing = segments.memberships(rows.get(memberships_key))
            facts = gather.run(tenant, contact, standing, catalog, {"": rules}, now)
            held += evaluate(rules, facts, now).holds
    if not is_sampled:
        return Estimate(held, judged, is_sampled=False)
    return Estimate(round(total * held / max(1, judged)), total, is_sampled=True)


def _all_or_enough(tenant: Tenant) -> list[str]:
    """All contacts, or the first _EXACT + 1."""
    found: list[str] = []
    position = None
    while len(found) <= _EXACT:
        some, position = contacts.ids_page(tenant, 100, position=position)
        found += some
        if position is None:
            break
    return found[: _EXACT + 1]


def _sample(tenant: Tenant, now: int) -> list[str]:
    """Contacts of many random moments between the oldest one's creation and now."""
    return list(dict.fromkeys(one for moment in _moments(tenant, now) for one in _from(tenant, moment)))


def _moments(tenant: Tenant, now: int) -> Iterator[int]:
    oldest = contacts.oldest(tenant) or now
    for stratum in range(_STRATA):
        share = (stratum + random.random()) / _STRATA  # noqa: S311 - a sample, not a secret
        yield oldest + int((now - oldest) * share)


def _from(tenant: Tenant, moment: int) -> list[str]:
    some, _ = contacts.ids_page(tenant, _EXACT // _STRATA, before=moment + 1)
    return some
