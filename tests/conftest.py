"""One AWS mock for each process, an empty table for each test, and the two projects that most tests need."""

from collections.abc import Iterator

import pytest
from moto import mock_aws
from pytest_socket import disable_socket, socket_allow_hosts

from tests.support import aws as support

support.set_environment()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """No test talks to anything but this machine."""
    if item.get_closest_marker("e2e") is None:
        disable_socket(allow_unix_socket=True)
    socket_allow_hosts(["127.0.0.1", "localhost"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def engine() -> Iterator[str]:
    """The mock with table, queues and secret; the table's name."""
    with mock_aws():
        support.forget_clients()
        name = support.create_table()
        support.use(GROWTHOS_TABLE=name, GROWTHOS_SECRET_ARN=support.create_secret(), **support.create_queues())
        yield name
