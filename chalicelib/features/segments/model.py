"""A segment, and what is kept of one contact's memberships. Pure; moments in ms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, get_args

MAX_SEGMENTS = 1_000
"""Of one project."""

NAME_MAX = 128

TIMER: Final = "memberships"
"""Name and kind of the one timer that a contact has for all its segments; campaigns' are named to go after it."""

Type = Literal["dynamic", "static"]
Status = Literal["building", "ready"]
Reason = Literal["event", "trait", "window", "rules", "merge"]
Starts = Literal["none", "including_existing", "all"]
"""Which campaigns the entering starts: none, those that take who was in before, or all. Each of these takes more."""

_STARTS: tuple[Starts, ...] = get_args(Starts)


class Occasion(NamedTuple):
    """Why a contact enters or leaves a segment, as it is told, and what its entering starts."""

    reason: Reason
    starts: Starts = "all"

    def or_else(self, other: "Occasion | None") -> "Occasion":
        """The one of the two that starts more; this one of equals."""
        return self if other is None or _STARTS.index(self.starts) >= _STARTS.index(other.starts) else other


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment's definition. `rules` is the caller's JSON; None where the segment is static.

    `rules_version` counts changes of the rules, `version` all changes.
    """

    id: str
    name: str
    type: Type
    rules: dict[str, Any] | None
    status: Status
    created_at: int
    updated_at: int
    rules_version: int = 1
    version: int = 1


class Standing(NamedTuple):
    """Whether a contact is in a segment, and when time alone changes that (None where it never does)."""

    is_member: bool
    flips_at: int | None


OUTSIDE = Standing(False, None)


@dataclass(frozen=True, slots=True)
class Memberships:
    """Where one contact stands in each segment; those that it is not in and that time can't let it enter are left out.

    `definitions` is the newest version of the project's definitions by which any of it was judged, `judged_at` the
    latest moment (ms); `version` counts writes.
    """

    standings: Mapping[str, Standing] = field(default_factory=dict)
    definitions: int = 0
    judged_at: int = 0
    version: int = 0

    def of(self, segment_id: str) -> Standing:
        return self.standings.get(segment_id, OUTSIDE)

    def members_of(self) -> list[str]:
        """The segments that the contact is in, in the order of their creation."""
        return sorted(segment_id for segment_id, standing in self.standings.items() if standing.is_member)

    def next_flip(self) -> int | None:
        """The earliest moment at which time changes a membership."""
        return min((one.flips_at for one in self.standings.values() if one.flips_at is not None), default=None)

    def due(self, now: int) -> list[str]:
        """The segments whose moment has come."""
        return [
            segment_id
            for segment_id, standing in self.standings.items()
            if standing.flips_at is not None and standing.flips_at <= now
        ]

    def judged(self, verdicts: Mapping[str, Standing], definitions: int, moment: int) -> "Memberships":
        """The memberships after new verdicts of that moment."""
        standings = {**self.standings, **verdicts}
        kept = {segment_id: standing for segment_id, standing in standings.items() if standing != OUTSIDE}
        return Memberships(kept, max(definitions, self.definitions), max(moment, self.judged_at), self.version)
