"""One packaged artifact for all tests of a run, also where several processes run them.

`xdist_group` keeps those that need it on one worker, so that no other waits for it to be built.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.artifact import Artifact
from infra.package import PROJECT, package
from tests.infra.engine import Engine

DEPLOYED_PYTHON = (PROJECT / ".python-version").read_text(encoding="utf-8").strip()


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """What `make package STAGE=dev` builds; packaged by the first process that wants it."""
    if ".".join(map(str, sys.version_info[:2])) != DEPLOYED_PYTHON:
        pytest.skip(f"the artifact is built with Python {DEPLOYED_PYTHON} only")
    base = tmp_path_factory.getbasetemp()
    out = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "artifact"
    out.mkdir(exist_ok=True)
    built = Artifact(template=out / "sam.json", bundle=out / "deployment.zip")
    with (out / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / "done").exists():
            package("dev", out)
            (out / "done").touch()
    return built


@pytest.fixture(scope="session")
def packaged(artifact: Artifact) -> dict[str, Any]:
    """The packaged template."""
    return artifact.read_template()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An empty engine of this module's own, which enforces the policies of the functions' roles."""
    folder: Path = tmp_path_factory.mktemp("engine")
    running = Engine.start(folder)
    yield running
    running.stop()
