"""A test project with a referral program, its clock under the test's hand."""

from typing import Any

import pytest

from tests.support.client import Client
from tests.support.mail_world import MailWorld

PROGRAM: dict[str, Any] = {
    "name": "Friend Referral Program",
    "reward_type": "credit",
    "reward_amount": 20,
    "reward_currency": "USD",
    "referee_reward": {"type": "discount", "amount": 15, "currency": "USD"},
    "tiers": [{"referrals": 2, "bonus": 50}, {"referrals": 4, "bonus": 150}],
    "limits": {"max_referrals_per_contact": 100, "conversion_window_days": 30},
    "conversion_event": "paid",
    "landing_url": "https://acme.test/welcome?from=friend#top",
}
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"


class ReferralWorld(MailWorld):
    """As `MailWorld`, with `PROGRAM` of which `program` is the id."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, is_test: bool = True, **program: Any) -> None:
        super().__init__(monkeypatch, is_test=is_test)
        self.program = self.made(**program)

    def made(self, **fields: Any) -> str:
        """The id of a new program like PROGRAM."""
        program: str = self.ok(self.client.post("/v1/referrals/programs", PROGRAM | fields))["id"]
        return program

    def link(self, contact_id: str, channel: str = "email", program: str | None = None) -> str:
        """The code of a contact's link."""
        body = {"program_id": program or self.program, "contact_id": contact_id, "channel": channel}
        code: str = self.ok(self.client.post("/v1/referrals/links", body))["code"]
        self.settle()
        return code

    def come(self, user: str, code: str, ip: str | None = None, **traits: Any) -> None:
        """A person comes with a code, and is known by name from then on."""
        context = {"referral_code": code} | ({} if ip is None else {"ip": ip})
        self.receive({"user_id": user, "traits": traits, "context": context}, "identify")
        self.settle()

    def id_of(self, user: str) -> str:
        """The contact of that external id."""
        (row,) = self.get("/v1/contacts", external_id=user)["data"]
        return str(row["id"])

    def convert(self, code: str, contact_id: str, **fields: Any) -> Any:
        """The answer to a conversion that is recorded by hand."""
        body = {"link_code": code, "referred_contact_id": contact_id} | fields
        answer = self.client.post("/v1/referrals/conversions", body)
        self.settle()
        return answer

    def decide(self, conversion_id: str, verb: str) -> Any:
        """The answer to a decision of a conversion."""
        answer = self.client.post(f"/v1/referrals/conversions/{conversion_id}/{verb}")
        self.settle()
        return answer

    def all(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Every row of a list, page after page."""
        rows: list[dict[str, Any]] = []
        while True:
            page = self.get(path, **query)
            rows += page["data"]
            if not page["has_more"]:
                return rows
            query["cursor"] = page["next_cursor"]

    def conversions(self, **query: str) -> list[dict[str, Any]]:
        """All conversions, the oldest first."""
        return self.all("/v1/referrals/conversions", **query)[::-1]

    def rewards(self, **query: str) -> list[dict[str, Any]]:
        """The whole ledger, the oldest first."""
        return self.all("/v1/referrals/rewards", **query)[::-1]

    def board(self, program: str | None = None, **query: str) -> list[dict[str, Any]]:
        """The whole leaderboard."""
        return self.all("/v1/referrals/leaderboard", program_id=program or self.program, **query)

    def stats(self, program: str | None = None) -> dict[str, Any]:
        """The figures of a program."""
        return dict(self.get(f"/v1/referrals/programs/{program or self.program}")["stats"])

    def click(self, code: str, **headers: str) -> Any:
        """The answer to a person who follows a link."""
        return Client().get(f"/r/{code}", headers={"User-Agent": AGENT} | headers)


def merge_of(world: ReferralWorld, stays: str, goes: str) -> None:
    """Merge two contacts, told by their external ids or their own; nobody has heard of it yet."""
    target, source = (each if each.startswith("cntct_") else world.id_of(each) for each in (stays, goes))
    world.ok(world.client.post(f"/v1/contacts/{target}/merge", {"source_contact_id": source}))


def shown_lines(world: ReferralWorld, status: str) -> list[tuple[str, Any]]:
    """Kind and amount of each reward with that status."""
    return sorted((row["kind"], row["amount"]) for row in world.rewards(status=status))


def assert_ledger_adds_up(world: ReferralWorld) -> None:
    """Each conversion that stands has given each side one reward, no other has, and all figures are theirs."""
    rewards, approved = world.rewards(), world.conversions(status="approved")
    given = sorted(
        (row["conversion_id"], row["kind"])
        for row in rewards
        if row["status"] != "void" and row["kind"] != "tier_bonus"
    )
    assert given == sorted((row["id"], kind) for row in approved for kind in ("referee", "referrer"))
    bonuses = [row for row in rewards if row["kind"] == "tier_bonus" and row["status"] != "void"]
    given_once = {(row["contact_id"], row["amount"]) for row in bonuses}
    assert len(given_once) == len(bonuses)
    issued = [row["amount"] for row in rewards if row["status"] == "issued"]
    figures, board = world.stats(), world.board()
    assert (figures["total_rewards_issued"], figures["total_reward_amount"]) == (len(issued), sum(issued))
    assert figures["total_conversions"] == len(approved) == sum(row["conversions"] for row in board)
    assert figures["total_referrals"] == sum(row["referrals"] for row in board)
    links = world.all(f"/v1/referrals/programs/{world.program}/links")
    assert sum(row["conversions"] for row in links) == len(approved)
