"""Bodies and queries of the survey endpoints."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from chalicelib.core.bounds import MAX_NAME_BYTES, has_control
from chalicelib.core.clock import DAY
from chalicelib.core.durations import parse_duration
from chalicelib.core.schema import Body, Line, NotNull, PageQuery, Query
from chalicelib.features.surveys.model import (
    CHANNELS,
    MAX_COMMENT,
    MAX_OPTIONS,
    MAX_QUESTIONS,
    Action,
    Attitude,
    Cap,
    Category,
    Channel,
    Question,
    QuestionType,
    Shown,
    Status,
    Survey,
    Trigger,
    Type,
)

_NAME_MAX = 128
_TEXT_MAX = 500
_OPTION_MAX = 200
_SUBJECT_MAX = 500
_DELAY_MAX = 365 * DAY
_REMIND_MAX = 60 * DAY
_REPEAT_MAX = 3_650 * DAY
_CAP_MAX = 1_000
_COOLDOWN_MAX = 3_650
_PAUSE_MAX = 365
_TAGS_MAX = 20
_TAG_MAX_BYTES = 128
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _lasting(least: int, most: int, told: str) -> AfterValidator:
    def check(text: str) -> str:
        if not least <= parse_duration(text) <= most:
            raise ValueError(told)
        return text

    return AfterValidator(check)


def _event(text: str) -> str:
    if not text.strip() or has_control(text) or len(text.encode()) > MAX_NAME_BYTES:
        raise ValueError(f"an event's name is not blank and has at most {MAX_NAME_BYTES} bytes")
    return text


def _question_id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("1 to 64 letters, digits, dashes and underscores")
    return text


def _tag(text: str) -> str:
    if not text.strip() or has_control(text) or len(text.encode()) > _TAG_MAX_BYTES:
        raise ValueError(f"a tag has 1 to {_TAG_MAX_BYTES} bytes and no control character")
    return text


Name = Annotated[Line, Field(min_length=1, max_length=_NAME_MAX, examples=["Post-Trial NPS"])]
Text = Annotated[Line, Field(min_length=1, max_length=_TEXT_MAX)]
Reference = Annotated[str, Field(min_length=1, max_length=64)]
Delay = Annotated[
    str,
    _lasting(0, _DELAY_MAX, "a delay is 365d at the most"),
    Field(description="A whole number and one of s, m, h, d, w: after the cause was received.", examples=["1h"]),
]
Remind = Annotated[
    str,
    _lasting(60_000, _REMIND_MAX, "a reminder comes 1m to 60d after"),
    Field(description="How long after the mail one reminder is sent to whoever did not answer.", examples=["3d"]),
]
Repeat = Annotated[
    str,
    _lasting(DAY, _REPEAT_MAX, "from 1d to 3650d"),
    Field(
        description="Ask all members of `trigger.segment_id` at the first activation, and again each time this long.",
        examples=["90d"],
    ),
]
Channels = Annotated[list[Channel], Field(max_length=len(CHANNELS), description="Both where it is left out.")]
Subject = Annotated[Line, Field(max_length=_SUBJECT_MAX, description="Of the mail, with merge tags.")]


class QuestionBody(Body):
    """A question of a custom survey; one without an `id` gets `q1`, `q2`, … by its place."""

    id: Annotated[str, AfterValidator(_question_id)] | None = None
    type: QuestionType
    text: Text
    options: Annotated[
        list[Annotated[Line, Field(max_length=_OPTION_MAX)]],
        Field(max_length=MAX_OPTIONS, description="Of a choice: at least two."),
    ] = Field(default_factory=list)
    required: bool = False


class TriggerBody(Body):
    """What a survey is sent by: the event, by a member of the segment where both are given; entering the segment."""

    event: Annotated[str, AfterValidator(_event), Field(examples=["trial_expired"])] | None = None
    segment_id: Reference | None = None
    filters: Annotated[
        dict[str, Any] | None,
        Field(description="Rules as of segments; they may also read `event.properties.<path>`."),
    ] = None
    delay: Delay = "0m"
    include_existing: Annotated[
        bool,
        Field(
            description=(
                "Of a trigger by segment: whoever is in it at the first activation, or enters it by a change of its "
                "rules, is asked too."
            )
        ),
    ] = False


class TriggerPatch(Body):
    """What to change of the trigger; `null` removes a value."""

    event: Annotated[str, AfterValidator(_event)] | None = None
    segment_id: Reference | None = None
    filters: dict[str, Any] | None = None
    delay: Delay | None = None
    include_existing: bool | None = None


class CapBody(Body):
    """How often a contact is asked."""

    max_surveys_per_contact: Annotated[
        int | None,
        Field(
            ge=1, le=_CAP_MAX, description="Sends of this survey; null for any number. 1, or null of a recurring one."
        ),
    ] = None
    cooldown_days: Annotated[
        int | None, Field(ge=0, le=_COOLDOWN_MAX, description="None so soon after the last send of any survey; 0.")
    ] = None


class ActionBody(Body):
    """What follows an answer, each once for a response."""

    add_tags: Annotated[list[Annotated[str, AfterValidator(_tag)]], Field(max_length=_TAGS_MAX)] = Field(
        default_factory=list
    )
    start_campaign_id: Reference | None = None
    referral_program_id: Annotated[
        Reference | None, Field(description="A link of it is shown on the thank-you page and sent by mail.")
    ] = None
    pause_marketing_days: Annotated[int, Field(ge=1, le=_PAUSE_MAX)] | None = None


class ActionsBody(Body):
    """What follows by what the score says; of CSAT 4 and 5 are a promoter's, 3 is a passive's."""

    promoter: ActionBody | None = None
    passive: ActionBody | None = None
    detractor: ActionBody | None = None


class NewSurvey(Body):
    """A survey, which is a draft until it is activated."""

    name: Name
    type: Type
    question: Annotated[
        Text | None,
        Field(
            description="What is asked; of a custom survey what stands above its questions.",
            examples=["How likely are you to recommend us to a friend or colleague?"],
        ),
    ] = None
    follow_up: Annotated[Text | None, Field(examples=["What could we do better?"])] = None
    questions: Annotated[list[QuestionBody], Field(max_length=MAX_QUESTIONS, description="Of a custom survey.")] = (
        Field(default_factory=list)
    )
    trigger: TriggerBody = TriggerBody()
    frequency_cap: CapBody = CapBody()
    channels: Channels = Field(default_factory=lambda: list(CHANNELS))
    remind_after: Remind | None = None
    repeat: Repeat | None = None
    email_template_id: Annotated[
        Reference | None, Field(description="A template of the mail; `survey_link` leads to the page.")
    ] = None
    subject: Subject | None = None
    actions: ActionsBody = ActionsBody()
    status: Literal["draft"] = "draft"


class SurveyPatch(Body):
    """What to change; fields that are not sent stay as they are. `trigger`, `frequency_cap` and `actions` merge key by
    key, lists are replaced."""

    name: Annotated[Name | None, NotNull] = None
    type: Annotated[Type | None, NotNull] = None
    question: Text | None = None
    follow_up: Text | None = None
    questions: Annotated[list[QuestionBody] | None, NotNull, Field(max_length=MAX_QUESTIONS)] = None
    trigger: Annotated[TriggerPatch | None, NotNull] = None
    frequency_cap: Annotated[CapBody | None, NotNull] = None
    channels: Annotated[Channels | None, NotNull] = None
    remind_after: Remind | None = None
    repeat: Repeat | None = None
    email_template_id: Reference | None = None
    subject: Subject | None = None
    actions: Annotated[ActionsBody | None, NotNull] = None


class SurveysQuery(PageQuery):
    """Which surveys to list."""

    type: Type | None = None
    status: Status | None = None


class SendsQuery(PageQuery):
    """Which sends to list."""

    state: Shown | None = None


class ResponsesQuery(PageQuery):
    """Which responses to list."""

    category: Category | None = None


class ExplainQuery(Query):
    """Of whom to explain it."""

    contact_id: Reference


class StatsQuery(Query):
    """The days that `by_day` tells of, in the project's time zone; the last 30 without them."""

    from_: Annotated[str | None, Field(alias="from", pattern=r"^\d{4}-\d{2}-\d{2}$")] = None
    to: Annotated[str | None, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] = None


class NewResponse(Body):
    """An answer: by the token that a mail or a widget was given, or for a contact. Fields that a correction does not
    say stay as they were."""

    token: Annotated[str | None, Field(min_length=1, max_length=1_024)] = None
    contact_id: Annotated[Reference | None, Field(description="With a secret key.")] = None
    score: int | None = None
    comment: Annotated[str | None, Field(max_length=MAX_COMMENT)] = None
    answers: Annotated[
        dict[Annotated[str, Field(max_length=64)], Any],
        Field(max_length=MAX_QUESTIONS, description="Of a custom survey, by the question's id."),
    ] = Field(default_factory=dict)


def defined(body: NewSurvey, survey_id: str, now: int) -> Survey:
    """The survey that a body defines."""
    repeat = _duration(body.repeat)
    return Survey(
        id=survey_id,
        name=body.name,
        type=body.type,
        status="draft",
        created_at=now,
        updated_at=now,
        question=body.question,
        follow_up=body.follow_up,
        questions=_questions(body.questions),
        trigger=Trigger(**body.trigger.model_dump(exclude={"delay"}), delay=parse_duration(body.trigger.delay)),
        cap=_cap(body.frequency_cap, Cap(most=1 if repeat is None else None)),
        channels=_channels(body.channels),
        remind_after=_duration(body.remind_after),
        repeat=repeat,
        email_template_id=body.email_template_id,
        subject=body.subject,
        actions=_actions(body.actions, {}),
    )


def patched(patch: SurveyPatch, before: Survey) -> Survey:
    """The survey with what a patch changes, its version and moments as they were."""
    changed: dict[str, Any] = {name: getattr(patch, name) for name in patch.model_fields_set}
    if patch.frequency_cap is not None:
        changed["cap"] = _cap(patch.frequency_cap, before.cap)
    changed.pop("frequency_cap", None)
    if patch.questions is not None:
        changed["questions"] = _questions(patch.questions)
    if patch.channels is not None:
        changed["channels"] = _channels(patch.channels)
    if patch.actions is not None:
        changed["actions"] = _actions(patch.actions, before.actions)
    if patch.trigger is not None:
        changed["trigger"] = _trigger(patch.trigger, before.trigger)
    for name in ("remind_after", "repeat"):
        if name in changed:
            changed[name] = _duration(changed[name])
    return replace(before, **changed)


def _trigger(patch: TriggerPatch, before: Trigger) -> Trigger:
    known = {name: getattr(patch, name) for name in patch.model_fields_set}
    if "include_existing" in known:
        known["include_existing"] = bool(known["include_existing"])
    if "delay" in known:
        known["delay"] = parse_duration(known["delay"] or "0m")
    return replace(before, **known)


def _cap(body: CapBody, before: Cap) -> Cap:
    most, cooldown = before.most, before.cooldown_days
    if "max_surveys_per_contact" in body.model_fields_set:
        most = body.max_surveys_per_contact
    if "cooldown_days" in body.model_fields_set:
        cooldown = body.cooldown_days or 0
    return Cap(most, cooldown)


def _actions(body: ActionsBody, before: Mapping[Attitude, Action]) -> dict[Attitude, Action]:
    found = dict(before)
    for attitude in ("promoter", "passive", "detractor"):
        if attitude in body.model_fields_set:
            wanted: ActionBody | None = getattr(body, attitude)
            found.pop(attitude, None)
            action = None if wanted is None else _action(wanted)
            if action is not None and action != Action():
                found[attitude] = action
    return found


def _action(body: ActionBody) -> Action:
    return Action(
        tuple(dict.fromkeys(body.add_tags)), body.start_campaign_id, body.referral_program_id, body.pause_marketing_days
    )


def _questions(bodies: list[QuestionBody]) -> tuple[Question, ...]:
    return tuple(
        Question(each.id or f"q{n}", each.type, each.text, tuple(each.options), each.required)
        for n, each in enumerate(bodies, 1)
    )


def _channels(named: list[Channel]) -> tuple[Channel, ...]:
    return tuple(each for each in CHANNELS if each in named)


def _duration(text: str | None) -> int | None:
    return None if text is None else parse_duration(text)
