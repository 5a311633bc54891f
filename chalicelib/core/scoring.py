"""Scores that decay by half-life, for the moment at which they are read. Moments and half-lives in ms.

An event of p points at `t` is worth p * 2^(-(now - t) / half_life). With e, f = divmod(t, half_life) that is
p * 2^(f / half_life), which never changes, times a power of two that is the same for all events of the bucket e. So a
score is kept as one whole number for each bucket, in units of 2^-32 points, and the order in which events are added
can't change a digit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chalicelib.core.durations import parse_duration
from chalicelib.core.errors import ValidationFailed
from chalicelib.core.rules.facts import NEVER, Facts, Judge
from chalicelib.core.rules.leaves import compile_condition
from chalicelib.core.rules.model import PRESENCE, Condition, field_of
from chalicelib.core.rules.parse import parse_condition
from chalicelib.core.rules.values import LAST_MOMENT

State = dict[str, int]
"""Points by bucket, in units of 2^-32; as JSON has it."""

GREATEST = 100
_FRACTION_BITS = 32
_KEPT_BUCKETS = 64
"""What lies farther below the newest bucket is worth less than a unit of it."""

_GRAINS = 1_000_000_000
"""A value has nine decimals. Sums of fixed-point numbers are off by some 2^-33: so 5 points are not 4.9999999998."""


_MAX_EXPONENT = 512
_OF_CONTACT = frozenset({"text", "moment", "tags", "trait", "number"})


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Compiled settings of one score. `reads` are the conditions under which `traits` gives points."""

    half_life: int
    traits: tuple[tuple[Judge, float], ...]
    reads: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """One contact's score."""

    scale: Scale
    state: State

    def value(self, facts: Facts, now: int) -> float:
        """The score at `now`: 0 to 100, to nine decimals."""
        return self.piece(facts, now).begin

    def piece(self, facts: Facts, now: int) -> "Decay":
        """The score from `now` until a trait rule flips by itself."""
        readings = [(judge(facts, now), points) for judge, points in self.scale.traits]
        steady = math.fsum(points for (holds, _, _), points in readings if holds)
        until = min((flips for (_, flips, _), _ in readings), default=NEVER)
        return Decay(steady, *_sum(self.state), self.scale.half_life, now, until)


@dataclass(frozen=True, slots=True)
class Decay:
    """A steady part, and `total` * 2^(`bucket` - moment / half_life) that decays, from `since` to just before `until`.

    `decaying` is what the second part is at `since`; `begin` and `end` are the score at both ends.
    """

    steady: float
    total: float
    bucket: int
    half_life: int
    since: int
    until: int
    decaying: float = field(init=False)
    begin: float = field(init=False)
    end: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "decaying", self._decayed(self.since))
        object.__setattr__(self, "begin", self.value(self.since))
        object.__setattr__(self, "end", self.value(min(self.until - 1, LAST_MOMENT)))

    def value(self, moment: int) -> float:
        """The score at a moment, 0 to 100, to nine decimals."""
        value = self.steady + self._decayed(moment)
        if value <= 0:
            return 0.0
        return math.floor(value * _GRAINS + 0.5) / _GRAINS if value < GREATEST else float(GREATEST)

    def estimate(self, value: float) -> float | None:
        """About when the score reaches `value`; None if it does not."""
        # What rounds to the steady part has reached it.
        then = value - self.steady or math.copysign(0.5 / _GRAINS, self.decaying)
        ratio = self.decaying / then
        return self.since + self.half_life * math.log2(ratio) if 0 < ratio < math.inf else None

    def _decayed(self, moment: int) -> float:
        halvings, rest = divmod(moment, self.half_life)
        exponent = self.bucket - halvings
        if exponent > _MAX_EXPONENT:
            # So great, and far over what a score can be, it is only long before its events.
            exponent = _MAX_EXPONENT
        return math.ldexp(self.total * 2.0 ** (-rest / self.half_life), exponent)


def points_of(event_name: str, event_type: str, settings: Mapping[str, Any]) -> float:
    """The points of an event by a score's settings: as listed, else `default_event` if it was tracked, else none."""
    listed: Mapping[str, float] = settings.get("events", {})
    if event_name in listed:
        return listed[event_name]
    default: float = settings.get("default_event", 0)
    return default if event_type == "track" else 0


def add(state: State, points: float, timestamp: int, half_life: int) -> State:
    """The state with one more event, of `points` at `timestamp`."""
    if points == 0:
        return state
    bucket, rest = divmod(timestamp, half_life)
    return merge(state, {str(bucket): round(points * 2.0 ** (rest / half_life) * 2**_FRACTION_BITS)})


def merge(one: State, other: State) -> State:
    """The state of both contacts' events. A bucket whose points cancel out stays: it may be the newest."""
    buckets = {int(bucket) for bucket in one.keys() | other.keys()}
    oldest = max(buckets, default=0) - _KEPT_BUCKETS
    kept = [str(bucket) for bucket in sorted(buckets) if bucket >= oldest]
    return {bucket: one.get(bucket, 0) + other.get(bucket, 0) for bucket in kept}


def compile_scale(settings: Mapping[str, Any]) -> Scale:
    """The compiled form of one score's settings. A trait rule that does not read the contact itself gives no points."""
    rules = [(_condition(raw), raw["points"]) for raw in settings.get("traits", ())]
    valid = [(condition, points) for condition, points in rules if condition is not None]
    return Scale(
        parse_duration(settings["half_life"]),
        tuple((compile_condition(condition).judge, points) for condition, points in valid),
        tuple(condition for condition, _ in valid),
    )


def shown(value: float) -> int | float:
    """A score as it is displayed: rounded down to two decimals, whole numbers without any."""
    hundredths = round(value * _GRAINS) // (_GRAINS // 100)
    return hundredths // 100 if hundredths % 100 == 0 else hundredths / 100


def _condition(raw: Mapping[str, Any]) -> Condition | None:
    given = {key: raw[key] for key in ("field", "op", "value") if key in raw}
    if given.get("op") in PRESENCE:
        given.pop("value", None)
    try:
        condition = parse_condition(given, path="traits")
    except ValidationFailed:
        return None
    read = field_of(condition.field)
    return condition if read is not None and read.kind in _OF_CONTACT else None


def _sum(state: State) -> tuple[float, int]:
    """Points, and the bucket in which they are worth so many at its beginning."""
    oldest = min(map(int, state), default=0)
    return float(sum(points << (int(bucket) - oldest) for bucket, points in state.items())), oldest - _FRACTION_BITS
