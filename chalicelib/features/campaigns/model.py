"""Campaigns, and runs: where a contact stands in one. Pure; moments in ms on the project's clock."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from chalicelib.core import clock, ids

MAX_CAMPAIGNS = 1_000
MAX_ACTIVE = 100
MAX_STEPS = 50
MAX_BYTES = 200_000
"""Of a campaign's definition as JSON."""

SHOWN = 1_000
"""Mails and skips of a simulation that are told one by one."""

_TURN_LASTS = 5 * clock.SECOND

Type = Literal["lifecycle", "broadcast"]
Status = Literal["draft", "active", "paused", "completed", "archived"]
Pace = Literal["campaign", "account"]
"""Whose rate: that of the campaign, or that of the account with the mail service."""

RunStatus = Literal["running", "completed", "exited", "merged", "deleted"]
SkipReason = Literal[
    "unsubscribed", "bounced", "complained", "no_email", "deleted", "paused_marketing", "condition", "exited"
]
SKIP_REASONS: tuple[SkipReason, ...] = get_args(SkipReason)


@dataclass(frozen=True, slots=True)
class Step:
    """One mail of a campaign. `delay` in ms after the step before was sent or skipped; `conditions` as JSON."""

    id: str
    delay: int
    template_id: str
    subject: str | None = None
    conditions: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """What starts a run: the event, by a member of the segment where both stand; entering the segment where it stands
    alone. `filters` are rules as JSON."""

    event: str | None = None
    segment_id: str | None = None
    filters: dict[str, Any] | None = None
    include_existing: bool = False

    def takes(self, starts: str) -> bool:
        """True where entering the segment starts a run; `starts` says which campaigns that does: `none`,
        `including_existing`, `all`."""
        return starts == "all" or (starts == "including_existing" and self.include_existing)


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign's definition. `since` is the ULID made at its last activation: what came before starts nothing.

    Of a broadcast, `started_at` is the moment at which it began to be sent, and `is_walked` tells that everybody of its
    segment has a run. `steps_version` counts changes by which its runs may be due at other moments.
    """

    id: str
    name: str
    type: Type
    status: Status
    steps: tuple[Step, ...]
    created_at: int
    updated_at: int
    trigger: Trigger | None = None
    segment_id: str | None = None
    scheduled_at: int | None = None
    exit_on: tuple[str, ...] = ()
    reentry: bool = False
    rate_per_second: int | None = None
    activated_at: int | None = None
    since: str | None = None
    started_at: int | None = None
    completed_at: int | None = None
    is_walked: bool = False
    steps_version: int = 1
    version: int = 1

    @property
    def uses_segments(self) -> list[str]:
        """The segments that it names outside of rules."""
        trigger = self.trigger.segment_id if self.trigger is not None else None
        return [each for each in (trigger, self.segment_id) if each is not None]

    def step(self, step_id: str) -> Step | None:
        return next((each for each in self.steps if each.id == step_id), None)

    def index(self, step_id: str) -> int | None:
        """Where the step stands now; None where it is not in the campaign any more."""
        return next((n for n, each in enumerate(self.steps) if each.id == step_id), None)


@dataclass(frozen=True, slots=True)
class Cause:
    """What started a run: an event with its properties, or the entering of a segment, of which the name is None.

    `id` is that of the event, whose ULID tells the order of receipt. `is_asked` where the run was asked for by name,
    as by an action of a survey, and not started by the campaign's trigger.
    """

    id: str
    moment: int
    name: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    is_asked: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A contact's position in a campaign.

    `done` has the ids of the steps that were sent or skipped, in that order, and `index` where the last of them stood.
    `anchor` is the moment from which the next delay counts. `due_at` is where its timer stands, or stood when it was
    queued. `held` says of the step held back until `due_at`, by quiet hours or the campaign's rate, which one it is;
    `paced_by` whose
    rate gave it that moment as its turn. `happened` is what the contact has got and done of it: `sent opened
    clicked`. `claimed` is the message that was claimed last. `number` counts the contact's runs in the campaign,
    `version` writes.
    """

    id: str
    contact_id: str
    campaign_id: str
    cause: Cause
    entered_at: int
    anchor: int
    due_at: int
    number: int = 1
    status: RunStatus = "running"
    done: tuple[str, ...] = ()
    index: int = -1
    held: str | None = None
    paced_by: Pace | None = None
    happened: frozenset[str] = frozenset()
    claimed: str | None = None
    version: int = 0

    @property
    def is_running(self) -> bool:
        return self.status == "running"

    def handled(self, step_id: str, index: int, now: int, *, claimed: str | None = None) -> "Run":
        """The run after a step was claimed, to be sent as that message, or skipped, at `now`."""
        return replace(
            self,
            done=(*self.done, step_id),
            index=index,
            anchor=now,
            held=None,
            paced_by=None,
            happened=self.happened | ({"sent"} if claimed else set()),
            claimed=claimed or self.claimed,
        )

    def waiting(self, step_id: str, until: int, paced_by: Pace | None) -> "Run":
        """The run whose next step is held back until its turn in that rate, if it is a rate that holds it."""
        return replace(self, due_at=until, held=step_id, paced_by=paced_by)

    def has_turn(self, step_id: str, pace: Pace, now: int) -> bool:
        """True where the step's turn in that rate has come just now: one that was not used is given away.

        Whoever waits for the account's turn has had that of the campaign.
        """
        is_its = self.held == step_id and self.paced_by in (pace, "account")
        return is_its and 0 <= now - self.due_at < _TURN_LASTS

    def ended(self, status: RunStatus) -> "Run":
        return replace(self, status=status, held=None, paced_by=None)


@dataclass(frozen=True, slots=True)
class Played:
    """A mail that would be sent, or skipped where there is a reason; `at` in ms."""

    contact_id: str
    step_index: int
    step_id: str
    at: int
    reason: SkipReason | None = None


def next_step(campaign: Campaign, run: Run) -> tuple[int, Step] | None:
    """The step that the run comes to next, and where it stands; None where it has come to the end.

    That is the first one after the place of the last step handled which was not handled yet. A step is known by its id:
    where the last one is in the campaign no more, its place is where it stood.
    """
    last = campaign.index(run.done[-1]) if run.done else None
    start = run.index if last is None else last + 1
    for index, step in enumerate(campaign.steps):
        if index >= start and step.id not in run.done:
            return index, step
    return None


def moved_on(campaign: Campaign, run: Run) -> Run:
    """The run after it has come to its next step, with the moment at which that is due, or to its end."""
    following = next_step(campaign, run)
    return run.ended("completed") if following is None else replace(run, due_at=due_moment(run, following[1]))


def due_moment(run: Run, step: Step) -> int:
    """When the step is due for the run."""
    due = run.anchor + step.delay
    return max(due, run.due_at) if run.held == step.id else due


def place(campaign: Campaign | None, run: Run) -> int:
    """How far the run has come, for comparing two: where its next step stands, or past all steps."""
    if campaign is None or run.status == "completed":
        return MAX_STEPS
    following = next_step(campaign, run)
    return MAX_STEPS if following is None else following[0]


def joined(campaign: Campaign | None, ours: Run, theirs: Run) -> Run:
    """The run of a contact that has absorbed another one, where both have one: the further goes on.

    What either has handled is not handled again. Between equals that of the contact which stays is kept.
    """
    further, other = (theirs, ours) if place(campaign, theirs) > place(campaign, ours) else (ours, theirs)
    known = [step_id for step_id in other.done if step_id not in further.done]
    return replace(
        further,
        contact_id=ours.contact_id,
        done=(*known, *further.done),
        number=max(ours.number, theirs.number),
        happened=ours.happened | theirs.happened,
        version=ours.version,
    )


def misfits(campaign: Campaign) -> list[tuple[str, str]]:
    """What can't stand together in a campaign: the field, and why not."""
    step_ids = [step.id for step in campaign.steps]
    faults = [] if len(set(step_ids)) == len(step_ids) else [("steps", "Two steps have the same id.")]
    return faults + (_of_broadcast(campaign) if campaign.type == "broadcast" else _of_lifecycle(campaign))


def _of_lifecycle(campaign: Campaign) -> list[tuple[str, str]]:
    faults: list[tuple[str, str]] = []
    if campaign.trigger is None or (campaign.trigger.event is None and campaign.trigger.segment_id is None):
        faults.append(("trigger", "A lifecycle campaign is triggered by an event, a segment_id, or both."))
    elif campaign.trigger.event is not None and campaign.trigger.include_existing:
        faults.append(("trigger.include_existing", "It is of a trigger by segment alone."))
    if campaign.segment_id is not None:
        faults.append(("segment_id", "It is of broadcasts; a lifecycle campaign has trigger.segment_id."))
    if campaign.scheduled_at is not None:
        faults.append(("scheduled_at", "It is of broadcasts."))
    return faults


def _of_broadcast(campaign: Campaign) -> list[tuple[str, str]]:
    faults: list[tuple[str, str]] = []
    if campaign.segment_id is None:
        faults.append(("segment_id", "A broadcast goes to a segment."))
    if len(campaign.steps) != 1:
        faults.append(("steps", "A broadcast has one step."))
    elif campaign.steps[0].delay:
        faults.append(("steps.0.delay", "A broadcast has no delay; it has scheduled_at."))
    if campaign.trigger is not None:
        faults.append(("trigger", "It is of lifecycle campaigns."))
    if campaign.exit_on:
        faults.append(("exit_on", "It is of lifecycle campaigns."))
    if campaign.reentry:
        faults.append(("reentry", "It is of lifecycle campaigns."))
    return faults


def keyed(steps: Sequence[tuple[str | None, Step]], before: Sequence[Step]) -> tuple[Step, ...]:
    """Steps with their ids, given each with the id that the caller wrote, if any.

    One without takes that of the step which stood in its place before, unless that is written for another one.
    """
    written = {wanted for wanted, _ in steps if wanted is not None}
    keyed_steps: list[Step] = []
    for n, (wanted, step) in enumerate(steps):
        former = before[n].id if n < len(before) else None
        step_id = wanted or (former if former is not None and former not in written else None)
        keyed_steps.append(replace(step, id=step_id or f"step_{ids.new_ulid()}"))
    return tuple(keyed_steps)


def is_after(cause: Cause, event_id: str, moment: int) -> bool:
    """True where an event happened after what started a run; between equal moments the order of receipt decides."""
    return (moment, ids.ulid_of(event_id)) > (cause.moment, ids.ulid_of(cause.id))


def template_ids(campaigns: Iterable[Campaign]) -> set[str]:
    """The templates that these use."""
    return {step.template_id for each in campaigns for step in each.steps}
