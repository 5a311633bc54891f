"""Decide of conversions, and of rewards whose time has come, and doubt what was approved. Each may be repeated."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.core.errors import Conflict, NotFound
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.referrals import fraud, ledger
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.ledger import Change
from chalicelib.features.referrals.model import Conversion, ConversionStatus, Reason, Standing
from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Timer
from chalicelib.flows.referrals import people, settle
from chalicelib.flows.referrals.convert import Refused
from chalicelib.platform import table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant, timed_by
from chalicelib.platform.outbox import DomainEvent
from chalicelib.platform.retries import retried
from chalicelib.platform.table import Op

if TYPE_CHECKING:
    from chalicelib.flows.referrals.answers import ConversionAnswer, RewardAnswer


def approve(tenant: Tenant, conversion_id: str, now: int, receipt: Receipt) -> "ConversionAnswer":
    """Let a conversion that is held count. Raises NotFound; Conflict where it was decided otherwise; ValidationFailed
    where the referrer is gone or has reached the cap."""

    def act() -> "ConversionAnswer":
        before = referrals.conversion(tenant, conversion_id)
        if before.status == "approved":
            return _answered(tenant, [], before, receipt)
        _only_from(before, "review")
        try:
            ops, after = _approval(tenant, before, now)
        except Refused as refused:
            raise refused.told() from None
        return _answered(tenant, ops, after, receipt)

    return retried(act)


def _approval(tenant: Tenant, before: Conversion, now: int) -> tuple[list[Op], Conversion]:
    program = referrals.find(tenant, before.program_id)
    if program is None:
        raise Conflict("The conversion's program was deleted.")
    referrer, referred = (people.active(tenant, each) for each in (before.referrer_id, before.referred_id))
    if referrer is None or referred is None:
        raise Refused("contact_gone")
    known = referrals.standing_of(tenant, referrer.id, program.id)
    standing = known or Standing(program.id, referrer.id, before.attributed_at)
    cap = program.limits.max_referrals_per_contact
    if cap is not None and standing.conversions >= cap:
        raise Refused("cap_reached")
    of_now = replace(before, referrer_id=referrer.id, referred_id=referred.id)
    before_it = referrals.rewards(tenant, before.rewards)
    change = ledger.granted(program, of_now, standing, now, referrals.new_reward_id, before_it)
    link = referrals.link(tenant, before.link_id)
    ops = [*people.still_active(tenant, referrer, referred), *settle.ops(tenant, program.id, change, link, now)]
    return ops, change.conversion or before


def reject(tenant: Tenant, conversion_id: str, now: int, receipt: Receipt) -> "ConversionAnswer":
    """Let a conversion that is held not count. Raises NotFound, Conflict where it was decided otherwise."""

    def act() -> "ConversionAnswer":
        before = referrals.conversion(tenant, conversion_id)
        if before.status == "rejected":
            return _answered(tenant, [], before, receipt)
        _only_from(before, "review")
        after = replace(before, status="rejected", decided_at=now)
        return _answered(tenant, referrals.save_conversion(tenant, after), after, receipt)

    return retried(act)


def reverse(tenant: Tenant, conversion_id: str, now: int, receipt: Receipt) -> "ConversionAnswer":
    """Take an approved conversion back, with its rewards and the tiers that it reached. Raises NotFound, Conflict."""

    def act() -> "ConversionAnswer":
        before = referrals.conversion(tenant, conversion_id)
        if before.status == "reversed":
            return _answered(tenant, [], before, receipt)
        _only_from(before, "approved")
        change = taking_back(tenant, before, "reversed", now)
        ops = settle.ops(tenant, before.program_id, change, referrals.link(tenant, before.link_id), now)
        return _answered(tenant, ops, change.conversion or before, receipt)

    return retried(act)


def _answered(tenant: Tenant, ops: Sequence[Op], after: Conversion, receipt: Receipt) -> "ConversionAnswer":
    """Write what was decided, with what the caller is told of it."""
    from chalicelib.flows.referrals.read import show_conversions

    (answer,) = show_conversions(tenant, [after])
    receipt.commit(ops, 200, answer.model_dump(mode="json"))
    return answer


def taking_back(tenant: Tenant, before: Conversion, status: ConversionStatus, now: int) -> Change:
    """What takes an approved conversion back; the standing of a referrer who is gone is left alone."""
    referrer = people.active(tenant, before.referrer_id)
    standing = None if referrer is None else referrals.standing_of(tenant, referrer.id, before.program_id)
    bonuses = () if standing is None else standing.bonuses.values()
    known = referrals.rewards(tenant, [*before.rewards, *bonuses])
    return ledger.taken_back(before, standing, known, status, now)


def suspect(tenant: Tenant, conversion_id: str, reason: Reason, now: int) -> None:
    """Note what speaks against a conversion by now; one that was approved is held again where that is too much."""

    def act() -> None:
        before = referrals.conversion(tenant, conversion_id)
        if reason in before.reasons or before.status in ("rejected", "reversed"):
            return
        noted = replace(before, reasons=(*before.reasons, reason))
        program = referrals.find(tenant, before.program_id)
        if before.status == "review" or program is None or noted.score < program.limits.review_score:
            table.transact(referrals.save_conversion(tenant, noted))
            return
        change = taking_back(tenant, noted, "review", now)
        table.transact(settle.ops(tenant, program.id, change, referrals.link(tenant, before.link_id), now))

    retried(act)


def bounced(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Doubt the conversions of contacts whose first mail came back for good, on the bus."""
    for event in told:
        contact = people.active(tenant, str(event.data["contact_id"])) if event.data["reason"] == "permanent" else None
        if contact is None or not people.first_mail_bounced(tenant, contact):
            continue
        for each in referrals.attributions(tenant, contact.id):
            if each.conversion_id is not None:
                suspect(tenant, each.conversion_id, fraud.FIRST_MAIL_BOUNCED, projects.now(tenant))


def hold_over(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
    """Approve what a conversion gave and was held, and issue it where that is not left to hand."""

    def act() -> None:
        try:
            of = referrals.conversion(tenant, timed_by(owner_pk))
        except NotFound:
            timers.drop(tenant, owner_pk, timer)
            return
        if timer.moment > now or timers.find(tenant, owner_pk, timer.name) != timer:
            return
        pending = [each for each in referrals.rewards(tenant, of.rewards).values() if each.status == "pending"]
        due = [each for each in pending if (each.due_at or 0) <= now]
        following = ledger.next_due(each for each in pending if each not in due)
        program = referrals.find(tenant, of.program_id)
        leads = contacts.heirs(tenant, {each.contact_id for each in due})
        there = {each for each, into in leads.items() if people.active(tenant, into) is not None}
        # Nothing is owed to whoever is gone.
        released = [
            ledger.released(each, program, now) if each.contact_id in there else ledger.void(each) for each in due
        ]
        timed = (
            timers.taken_ops(tenant, owner_pk, timer)
            if following is None
            else timers.set_ops(tenant, owner_pk, referrals.HOLD, referrals.HOLD, following)
        )
        table.transact(
            [
                *timed,
                *(referrals.save_reward(tenant, each) for each in released),
                *settle.tallied(tenant, of.program_id, ledger.issue_figures(released), now),
                *settle.issued(tenant, released, now),
            ]
        )

    retried(act)


def issue(tenant: Tenant, reward_id: str, now: int, receipt: Receipt) -> "RewardAnswer":
    """Mark an approved reward as given. Raises NotFound, Conflict where it is pending or void."""

    from chalicelib.flows.referrals.read import show_rewards

    def act() -> "RewardAnswer":
        before = referrals.reward(tenant, reward_id)
        if before.status in ("pending", "void"):
            raise Conflict(f"The reward is {before.status}.")
        after = before if before.status == "issued" else ledger.issued(before, now)
        ops: list[Op] = []
        if after != before:
            told = settle.tallied(tenant, before.program_id, ledger.issue_figures([after]), now)
            ops = [referrals.save_reward(tenant, after), *told, *settle.issued(tenant, [after], now)]
        (answer,) = show_rewards(tenant, [after])
        receipt.commit(ops, 200, answer.model_dump(mode="json"))
        return answer

    return retried(act)


def _only_from(conversion: Conversion, status: ConversionStatus) -> None:
    if conversion.status != status:
        raise Conflict(f"The conversion is {conversion.status}.")
