"""Random histories of a referral program against an independent model: every reward, figure, tier and place.

People come with codes, pay, are converted by hand, decided of and merged; the program is paused and resumed; the bus
hears records twice, late and in another order.
"""

import random
from collections import Counter
from typing import Any

import pytest

from chalicelib.core import clock
from tests.support.referral_oracle import DAY, Conversion, Oracle
from tests.support.referral_world import ReferralWorld

TIERS = [(1, 5), (2, 50), (4, 150)]
WINDOW, HOLD = 10, 2
"""Days."""


class History:
    """The product and the model side by side."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seed: int, people: int) -> None:
        self.rng = random.Random(seed)
        self.hold = self.rng.choice([0, HOLD])
        self.cap = self.rng.choice([None, None, 2])
        limits: dict[str, Any] = {"conversion_window_days": WINDOW, "hold_days": self.hold, "conversions_per_ip": 1_000}
        tiers = [{"referrals": threshold, "bonus": bonus} for threshold, bonus in TIERS]
        self.world = ReferralWorld(monkeypatch, tiers=tiers, limits=limits | {"max_referrals_per_contact": self.cap})
        self.model = Oracle(self.world.now, WINDOW * DAY, self.hold * DAY, self.cap, TIERS)
        self.world.hears = self._hears
        self.names = [f"p{n}" for n in range(people)]
        self.ids: dict[str, str] = {}
        self.codes: list[str] = []
        self.happened: Counter[str] = Counter()
        for name in self.names:
            is_shady = self.rng.random() < 0.15
            address = f"{name}@{'mailinator.com' if is_shady else 'example.com'}"
            self.ids[name] = self.world.contact(name, email=address)
            if is_shady:
                self.model.shady.add(name)
        for name in self.names[: people // 2]:
            code = self.world.link(self.ids[name])
            self.model.codes[code] = name
            self.codes.append(code)
        self.clicks = 0

    def _hears(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Records of different items in any order, some twice, and some that were heard long ago."""
        heard = self.world.table.records[: self.world.done]
        some = [self.rng.choice(heard) for _ in range(self.rng.randrange(4))] if heard else []
        mixed = [*records, *some, *(record for record in records if self.rng.random() < 0.2)]
        self.rng.shuffle(mixed)
        return mixed

    def run(self, actions: int) -> None:
        """So many things happen; the two are compared now and then, and at the end."""
        kinds = [self.come, self.come, self.pay, self.pay, self.come_and_pay, self.record, self.decide, self.merge]
        for n in range(actions):
            self.pass_time(self.rng.choice([1_000, clock.HOUR, clock.DAY, 3 * clock.DAY]))
            self.rng.choice([*kinds, self.pause, self.click])()
            if n % 10 == 9:
                self.compare()
        self.pass_time(HOLD * clock.DAY)
        self.compare()

    def pass_time(self, by: int) -> None:
        self.world.advance(by)
        self.model.now += by
        assert self.model.now == self.world.now

    def come(self) -> None:
        name, code = self.rng.choice(self.names), self.rng.choice(self.codes)
        self.world.come(name, code)
        self.model.comes(name, code)

    def pay(self) -> None:
        name = self.rng.choice(self.names)
        self.world.track(name, "paid")
        self.model.pays(name)

    def come_and_pay(self) -> None:
        """Both are on the stream together, and heard in any order."""
        name, code = self.rng.choice(self.names), self.rng.choice(self.codes)
        self.world.receive({"user_id": name, "context": {"referral_code": code}}, "identify")
        self.world.receive({"user_id": name, "event": "paid"}, "track")
        self.world.settle()
        self.model.comes(name, code)
        self.model.pays(name)

    def record(self) -> None:
        name, code = self.rng.choice(self.names), self.rng.choice(self.codes)
        answer = self.world.convert(code, self.ids[self.model.who(name)])
        expected = self.model.records(name, code)
        told = {201: "new", 200: "known"}.get(answer.status) or answer.json["error"]["details"][0]["reason"]
        assert told == expected
        self.happened[told] += 1

    def decide(self) -> None:
        shown = self.world.conversions()
        if not shown:
            return
        n = self.rng.randrange(len(shown))
        verb = self.rng.choice(["approve", "reject", "reverse", "reverse"])
        answer = self.world.decide(shown[n]["id"], verb)
        assert (answer.status == 200) == self.model.decides(self.model.conversions[n], verb), answer.text
        self.happened[verb] += answer.status == 200

    def merge(self) -> None:
        kept, gone = self.rng.sample(self.names, 2)
        if self.model.who(kept) == self.model.who(gone) or len(self.model.into) > len(self.names) * 2 // 3:
            return
        source = self.ids[self.model.who(gone)]
        target = self.ids[self.model.who(kept)]
        answer = self.world.client.post(f"/v1/contacts/{target}/merge", {"source_contact_id": source})
        assert answer.status == 200, answer.text
        self.world.settle()
        self.model.merges(kept, gone)
        self.happened["merge"] += 1

    def pause(self) -> None:
        self.model.paused = not self.model.paused and self.rng.random() < 0.5
        status = "paused" if self.model.paused else "active"
        self.world.client.patch(f"/v1/referrals/programs/{self.world.program}", {"status": status})

    def click(self) -> None:
        code = self.rng.choice(self.codes)
        assert self.world.click(code).status == 302
        self.world.settle()
        self.clicks += 1

    def compare(self) -> None:
        names = {self.ids[name]: name for name in self.names}
        world, model = self.world, self.model
        rewards = world.rewards()
        shown = sorted((row["kind"], names[row["contact_id"]], row["amount"], row["status"]) for row in rewards)
        assert shown == model.lines()
        assert [self.line(row, names) for row in world.conversions()] == [
            self.expected(one) for one in model.conversions
        ]
        board = [(names[row["contact_id"]], row["conversions"], row["referrals"]) for row in world.board()]
        assert board == model.board()
        tiers = ["bronze", "silver", "gold"]
        for row in world.board():
            reached = [
                tier for (threshold, _), tier in zip(TIERS, tiers, strict=True) if row["conversions"] >= threshold
            ]
            assert row["tier"] == (reached[-1] if reached else None)
        issued = [row["amount"] for row in rewards if row["status"] == "issued"]
        assert world.stats() == {
            "total_links": len(self.codes),
            "total_clicks": self.clicks,
            "total_referrals": len(model.referrals),
            "total_conversions": sum(one.status == "approved" for one in model.conversions),
            "total_rewards_issued": len(issued),
            "total_reward_amount": sum(issued),
        }
        for name in self.names:
            if model.who(name) == name:
                made = sum(model.who(one.by) == name for one in model.referrals.values())
                profile = world.get(f"/v1/contacts/{self.ids[name]}")["referral_stats"]
                assert profile == {"referrals_made": made, "conversions": model.count(name)}

    def line(self, row: dict[str, Any], names: dict[str, str]) -> tuple[str, str, str, int]:
        at = clock.parse_instant(row["converted_at"])
        return names[row["referrer_contact_id"]], names[row["referred_contact_id"]], row["status"], at

    def expected(self, one: Conversion) -> tuple[str, str, str, int]:
        return self.model.who(one.referrer), self.model.who(one.referee), one.status, one.at


@pytest.mark.parametrize("seed", range(6))
def test_the_ledger_is_what_the_model_says(engine: str, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    History(monkeypatch, seed, people=8).run(40)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(100, 160))
def test_the_ledger_is_what_the_model_says_in_long_histories(
    engine: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    history = History(monkeypatch, seed, people=14)
    history.run(160)
    assert {"new", "merge", "reverse"} <= history.happened.keys()
