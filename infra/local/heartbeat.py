"""The pump's sign of life: a file with its process id, touched each half second."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from infra.local.lifeline import is_alive

_INTERVAL_S = 0.5
_STALE_AFTER_S = 5.0


def beat(file: Path, pid: int, ended: threading.Event) -> None:
    """Write the heartbeat until `ended` is set, then remove it."""
    file.write_text(str(pid), encoding="ascii")
    while not ended.wait(_INTERVAL_S):
        file.touch()
    file.unlink(missing_ok=True)


def living_pid(file: Path) -> int | None:
    """Id of the pump that wrote the heartbeat, or None where it has ended or hangs."""
    try:
        pid = int(file.read_text(encoding="ascii"))
        age = time.time() - file.stat().st_mtime
    except (OSError, ValueError):
        return None
    return pid if age < _STALE_AFTER_S and is_alive(pid) else None
