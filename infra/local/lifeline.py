"""Ends a process when the one that started it is gone, so that a killed supervisor leaves nothing behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

_INTERVAL_S = 0.3


def follow_parent(before_end: Callable[[], None] | None = None) -> None:
    """Send this process SIGTERM once its parent has died, after `before_end` has returned."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_INTERVAL_S)
        if before_end is not None:
            before_end()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def is_alive(pid: int) -> bool:
    """True while a process with this id exists. A child that has ended but was not waited for counts as alive."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
