"""`make bench`: every budget that exists so far, measured at 20,000 contacts on the local engine, in one table."""

import logging
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from chalicelib.platform.observability import logger
from tests.bench import analytics, budgets, cpu, engine, imports, mails, rules, segments, throughput, webhooks, world
from tests.bench.budgets import Finding
from tests.bench.world import World

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]

CONTACTS = 20_000
_VERDICTS = {True: "kept", False: "MISSED", None: "no budget"}


@pytest.fixture
def silent() -> Iterator[None]:
    """The product's log lines are made and written as ever, but not into the report."""
    # The test runner's own handlers are of other classes, and read back what they were given.
    handlers = [handler for handler in logger.handlers if type(handler) is logging.StreamHandler]
    with Path(os.devnull).open("w") as nowhere:
        before = [(handler, handler.setStream(nowhere)) for handler in handlers]
        yield
        for handler, stream in before:
            handler.setStream(stream)


@pytest.fixture
def populated(silent: None, tmp_path: Path) -> Iterator[World]:
    with engine.running(tmp_path / "engine"):
        yield world.build(CONTACTS, engine.load, volume=100)


def test_all_budgets(populated: World, tmp_path: Path) -> None:
    load = os.getloadavg()[0]
    findings = [finding for measure in (*budgets.COUNTED, mails.calls) for finding in measure(populated)]
    findings += cpu.findings(populated)
    findings += rules.findings()
    findings += segments.findings([world.build(size, engine.load, volume=1) for size in (100, 1_000, CONTACTS)])
    findings += imports.findings(tmp_path / "compiled")
    findings += throughput.findings(populated)
    findings += webhooks.findings(populated)
    findings += mails.findings(populated)
    findings += analytics.findings()
    sys.stdout.write(_table(findings, load))
    assert [finding.name for finding in findings if finding.kept is False] == []


def _table(findings: Sequence[Finding], load: float) -> str:
    rows = [("what", "budget", "measured", "verdict")]
    rows += [(each.name, each.budget, each.measured, _VERDICTS[each.kept]) for each in findings]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    about = (
        f"{CONTACTS:,} contacts on the local engine; Python {platform.python_version()}, {os.cpu_count()} CPUs; "
        f"load average {load:.1f} before and {os.getloadavg()[0]:.1f} after: above the number of CPUs, times are noise"
    )
    return "\n".join(["", "", *lines, "", about, f"CPU of a request: {cpu.STUBBED}", ""])
