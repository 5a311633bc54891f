"""One local stack for all end-to-end tests of a run; `xdist_group` keeps them on one worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.mail_catcher import Catcher, catching
from tests.support.stack import Stack, running


@pytest.fixture(scope="session")
def _mail_side() -> Iterator[tuple[Catcher, str]]:
    with catching() as listening:
        yield listening


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, _mail_side: tuple[Catcher, str]) -> Iterator[Stack]:
    """A running stack with its first two projects."""
    with running(tmp_path_factory.mktemp("stack") / "home", {"SMTP_HOST": _mail_side[1]}) as started:
        yield started


@pytest.fixture
def catcher(_mail_side: tuple[Catcher, str]) -> Catcher:
    """What the stack's mail service has handed on."""
    return _mail_side[0]
