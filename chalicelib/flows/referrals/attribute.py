"""Note by whom a contact was referred.

What: the first code that a contact comes with attributes it to the owner of that link, for as long as the program's
window runs; one transaction writes the attribution and counts it for the referrer. All that it came with is kept, in
order, so that the outcome depends neither on the order in which that is heard of nor on how often. May be repeated. A
conversion that the contact did before it was heard of here is found in its history.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from chalicelib.core import strict_json
from chalicelib.features.codes import service as codes
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import ledger
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.fraud import Source, came_from, is_self
from chalicelib.features.referrals.model import (
    MAX_TOUCHES,
    Attribution,
    Program,
    Standing,
    Touch,
    counting,
    in_order,
    kept,
)
from chalicelib.flows.referrals import convert, people, settle
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Op
from chalicelib.readings.known import known


def named(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Attribute contacts whose events have a code, on the bus."""
    programs = referrals.catalog(tenant).programs
    for event in told:
        context, properties = (_object(event.data.get(part)) for part in ("context", "properties"))
        code = _text(context.get("referral_code")) or _text(properties.get("referral_code"))
        _follow(tenant, programs, code, event, int(event.data["timestamp"]), came_from(context))


def joined(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Attribute contacts that have joined a waitlist with a program's code, on the bus."""
    programs = referrals.catalog(tenant).programs
    for event in told:
        _follow(tenant, programs, event.data.get("referral_code"), event, event.created_at, came_from(event.data))


def _follow(
    tenant: Tenant,
    programs: Mapping[str, Program],
    code: object,
    event: DomainEvent,
    at: int,
    source: Source,
) -> None:
    # A project without programs is not asked whose a code is: sites send one with all that their visitors do.
    found = codes.find(code) if programs and isinstance(code, str) else None
    if found is None or found[0] != tenant or found[1].kind != "link" or found[1].parent_id not in programs:
        return
    of = found[1]
    program = programs[of.parent_id]
    touch = Touch(at, of.item_id, of.code, of.contact_id, *source)
    stands = run(tenant, program, str(event.data["contact_id"]), touch)
    # A contact sends its code with all that it does; only the event by which it was referred asks for its history.
    if stands is not None and stands.touch.name == touch.name:
        convert.look_back(tenant, program, stands)


def run(tenant: Tenant, program: Program, contact_id: str, touch: Touch) -> Attribution | None:
    """The attribution that stands after this; None where there is none, because it would be of oneself, or either
    contact is gone."""
    return retried(lambda: _attribute(tenant, program, contact_id, touch))


def _attribute(tenant: Tenant, program: Program, contact_id: str, touch: Touch) -> Attribution | None:
    key = referrals.attribution_key(tenant, contact_id, program.id)
    before = referrals.attribution(key, table.get(key))
    if before is not None and before.conversion_id is not None:
        # Nothing more of it changes by a code: the cheap way out of most events that bring one.
        return before
    referred, referrer = people.active(tenant, contact_id), people.active(tenant, touch.referrer_id)
    if referred is None:
        return None
    if referred.id != contact_id:
        key = referrals.attribution_key(tenant, referred.id, program.id)
        before = referrals.attribution(key, table.get(key))
        if before is not None and before.conversion_id is not None:
            return before
    if referrer is None or referrer.id == referred.id or is_self(known(referrer), known(referred)):
        return before
    earlier = () if before is None else before.touches
    counts = counting([*_others(tenant, earlier, referred.id), touch], program.window)
    touches = in_order((*earlier[: MAX_TOUCHES - 1], touch)) if counts == touch else kept(earlier, touch)
    if counts is None or (before is not None and (counts, touches) == (before.touch, before.touches)):
        return before
    after = replace(before or Attribution(program.id, referred.id, counts, ()), touch=counts, touches=touches)
    table.transact(
        [
            *people.still_active(tenant, referred, referrer),
            referrals.save_attribution(tenant, after),
            *recounted(tenant, program.id, [] if before is None else [before.touch], [counts]),
        ]
    )
    return replace(after, version=after.version + 1)


def refolded(tenant: Tenant, program: Program | None, contact_id: str, touches: Iterable[Touch]) -> Touch | None:
    """Which of these touches counts for a contact, who may own some of the links by now."""
    return counting(_others(tenant, touches, contact_id), 0 if program is None else program.window)


def recounted(
    tenant: Tenant,
    program_id: str,
    before: Iterable[Touch],
    after: Iterable[Touch],
    beside: Mapping[str, Standing] | None = None,
) -> list[Op]:
    """Count referrals for the owners of the links: those that were counted until now, and those that are.

    `beside` has standings that are written with other changes too.
    """
    was, is_now = list(before), list(after)
    leads = contacts.heirs(tenant, {touch.referrer_id for touch in (*was, *is_now)})
    delta: Counter[str] = Counter()
    for sign, touches in ((-1, was), (1, is_now)):
        for touch in touches:
            if touch.referrer_id in leads:
                delta[leads[touch.referrer_id]] += sign
    ops: list[Op] = []
    now, changed = projects.now(tenant), dict(beside or {})
    since = {leads[touch.referrer_id]: touch.at for touch in is_now if touch.referrer_id in leads}
    for who in {*changed, *(who for who, change in delta.items() if change)}:
        standing = changed.get(who) or referrals.standing_of(tenant, who, program_id)
        if standing is None and who in since:
            standing = Standing(program_id, who, since[who])
        if standing is not None:
            more = replace(standing, referrals=standing.referrals + delta[who])
            ops += settle.standing_ops(tenant, more, now)
    figures = {ledger.REFERRALS: len(is_now) - len(was)} if len(is_now) != len(was) else {}
    return [*ops, *settle.tallied(tenant, program_id, figures, now)]


def _others(tenant: Tenant, touches: Iterable[Touch], contact_id: str) -> list[Touch]:
    """The touches by links that are not the contact's own."""
    given = list(touches)
    leads = contacts.heirs(tenant, {touch.referrer_id for touch in given}) if given else {}
    return [touch for touch in given if leads.get(touch.referrer_id) != contact_id]


def _object(text: Any) -> dict[str, Any]:
    read = strict_json.stored(text) if isinstance(text, str) else None
    return read if isinstance(read, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
