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
        self.pages = 0
        for n in range(count):
            world.contact(f"c{n:04d}")
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

    def _die(self, name: str, share: float) -> None:
        if self.chance.random() < share:
            self.killed[name] += 1
            raise pipeline.Killed

    def begin(self) -> None:
        """Activate it, and let it be dangerous from then on."""
        self.ask("activate")
        self.world.receives = 100_000
        # A walk of thousands of calls would never live to its end: each page is handed on as the next message.
        self.world.jobs_time = 0
        self.world.redelivering = self._comes_again
        self.world.table.on_call = self.world.table.after_call = lambda name: self._die(name, 0.02)
        self.world.office.before = self.world.office.after = lambda _call: self._die("ses", 0.05)

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
        got = Counter(posted.to for posted in self.world.office.taken)
        assert self.killed
        assert max(got.values()) == 1
        rows = Counter(row["status"] for row in self.world.messages(self.campaign))
        assert sum(rows.values()) == self.count
        assert rows.keys() <= {"sent", "unconfirmed"}
        # Who has none was killed between the claim and the mail service, which nobody can tell from a mail that left.
        assert rows["unconfirmed"] >= self.count - len(got)
        for posted in self.world.office.taken:
            self.world.tell(posted, "Delivery", settled=False)
        self.world.settle()
        figures = self.world.stats(self.campaign)
        assert figures["delivered"] == figures["sent"] == len(got)
        assert figures.get("unconfirmed", 0) == self.count - len(got)
        assert self.world.get(f"/v1/campaigns/{self.campaign}")["status"] == "completed"


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
