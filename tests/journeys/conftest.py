"""Tenants without keys: journeys start behind the door."""

from collections.abc import Callable, Iterator

import pytest

from chalicelib.flows import advance_clock
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform.keys import Tenant
from tests.support import aws, pipeline
from tests.support.hook_world import HookWorld
from tests.support.lake_state import World, made_world
from tests.support.mail_world import MailWorld
from tests.support.referral_world import ReferralWorld
from tests.support.wait_world import WaitWorld


@pytest.fixture
def tenant(table: str) -> Tenant:
    return Tenant("proj_one")


@pytest.fixture
def other_tenant(table: str) -> Tenant:
    return Tenant("proj_two")


@pytest.fixture
def test_tenant(test_project: CreatedProject) -> Tenant:
    """A test project with nothing in flight."""
    pipeline.run_bus()
    return Tenant(test_project.project_id)


@pytest.fixture
def fresh_table(table: str) -> Callable[[], None]:
    """Empties the table again within a test."""
    return lambda: aws.clear_table(table)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner of the clock does not wait for workers that run in this very process, after it."""
    monkeypatch.setattr(advance_clock, "_LOOKS", 1)
    monkeypatch.setattr(advance_clock, "_PAUSE_S", 0.0)


@pytest.fixture
def live_world(engine: str, monkeypatch: pytest.MonkeyPatch) -> HookWorld:
    """A live project on a table in memory."""
    return HookWorld(monkeypatch, is_test=False)


@pytest.fixture
def live_mail(engine: str, monkeypatch: pytest.MonkeyPatch) -> MailWorld:
    """A live project that can send campaigns."""
    return MailWorld(monkeypatch, is_test=False)


@pytest.fixture
def test_mail(engine: str, monkeypatch: pytest.MonkeyPatch) -> MailWorld:
    """A test project that can send campaigns."""
    return MailWorld(monkeypatch, is_test=True)


@pytest.fixture
def test_world(engine: str, monkeypatch: pytest.MonkeyPatch) -> HookWorld:
    """A test project on a table in memory."""
    return HookWorld(monkeypatch, is_test=True)


@pytest.fixture
def referring(engine: str, monkeypatch: pytest.MonkeyPatch) -> ReferralWorld:
    """A test project with a referral program."""
    return ReferralWorld(monkeypatch)


@pytest.fixture
def live_wait(engine: str, monkeypatch: pytest.MonkeyPatch) -> WaitWorld:
    """A live project with waitlists."""
    return WaitWorld(monkeypatch, is_test=False)


@pytest.fixture
def test_wait(engine: str, monkeypatch: pytest.MonkeyPatch) -> WaitWorld:
    """A test project with waitlists."""
    return WaitWorld(monkeypatch, is_test=True)


@pytest.fixture
def made(engine: str) -> Iterator[World]:
    """Two projects with known answers, of which nothing is projected yet."""
    with made_world() as world:
        yield world
