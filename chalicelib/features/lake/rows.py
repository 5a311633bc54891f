"""Rows of the lake, made of records of the table's stream and of rows of the table. Pure."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from chalicelib.core import ids, strict_json
from chalicelib.core.flat import flat

Row = dict[str, Any]
Image = Mapping[str, Any]

_EVENT = "EVT#"
_CONTACT = "CONTACT"
_ACTIVE, _MERGED, _GONE, _CEDED = "active", "merged", "gone", "ceded"
_VISITOR_PART = "a:"


class Rows(NamedTuple):
    """What one batch tells: events and states of contacts, as `EVENT_COLUMNS` and `PEOPLE_COLUMNS` have them."""

    events: list[Row]
    people: list[Row]


def is_event(sort: str) -> bool:
    """True for the sort key of an event's row."""
    return sort.startswith(_EVENT)


def is_contact(sort: str) -> bool:
    """True for the sort key of a contact's own row."""
    return sort == _CONTACT


def event_row(project_id: str, contact_id: str, item: Image) -> Row:
    """The row of an event that lies with the contact."""
    return {
        "project_id": project_id,
        "event_id": item["id"],
        "contact_id": contact_id,
        "visitor": None if "user_id" in item else item.get("anonymous_id"),
        "event": item["event"],
        "type": item["type"],
        "ts": item["timestamp"],
        "received_at": item["received_at"],
        "seq": ids.order_of(item["id"]),
        "properties": flat(strict_json.stored(item["properties"])) if "properties" in item else None,
    }


def changes(project_id: str, contact_id: str, new: Image | None, old: Image | None, now: int) -> Iterator[Row]:
    """The rows of a contact's change: its state where that has changed, and anonymous ids that it lost or has back.

    An anonymous id of which it knows no more that it lost it is another one's still, unless it has the part itself.
    """
    image: Image = new or old or {}
    state = _state(project_id, contact_id, new, image, now)
    if old is None or new is None or _told(state) != _told(_state(project_id, contact_id, old, old, now)):
        yield state
    ceding: Mapping[str, str] = (new or {}).get("ceding", {})
    before: Mapping[str, str] = (old or {}).get("ceding", {})
    home = _visitors(new) if before.keys() - ceding.keys() else set()
    back = {visitor: contact_id for visitor in before.keys() - ceding.keys() if visitor in home}
    for visitor, heir in sorted((dict(ceding) | back).items()):
        if before.get(visitor) != heir:
            yield state | {"visitor": visitor, "status": _CEDED, "heir": heir, "traits": None}


def digest(rows: Rows) -> str:
    """A name for these rows: others have another one."""
    told = hashlib.sha256()
    for event in sorted(each["event_id"] for each in rows.events):
        told.update(f"{event}\n".encode())
    for person in sorted(_identity(each) for each in rows.people):
        told.update(f"{person}\n".encode())
    return told.hexdigest()[:32]


def latest(people: Iterable[Row]) -> list[Row]:
    """Of each contact, and of each of its anonymous ids, the latest state."""
    found: dict[tuple[str, str, str], Row] = {}
    for row in people:
        key = (row["project_id"], row["contact_id"], row["visitor"])
        if key not in found or row["version"] >= found[key]["version"]:
            found[key] = row
    return list(found.values())


def _identity(row: Row) -> str:
    return strict_json.dumps([row[name] for name in ("project_id", "contact_id", "visitor", "version", "status")])


def _state(project_id: str, contact_id: str, item: Image | None, image: Image, now: int) -> Row:
    """The contact's row as it stands in `item`; gone where that is None."""
    status = _GONE if item is None else {"active": _ACTIVE, "merged": _MERGED}.get(item["status"], _GONE)
    traits = image.get("traits") if status == _ACTIVE else None
    return {
        "project_id": project_id,
        "contact_id": contact_id,
        "visitor": "",
        "version": int(image["version"]) + (item is None),
        "status": status,
        "heir": image.get("merged_into") if status == _MERGED else None,
        "traits": flat(strict_json.stored(traits)) if traits else None,
        "projected_at": now,
    }


def _told(row: Row) -> tuple[Any, ...]:
    return row["status"], row["heir"], row["traits"]


def _visitors(item: Image | None) -> set[str]:
    """The anonymous ids of which the contact has a part."""
    parts = strict_json.stored(item["parts"])[1:] if item and "parts" in item else []
    return {name.removeprefix(_VISITOR_PART) for name, *_ in parts if name.startswith(_VISITOR_PART)}
