"""What of a project lies where in the lake. Pure. Moments in ms."""

from collections.abc import Mapping
from dataclasses import dataclass, field

EVENT_COLUMNS: Mapping[str, str] = {
    "project_id": "VARCHAR",
    "event_id": "VARCHAR",
    "contact_id": "VARCHAR",
    "visitor": "VARCHAR",
    "event": "VARCHAR",
    "type": "VARCHAR",
    "ts": "BIGINT",
    "received_at": "BIGINT",
    "seq": "BIGINT",
    "properties": "VARCHAR",
}
"""A row for each event. `contact_id` is the contact in whose partition it was written, or, once compacted, whose it was
then; `visitor` is its anonymous id where it has no user id; of events that were received in one millisecond the one
with the lesser `seq` came first (`ids.order_of`); `properties` is flat JSON (`core/flat`)."""

PEOPLE_COLUMNS: Mapping[str, str] = {
    "project_id": "VARCHAR",
    "contact_id": "VARCHAR",
    "visitor": "VARCHAR",
    "version": "BIGINT",
    "status": "VARCHAR",
    "heir": "VARCHAR",
    "traits": "VARCHAR",
    "projected_at": "BIGINT",
}
"""A row for each state of a contact, of which the one with the greatest `version` counts. `status` is `active`,
`merged` (into `heir`) or `gone`. A row with a `visitor` (`ceded`) tells that this anonymous id's events, where they lie
with the contact, are the `heir`'s; `visitor` is empty in all others. `traits` is flat JSON."""


@dataclass(frozen=True, slots=True)
class Hot:
    """What a hot object has of one project: how many rows, and the span of its events' timestamps, ends included."""

    name: str
    events: int
    people: int
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """An object of one project: its key in the bucket, its rows and bytes."""

    key: str
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which compacted objects of a project are live.

    `days` has the events by UTC day (`2026-11-27`), each once. `people` has the active contacts, each once, with their
    traits; `edges` has the other rows of contacts (merged, gone, ceded), each (contact, visitor) once, as long as any
    object of events may name them. `applied` are the hot objects that are in these, with the moment of their
    compaction on the real clock; `garbage` are keys of objects that no reader needs any more.
    """

    version: int = 0
    days: Mapping[str, Stored] = field(default_factory=dict)
    people: Stored | None = None
    edges: Stored | None = None
    applied: Mapping[str, int] = field(default_factory=dict)
    garbage: tuple[str, ...] = ()
    swept_at: int = 0


@dataclass(frozen=True, slots=True)
class Live:
    """All that a reader takes as the project's at one moment: the compacted objects, the hot ones that are not yet in
    them, and the contacts that were deleted within the last day, with whom they had absorbed."""

    manifest: Manifest
    hot: tuple[Hot, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def state(self) -> tuple[object, ...]:
        """What tells this from any other state of the project's lake."""
        return self.manifest.version, tuple(each.name for each in self.hot), self.gone
