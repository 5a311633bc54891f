"""One local stack for all end-to-end tests of a run; `xdist_group` keeps them on one worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.stack import Stack, running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack with its first two projects."""
    with running(tmp_path_factory.mktemp("stack") / "home") as started:
        yield started
