"""Which engine answers: the embedded one, or Athena where a project's live objects are too large for one function."""

from chalicelib.features.lake.model import Live
from chalicelib.platform.config import settings
from chalicelib.readings.lake import athena, embedded
from chalicelib.readings.lake.embedded import Engine

_MEGABYTE = 1_000_000


def engine(live: Live) -> Engine:
    """The engine for a project with these live objects."""
    days = sum(stored.bytes for stored in live.manifest.days.values())
    is_large = days > settings().athena_above_mb * _MEGABYTE
    return athena.rows if is_large and settings().athena_workgroup else embedded.rows
