"""The operations that write a change of the ledger, with its timer and all that tells of it, for one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core import events
from chalicelib.features.referrals import ledger
from chalicelib.features.referrals import service as referrals
from chalicelib.features.referrals.ledger import Change
from chalicelib.features.referrals.model import Conversion, Link, Reward, Standing
from chalicelib.features.timers import service as timers
from chalicelib.platform import outbox
from chalicelib.platform.keys import Tenant
from chalicelib.platform.table import Op


def ops(tenant: Tenant, program_id: str, change: Change, link: Link | None, now: int) -> list[Op]:
    """Write the change. `link` is that of its conversion, if it is there; its count follows the figures."""
    written: list[Op] = [referrals.save_reward(tenant, each) for each in change.rewards]
    if change.standing is not None:
        written += standing_ops(tenant, change.standing, now)
    if change.conversion is not None:
        written += referrals.save_conversion(tenant, change.conversion)
        written += _timer_ops(tenant, change.conversion, change.due_at)
        if change.conversion.status == "approved":
            written.append(outbox.emit(tenant, events.REFERRAL_CONVERTED, converted(change.conversion, link), now))
    if link is not None and (delta := change.figures.get(ledger.CONVERSIONS, 0)):
        written.append(referrals.count_conversion(tenant, link.id, delta))
    return [*written, *tallied(tenant, program_id, change.figures, now), *issued(tenant, change.rewards, now)]


def standing_ops(tenant: Tenant, after: Standing, now: int) -> list[Op]:
    """Write what a contact has referred, and tell those who read it in rules."""
    return [
        referrals.save_standing(tenant, after),
        outbox.emit(tenant, events.REFERRER_MOVED, {"contact_id": after.contact_id}, now),
    ]


def tallied(tenant: Tenant, program_id: str, figures: Mapping[str, int], now: int) -> list[Op]:
    """Tell of a change of a program's figures."""
    if not figures:
        return []
    data = {"program_id": program_id, "figures": dict(figures)}
    return [outbox.emit(tenant, events.REFERRALS_TALLIED, data, now)]


def issued(tenant: Tenant, rewards: Sequence[Reward], now: int) -> list[Op]:
    """Tell of those of these rewards that are issued by now."""
    return [
        outbox.emit(tenant, events.REWARD_ISSUED, told(each), now)
        for each in rewards
        if each.status == "issued" and each.issued_at == now
    ]


def converted(conversion: Conversion, link: Link | None) -> dict[str, Any]:
    """What is told of a conversion; its link is gone where the referrer is."""
    return {
        "contact_id": conversion.referred_id,
        "conversion_id": conversion.id,
        "program_id": conversion.program_id,
        "link_id": conversion.link_id,
        "link_code": None if link is None else link.code,
        "referrer_contact_id": conversion.referrer_id,
        "conversion_event": conversion.event,
        "converted_at": conversion.converted_at,
    }


def told(reward: Reward) -> dict[str, Any]:
    """What is told of a reward."""
    return {
        "contact_id": reward.contact_id,
        "reward_id": reward.id,
        "program_id": reward.program_id,
        "conversion_id": reward.conversion_id,
        "kind": reward.kind,
        "prize": list(reward.prize),
    }


def _timer_ops(tenant: Tenant, conversion: Conversion, due_at: int | None) -> list[Op]:
    """The timer at which the conversion's rewards are approved; none where none of them is pending."""
    owner = referrals.conversion_timers(tenant, conversion.id)
    if due_at is not None:
        return timers.set_ops(tenant, owner, referrals.HOLD, referrals.HOLD, due_at)
    return [] if conversion.version == 0 else timers.clear_ops(tenant, owner, referrals.HOLD)
