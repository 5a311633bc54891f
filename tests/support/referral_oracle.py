"""Who is owed what for referrals, said plainly and of its own: people, what they did, and one list of rewards."""

from dataclasses import dataclass, field

REFERRER, REFEREE = 20, 15
DAY = 86_400_000


@dataclass(eq=False, slots=True)
class Reward:
    kind: str
    who: str
    amount: int
    due: int
    void: bool = False


@dataclass(eq=False, slots=True)
class Conversion:
    referrer: str
    referee: str
    at: int
    number: int
    status: str
    doubted: bool = False
    rewards: list[Reward] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Referral:
    by: str
    code: str
    at: int
    conversion: Conversion | None = None


@dataclass(slots=True)
class Oracle:
    """`tiers` are (threshold, bonus); people are named, and `into` leads from who was merged."""

    now: int
    window: int
    hold: int
    cap: int | None
    tiers: list[tuple[int, int]]
    paused: bool = False
    into: dict[str, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    touches: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    referrals: dict[str, Referral] = field(default_factory=dict)
    refused: dict[tuple[int, str], int] = field(default_factory=dict)
    conversions: list[Conversion] = field(default_factory=list)
    paid: dict[str, list[int]] = field(default_factory=dict)
    bonuses: dict[str, dict[int, Reward]] = field(default_factory=dict)
    ledger: list[Reward] = field(default_factory=list)
    since: dict[str, int] = field(default_factory=dict)
    shady: set[str] = field(default_factory=set)

    def who(self, name: str) -> str:
        while name in self.into:
            name = self.into[name]
        return name

    def comes(self, name: str, code: str) -> None:
        me = self.who(name)
        before = self.referrals.get(me)
        if me == self.who(self.codes[code]) or (before is not None and before.conversion is not None):
            return
        self.touches.setdefault(me, []).append((self.now, code))
        self._refer(me)
        self._look_back(me)

    def _refer(self, me: str) -> None:
        """The first code counts, and when its window is over the next one; one's own never does."""
        counts = None
        for at, code in sorted(self.touches.get(me, [])):
            if self.who(self.codes[code]) != me and (counts is None or at > counts[0] + self.window):
                counts = at, code
        self.referrals.pop(me, None)
        if counts is not None:
            owner = self.who(self.codes[counts[1]])
            self.since.setdefault(owner, counts[0])
            self.referrals[me] = Referral(owner, counts[1], counts[0])

    def pays(self, name: str) -> None:
        me = self.who(name)
        self.paid.setdefault(me, []).append(self.now)
        self._convert(me, self.now)

    def records(self, name: str, code: str) -> str:
        """By hand: `new`, `known`, or why not."""
        me, owner = self.who(name), self.who(self.codes[code])
        mine = self.referrals.get(me)
        if mine is not None and mine.conversion is not None:
            return "known" if self.who(mine.conversion.referrer) == owner else "already_referred"
        if mine is not None and self.now <= mine.at + self.window:
            if self.who(mine.by) != owner:
                return "already_referred"
            reason = self._reason(me, mine, self.now)
            if reason is None:
                self._done(me, mine, self.now)
            return reason or "new"
        if mine is not None and mine.code == code:
            return "window_over"
        wanted = Referral(owner, code, self.now)
        reason = self._reason(me, wanted, self.now)
        if reason is not None:
            return reason
        self.touches.setdefault(me, []).append((self.now, code))
        self._refer(me)
        self._done(me, self.referrals[me], self.now)
        return "new"

    def decides(self, one: Conversion, verb: str) -> bool:
        wanted = {"approve": "review", "reject": "review", "reverse": "approved"}[verb]
        to = {"approve": "approved", "reject": "rejected", "reverse": "reversed"}[verb]
        if one.status == to:
            return True
        if one.status != wanted:
            return False
        if verb == "approve":
            if self.cap is not None and self.count(one.referrer) >= self.cap:
                return False
            self._approve(one)
        elif verb == "reverse":
            self._take_back(one, to)
        one.status = to
        return True

    def merges(self, kept: str, gone: str) -> None:
        ours, theirs = self.who(kept), self.who(gone)
        counts = [self.count(ours), self.count(theirs)]
        self.into[theirs] = ours
        self.paid.setdefault(ours, []).extend(self.paid.pop(theirs, []))
        self.touches.setdefault(ours, []).extend(self.touches.pop(theirs, []))
        if theirs in self.shady:
            self.shady.add(ours)
        self._one_standing(ours, theirs, counts)
        self._one_referral(ours, theirs)
        mine = self.referrals.get(ours)
        if mine is None:
            return
        if mine.conversion is None:
            self._refer(ours)
            self._look_back(ours)
        elif self.who(mine.by) == ours:
            self._doubt(mine.conversion)

    def _doubt(self, one: Conversion) -> None:
        """Once: what a person has approved all the same stays so."""
        if not one.doubted and one.status == "approved":
            self._take_back(one, "review")
        one.doubted = True

    def _one_standing(self, ours: str, theirs: str, counts: list[int]) -> None:
        if theirs in self.since:
            self.since[ours] = min(self.since.pop(theirs), self.since.get(ours, self.now))
        mine, other = self.bonuses.setdefault(ours, {}), self.bonuses.pop(theirs, {})
        for tier, bonus in other.items():
            if tier in mine:
                bonus.void = True
            else:
                mine[tier] = bonus
        for tier, amount in self.tiers:
            if max(counts) < tier <= sum(counts) and tier not in mine:
                mine[tier] = self._give("tier_bonus", ours, amount, 0)

    def _one_referral(self, ours: str, theirs: str) -> None:
        mine, other = self.referrals.get(ours), self.referrals.pop(theirs, None)
        if other is None:
            return
        if mine is None:
            self.referrals[ours] = other
            return
        if mine.conversion is None and other.conversion is None:
            return
        stays = mine if self._stands(mine, other) else other
        self.referrals[ours] = stays
        drops = (other if stays is mine else mine).conversion
        if drops is not None and drops.status == "approved":
            self._take_back(drops, "reversed")
        elif drops is not None and drops.status == "review":
            drops.status = "rejected"

    def _stands(self, mine: Referral, other: Referral) -> bool:
        a, b = mine.conversion, other.conversion
        if a is None or b is None:
            return a is not None
        return self._rank(a) < self._rank(b)

    @staticmethod
    def _rank(one: Conversion) -> tuple[bool, int, int]:
        return one.status in ("rejected", "reversed"), one.at, one.number

    def _look_back(self, me: str) -> None:
        mine = self.referrals.get(me)
        if mine is None:
            return
        since = max(mine.at, self.refused.get((mine.at, mine.code), -1) + 1)
        found = [at for at in self.paid.get(me, []) if since <= at <= mine.at + self.window]
        if found and mine.conversion is None:
            self._convert(me, min(found))

    def _convert(self, me: str, at: int) -> None:
        mine = self.referrals.get(me)
        if mine is None or mine.conversion is not None or at < mine.at:
            return
        if at <= self.refused.get((mine.at, mine.code), -1):
            return
        if self._reason(me, mine, at) is not None:
            self.refused[mine.at, mine.code] = at
        else:
            self._done(me, mine, at)

    def _reason(self, me: str, mine: Referral, at: int) -> str | None:
        if self.who(mine.by) == me:
            return "self_referral"
        if self.paused:
            return "program_paused"
        if at > mine.at + self.window:
            return "window_over"
        if self.cap is not None and self.count(mine.by) >= self.cap:
            return "cap_reached"
        return None

    def _done(self, me: str, mine: Referral, at: int) -> None:
        made = Conversion(self.who(mine.by), me, at, len(self.conversions), "approved")
        self.conversions.append(made)
        mine.conversion = made
        if me in self.shady:
            made.status = "review"
        else:
            self._approve(made)

    def count(self, name: str) -> int:
        me = self.who(name)
        return sum(one.status == "approved" and self.who(one.referrer) == me for one in self.conversions)

    def _approve(self, one: Conversion) -> None:
        one.status = "review"
        before = self.count(one.referrer)
        one.status = "approved"
        referrer = self.who(one.referrer)
        one.rewards = [
            self._give("referrer", referrer, REFERRER, self.hold),
            self._give("referee", self.who(one.referee), REFEREE, self.hold),
        ]
        mine = self.bonuses.setdefault(referrer, {})
        for tier, amount in self.tiers:
            if before < tier <= before + 1 and tier not in mine:
                mine[tier] = self._give("tier_bonus", referrer, amount, self.hold)

    def _take_back(self, one: Conversion, status: str) -> None:
        one.status = status
        for reward in one.rewards:
            reward.void = True
        left = self.count(one.referrer)
        mine = self.bonuses.setdefault(self.who(one.referrer), {})
        for tier in [tier for tier in mine if tier > left]:
            mine.pop(tier).void = True

    def _give(self, kind: str, who: str, amount: int, hold: int) -> Reward:
        made = Reward(kind, who, amount, self.now + hold)
        self.ledger.append(made)
        return made

    def lines(self) -> list[tuple[str, str, int, str]]:
        """The ledger: kind, who, amount, status."""
        return sorted(
            (each.kind, self.who(each.who), each.amount, "void" if each.void else self._status(each))
            for each in self.ledger
        )

    def _status(self, reward: Reward) -> str:
        return "issued" if reward.due <= self.now else "pending"

    def board(self) -> list[tuple[str, int, int]]:
        """Who, conversions, referrals; in order."""
        rows = []
        for me in self.since:
            made = sum(self.who(one.by) == me for one in self.referrals.values())
            if made or self.count(me):
                rows.append((-self.count(me), -made, self.since[me], me))
        return [(me, -converted, -made) for converted, made, _, me in sorted(rows)]
