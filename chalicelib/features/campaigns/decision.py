"""What becomes of a contact's next step. Pure: live runs, simulations and previews all ask this."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from chalicelib.core.rules.compiled import Rules, compile_rules
from chalicelib.core.rules.parse import parse
from chalicelib.features.campaigns.model import Campaign, Run, SkipReason, Step, due_moment, next_step
from chalicelib.features.campaigns.schedule import Quiet, quiet_until


class Person(NamedTuple):
    """What decides of a contact whether it may be mailed; `suppressed` is why its address gets nothing, and until
    `paused_until` (ms, not included) it gets no marketing mail."""

    is_active: bool
    email: str | None
    is_unsubscribed: bool
    suppressed: SkipReason | None = None
    paused_until: int | None = None


@dataclass(frozen=True, slots=True)
class NotYet:
    """The next step is due later."""

    due: int


@dataclass(frozen=True, slots=True)
class Finished:
    """No step is left."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The step is to be sent, and not before `until`."""

    index: int
    step: Step
    until: int


@dataclass(frozen=True, slots=True)
class Skip:
    """The step is not sent, and why not."""

    index: int
    step: Step
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Send:
    """The step is to be sent now, if it is its turn in the campaign's rate."""

    index: int
    step: Step


Decision = NotYet | Finished | Hold | Skip | Send


def obstacle(person: Person, now: int) -> SkipReason | None:
    """Why the contact gets no mail at `now`; None where it may get one."""
    if not person.is_active:
        return "deleted"
    if person.is_unsubscribed:
        return "unsubscribed"
    if person.email is None:
        return "no_email"
    if person.suppressed is not None:
        return person.suppressed
    return "paused_marketing" if person.paused_until is not None and person.paused_until > now else None


def decide(
    campaign: Campaign, run: Run, person: Person, now: int, quiet: Quiet | None, holds: Callable[[Step], bool]
) -> Decision:
    """What is to be done at `now`; `holds` says whether a step's conditions hold for the contact."""
    following = next_step(campaign, run)
    if following is None:
        return Finished()
    index, step = following
    due = due_moment(run, step)
    if due > now:
        return NotYet(due)
    # What an answer of theirs has started is about that answer, and not the marketing that it has paused.
    reason = obstacle(person._replace(paused_until=None) if run.cause.is_asked else person, now)
    if reason is None and step.conditions is not None and not holds(step):
        reason = "condition"
    if reason is not None:
        return Skip(index, step, reason)
    until = quiet_until(quiet, now)
    return Send(index, step) if until <= now else Hold(index, step, until)


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A campaign with its rules compiled; `conditions` by step."""

    campaign: Campaign
    filters: Rules | None
    conditions: Mapping[str, Rules]


def compiled(campaign: Campaign) -> Compiled:
    """The campaign, ready to be judged by."""
    filters = campaign.trigger.filters if campaign.trigger is not None else None
    return Compiled(
        campaign,
        None if filters is None else _rules(filters),
        {step.id: _rules(step.conditions) for step in campaign.steps if step.conditions is not None},
    )


def _rules(raw: Mapping[str, Any]) -> Rules:
    return compile_rules(parse(raw, has_cause=True))
