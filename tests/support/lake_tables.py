"""Questions put to the embedded engine over tables that a test fills itself: no bucket, no projection."""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from chalicelib.core import ids, strict_json
from chalicelib.core.flat import flat
from chalicelib.features.analytics import answers, queries
from chalicelib.features.analytics.model import Question
from chalicelib.features.lake.model import EVENT_COLUMNS, PEOPLE_COLUMNS
from chalicelib.platform import duck
from chalicelib.readings.lake.embedded import bound
from chalicelib.readings.lake.recent import MOVED_COLUMNS
from tests.support.analytics_oracle import Happened

PROJECT = "proj_one"
COLUMNS = {
    "events": EVENT_COLUMNS,
    "recent_events": EVENT_COLUMNS,
    "people": PEOPLE_COLUMNS,
    "recent_people": PEOPLE_COLUMNS,
    "moved": MOVED_COLUMNS,
}


def event_row(event: Happened, contact_id: str | None = None, visitor: str | None = None) -> dict[str, Any]:
    """The row of an event; `contact_id` where it lies with somebody else than whose it is."""
    return {
        "project_id": PROJECT,
        "event_id": event.event_id,
        "contact_id": contact_id or event.contact_id,
        "visitor": visitor,
        "event": event.name,
        "type": event.type,
        "ts": event.timestamp,
        "received_at": event.received_at,
        "seq": ids.order_of(event.event_id),
        "properties": flat(event.properties),
    }


def person_row(contact_id: str, traits: Mapping[str, Any], version: int = 1, status: str = "active") -> dict[str, Any]:
    return {
        "project_id": PROJECT,
        "contact_id": contact_id,
        "visitor": "",
        "version": version,
        "status": status,
        "heir": None,
        "traits": flat(traits),
        "projected_at": 0,
    }


def answered(question: Question, now: int, tables: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, Any]:
    """The product's answer where the tables have these rows; those that are not given have none."""
    rows = {name: list(tables.get(name, ())) for name in COLUMNS}
    times = [row["ts"] for row in rows["recent_events"]]
    recent = queries.Recent(min(times), max(times)) if times else None
    asked = queries.statement(PROJECT, question, now, recent).sql()
    with duck.connected(256) as engine, tempfile.TemporaryDirectory() as folder:
        for name, columns in COLUMNS.items():
            file = Path(folder) / name
            file.write_text("".join(f"{strict_json.dumps(dict(row))}\n" for row in rows[name]), encoding="utf-8")
            engine.execute(f"CREATE TABLE {name} AS FROM {duck.from_json(file, columns)}")
        found = engine.execute(asked.text, [bound(value) for value in asked.values]).fetchall()
    return answers.answer(question, found, now)
