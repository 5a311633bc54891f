"""Manifests as text, and what compaction makes of them. Pure. Moments in ms of the real clock."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from chalicelib.core import clock, strict_json
from chalicelib.features.lake.model import Manifest, Stored

_APPLIED_FOR = 2 * clock.HOUR
"""For so long a hot object that is told once more is known to be compacted; later its rows are dropped one by one."""


def to_text(manifest: Manifest) -> str:
    """The manifest, but for its version."""
    return strict_json.dumps(
        {
            "days": {day: _packed(stored) for day, stored in manifest.days.items()},
            "people": _packed(manifest.people),
            "edges": _packed(manifest.edges),
            "applied": dict(manifest.applied),
            "garbage": list(manifest.garbage),
            "swept_at": manifest.swept_at,
        }
    )


def of_text(version: int, text: str) -> Manifest:
    """The reverse of `to_text`."""
    told = strict_json.stored(text)
    return Manifest(
        version=version,
        days={day: Stored(*packed) for day, packed in told["days"].items()},
        people=None if told["people"] is None else Stored(*told["people"]),
        edges=None if told["edges"] is None else Stored(*told["edges"]),
        applied=told["applied"],
        garbage=tuple(told["garbage"]),
        swept_at=told["swept_at"],
    )


def compacted(
    before: Manifest,
    days: Mapping[str, Stored | None],
    people: Stored | None,
    edges: Stored | None,
    applied: Iterable[str],
    now: int,
) -> Manifest:
    """The next manifest, where these days (None: nothing is left of it), contacts and hot objects take the place of
    what stood for them before."""
    standing = {day: stored for day, stored in (dict(before.days) | dict(days)).items() if stored is not None}
    still = {name: moment for name, moment in before.applied.items() if now - moment < _APPLIED_FOR}
    live = {stored.key for stored in (*standing.values(), people, edges) if stored is not None}
    stood = [stored.key for stored in (*before.days.values(), before.people, before.edges) if stored is not None]
    return replace(
        before,
        version=before.version + 1,
        days=standing,
        people=people,
        edges=edges,
        applied=still | dict.fromkeys(applied, now),
        garbage=tuple(dict.fromkeys([*before.garbage, *(key for key in stood if key not in live)])),
    )


def swept(manifest: Manifest, now: int) -> Manifest:
    """The manifest where no object names any more whom it need not."""
    return replace(manifest, swept_at=now)


def emptied(before: Manifest, removed: Iterable[str]) -> Manifest:
    """The next manifest, where these objects are gone."""
    gone = frozenset(removed)
    return replace(before, version=before.version + 1, garbage=tuple(key for key in before.garbage if key not in gone))


def _packed(stored: Stored | None) -> list[str | int] | None:
    return None if stored is None else [stored.key, stored.rows, stored.bytes]
