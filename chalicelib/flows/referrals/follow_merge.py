"""Move what a contact that was merged has referred, and by whom it was referred, to the one that has absorbed it.

What: standings add up, of two bonuses for one tier one stands; of two attributions to one program one stands, and of
two conversions the earlier, since one person converts once; who has referred itself is found out. Each row moves in one
transaction that removes it where it was. What names a contact that was merged is followed to its heir when it is read,
so links, conversions and rewards stay as they were written. May be repeated.
"""

from collections.abc import Sequence
from dataclasses import replace

from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Contact
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import fraud, ledger
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.model import Attribution, Conversion, Standing, first_touch
from chalicelib.flows.referrals import attribute, convert, decide, people, settle
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent
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
    for standing in referrals.standings(tenant, source_id):
        referrals.retried(lambda one=standing: _move_standing(tenant, source_id, one.program_id))  # type: ignore[misc]
    for each in referrals.attributions(tenant, source_id):
        referrals.retried(lambda one=each: _move_attribution(tenant, source_id, one.program_id))  # type: ignore[misc]
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

    referrals.retried(act)


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
    moved = replace(theirs, contact_id=heir.id, version=0 if ours is None else ours.version)
    gone = referrals.remove_attribution(tenant, theirs)
    if ours is None:
        table.transact([*people.still_active(tenant, heir), gone, referrals.save_attribution(tenant, moved)])
        return
    stays = _standing_one(tenant, ours, moved)
    drops = ours if stays == moved else theirs
    written = [referrals.save_attribution(tenant, moved)] if stays == moved else []
    table.transact([*people.still_active(tenant, heir), gone, *written, *_undone(tenant, drops)])


def _attribution(tenant: Tenant, contact_id: str, program_id: str) -> Attribution | None:
    key = referrals.attribution_key(tenant, contact_id, program_id)
    return referrals.attribution(key, table.get(key))


def _standing_one(tenant: Tenant, ours: Attribution, theirs: Attribution) -> Attribution:
    """Of two attributions of one person the one that stands."""
    if ours.conversion_id is not None and theirs.conversion_id is not None:
        mine, other = (referrals.conversion(tenant, str(each.conversion_id)) for each in (ours, theirs))
        return ours if _precedes(mine, other) else theirs
    if theirs.conversion_id is not None:
        return theirs
    program = referrals.find(tenant, ours.program_id)
    return first_touch(ours, theirs, 0 if program is None else program.window)


def _precedes(one: Conversion, other: Conversion) -> bool:
    """One that was decided against gives way to one that was not; else the earlier stands."""
    out = ("rejected", "reversed")
    return (one.status in out, one.converted_at, one.id) < (other.status in out, other.converted_at, other.id)


def _undone(tenant: Tenant, drops: Attribution) -> list[Op]:
    """What an attribution that does not stand has counted, and its conversion, is taken back."""
    now, referrer = projects.now(tenant), people.active(tenant, drops.referrer_id)
    standing = None if referrer is None else referrals.standing_of(tenant, referrer.id, drops.program_id)
    fewer = None if standing is None else attribute.more(standing, -1)
    figures = {ledger.REFERRALS: -1}
    ops: list[Op] = []
    if drops.conversion_id is not None:
        before = referrals.conversion(tenant, drops.conversion_id)
        noted = replace(before, reasons=(*before.reasons, fraud.DUPLICATE_PERSON))
        if before.status == "review":
            ops += referrals.save_conversion(tenant, replace(noted, status="rejected", decided_at=now))
        elif before.status == "approved":
            change = decide.taking_back(tenant, noted, "reversed", now)
            fewer = None if change.standing is None else attribute.more(change.standing, -1)
            link = referrals.link(tenant, before.link_id)
            ops += settle.ops(tenant, before.program_id, replace(change, standing=None), link, now)
    if fewer is not None:
        ops += settle.standing_ops(tenant, fewer, now)
    return [*ops, *settle.tallied(tenant, drops.program_id, figures, now)]


def _look_again(tenant: Tenant, attribution: Attribution) -> None:
    """Judge an attribution of a contact that has become more than it was."""
    referrer = people.active(tenant, attribution.referrer_id)
    if referrer is not None and referrer.id == attribution.contact_id:
        if attribution.conversion_id is None:
            referrals.retried(lambda: _drop_own(tenant, referrer, attribution.program_id))
        else:
            now = projects.now(tenant)
            decide.suspect(tenant, attribution.conversion_id, fraud.MERGED_WITH_REFERRER, now)
        return
    program = referrals.find(tenant, attribution.program_id)
    if program is not None:
        convert.look_back(tenant, program, attribution)


def _drop_own(tenant: Tenant, contact: Contact, program_id: str) -> None:
    """Who has come by a link of its own was referred by nobody."""
    stands = _attribution(tenant, contact.id, program_id)
    if stands is not None and stands.conversion_id is None:
        table.transact([referrals.remove_attribution(tenant, stands), *_undone(tenant, stands)])
