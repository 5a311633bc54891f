"""One process of the stack, as the supervisor sees it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

MAX_LOG_BYTES: Final = 10 * 1024 * 1024
_RESTARTS: Final = 5
_WITHIN_S: Final = 30.0


class Child:
    """A Python module run in a process and a session of its own, so that Ctrl-C reaches the supervisor only."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], logs: Path) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self._command = [sys.executable, "-m", *arguments]
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._starts: deque[float] = deque(maxlen=_RESTARTS)

    def start(self, keep_open: Sequence[int] = ()) -> None:
        """Start the process; `keep_open` are file descriptors that it inherits."""
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".old.log"))
        self._starts.append(time.monotonic())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=keep_open,
            )

    @property
    def pid(self) -> int | None:
        """Id of the running process, or None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def has_died(self) -> bool:
        """True where the process was started and has ended."""
        return self._process is not None and self._process.poll() is not None

    @property
    def gives_up(self) -> bool:
        """True where it was started so often in so short a time that another start would not help."""
        return len(self._starts) == _RESTARTS and time.monotonic() - self._starts[0] < _WITHIN_S

    def stop(self, within_s: float | None) -> bool:
        """Ask it to end and wait; kill it after `within_s` seconds (None: never). False where it had to be killed."""
        if self._process is None or self._process.poll() is not None:
            return True
        self._process.terminate()
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True

    def last_words(self, lines: int = 15) -> str:
        """The end of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])
