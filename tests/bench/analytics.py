"""What questions of analytics take over a lake of so many events: `python -m tests.bench.analytics <folder>`.

Each run is a process of its own, whose memory tells of nothing else. The objects lie on its disk already. Beside each
question the same is asked of the bare engine, over the same files, in the simplest words.
"""

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from chalicelib.core import clock
from chalicelib.core.clock import DAY
from chalicelib.features.analytics import answers, model, queries
from chalicelib.features.analytics.model import CohortQuestion, Filter, FunnelQuestion, Question, Series, Span, Step
from chalicelib.features.analytics.statement import Sql, Statement, fill, listed
from chalicelib.features.lake.model import Live, Manifest
from chalicelib.flows.analytics import compact
from chalicelib.platform import duck, objects
from chalicelib.readings.lake import disk, embedded, span
from chalicelib.readings.lake.weave import Loom
from tests.bench import lake_world
from tests.bench.budgets import Finding
from tests.bench.lake_world import DAYS, NOW, TENANT

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SPAN = Span(NOW - DAYS * DAY, NOW, "America/New_York")
_PLAN = Filter(model.Path("traits", "plan"), ("growth",))
QUESTIONS: Mapping[str, Question] = {
    "event_count": Series("event_count", "event_01", "day", _SPAN, (_PLAN,), model.Path("traits", "source")),
    "unique_contacts": Series("unique_contacts", None, "day", _SPAN),
    "funnel": FunnelQuestion(tuple(Step(f"event_{n:02d}") for n in range(1, 5)), 7 * DAY, _SPAN),
    "cohort_retention": CohortQuestion(Step("event_01"), Step("event_02"), "week", 8, _SPAN),
}
MILLION = 1_000_000
_EVENT = re.compile(r"event_[0-9]{2}")
_BARE_HISTORY = """
SELECT contact_id, event, ts, received_at, seq, properties FROM events WHERE ts >= :since AND ts < :until AND {named}
"""
_RUNS = 5
_RATIO = 1.5
_MOST_MB = 1_700


def findings() -> list[Finding]:
    """The rows of the report."""
    found: list[Finding] = []
    for events, small, budget in ((MILLION, 0, 0.5), (MILLION, lake_world.SMALL, 0.5), (10 * MILLION, 0, 5.0)):
        told = _run(events, small)
        about = f"analytics, {events // MILLION} M events" + (f", {small} small objects today" if small else "")
        for name, (ours, bare) in told["seconds"].items():
            is_kept = ours <= budget and (events > MILLION or ours <= _RATIO * bare)
            limit = f"{budget} s" + ("" if events > MILLION else f", {_RATIO} x bare")
            found.append(Finding(f"{about}: {name}", limit, f"{ours:.3f} s, bare {bare:.3f} s", is_kept))
        memory = told["megabytes"]
        found.append(Finding(f"{about}: memory", f"{_MOST_MB} MB", f"{memory:.0f} MB", memory <= _MOST_MB))
    return [*found, *_compaction()]


def _compaction() -> list[Finding]:
    """Of a day of a million events that lie in 288 hot objects; then once more, with nothing new but one of them."""
    told = _run(MILLION, "day")
    found = []
    for what, seconds in told["seconds"].items():
        name = f"compaction of a day of 1 M events, {what}"
        found.append(Finding(name, "30 s", f"{seconds:.1f} s", seconds <= 30))
    memory = told["megabytes"]
    return [*found, Finding("compaction: memory", "700 MB", f"{memory:.0f} MB", memory <= 700)]


def _compact(folder: Path) -> dict[str, Any]:
    for path in folder.iterdir():
        os.link(path, disk.folder() / path.name)
    live, day, seconds = lake_world.found(folder), clock.day(lake_world.TODAY), {}
    with patch.object(
        objects, "put", lambda key, source: shutil.copy(source, disk.folder() / lake_world.flat_name(key))
    ):
        for what in ("from small objects", "once more"):
            begun = time.perf_counter()
            with duck.connected(compact.MEMORY_MB, os.cpu_count() or 1) as engine:
                loom = Loom(engine, TENANT, live, live.hot)
                assert loom.days() in ([day], [])
                stored = loom.day(day)
            seconds[what] = time.perf_counter() - begun
            assert stored is not None
            assert stored.rows == MILLION
            live = Live(Manifest(1, {day: stored}), live.hot[:1])
    return {"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _run(events: int, small: int | str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "tests.bench.lake_world", folder, str(events), str(small)]
        subprocess.run(build, check=True)
        ask = [sys.executable, "-m", "tests.bench.analytics", folder, "compact" if small == "day" else "ask"]
        told: dict[str, Any] = json.loads(subprocess.run(ask, capture_output=True, text=True, check=True).stdout)
    return told


def _ask_all(folder: Path) -> dict[str, Any]:
    """Seconds of each question, ours and bare, and the megabytes that ours needed."""
    for path in folder.iterdir():
        os.link(path, disk.folder() / path.name)
    live = lake_world.found(folder)
    ours = {name: _median(partial(_ask, live, each)) for name, each in QUESTIONS.items()}
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    embedded.forget()
    with duck.connected(_MOST_MB, os.cpu_count() or 1) as engine:
        seen = [path for path in folder.iterdir() if "events~" in path.name]
        engine.execute(f"CREATE VIEW events AS FROM {duck.from_parquet(seen)}")
        people = [path for path in folder.iterdir() if path.name.startswith("people~")]
        engine.execute(f"CREATE VIEW people AS FROM {duck.from_parquet(people)}")
        seconds = {name: (ours[name], _median(partial(_ask_bare, engine, each))) for name, each in QUESTIONS.items()}
    return {"seconds": seconds, "megabytes": megabytes}


def _ask(live: Live, question: Question) -> object:
    statement = queries.statement(TENANT.project_id, question, NOW, span.recent_of(live))
    rows = embedded.rows(TENANT, live, statement, question.span.since, queries.until_of(question))
    return answers.answer(question, rows, NOW)


def _ask_bare(engine: "DuckDBPyConnection", question: Question) -> object:
    """The same with nothing beside the two tables: no contact was merged, no event told twice."""
    asked = queries.statement(TENANT.project_id, question, NOW, None)
    tables = dict(asked.tables)
    wanted = set(_EVENT.findall(repr(question)))
    named = fill("event IN {names}", names=listed(sorted(wanted))) if wanted else Sql("1 = 1")
    bounds = {"since": question.span.since, "until": queries.until_of(question)}
    tables["history"] = fill(_BARE_HISTORY, named=named, **bounds)
    if "persons" in tables:
        tables["persons"] = Sql("SELECT contact_id, traits FROM people")
    whole = Statement(tables, asked.select).sql()
    return engine.execute(whole.text, [embedded.bound(value) for value in whole.values]).fetchall()


def _median(act: Callable[[], object]) -> float:
    times = []
    for _ in range(_RUNS):
        begun = time.perf_counter()
        act()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


if __name__ == "__main__":
    act = _compact if sys.argv[2] == "compact" else _ask_all
    sys.stdout.write(json.dumps(act(Path(sys.argv[1]))))
