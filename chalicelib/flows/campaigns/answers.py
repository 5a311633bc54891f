"""Answers of the endpoints that tell what a campaign would send."""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer
from chalicelib.features.campaigns.model import SHOWN, Played, SkipReason


class PreviewSample(Answer):
    """One who would get it."""

    contact_id: str
    email: str


class PreviewAnswer(Answer):
    """Who would get a broadcast now."""

    recipients: int
    excluded: dict[SkipReason, int]
    samples: list[PreviewSample]
    as_of: str


class SimulatedMail(Answer):
    """A mail that would be sent."""

    contact_id: str
    step_index: int
    step_id: str
    at: str


class SimulatedSkip(SimulatedMail):
    """A mail that would be skipped."""

    reason: SkipReason


class SimulatedTotals(Answer):
    """How many of each there are in all."""

    mails: int
    skipped: dict[SkipReason, int]
    contacts: int


class SimulationAnswer(Answer):
    """What a campaign would send, the first 1,000 mails and skips of it."""

    as_of: str
    until: str
    totals: SimulatedTotals
    mails: list[SimulatedMail]
    skipped: list[SimulatedSkip]


def simulated(
    mails: Sequence[Played], skipped: Sequence[Played], reasons: Mapping[SkipReason, int], now: int, until: int
) -> SimulationAnswer:
    """A simulation as its callers see it, the first SHOWN mails and skips of it."""
    return SimulationAnswer(
        as_of=iso(now),
        until=iso(until),
        totals=SimulatedTotals(
            mails=len(mails), skipped=dict(reasons), contacts=len({each.contact_id for each in [*mails, *skipped]})
        ),
        mails=[SimulatedMail(**_played(each)) for each in mails[:SHOWN]],
        skipped=[SimulatedSkip(**_played(each), reason=each.reason) for each in skipped[:SHOWN] if each.reason],
    )


def _played(each: Played) -> dict[str, Any]:
    return {
        "contact_id": each.contact_id,
        "step_index": each.step_index,
        "step_id": each.step_id,
        "at": iso(each.at),
    }
