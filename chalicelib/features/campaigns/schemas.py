"""Bodies and answers of the campaign endpoints."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from chalicelib.core.bounds import MAX_NAME_BYTES, has_control
from chalicelib.core.clock import DAY, iso, parse_instant
from chalicelib.core.durations import format_duration, parse_duration
from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.core.schema import Answer, Body, Instant, Line, NotNull, PageQuery
from chalicelib.features.campaigns.model import (
    MAX_STEPS,
    Campaign,
    SkipReason,
    Status,
    Step,
    Trigger,
    Type,
    keyed,
)

_NAME_MAX = 128
_SUBJECT_MAX = 500
_DELAY_MAX = 365 * DAY
_RATE_MAX = 1_000
_EXITS_MAX = 20
_STEP_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _delay(text: str) -> str:
    if parse_duration(text) > _DELAY_MAX:
        raise ValueError("a delay is 365d at the most")
    return text


def _until(text: str) -> str:
    try:
        parse_instant(text)
    except ValueError:
        return _delay(text)
    return text


def _event(text: str) -> str:
    if not text.strip() or has_control(text) or len(text.encode()) > MAX_NAME_BYTES:
        raise ValueError(f"an event's name is not blank and has at most {MAX_NAME_BYTES} bytes")
    return text


def _step_id(text: str) -> str:
    if not _STEP_ID.fullmatch(text):
        raise ValueError("1 to 64 letters, digits, dashes and underscores")
    return text


Name = Annotated[Line, Field(min_length=1, max_length=_NAME_MAX, examples=["Onboarding Sequence"])]
Delay = Annotated[
    str,
    AfterValidator(_delay),
    Field(
        description="A whole number and one of s, m, h, d, w: after the step before was sent or skipped.",
        examples=["2d"],
    ),
]
Reference = Annotated[str, Field(min_length=1, max_length=64)]
EventName = Annotated[str, AfterValidator(_event), Field(examples=["signup_completed"])]
Rules = Annotated[
    dict[str, Any],
    Field(description="Rules as of segments; they may also read `event.properties.<path>` of what started the run."),
]
Rate = Annotated[int, Field(ge=1, le=_RATE_MAX, description="Mails in each second at the most.")]


class StepBody(Body):
    """One mail. A step is known by its `id`; one without gets that of the step in its place, or a new one."""

    id: Annotated[str, AfterValidator(_step_id)] | None = None
    delay: Delay = "0m"
    subject: Annotated[
        Line | None, Field(max_length=_SUBJECT_MAX, description="With merge tags; the template's own without it.")
    ] = None
    template_id: Annotated[Reference, Field(examples=["tmpl_01j8x2m4k00000000000000000"])]
    conditions: Annotated[Rules | None, Field(description="Where they do not hold, the step is skipped.")] = None


Steps = Annotated[list[StepBody], Field(min_length=1, max_length=MAX_STEPS)]


class TriggerBody(Body):
    """What starts a run: the event, by a member of the segment where both are given; entering the segment alone."""

    event: EventName | None = None
    segment_id: Reference | None = None
    filters: Rules | None = None
    include_existing: Annotated[
        bool,
        Field(
            description=(
                "Of a trigger by segment: whoever is in it at the first activation, or enters it by a change of its "
                "rules, starts too."
            )
        ),
    ] = False


class NewCampaign(Body):
    """A campaign, which is a draft until it is activated."""

    name: Name
    type: Type
    trigger: Annotated[TriggerBody | None, Field(description="Of a lifecycle campaign.")] = None
    segment_id: Annotated[Reference | None, Field(description="Who gets a broadcast.")] = None
    scheduled_at: Annotated[Instant | None, Field(description="When a broadcast begins; at activation without it.")] = (
        None
    )
    steps: Steps
    exit_on: Annotated[list[EventName], Field(max_length=_EXITS_MAX, description="Events that end a run.")] = Field(
        default_factory=list
    )
    reentry: Annotated[bool, Field(description="Whether a contact may start again once its run has ended.")] = False
    rate_per_second: Rate | None = None


class CampaignPatch(Body):
    """What to change; fields that are not sent stay as they are. `trigger` merges key by key, `steps` are replaced."""

    name: Annotated[Name | None, NotNull] = None
    trigger: Annotated["TriggerPatch | None", NotNull] = None
    segment_id: Annotated[Reference | None, NotNull] = None
    scheduled_at: Instant | None = None
    steps: Annotated[Steps | None, NotNull] = None
    exit_on: Annotated[list[EventName] | None, NotNull, Field(max_length=_EXITS_MAX)] = None
    reentry: Annotated[bool | None, NotNull] = None
    rate_per_second: Rate | None = None


class TriggerPatch(Body):
    """What to change of the trigger; `null` removes a value."""

    event: EventName | None = None
    segment_id: Reference | None = None
    filters: Rules | None = None
    include_existing: bool | None = None


class SampleBody(Body):
    """Where to send a sample of which step."""

    email: Annotated[str, Field(min_length=3, max_length=254, examples=["test@yourteam.com"])]
    step_index: Annotated[int, Field(ge=0, lt=MAX_STEPS)] = 0


class SimulateBody(Body):
    """How far to play the campaign."""

    until: Annotated[
        str,
        AfterValidator(_until),
        Field(description="A duration from now, or a moment; at most 365d from now.", examples=["30d"]),
    ] = "30d"


class CampaignsQuery(PageQuery):
    """Which campaigns to list."""

    type: Type | None = None
    status: Status | None = None


class StepAnswer(Answer):
    """One mail of a campaign."""

    id: str
    delay: str
    subject: str | None
    template_id: str
    conditions: dict[str, Any] | None


class TriggerAnswer(Answer):
    """What starts a run."""

    event: str | None
    segment_id: str | None
    filters: dict[str, Any] | None
    include_existing: bool


class CampaignAnswer(Answer):
    """A campaign."""

    id: Annotated[str, Field(examples=["cmpgn_01j8x2m4k00000000000000000"])]
    name: str
    type: Type
    status: Status
    trigger: TriggerAnswer | None
    segment_id: str | None
    scheduled_at: str | None
    steps: list[StepAnswer]
    exit_on: list[str]
    reentry: bool
    rate_per_second: int | None
    created_at: str
    updated_at: str
    activated_at: str | None
    completed_at: str | None


class Figures(Answer):
    """Counts of messages, and their rates."""

    sent: int
    delivered: int
    opened: int
    clicked: int
    bounced: int
    complained: int
    unsubscribed: int
    failed: int
    unconfirmed: Annotated[int, Field(description="Given to the mail service, or not: it is not known yet.")]
    skipped: Annotated[dict[SkipReason, int], Field(description="Not sent, by reason; only reasons that occurred.")]
    open_rate: float
    click_rate: float
    bounce_rate: float
    unsubscribe_rate: float
    complaint_rate: float


class StepFigures(Answer):
    """The same of one step; `step_index` is null of a step that is not in the campaign any more."""

    step_id: str
    step_index: int | None
    stats: Figures


class StatsAnswer(Answer):
    """How a campaign does; lags by less than 2 s."""

    campaign_id: str
    status: Status
    stats: Figures
    steps: list[StepFigures]
    updated_at: Annotated[str, Field(description="When the figures were read.")]


class SampleAnswer(Answer):
    """A sample that is on its way."""

    id: str
    campaign_id: str
    step_index: int
    email: str
    queued: Literal[True] = True


def defined(body: NewCampaign, campaign_id: str, now: int) -> Campaign:
    """The campaign that a body defines."""
    return Campaign(
        id=campaign_id,
        name=body.name,
        type=body.type,
        status="draft",
        steps=keyed(_steps(body.steps), ()),
        created_at=now,
        updated_at=now,
        trigger=None if body.trigger is None else Trigger(**body.trigger.model_dump()),
        segment_id=body.segment_id,
        scheduled_at=body.scheduled_at,
        exit_on=tuple(dict.fromkeys(body.exit_on)),
        reentry=body.reentry,
        rate_per_second=body.rate_per_second,
    )


def changes(patch: CampaignPatch, before: Campaign) -> dict[str, Any]:
    """What a patch changes, by the campaign's fields; `steps` as `model.keyed` takes them."""
    changed: dict[str, Any] = {name: getattr(patch, name) for name in patch.model_fields_set}
    if patch.steps is not None:
        changed["steps"] = _steps(patch.steps)
    if patch.exit_on is not None:
        changed["exit_on"] = tuple(dict.fromkeys(patch.exit_on))
    if patch.trigger is not None:
        known = {name: getattr(patch.trigger, name) for name in patch.trigger.model_fields_set}
        if "include_existing" in known:
            known["include_existing"] = bool(known["include_existing"])
        stands = before.trigger or Trigger()
        changed["trigger"] = Trigger(**{name: getattr(stands, name) for name in Trigger.__slots__} | known)
    return changed


def _steps(bodies: list[StepBody]) -> list[tuple[str | None, Step]]:
    return [
        (each.id, Step("", parse_duration(each.delay), each.template_id, each.subject, each.conditions))
        for each in bodies
    ]


def shown(campaign: Campaign) -> CampaignAnswer:
    """The campaign as its callers see it."""
    trigger = campaign.trigger
    return CampaignAnswer(
        id=campaign.id,
        name=campaign.name,
        type=campaign.type,
        status=campaign.status,
        trigger=None
        if trigger is None
        else TriggerAnswer(**{name: getattr(trigger, name) for name in Trigger.__slots__}),
        segment_id=campaign.segment_id,
        scheduled_at=_iso(campaign.scheduled_at),
        steps=[
            StepAnswer(
                id=step.id,
                delay=format_duration(step.delay),
                subject=step.subject,
                template_id=step.template_id,
                conditions=step.conditions,
            )
            for step in campaign.steps
        ],
        exit_on=list(campaign.exit_on),
        reentry=campaign.reentry,
        rate_per_second=campaign.rate_per_second,
        created_at=iso(campaign.created_at),
        updated_at=iso(campaign.updated_at),
        activated_at=_iso(campaign.activated_at),
        completed_at=_iso(campaign.completed_at),
    )


def until(body: SimulateBody, now: int) -> int:
    """The moment until which to play, in ms. Raises ValidationFailed for one before now, or too far from it."""
    try:
        moment = parse_instant(body.until)
    except ValueError:
        return now + parse_duration(body.until)
    if not now <= moment <= now + _DELAY_MAX:
        message = "The moment is not before now, and at most 365d from it."
        raise ValidationFailed("The request breaks a rule.", details=[detail("until", "range", message)])
    return moment


def _iso(moment: int | None) -> str | None:
    return None if moment is None else iso(moment)


def figures(counted: Mapping[str, int]) -> Figures:
    """Counts by outcome (`skipped:<reason>`), with rates of three decimals; 0 where nothing was delivered."""

    def rate(name: str, of: str = "delivered") -> float:
        below = counted.get(of, 0)
        return round(counted.get(name, 0) / below, 3) if below else 0.0

    names = ("sent", "delivered", "opened", "clicked", "bounced", "complained", "unsubscribed", "failed", "unconfirmed")
    skipped = {name.partition(":")[2]: n for name, n in counted.items() if name.startswith("skipped:") and n}
    return Figures(
        **{name: counted.get(name, 0) for name in names},
        skipped=skipped,
        open_rate=rate("opened"),
        click_rate=rate("clicked"),
        bounce_rate=rate("bounced", "sent"),
        unsubscribe_rate=rate("unsubscribed"),
        complaint_rate=rate("complained"),
    )
