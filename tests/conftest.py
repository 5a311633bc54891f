"""One AWS mock for each process, an empty table for each test, and the two projects that most tests need."""

from collections.abc import Iterator

import pytest
from moto import mock_aws
from pytest_socket import socket_allow_hosts

from chalicelib.core import clock
from chalicelib.edge import middleware
from chalicelib.edge.auth import keyring
from chalicelib.edge.rate_limit import limiter
from chalicelib.flows import create_project
from chalicelib.flows.create_project import CreatedProject
from chalicelib.flows.segments import define
from tests.support import aws as support
from tests.support import light_mock
from tests.support.client import Client
from tests.support.receiver import Receiver, receiving
from tests.support.survey_world import SurveyWorld

support.set_environment()


def pytest_runtest_setup() -> None:
    """No test talks to anything but this machine."""
    socket_allow_hosts(["127.0.0.1", "localhost"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    """The mock with table, queues and secret; the table's name."""
    light_mock.install()
    with mock_aws():
        support.forget_clients()
        name = support.create_table()
        made = {"GROWTHOS_BUCKET": support.create_bucket(), "GROWTHOS_SECRET_ARN": support.create_secret()}
        support.use(GROWTHOS_TABLE=name, **made, **support.create_queues())
        yield name


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, a request has the time for what it does, and a segment for being built in it."""
    monkeypatch.setattr(middleware, "_DEADLINE", 120.0)
    monkeypatch.setattr(define, "_PATIENCE_S", 60.0)


@pytest.fixture
def table(engine: str) -> str:
    """An empty table, empty queues, and nothing remembered from the test before; the table's name."""
    support.clear_table(engine)
    support.clear_queues()
    keyring.forget()
    limiter.forget()
    return engine


@pytest.fixture
def project(table: str) -> CreatedProject:
    """A live project on plan scale."""
    return create_project.run("Acme", "live", "scale", now=clock.system_ms())


@pytest.fixture
def other_project(table: str) -> CreatedProject:
    """Another one, whose rows nobody else may see."""
    return create_project.run("Globex", "live", "scale", now=clock.system_ms())


@pytest.fixture
def test_project(table: str) -> CreatedProject:
    """A test project on plan scale; its clock stands."""
    return create_project.run("Acme test", "test", "scale", now=clock.system_ms())


@pytest.fixture
def client(project: CreatedProject) -> Client:
    """Calls with the secret key of `project`, which has every scope."""
    return Client(project.secret_key)


@pytest.fixture
def receiver(engine: str) -> Iterator[Receiver]:
    """A receiver of webhooks, which may stand on this machine."""
    with support.private_webhooks(), receiving() as started:
        yield started


@pytest.fixture
def other_client(other_project: CreatedProject) -> Client:
    """Calls with the secret key of `other_project`."""
    return Client(other_project.secret_key)


@pytest.fixture
def surveying(engine: str, monkeypatch: pytest.MonkeyPatch) -> SurveyWorld:
    """A test project with surveys."""
    return SurveyWorld(monkeypatch, is_test=True)


@pytest.fixture
def live_surveys(engine: str, monkeypatch: pytest.MonkeyPatch) -> SurveyWorld:
    """A live project with surveys."""
    return SurveyWorld(monkeypatch, is_test=False)
