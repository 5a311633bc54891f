"""Tenants without keys: journeys start behind the door."""

from collections.abc import Callable

import pytest

from chalicelib.platform.keys import Tenant
from tests.support import aws


@pytest.fixture
def tenant(table: str) -> Tenant:
    return Tenant("proj_one")


@pytest.fixture
def other_tenant(table: str) -> Tenant:
    return Tenant("proj_two")


@pytest.fixture
def fresh_table(table: str) -> Callable[[], None]:
    """Empties the table again within a test."""
    return lambda: aws.clear_table(table)
