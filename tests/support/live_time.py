"""The real time of a test: it moves here only, from one thing that happens to the next."""

import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Timer
from chalicelib.platform import table
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant, contact_of
from chalicelib.platform.table import ConditionFailed, Put, attr
from chalicelib.workers import timers as worker
from tests.support import aws as support
from tests.support import pipeline
from tests.support.pipeline import Killed

START = 1_770_000_000_000
KIND = "note"
_HIDDEN = 180 * clock.SECOND
_BATCH = 10


@dataclass(slots=True)
class _Message:
    body: str
    visible_at: int
    receives: int = 0


@dataclass(slots=True)
class LiveTime:
    """The moment, the messages in the timers' queue, and what fired when.

    `lose` says of a message's body whether the queue loses it.
    """

    now: int = START
    lose: Callable[[str], bool] = lambda _body: False
    acted: list[tuple[str, int]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    queued: int = 0
    given_up: list[str] = field(default_factory=list)
    _messages: list[_Message] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.now += max(1, round(seconds * clock.SECOND))

    def note(self, tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
        """The flow of the timers here: acts once for each name and moment, and clears the timer."""
        self.calls.append(timer.name)
        once = Put(tenant.counted(contact_of(owner_pk) or "", f"{timer.name} {timer.moment}"), {}, _NEW)
        try:
            table.transact([once, *timers.clear_ops(tenant, owner_pk, timer.name, before=timer.moment)])
        except ConditionFailed:
            return
        self.acted.append((timer.name, now))

    def settle(self) -> None:
        """The bus works through the stream, again where it dies; what it sends is then on the queue."""
        records = pipeline.fresh_records()
        try:
            pipeline.run_bus(records)
        except Killed:
            pipeline.run_bus(records)
        self._collect()

    def run(self, until: int, minutes: Iterable[int]) -> None:
        """Let time go by, with the schedule running at those moments, the bus and the timers' worker all the time."""
        runs = sorted(minutes)
        self.settle()
        while True:
            moments = [*runs[:1], *(message.visible_at for message in self._messages)]
            if not moments or min(moments) > until:
                self.now = max(self.now, until)
                return
            self.now = max(self.now, min(moments))
            if runs and runs[0] <= self.now:
                runs.pop(0)
                self._minute()
            self._deliver()
            self.settle()

    def _minute(self) -> None:
        with suppress(Killed):  # the schedule does not repeat a run
            pipeline.run_minute()
        self._collect()

    def _collect(self) -> None:
        for sent in support.take(settings().timers_queue_url):
            self.queued += 1
            if not self.lose(sent.body):
                self._messages.append(_Message(sent.body, self.now + sent.delay_s * clock.SECOND))

    def _deliver(self) -> None:
        batch = [message for message in self._messages if message.visible_at <= self.now][:_BATCH]
        records = [{"messageId": uuid.uuid4().hex, "body": message.body} for message in batch]
        for message in batch:
            message.receives += 1
            message.visible_at = self.now + _HIDDEN
        if not batch:
            return
        try:
            answer: Any = worker.handle({"Records": records}, pipeline.Context())
        except Killed:
            failed = {record["messageId"] for record in records}
        else:
            failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for message, record in zip(batch, records, strict=True):
            if record["messageId"] not in failed:
                self._messages.remove(message)
            elif message.receives == pipeline.RECEIVES:
                self._messages.remove(message)
                self.given_up.append(message.body)


_NEW = attr("PK").not_exists()


def live_time(monkeypatch: pytest.MonkeyPatch) -> LiveTime:
    """Time that stands at START, with a kind of timer that notes when it fires."""
    time = LiveTime()
    monkeypatch.setattr(clock, "system_ms", lambda: time.now)
    monkeypatch.setattr(clock, "sleep", time.sleep)
    monkeypatch.setitem(worker.TIMER_FLOWS, KIND, time.note)
    return time
