"""Mails of a live project: in no second more than the account may send, nor than the campaign does."""

from collections import Counter
from dataclasses import dataclass

import pytest

from chalicelib.core import clock
from chalicelib.features.campaigns import service as campaigns
from tests.support.mail_world import MailWorld

COUNT = 12


@dataclass(slots=True)
class Sent:
    """How many mails were taken in each second of the clock, and to whom."""

    by_second: Counter[int]
    to: Counter[str]


@dataclass(slots=True)
class RealTime:
    """The clock of a live project: it moves where a worker sleeps, and from one timer to the next."""

    now: int

    def sleep(self, seconds: float) -> None:
        self.now += max(1, round(seconds * clock.SECOND))


def _noted(world: MailWorld, time: RealTime) -> Sent:
    """What is sent from now on."""
    sent = Sent(Counter(), Counter())

    def note(call: dict[str, list[str]]) -> None:
        sent.by_second[time.now // clock.SECOND] += 1
        sent.to.update(call["Destinations"])

    world.office.after = note
    return sent


def _play(world: MailWorld, time: RealTime) -> None:
    """Let all happen that is due, timer by timer."""
    world.settle()
    while due := world.due_timers(campaigns.STEP):
        time.now = max(time.now, due[0])
        world.fire(campaigns.STEP, until=time.now)
        world.settle()


@pytest.fixture
def time(live_mail: MailWorld, monkeypatch: pytest.MonkeyPatch) -> RealTime:
    """The clock of the live project, from now on."""
    for n in range(COUNT):
        live_mail.contact(f"c{n}")
    moved = RealTime(clock.system_ms())
    monkeypatch.setattr(clock, "system_ms", lambda: moved.now)
    monkeypatch.setattr(clock, "sleep", moved.sleep)
    return moved


@pytest.mark.parametrize("rate", [None, 1, 2, 50])
def test_a_broadcast_keeps_to_the_accounts_rate_whatever_its_own(
    live_mail: MailWorld, time: RealTime, rate: int | None
) -> None:
    live_mail.office.rate = 2.0
    segment, sent = live_mail.segment(), _noted(live_mail, time)
    campaign = live_mail.broadcast(segment, **({} if rate is None else {"rate_per_second": rate}))
    _play(live_mail, time)
    assert sent.to == Counter(f"c{n}@example.com" for n in range(COUNT))
    assert max(sent.by_second.values()) <= min(2, rate or 2)
    assert live_mail.get(f"/v1/campaigns/{campaign}")["status"] == "completed"


@pytest.mark.parametrize("rate", [None, 3])
def test_a_sequence_keeps_to_the_accounts_rate_whatever_its_own(
    live_mail: MailWorld, time: RealTime, rate: int | None
) -> None:
    live_mail.office.rate = 2.0
    sent = _noted(live_mail, time)
    live_mail.lifecycle(**({} if rate is None else {"rate_per_second": rate}))
    for n in range(COUNT):
        live_mail.receive({"user_id": f"c{n}", "event": "signed_up"}, "track")
    _play(live_mail, time)
    assert sent.to == Counter(f"c{n}@example.com" for n in range(COUNT))
    assert max(sent.by_second.values()) <= 2
