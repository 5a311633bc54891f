"""Note by whom a contact was referred.

What: the first code that a contact comes with attributes it to the owner of that link, for as long as the program's
window runs; one transaction writes the attribution and counts it for the referrer. May be repeated: the same code again
changes nothing. A conversion that the contact did before it was heard of here is found in its history.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chalicelib.core import strict_json
from chalicelib.features.codes import service as codes
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import ledger
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.fraud import is_self
from chalicelib.features.referrals.model import Attribution, Program, Source, Standing, first_touch
from chalicelib.flows.referrals import convert, people, settle
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.table import Op


def named(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Attribute contacts whose events have a code, on the bus."""
    catalog = referrals.catalog(tenant)
    for event in told:
        context, properties = (_object(event.data.get(part)) for part in ("context", "properties"))
        code = context.get("referral_code") or properties.get("referral_code")
        source = Source(_text(context.get("ip")), _text(context.get("userAgent") or context.get("user_agent")))
        who, at = str(event.data["contact_id"]), int(event.data["timestamp"])
        _follow(tenant, catalog.programs, code, who, at, source)


def joined(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Attribute contacts that have joined a waitlist with a program's code, on the bus."""
    catalog = referrals.catalog(tenant)
    for event in told:
        source = Source(_text(event.data.get("ip")), _text(event.data.get("user_agent")))
        code, who = event.data.get("referral_code"), str(event.data["contact_id"])
        _follow(tenant, catalog.programs, code, who, event.created_at, source)


def run(tenant: Tenant, program: Program, new: Attribution) -> Attribution | None:
    """The attribution that stands after this one; None where there is none, because it would be of oneself, or either
    contact is gone."""
    return referrals.retried(lambda: _attribute(tenant, program, new))


def _follow(
    tenant: Tenant, programs: "dict[str, Program]", code: object, contact_id: str, at: int, source: Source
) -> None:
    found = codes.find(code) if isinstance(code, str) else None
    if found is None or found[0] != tenant or found[1].kind != "link" or found[1].parent_id not in programs:
        return
    of = found[1]
    program = programs[of.parent_id]
    new = Attribution(program.id, contact_id, of.contact_id, of.item_id, of.code, at, source)
    stands = run(tenant, program, new)
    if stands is not None:
        convert.look_back(tenant, program, stands)


def _attribute(tenant: Tenant, program: Program, new: Attribution) -> Attribution | None:
    referred, referrer = people.active(tenant, new.contact_id), people.active(tenant, new.referrer_id)
    if referred is None:
        return None
    key = referrals.attribution_key(tenant, referred.id, program.id)
    before = referrals.attribution(key, table.get(key))
    if referrer is None or referrer.id == referred.id or is_self(people.known(referrer), people.known(referred)):
        return before
    wanted = replace(new, contact_id=referred.id, referrer_id=referrer.id)
    if before is not None and first_touch(before, wanted, program.window) == before:
        return before
    after = replace(wanted, version=0 if before is None else before.version)
    table.transact(
        [
            *people.still_active(tenant, referred, referrer),
            referrals.save_attribution(tenant, after),
            *_counted(tenant, program, before, after),
        ]
    )
    return replace(after, version=after.version + 1)


def _counted(tenant: Tenant, program: Program, before: Attribution | None, after: Attribution) -> list[Op]:
    """One referral more for the referrer, and one fewer for whose it was until now."""
    losing = None if before is None else people.active(tenant, before.referrer_id)
    loser_id = None if losing is None else losing.id
    if loser_id == after.referrer_id:
        return []
    gains = referrals.standing_of(tenant, after.referrer_id, program.id)
    now = projects.now(tenant)
    ops = settle.standing_ops(tenant, more(gains or Standing(program.id, after.referrer_id, after.at), 1), now)
    loses = None if loser_id is None else referrals.standing_of(tenant, loser_id, program.id)
    if loses is not None:
        ops += settle.standing_ops(tenant, more(loses, -1), now)
    if before is None:
        ops += settle.tallied(tenant, program.id, {ledger.REFERRALS: 1}, now)
    return ops


def more(standing: Standing, delta: int) -> Standing:
    """The standing with so many referrals more."""
    return replace(standing, referrals=standing.referrals + delta)


def _object(text: Any) -> dict[str, Any]:
    read = strict_json.stored(text) if isinstance(text, str) else None
    return read if isinstance(read, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
