"""A sequence with everything that may happen to it, against a model that knows nothing of the product."""

import random
from collections import Counter

import pytest

from chalicelib.core import clock
from tests.support.campaign_oracle import Oracle, Person, Step
from tests.support.mail_world import MailWorld

DAY = clock.DAY
FIRST: list[Step] = [("a", 0), ("b", 2 * DAY), ("c", 5 * DAY)]
CHANGES: list[list[Step]] = [
    FIRST,
    [("a", 0), ("b", 4 * DAY), ("c", 5 * DAY)],
    [("a", 0), ("b", DAY), ("c", DAY)],
    [("a", 0), ("b", 2 * DAY), ("new", DAY), ("c", 5 * DAY)],
    [("a", 0), ("c", 3 * DAY)],
    [("b", DAY), ("a", 0), ("c", 5 * DAY)],
]
WHAT = ("sign", "sign", "sign", "pay", "leave", "come back", "delete", "merge", "change", "pause", "resume", "pass")
WEIGHTS = (6, 6, 6, 3, 2, 2, 1, 2, 1, 1, 2, 10)


class Play:
    """One history, told to both the product and the model."""

    def __init__(self, world: MailWorld, people: int, *, reentry: bool) -> None:
        self.world = world
        self.template = world.template()
        steps = self._steps(FIRST)
        self.campaign = world.lifecycle(*steps, reentry=reentry, exit_on=["paid"])
        self.model = Oracle(world.now, FIRST, reentry)
        self.ids: dict[str, str] = {}
        for n in range(people):
            name = f"c{n:03d}"
            address = f"bounce+{n}@simulator.amazonses.com" if n % 7 == 6 else f"{name}@example.com"
            self.ids[name] = world.contact(name, email=address)
            self.model.people[name] = Person(address)
        world.settle()

    def _steps(self, steps: list[Step]) -> list[dict[str, str]]:
        return [
            {"id": step_id, "subject": step_id, "delay": f"{delay // clock.HOUR}h", "template_id": self.template}
            for step_id, delay in steps
        ]

    def signs_up(self, name: str) -> None:
        self.world.track(name, "signed_up")
        self.model.signs_up(name)

    def pays(self, name: str) -> None:
        self.world.track(name, "paid")
        self.model.pays(name)

    def unsubscribes(self, name: str, *, yes: bool) -> None:
        answer = self.world.client.patch(f"/v1/contacts/{self.ids[name]}", {"unsubscribed": yes})
        assert answer.status in (200, 404)
        self.world.settle()
        if answer.status == 200:
            self.model.unsubscribes(name, yes=yes)

    def is_deleted(self, name: str) -> None:
        answer = self.world.client.delete(f"/v1/contacts/{self.ids[name]}")
        assert answer.status in (200, 404)
        self.world.settle()
        if answer.status == 200:
            self.model.is_deleted(name)

    def merges(self, target: str, source: str) -> None:
        body = {"source_contact_id": self.ids[source]}
        answer = self.world.client.post(f"/v1/contacts/{self.ids[target]}/merge", body)
        assert answer.status in (200, 404, 422)
        self.world.settle()
        if answer.status == 200:
            self.model.merges(target, source)

    def changes(self, steps: list[Step]) -> None:
        body = {"steps": self._steps(steps)}
        self.world.ok(self.world.client.patch(f"/v1/campaigns/{self.campaign}", body))
        self.world.settle()
        self.model.changes(steps)

    def pauses(self) -> None:
        if self.model.active:
            self.world.move(self.campaign, "pause")
            self.model.pauses()

    def resumes(self) -> None:
        if not self.model.active:
            self.world.move(self.campaign, "activate")
            self.model.resumes()

    def passes(self, time: int) -> None:
        self.world.advance(time)
        self.model.passes(time)

    def act(self, chance: random.Random) -> None:
        (what,) = chance.choices(WHAT, WEIGHTS)
        names = sorted(self.ids)
        running = [name for name in names if self.model.is_running(name)]
        # What happens to those who are on their way says more than what happens to anybody.
        on_the_way = what != "sign" and running and chance.random() < 0.7
        name, other = chance.choice(running if on_the_way else names), chance.choice(names)
        # Who is gone may come back as somebody else by doing something: that is not what this is about.
        if what in ("sign", "pay") and not self.model.is_someone(name):
            return
        if what == "sign":
            self.signs_up(name)
        elif what == "pay":
            self.pays(name)
        elif what in ("leave", "come back"):
            self.unsubscribes(name, yes=what == "leave")
        elif what == "delete":
            self.is_deleted(name)
        elif what == "merge":
            self.merges(name, other)
        elif what == "change":
            self.changes(chance.choice(CHANGES))
        elif what == "pause":
            self.pauses()
        elif what == "resume":
            self.resumes()
        else:
            self.passes(chance.choice([clock.HOUR, DAY, DAY + 1, 2 * DAY, 3 * DAY]))

    def agrees(self) -> None:
        """By the mailbox and by the figures: what was sent to those who were purged since is in no list any more."""
        mails = [(mail["to"], mail["subject"], clock.parse_instant(mail["sent_at"])) for mail in self.world.mailbox()]
        assert Counter(mails) == Counter(self.model.mails)
        answer = self.world.get(f"/v1/campaigns/{self.campaign}/stats")
        skipped = {
            (step["step_id"], reason): count
            for step in answer["steps"]
            for reason, count in step["stats"]["skipped"].items()
        }
        assert skipped == dict(self.model.skipped)
        sent = Counter({step["step_id"]: step["stats"]["sent"] for step in answer["steps"]})
        assert +sent == Counter(step for _, step, _ in self.model.mails)
        assert answer["stats"]["sent"] == len(self.model.mails) > 0


@pytest.mark.parametrize("seed", range(12))
def test_each_mail_comes_at_its_moment_none_twice_and_none_is_missing(test_mail: MailWorld, seed: int) -> None:
    chance = random.Random(seed)
    play = Play(test_mail, 9, reentry=seed % 2 == 1)
    for _ in range(50):
        play.act(chance)
    play.resumes()
    play.passes(60 * DAY)
    play.agrees()


@pytest.mark.parametrize("seed", range(20, 28))
def test_the_simulation_is_what_then_happens_mail_for_mail_and_second_for_second(
    test_mail: MailWorld, seed: int
) -> None:
    chance = random.Random(seed)
    if seed % 3 == 0:
        hours = {"quiet_hours": {"start": "21:00", "end": "07:30"}, "timezone": "Australia/Lord_Howe"}
        test_mail.ok(test_mail.client.patch("/v1/settings", hours))
    play = Play(test_mail, 9, reentry=False)
    if seed % 2:
        test_mail.ok(test_mail.client.patch(f"/v1/campaigns/{play.campaign}", {"rate_per_second": 1}))
    for _ in range(30):
        play.act(chance)
    play.resumes()
    joins(test_mail, "bounces", "bounce@simulator.amazonses.com")
    # It has bounced by then: no simulation foresees what becomes of a mail.
    test_mail.advance(DAY + 11 * clock.HOUR)
    joins(test_mail, "late", "late@example.com")
    joins(test_mail, "nowhere", None)
    before = {mail["id"] for mail in test_mail.mailbox()}
    skips = _skips(test_mail, play.campaign)
    answer = test_mail.ok(test_mail.client.post(f"/v1/campaigns/{play.campaign}/simulate", {"until": "20d"}))
    test_mail.advance(20 * DAY)
    after = [mail for mail in test_mail.mailbox() if mail["id"] not in before]
    assert after
    assert Counter((mail["contact_id"], mail["step_index"], mail["sent_at"]) for mail in after) == Counter(
        (mail["contact_id"], mail["step_index"], mail["at"]) for mail in answer["mails"]
    )
    assert Counter(_skips(test_mail, play.campaign)) - Counter(skips) == Counter(
        (each["contact_id"], each["step_id"], each["reason"]) for each in answer["skipped"]
    )
    assert {"bounced", "no_email"} <= {each["reason"] for each in answer["skipped"]}


def joins(world: MailWorld, name: str, address: str | None) -> None:
    world.contact(name, email=address)
    world.track(name, "signed_up")


def _skips(world: MailWorld, campaign: str) -> list[tuple[str, str, str]]:
    rows = world.messages(campaign)
    return [(row["contact_id"], row["step_id"], row["reason"]) for row in rows if row["status"] == "skipped"]


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(100, 104))
def test_so_it_is_with_200_contacts(test_mail: MailWorld, seed: int) -> None:
    chance = random.Random(seed)
    play = Play(test_mail, 200, reentry=seed % 2 == 1)
    for _ in range(2_000):
        play.act(chance)
    play.resumes()
    play.passes(60 * DAY)
    play.agrees()
    # That they agree says something only where everything happened.
    reasons = {reason for _, reason in play.model.skipped}
    assert reasons == {"unsubscribed", "bounced", "deleted", "exited"}
    assert any(person.merged_into for person in play.model.people.values())
    assert {step for _, step, _ in play.model.mails} >= {"a", "b", "c"}
