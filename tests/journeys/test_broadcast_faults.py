"""Broadcasts to many while workers die and messages come again: nobody gets two, and nothing is lost unseen."""

import random
from collections import Counter

import pytest

from chalicelib.workers import jobs
from tests.support import pipeline
from tests.support.mail_world import MailWorld


class Chaos:
    """A broadcast to many, in which whoever works dies now and then, and what was done comes again."""

    def __init__(self, world: MailWorld, count: int, seed: int) -> None:
        self.world, self.count = world, count
        self.chance = random.Random(seed)
        self.killed: Counter[str] = Counter()
        self.in_doubt: set[str] = set()
        self.lost: set[str] = set()
        self.seen: list[str] = []
        self.pages = 0
        self.address = {world.contact(f"c{n:04d}"): f"c{n:04d}@example.com" for n in range(count)}
        self.campaign = self._drafted(world.segment())

    def _drafted(self, segment: str) -> str:
        body = {
            "name": "News",
            "type": "broadcast",
            "segment_id": segment,
            "steps": [{"template_id": self.world.template()}],
        }
        made: str = self.world.ok(self.world.client.post("/v1/campaigns", body))["id"]
        return made

    def _comes_again(self, handle: pipeline.Handler) -> bool:
        """A page that comes again walks on beside itself to the end: some do, not a fifth of hundreds."""
        if handle is jobs.handle:
            self.pages += 1
            return self.pages in (1, 2, 5)
        return self.chance.random() < 0.2

    def _queued(self, bodies: list[str]) -> list[str]:
        """The queue's messages in any order, with some that came before."""
        again = self.chance.sample(self.seen, min(len(self.seen), len(bodies) // 10))
        self.seen += bodies
        mixed = [*bodies, *again]
        self.chance.shuffle(mixed)
        return mixed

    def _die(self, name: str, share: float) -> None:
        """Die now and then; who was being sent a mail just then is noted, and whether it had left."""
        if self.chance.random() < share:
            self.killed[name] += 1
            sending = {row["to"] for row in self.world.table.rows.values() if row.get("status") == "sending"}
            self.in_doubt |= sending
            self.lost |= sending - {posted.to for posted in self.world.office.taken}
            raise pipeline.Killed

    def begin(self) -> None:
        """Activate it, and let it be dangerous from then on."""
        self.ask("activate")
        self.world.receives = 100_000
        # A walk of thousands of calls would never live to its end: each page is handed on as the next message.
        self.world.jobs_time = 0
        self.world.redelivering = self._comes_again
        self.world.queued = self._queued
        self.world.table.on_call = self.world.table.after_call = lambda name: self._die(name, 0.02)
        self.world.office.before = self.world.office.after = lambda _call: self._die("mail service", 0.05)

    def ask(self, verb: str) -> None:
        """Activate or pause it; whoever asks does not die."""
        before = self.world.table.on_call, self.world.table.after_call
        self.world.table.on_call = self.world.table.after_call = lambda _: None
        self.world.ok(self.world.client.post(f"/v1/campaigns/{self.campaign}/{verb}", {}))
        self.world.table.on_call, self.world.table.after_call = before

    def end(self) -> None:
        """Let all be done, and look at what came of it."""
        self.world.settle()
        self.world.table.on_call = self.world.table.after_call = lambda _: None
        self.world.office.before = self.world.office.after = lambda _: None
        self.world.redelivering = lambda _handle: False
        self.world.queued = lambda bodies: bodies
        self._has_all()
        for posted in self.world.office.taken:
            self.world.tell(posted, "Delivery", settled=False)
        self.world.settle()
        figures = self.world.stats(self.campaign)
        assert figures["delivered"] == figures["sent"] == self.count - len(self.lost)
        assert figures.get("unconfirmed", 0) == len(self.lost)
        assert self.world.get(f"/v1/campaigns/{self.campaign}")["status"] == "completed"

    def _has_all(self) -> None:
        """Nobody has two, and all have one but those whose worker died between the claim and the mail service.

        Nobody can tell these from the ones whose worker died after the mail had left: both are shown as in doubt.
        """
        assert self.killed["mail service"] > 0
        assert self.killed["transact"] > 0
        assert 0 < len(self.lost) < len(self.in_doubt) < self.count
        got = Counter(posted.to for posted in self.world.office.taken)
        everybody = set(self.address.values())
        assert set(got.values()) == {1}
        assert got.keys() == everybody - self.lost
        shown = [(self.address[row["contact_id"]], row["status"]) for row in self.world.messages(self.campaign)]
        assert sorted(shown) == sorted((each, "unconfirmed" if each in self.in_doubt else "sent") for each in everybody)


@pytest.mark.parametrize("seed", range(4))
def test_a_broadcast_with_workers_killed_at_random_and_messages_redelivered_sends_nobody_two(
    live_mail: MailWorld, seed: int
) -> None:
    chaos = Chaos(live_mail, 60, seed)
    chaos.begin()
    chaos.end()


def _paused_in_the_middle(world: MailWorld, count: int) -> None:
    chaos = Chaos(world, count, 7)
    chaos.begin()
    while len(world.office.taken) < count // 3:
        waiting, world.mails = world.mails, []
        world.mails = waiting[: count // 10]
        world.run_mails()
        world.mails += waiting[count // 10 :]
        if not waiting:
            assert world.run_bus() or world.run_jobs()
    chaos.ask("pause")
    before = len(world.office.taken)
    world.settle()
    assert len(world.office.taken) == before < count
    chaos.ask("activate")
    chaos.end()


def test_paused_in_the_middle_nothing_leaves_any_more_and_resumed_the_rest_does(live_mail: MailWorld) -> None:
    _paused_in_the_middle(live_mail, 90)


@pytest.mark.prove
@pytest.mark.timeout(1_800)
def test_so_it_is_with_a_broadcast_to_5000(live_mail: MailWorld) -> None:
    _paused_in_the_middle(live_mail, 5_000)
