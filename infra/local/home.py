"""Where a local stack keeps its things, and the files that its processes share."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DEFAULT_HOME: Final = ".growthos"
DEFAULT_PORT: Final = 8000
_PRIVATE: Final = 0o600


class StackError(Exception):
    """Something that stops the stack and that its user can act on; the message is all they see."""


@dataclass(frozen=True, slots=True)
class Home:
    """The directory that holds all state of one local stack. Every path is absolute."""

    path: Path

    @property
    def engine_state(self) -> Path:
        """Where the engine saves its state on a clean stop."""
        return self.path / "engine"

    @property
    def temporary(self) -> Path:
        """TMPDIR of the engine, so that it leaves nothing outside of the home."""
        return self.path / "tmp"

    @property
    def engine_objects(self) -> Path:
        """Where the engine keeps the objects of buckets."""
        return self.path / "objects"

    @property
    def logs(self) -> Path:
        """One file for each process."""
        return self.path / "logs"

    @property
    def local_json(self) -> Path:
        """The address and the keys, for people and tests."""
        return self.path / "local.json"

    @property
    def stack_json(self) -> Path:
        """What the supervisor tells its processes; see `resources.Stack`."""
        return self.path / "stack.json"

    def stream_json(self, function: str) -> Path:
        """How far the pump has read the table's stream for that function."""
        return self.path / f"stream.{function}.json"

    @property
    def heartbeat(self) -> Path:
        """Touched by the pump while it works; see `heartbeat`."""
        return self.path / "pump.heartbeat"

    @property
    def lock(self) -> Path:
        """Held by the supervisor and by the engine, so that no second engine opens the state while one saves it."""
        return self.path / "lock"

    def prepare(self) -> None:
        """Make the directories. Raises StackError where the home cannot be written."""
        try:
            for directory in (self.path, self.engine_state, self.temporary, self.logs):
                directory.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as error:
            raise StackError(f"GROWTHOS_HOME={self.path} cannot be used: {error.strerror}") from error

    def acquire(self) -> int:
        """Lock the home and return the lock's file descriptor. Raises StackError while another stack holds it."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StackError(self._in_use()) from None
        return descriptor

    def is_running(self) -> bool:
        """True while a supervisor or a saving engine holds the lock."""
        if not self.lock.exists():
            return False
        try:
            os.close(self.acquire())
        except StackError:
            return True
        return False

    def reset(self) -> None:
        """Delete all state. Raises StackError while the stack runs."""
        if not self.path.exists():
            return
        if not self.lock.exists() and any(self.path.iterdir()):
            raise StackError(f"{self.path} is not the home of a local stack; nothing was deleted")
        if self.is_running():
            raise StackError(f"{self._in_use()}. Stop it first (Ctrl-C)")
        shutil.rmtree(self.path)

    def _in_use(self) -> str:
        local = read_json(self.local_json) or {}
        where = (
            f" at {local['base_url']} (pid {local['pid']})" if local.get("pid") else ", or is still saving its state"
        )
        return f"a local stack runs already from {self.path}{where}"


def home_from(environ: Mapping[str, str]) -> Home:
    """The home that GROWTHOS_HOME names, else `.growthos` in the working directory."""
    return Home(Path(environ.get("GROWTHOS_HOME") or DEFAULT_HOME).resolve())


def port_from(environ: Mapping[str, str]) -> int:
    """The port that PORT names, else 8000. Raises StackError for anything that is no port."""
    text = environ.get("PORT") or str(DEFAULT_PORT)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise StackError(f"PORT={text} is not a port number (1 to 65535)")
    return int(text)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in the file; None where there is no file or it was cut off in the middle."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace the file as a whole, readable by its owner only: some of these hold keys."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")
    draft.replace(path)
