"""CPU of a function's start: the import of what Lambda loads, in a fresh process each time."""

import os
import statistics
import subprocess
import sys
from pathlib import Path

from tests.bench import rules
from tests.bench.budgets import Finding

ROOT = Path(__file__).parents[2]
RUNS = 9
API_MS, WORKER_MS = 450, 250

_FUNCTIONS = {
    "app.app": ("the API function", "import app", API_MS),
    "app.ingest": ("worker ingest", "import app; from chalicelib.workers import ingest", WORKER_MS),
    "app.bus": ("worker bus", "import app; from chalicelib.workers import bus", WORKER_MS),
    "app.webhooks": ("worker webhooks", "import app; from chalicelib.workers import webhooks", WORKER_MS),
    "app.create_project": (
        "function create_project",
        "import app; from chalicelib.workers import create_project",
        None,
    ),
}


def findings(compiled: Path) -> list[Finding]:
    """Medians with all modules compiled (into the folder), and that of the API function with none compiled."""
    found = []
    for handler, (name, code, budget) in _FUNCTIONS.items():
        warm = {"PYTHONPYCACHEPREFIX": str(compiled)}
        _cpu_ms(handler, code, warm)
        before = rules.slowness()
        median, told = _summary([_cpu_ms(handler, code, warm) for _ in range(RUNS)])
        slowness = (before + rules.slowness()) / 2
        limit = f"{budget} ms CPU" if budget else "-"
        told += f"; machine {slowness:.1f}x slower than the budget's"
        found.append(Finding(f"import, {name}", limit, told, median <= budget * slowness if budget else None))
    cold = {"PYTHONPYCACHEPREFIX": str(compiled / "none"), "PYTHONDONTWRITEBYTECODE": "1"}
    _, told = _summary([_cpu_ms("app.app", "import app", cold) for _ in range(3)])
    found.append(Finding("the same, API, nothing compiled", "-", f"{told}: what a bundle without .pyc costs", None))
    return found


def _summary(times: list[float]) -> tuple[float, str]:
    median = statistics.median(times)
    return median, f"{median:.0f} ms ({min(times):.0f} to {max(times):.0f})"


def _cpu_ms(handler: str, code: str, extra: dict[str, str]) -> float:
    """User and system time of the process."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=inherited | {"_HANDLER": handler} | extra)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return (usage.ru_utime + usage.ru_stime) * 1000
