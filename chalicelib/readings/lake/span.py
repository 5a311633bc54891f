"""Which of a project's objects have events of a time. Pure."""

from chalicelib.core import clock
from chalicelib.features.analytics.queries import Recent
from chalicelib.features.lake.model import Live, Manifest


def days_of(manifest: Manifest, since: int, until: int) -> list[str]:
    """Keys of the compacted objects that have events from `since` to before `until`, in ms."""
    first, last = clock.day(since), clock.day(max(since, until - 1))
    return [stored.key for day, stored in sorted(manifest.days.items()) if first <= day <= last]


def recent_of(live: Live) -> Recent | None:
    """The span of the events that are not yet compacted; None where all are."""
    spans = [(each.since, each.until) for each in live.hot if each.since is not None and each.until is not None]
    return Recent(min(since for since, _ in spans), max(until for _, until in spans)) if spans else None
