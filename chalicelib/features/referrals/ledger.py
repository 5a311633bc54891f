"""What a conversion gives when it is approved and what is taken back when it is not any more. Pure.

Each tier's bonus is given once as long as it stands: when the count of conversions passes the tier's threshold, and it
is taken back when the count falls below. `standing.bonuses` remembers which reward that was.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from chalicelib.features.referrals.model import (
    Conversion,
    ConversionStatus,
    Prize,
    Program,
    Reward,
    RewardKind,
    Standing,
)

NewId = Callable[[], str]

LINKS: Final = "links"
CLICKS: Final = "clicks"
REFERRALS: Final = "referrals"
CONVERSIONS: Final = "conversions"
ISSUED: Final = "rewards_issued"
AMOUNT: Final = "reward_amount"
"""Fields of a program's counter."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written: rewards as they now are, new ones at version 0, and what that adds to the figures.

    `due_at` is when the next of what the conversion has given and still stands is approved.
    """

    standing: Standing | None
    rewards: Sequence[Reward] = ()
    conversion: Conversion | None = None
    figures: Mapping[str, int] = field(default_factory=dict)
    due_at: int | None = None


def granted(
    program: Program,
    conversion: Conversion,
    standing: Standing,
    now: int,
    new_id: NewId,
    known: Mapping[str, Reward] | None = None,
) -> Change:
    """A conversion is approved; `known` has what it gave before, of which a bonus may stand."""
    count = standing.conversions + 1
    give = _Giver(program, conversion.id, now, new_id)
    rewards = give.prizes(conversion.referrer_id, conversion.referred_id)
    bonuses = dict(standing.bonuses)
    for tier in program.tiers:
        if standing.conversions < tier.referrals <= count and tier.referrals not in bonuses:
            for bonus in give.bonus(standing.contact_id, tier.referrals, tier.bonus):
                rewards.append(bonus)
                bonuses[tier.referrals] = bonus.id
    stand = [each for each in (known or {}).values() if each.id in bonuses.values()]
    given = tuple(each.id for each in (*stand, *rewards))
    return Change(
        replace(standing, conversions=count, bonuses=bonuses),
        rewards,
        replace(conversion, status="approved", rewards=given, decided_at=now),
        _figures(rewards, {CONVERSIONS: 1}),
        next_due([*stand, *rewards]),
    )


def taken_back(
    conversion: Conversion,
    standing: Standing | None,
    known: Mapping[str, Reward],
    status: ConversionStatus,
    now: int,
) -> Change:
    """An approved conversion is so no more. `known` has the rewards given for it and those of `standing.bonuses`."""
    count = 0 if standing is None else max(0, standing.conversions - 1)
    kept = {} if standing is None else {tier: each for tier, each in standing.bonuses.items() if tier <= count}
    lost = set() if standing is None else set(standing.bonuses.values()) - set(kept.values())
    own = {each for each in conversion.rewards if each in known and known[each].kind != "tier_bonus"}
    voided = [void(known[each]) for each in sorted(own | lost) if each in known and known[each].status != "void"]
    stand = [each for each in known.values() if each.conversion_id == conversion.id and each.id not in own | lost]
    return Change(
        None if standing is None else replace(standing, conversions=count, bonuses=kept),
        voided,
        replace(conversion, status=status, decided_at=now),
        _taken([known[each.id] for each in voided], {CONVERSIONS: -1}),
        next_due(stand),
    )


def joined(
    program: Program | None, ours: Standing, theirs: Standing, known: Mapping[str, Reward], now: int, new_id: NewId
) -> Change:
    """The standings of two contacts that are one: of two bonuses for one tier one stands, and what they cross together
    is given."""
    total = ours.conversions + theirs.conversions
    bonuses = dict(theirs.bonuses) | dict(ours.bonuses)
    doubled = [known[each] for tier, each in theirs.bonuses.items() if tier in ours.bonuses and each in known]
    voided = [void(each) for each in doubled if each.status != "void"]
    rewards: list[Reward] = []
    if program is not None:
        give = _Giver(program, None, now, new_id)
        for tier in program.tiers:
            crossed = max(ours.conversions, theirs.conversions) < tier.referrals <= total
            if crossed and tier.referrals not in bonuses:
                for bonus in give.bonus(ours.contact_id, tier.referrals, tier.bonus):
                    rewards.append(bonus)
                    bonuses[tier.referrals] = bonus.id
    after = replace(
        ours,
        since=min(ours.since, theirs.since),
        referrals=ours.referrals + theirs.referrals,
        conversions=total,
        bonuses=bonuses,
    )
    figures = Counter(_figures(rewards, {}))
    figures.update(_taken([each for each in doubled if each.status != "void"], {}))
    return Change(after, [*voided, *rewards], None, _some(figures))


def next_due(rewards: Iterable[Reward]) -> int | None:
    """When the first of those that are pending is approved."""
    return min((each.due_at for each in rewards if each.status == "pending" and each.due_at is not None), default=None)


def void(reward: Reward) -> Reward:
    """The reward, taken back."""
    return replace(reward, status="void", due_at=None)


def released(reward: Reward, program: Program | None, now: int) -> Reward:
    """A pending reward whose time has come: approved, and issued where that is not left to hand."""
    approved = replace(reward, status="approved", due_at=None)
    by_hand = reward.by_hand if program is None else program.issuing == "manual"
    return approved if by_hand else issued(approved, now)


def issued(reward: Reward, now: int) -> Reward:
    """The reward, given to whom it belongs."""
    return replace(reward, status="issued", issued_at=now, due_at=None)


def issue_figures(rewards: Sequence[Reward]) -> dict[str, int]:
    """What rewards that become issued add to the figures."""
    return _figures(rewards, {})


@dataclass(frozen=True, slots=True)
class _Giver:
    program: Program
    conversion_id: str | None
    now: int
    new_id: NewId

    def prizes(self, referrer_id: str, referred_id: str) -> list[Reward]:
        pairs: list[tuple[RewardKind, str, Prize | None]] = [
            ("referrer", referrer_id, self.program.reward),
            ("referee", referred_id, self.program.referee_reward),
        ]
        return [self._reward(kind, who, prize) for kind, who, prize in pairs if prize is not None and prize.amount]

    def bonus(self, contact_id: str, tier: int, amount: int) -> list[Reward]:
        if not amount:
            return []
        own = self.program.reward
        prize = Prize("credit", amount) if own is None else own._replace(amount=amount)
        return [replace(self._reward("tier_bonus", contact_id, prize), tier=tier)]

    def _reward(self, kind: RewardKind, contact_id: str, prize: Prize) -> Reward:
        held = self.program.hold if self.conversion_id is not None else 0
        pending = Reward(
            id=self.new_id(),
            program_id=self.program.id,
            contact_id=contact_id,
            conversion_id=self.conversion_id,
            kind=kind,
            prize=prize,
            status="pending",
            created_at=self.now,
            due_at=self.now + held,
            by_hand=self.program.issuing == "manual",
        )
        return pending if held else released(pending, self.program, self.now)


def _figures(rewards: Sequence[Reward], beside: Mapping[str, int]) -> dict[str, int]:
    given = [each for each in rewards if each.status == "issued"]
    return _some(Counter(beside) + Counter({ISSUED: len(given), AMOUNT: sum(each.prize.amount for each in given)}))


def _taken(before: Sequence[Reward], beside: Mapping[str, int]) -> dict[str, int]:
    was = [each for each in before if each.status == "issued"]
    return _some(dict(beside) | {ISSUED: -len(was), AMOUNT: -sum(each.prize.amount for each in was)})


def _some(figures: Mapping[str, int]) -> dict[str, int]:
    return {name: value for name, value in figures.items() if value}
