"""`make create-project`: what it is given, and what it says of what can't be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local import __main__ as commands
from infra.local import resources
from infra.local.home import Home
from infra.local.resources import Stack

ROOT = Path(__file__).resolve().parents[2]
PRINTS_ITS_ARGUMENTS = f"""#!{sys.executable}
import json, sys
print(json.dumps(sys.argv[1:]))
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """In place of the environment's programs: a `python` that prints what it is given."""
    stand_in = tmp_path / "bin" / "python"
    stand_in.parent.mkdir()
    stand_in.write_text(PRINTS_ITS_ARGUMENTS)
    stand_in.chmod(0o755)
    return stand_in.parent


@pytest.mark.parametrize(
    "name",
    [
        'Ann "and" Co',
        "$(touch ran) `touch ran` $HOME",
        "a'b; touch ran",
        "$(shell touch ran)",
        "--mode=test",
        "-n",
        "100 % $$ done \\",
    ],
)
def test_a_name_is_passed_on_as_it_was_given_and_runs_nothing(programs: Path, name: str) -> None:
    installed = ".venv/.installed-local"
    done = subprocess.run(
        ["make", "-s", "-C", str(ROOT), "-o", installed, "create-project", f"BIN={programs}", f"NAME={name}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert json.loads(done.stdout)[-3:] == [f"--name={name}", "--mode=live", "--plan=scale"]
    assert not (ROOT / "ran").exists()


@pytest.mark.parametrize("name", [" ", "a\tb", os.fsdecode(b"\xff\xfe"), "x" * 200])
def test_each_fault_of_a_name_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    stack = Stack(engine_port=1, environment={}, queues={}, stream_arn="", is_new=False)
    monkeypatch.setenv("GROWTHOS_HOME", str(tmp_path))
    monkeypatch.setattr(resources, "load_stack", lambda _home: stack)
    monkeypatch.setattr(Home, "is_running", lambda _home: True)
    assert commands.main(["create-project", f"--name={name}"]) == 1
    assert "\n  name: A name is 1 to 128 characters of UTF-8" in capsys.readouterr().err
