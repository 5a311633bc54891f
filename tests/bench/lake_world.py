"""A lake of any size: 60 days of events of 100,000 contacts, most of them of few, as compaction would have left it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.core.clock import DAY, day
from chalicelib.features.lake import layout
from chalicelib.features.lake.model import EVENT_COLUMNS, PEOPLE_COLUMNS, Hot, Live, Manifest, Stored
from chalicelib.platform import duck
from chalicelib.platform.keys import Tenant

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CONTACTS = 100_000
DAYS = 60
TENANT = Tenant("proj_01k00000000000000000000000")
TODAY = 1_764_201_600_000
"""The midnight (UTC) with which the last day begins, of which no more than `SMALL` objects are compacted."""

NOW = TODAY + DAY
SMALL = 288
_MEMORY_MB = 4_000

_EVENTS = """
CREATE TABLE made AS
WITH drawn AS (
    SELECT i, random() AS who, random() AS what, random() AS time, random() AS plan, random() AS amount
    FROM range($count) t(i)
)
SELECT
    $project AS project_id,
    'evt_01k' || printf('%023d', i) AS event_id,
    'cntct_01k' || printf('%023d', (hash(floor($contacts * pow(who, 2.5))::BIGINT) % 100000000000000)::BIGINT)
        AS contact_id,
    CAST(NULL AS VARCHAR) AS visitor,
    'event_' || printf('%02d', least(20, floor(pow(20, what))::INTEGER)) AS event,
    'track' AS type,
    $since + floor(time * $span)::BIGINT AS ts,
    $since + floor(time * $span)::BIGINT + 120 AS received_at,
    (hash(i) >> 1)::BIGINT AS seq,
    '{"plan":"' || (['free', 'growth', 'scale', 'pro'])[1 + floor(plan * 4)::INTEGER]
        || '","amount":' || floor(amount * 1000)::INTEGER || '}' AS properties
FROM drawn
"""
_PEOPLE = """
SELECT DISTINCT
    project_id, contact_id, '' AS visitor, 1::BIGINT AS version, 'active' AS status, CAST(NULL AS VARCHAR) AS heir,
    '{"plan":"' || (['free', 'growth', 'scale', 'pro'])[1 + (hash(contact_id) % 4)::INTEGER]
        || '","source":"' || (['organic', 'referral', 'paid'])[1 + (hash(contact_id) // 7 % 3)::INTEGER] || '"}'
        AS traits,
    0::BIGINT AS projected_at
FROM made ORDER BY contact_id
"""


def build_day(folder: Path, count: int) -> None:
    """Write so many events of the last day into hot objects."""
    made = {"count": count, "contacts": CONTACTS, "since": TODAY, "span": DAY}
    with duck.connected(_MEMORY_MB, 2) as engine:
        engine.execute(_EVENTS, made | {"project": TENANT.project_id})
        for start in range(TODAY, NOW, DAY // SMALL):
            _write(engine, folder / flat_name(layout.hot_events(str(start))), start, DAY // SMALL)


def build(folder: Path, count: int, small: int) -> None:
    """Write the lake's objects into the folder, under their keys with `~` for each slash.

    Events spread evenly over the days; with `small`, those of the last day lie in so many hot objects.
    """
    made = {"count": count, "contacts": CONTACTS, "since": NOW - DAYS * DAY, "span": DAYS * DAY}
    with duck.connected(_MEMORY_MB, 2) as engine:
        engine.execute(_EVENTS, made | {"project": TENANT.project_id})
        for start in range(NOW - DAYS * DAY, TODAY if small else NOW, DAY):
            _write(engine, folder / flat_name(layout.day_events(TENANT.project_id, day(start), "bench")), start, DAY)
        for n in range(small):
            start = TODAY + n * DAY // small
            _write(engine, folder / flat_name(layout.hot_events(str(start))), start, DAY // small)
        people = folder / flat_name(layout.people(TENANT.project_id, "bench"))
        duck.copy_parquet(engine, f"SELECT {', '.join(PEOPLE_COLUMNS)} FROM ({_PEOPLE})", people)


def found(folder: Path) -> Live:
    """What is live where `build` wrote into the folder."""
    days: dict[str, Stored] = {}
    hot: list[Hot] = []
    for path in sorted(folder.iterdir()):
        key = path.name.replace("~", "/")
        if key.startswith("events/"):
            days[key.split("dt=")[1][:10]] = Stored(key, 0, path.stat().st_size)
        elif key.startswith(layout.HOT_PREFIX):
            start = int(path.stem.rpartition("~")[2])
            hot.append(Hot(str(start), events=1, people=0, since=start, until=start + DAY // SMALL))
    return Live(Manifest(1, days, Stored(layout.people(TENANT.project_id, "bench"), CONTACTS, 0)), tuple(hot))


def flat_name(key: str) -> str:
    """The name of an object's file."""
    return key.replace("/", "~")


def _write(engine: "DuckDBPyConnection", target: Path, start: int, length: int) -> None:
    columns, where = ", ".join(EVENT_COLUMNS), f"ts >= {start} AND ts < {start + length}"
    duck.copy_parquet(engine, f"SELECT {columns} FROM made WHERE {where} ORDER BY event, ts, event_id", target)


if __name__ == "__main__":
    if sys.argv[3] == "day":
        build_day(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        build(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
