"""A project with its API and all workers on a table in memory, for tests that need many webhooks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from chalicelib.core import clock
from chalicelib.edge.auth import keyring
from chalicelib.edge.rate_limit import limiter
from chalicelib.features.projects import service as projects
from chalicelib.flows import advance_clock, create_project
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.client import Client
from tests.support.memory_world import World


class HookWorld(World):
    """`client` calls with the secret key of a live or of a test project, as often as it likes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, is_test: bool) -> None:
        super().__init__(monkeypatch)
        self.patch = monkeypatch
        self.receives = pipeline.RECEIVES
        keyring.forget()
        monkeypatch.setattr(limiter, "admit", lambda *_: {})
        monkeypatch.setattr(advance_clock, "_LOOKS", 1)
        monkeypatch.setattr(advance_clock, "_PAUSE_S", 0.0)
        made = create_project.run("Acme", "test" if is_test else "live", "scale", now=clock.system_ms())
        self.tenant = Tenant(made.project_id)
        self.client = Client(made.secret_key)
        self.write_key = made.write_key
        self.settle()

    def deliver(self, handle: pipeline.Handler, event: dict[str, Any], time_left: int = pipeline.MINUTE) -> None:
        """Hand something over to a worker; one that dies, or fails, is given it again."""
        for _ in range(self.receives):
            with suppress(pipeline.Killed):
                if handle(event, pipeline.Context(time_left)) == {"batchItemFailures": []}:
                    return
        raise AssertionError(f"given up: {event}")

    @property
    def now(self) -> int:
        """Where the clock of the test project stands, in ms."""
        return projects.now(self.tenant)

    def advance(self, by: int) -> None:
        """Move the clock of the test project, in ms, with all workers at work until it has arrived."""
        target = self.ask_to_advance(by)
        self.settle()
        assert (projects.test_clock(self.tenant).now, projects.test_clock(self.tenant).status) == (target, "ready")

    def ask_to_advance(self, by: int) -> int:
        """Ask the clock to move, in ms; it stands as long as no worker works. Returns where it goes."""
        target = self.now + by
        pipeline.ask_to_advance(self.tenant, target)
        return target

    def happen(self, *names: str) -> None:
        """Make contacts of these external ids, and let all act that this causes."""
        for name in names or ("u1",):
            answer = self.client.post("/v1/contacts", {"external_id": name})
            assert answer.status == 201, answer.text
        self.settle()

    @contextmanager
    def halted_at(self, number: int, meanwhile: Callable[[], object], *, after: bool) -> Iterator[list[str]]:
        """`meanwhile` is done once, before or `after` the call of that number.

        What is yielded has the name of the call, or nothing where there were fewer calls.
        """
        halted: list[str] = []
        calls = iter(range(10_000))

        def halt(name: str) -> None:
            if not halted and next(calls) == number:
                halted.append(name)
                self.table.on_call = self.table.after_call = lambda _name: None
                meanwhile()

        if after:
            self.table.after_call = halt
        else:
            self.table.on_call = halt
        try:
            yield halted
        finally:
            self.table.on_call = self.table.after_call = lambda _name: None

    @contextmanager
    def dying_at(self, number: int, *, after: bool, first: Callable[[], object] = lambda: None) -> Iterator[list[str]]:
        """As `halted_at`; the worker dies there, after `first` was done."""

        def die() -> None:
            first()
            raise pipeline.Killed

        with self.halted_at(number, die, after=after) as died:
            yield died
