"""The workers on a table in memory, step by step: for tests that need thousands of runs."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from chalicelib.platform import queues
from chalicelib.platform.config import settings
from chalicelib.platform.queues import Delayed, Outgoing
from chalicelib.workers import bus, jobs, mails
from chalicelib.workers import webhooks as worker
from tests.support import pipeline
from tests.support.memory_table import MemoryTable


class World:
    """Bus and jobs behind the worker; nothing runs until it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.table = MemoryTable()
        self.table.install(monkeypatch)
        self.jobs: list[str] = []
        self.jobs_time = pipeline.MINUTE
        self.webhooks: list[tuple[str, str]] = []
        self._told = 0
        self.hears: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda records: records
        self.mails: list[str] = []
        monkeypatch.setattr(queues, "send", self._send)
        monkeypatch.setattr(queues, "send_delayed", self._send_delayed)
        monkeypatch.setattr(queues, "send_fifo", self._send_webhooks)

    def _send_webhooks(self, url: str, messages: Sequence[Outgoing]) -> list[bool]:
        self.webhooks += [(url, message.body) for message in messages]
        return [True] * len(messages)

    def _send_delayed(self, url: str, messages: Sequence[Delayed]) -> list[bool]:
        if url == settings().mails_queue_url:
            self.mails += [message.body for message in messages]
        return [True] * len(messages)

    def _send(self, _url: str, body: str, **_delay: int) -> None:
        self.jobs.append(body)

    def run_bus(self, until: int | None = None) -> bool:
        """Let the bus work on what was written since, up to a number of records; False where there was nothing."""
        end = len(self.table.records) if until is None else until
        records, self._told = self.table.records[self._told : end], end
        self.deliver(bus.handle, {"Records": self.hears(records)})
        return bool(records)

    @property
    def done(self) -> int:
        """How many records the bus has worked on."""
        return self._told

    def run_jobs(self) -> bool:
        """Run the pages that are queued; False where there were none."""
        bodies, self.jobs = self.jobs, []
        for body in bodies:
            self.deliver(jobs.handle, {"Records": [{"messageId": "m", "body": body}]}, self.jobs_time)
        return bool(bodies)

    def deliver(self, handle: pipeline.Handler, event: dict[str, Any], time_left: int = pipeline.MINUTE) -> None:
        """Hand something over to a worker, which does all of it."""
        assert handle(event, pipeline.Context(time_left)) == {"batchItemFailures": []}

    def run_webhooks(self) -> bool:
        """Make the attempts that are queued; False where there were none."""
        messages, self.webhooks = self.webhooks, []
        for _, body in messages:
            self.deliver(worker.handle, {"Records": [{"messageId": "m", "body": body}]})
        return bool(messages)

    def run_mails(self) -> bool:
        """Do what is due for the runs that are queued; False where there were none."""
        bodies, self.mails = self.mails, []
        for body in bodies:
            self.deliver(mails.handle, {"Records": [{"messageId": "m", "body": body}]})
        return bool(bodies)

    def settle(self) -> None:
        """Run bus, webhooks, mails and jobs until nothing is left to do."""
        while self.run_bus() or self.run_webhooks() or self.run_mails() or self.run_jobs():
            pass

    def mark(self) -> tuple[int, list[str]]:
        """What is done by now, for `redeliver`."""
        return self._told, list(self.jobs)

    def redeliver(self, told: int, waiting: list[str]) -> None:
        """A worker has died: what was handed over since a mark comes again."""
        self._told = told
        self.jobs = [*waiting, *self.jobs]

    def active(self) -> list[str]:
        """Ids of the contacts that are neither merged nor deleted."""
        return [row["id"] for row in self.table.rows.values() if row["SK"] == "CONTACT" and row["status"] == "active"]
