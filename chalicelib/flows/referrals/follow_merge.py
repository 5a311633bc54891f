"""Move what a contact that was merged has referred, and by whom it was referred, to the one that has absorbed it.

What: standings add up, of two bonuses for one tier one stands; of two attributions to one program one stands, and of
two conversions the earlier, since one person converts once; who has referred itself is found out. Each row moves in one
transaction that removes it where it was. What names a contact that was merged is followed to its heir when it is read,
so links, conversions and rewards stay as they were written. May be repeated.
"""

from collections.abc import Sequence
from dataclasses import replace

from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import fraud, ledger
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.model import MAX_TOUCHES, Attribution, Conversion, Program, Standing, in_order
from chalicelib.flows.referrals import attribute, convert, decide, people, settle
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Op


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Move what those who were merged have referred, on the bus."""
    for event in told:
        _move(tenant, str(event.data["source_contact_id"]))


def _move(tenant: Tenant, source_id: str) -> None:
    heir = contacts.heir(tenant, source_id)
    if heir is None or heir.id == source_id:
        return
    _move_links(tenant, source_id, heir.id)
    if heir.status == "active":
        retried(lambda: referrals.move_sources(tenant, source_id, heir.id))
    for standing in referrals.standings(tenant, source_id):
        retried(lambda one=standing: _move_standing(tenant, source_id, one.program_id))  # type: ignore[misc]
    for each in referrals.attributions(tenant, source_id):
        retried(lambda one=each: _move_attribution(tenant, source_id, one.program_id))  # type: ignore[misc]
    for each in referrals.attributions(tenant, heir.id):
        _look_again(tenant, each)


def _move_links(tenant: Tenant, source_id: str, heir_id: str) -> None:
    def act() -> None:
        for pointer, link in referrals.links_of(tenant, source_id):
            if link is None:
                table.write(referrals.remove_channel(pointer))
                continue
            is_free = referrals.channel_link(tenant, heir_id, link.program_id, link.channel) is None
            table.transact(referrals.move_channel(tenant, pointer, link, heir_id, is_free=is_free))

    retried(act)


def _move_standing(tenant: Tenant, source_id: str, program_id: str) -> None:
    heir, now = people.active(tenant, source_id), projects.now(tenant)
    theirs = referrals.standing_of(tenant, source_id, program_id)
    if heir is None or theirs is None:
        return
    ours = referrals.standing_of(tenant, heir.id, program_id) or Standing(program_id, heir.id, theirs.since)
    known = referrals.rewards(tenant, [*ours.bonuses.values(), *theirs.bonuses.values()])
    program = referrals.find(tenant, program_id)
    change = ledger.joined(program, ours, theirs, known, now, referrals.new_reward_id)
    table.transact(
        [
            *people.still_active(tenant, heir),
            referrals.remove_standing(tenant, theirs),
            *settle.ops(tenant, program_id, change, None, now),
        ]
    )


def _move_attribution(tenant: Tenant, source_id: str, program_id: str) -> None:
    heir = people.active(tenant, source_id)
    theirs, ours = (_attribution(tenant, each, program_id) for each in (source_id, heir.id if heir else source_id))
    if heir is None or theirs is None:
        return
    ops = [*people.still_active(tenant, heir), referrals.remove_attribution(tenant, theirs)]
    if ours is None:
        moved = replace(theirs, contact_id=heir.id, version=0)
        table.transact([*ops, referrals.save_attribution(tenant, moved)])
        return
    stays = _of_one_person(tenant, ours, theirs)
    if stays is None:
        ops.append(referrals.remove_attribution(tenant, ours))
    elif stays != ours:
        ops.append(referrals.save_attribution(tenant, replace(stays, contact_id=heir.id, version=ours.version)))
    table.transact([*ops, *_settled(tenant, ours, theirs, stays)])


def _attribution(tenant: Tenant, contact_id: str, program_id: str) -> Attribution | None:
    key = referrals.attribution_key(tenant, contact_id, program_id)
    return referrals.attribution(key, table.get(key))


def _of_one_person(tenant: Tenant, ours: Attribution, theirs: Attribution) -> Attribution | None:
    """Of two attributions of one person the one that stands."""
    if ours.conversion_id is not None and theirs.conversion_id is not None:
        mine, other = (referrals.conversion(tenant, str(each.conversion_id)) for each in (ours, theirs))
        return ours if _precedes(mine, other) else theirs
    if ours.conversion_id is not None or theirs.conversion_id is not None:
        return ours if ours.conversion_id is not None else theirs
    touches = in_order((*ours.touches, *theirs.touches))[:MAX_TOUCHES]
    counts = attribute.refolded(tenant, referrals.find(tenant, ours.program_id), ours.contact_id, touches)
    if counts is None:
        return None
    return replace(ours, touch=counts, touches=touches, refusals={**theirs.refusals, **ours.refusals})


def _precedes(one: Conversion, other: Conversion) -> bool:
    """One that was decided against gives way to one that was not; else the earlier stands."""
    out = ("rejected", "reversed")
    return (one.status in out, one.converted_at, one.id) < (other.status in out, other.converted_at, other.id)


def _settled(tenant: Tenant, ours: Attribution, theirs: Attribution, stays: Attribution | None) -> list[Op]:
    """Count the referral of what was two as one, and take back the conversion that does not stand."""
    ops: list[Op] = []
    known: dict[str, Standing] = {}
    out = next(
        (
            each.conversion_id
            for each in (ours, theirs)
            if each.conversion_id is not None and (stays is None or each.conversion_id != stays.conversion_id)
        ),
        None,
    )
    if out is not None:
        now, before = projects.now(tenant), referrals.conversion(tenant, out)
        noted = replace(before, reasons=(*before.reasons, fraud.DUPLICATE_PERSON))
        if before.status == "review":
            ops += referrals.save_conversion(tenant, replace(noted, status="rejected", decided_at=now))
        elif before.status == "approved":
            change = decide.taking_back(tenant, noted, "reversed", now)
            link = referrals.link(tenant, before.link_id)
            ops += settle.ops(tenant, before.program_id, replace(change, standing=None), link, now)
            known = {} if change.standing is None else {change.standing.contact_id: change.standing}
    after = [] if stays is None else [stays.touch]
    return [*ops, *attribute.recounted(tenant, ours.program_id, [ours.touch, theirs.touch], after, known)]


def _look_again(tenant: Tenant, attribution: Attribution) -> None:
    """Judge an attribution of a contact that has become more than it was."""
    program = referrals.find(tenant, attribution.program_id)
    referrer = people.active(tenant, attribution.touch.referrer_id)
    is_own = referrer is not None and referrer.id == attribution.contact_id
    if is_own and attribution.conversion_id is not None:
        decide.suspect(tenant, attribution.conversion_id, fraud.MERGED_WITH_REFERRER, projects.now(tenant))
        return
    stands: Attribution | None = attribution
    if is_own:
        stands = retried(lambda: _without_own(tenant, attribution.contact_id, program, attribution.program_id))
    if program is not None and stands is not None:
        convert.look_back(tenant, program, stands)


def _without_own(tenant: Tenant, contact_id: str, program: Program | None, program_id: str) -> Attribution | None:
    """Who has come by a link of its own was not referred by that, but by the next that it came with."""
    before = _attribution(tenant, contact_id, program_id)
    if before is None or before.conversion_id is not None:
        return before
    counts = attribute.refolded(tenant, program, contact_id, before.touches)
    if counts == before.touch:
        return before
    if counts is None:
        gone = referrals.remove_attribution(tenant, before)
        table.transact([gone, *attribute.recounted(tenant, program_id, [before.touch], [])])
        return None
    after = replace(before, touch=counts)
    saved = referrals.save_attribution(tenant, after)
    table.transact([saved, *attribute.recounted(tenant, program_id, [before.touch], [counts])])
    return replace(after, version=after.version + 1)
