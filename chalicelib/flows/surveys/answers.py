"""What the survey endpoints answer."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from chalicelib.core.clock import iso
from chalicelib.core.durations import format_duration
from chalicelib.core.schema import Answer
from chalicelib.features.surveys.ledger import Figures, OfQuestion
from chalicelib.features.surveys.model import (
    Action,
    Category,
    Channel,
    Question,
    QuestionType,
    Reason,
    Response,
    Send,
    Shown,
    Status,
    Survey,
    Type,
)


class QuestionAnswer(Answer):
    """A question of a custom survey."""

    id: str
    type: QuestionType
    text: str
    options: list[str]
    required: bool


class TriggerAnswer(Answer):
    """What a survey is sent by."""

    event: str | None
    segment_id: str | None
    filters: dict[str, Any] | None
    delay: str
    include_existing: bool


class CapAnswer(Answer):
    """How often a contact is asked."""

    max_surveys_per_contact: int | None
    cooldown_days: int


class ActionAnswer(Answer):
    """What follows an answer."""

    add_tags: list[str]
    start_campaign_id: str | None
    referral_program_id: str | None
    pause_marketing_days: int | None


class SurveyAnswer(Answer):
    """A survey."""

    id: Annotated[str, Field(examples=["srvy_01j8x2m4k00000000000000000"])]
    name: str
    type: Type
    status: Status
    question: str | None
    follow_up: str | None
    questions: list[QuestionAnswer]
    trigger: TriggerAnswer
    frequency_cap: CapAnswer
    channels: list[Channel]
    remind_after: str | None
    repeat: str | None
    next_sweep_at: Annotated[str | None, Field(description="When a recurring survey asks next.")]
    email_template_id: str | None
    subject: str | None
    actions: dict[str, ActionAnswer]
    created_at: str
    updated_at: str
    activated_at: str | None


class SendAnswer(Answer):
    """One survey to one contact, once: whether it was asked, when and by what, or why not."""

    id: str
    survey_id: str
    contact_id: str
    state: Shown
    reason: Reason | None
    cause: Annotated[str, Field(description="`event`, `segment`, `sweep`, `link` or `api`.")]
    event: Annotated[str | None, Field(description="The name of the event that caused it.")]
    caused_at: str
    due_at: str | None
    channels: list[str]
    sent_at: str | None
    expires_at: str | None
    answered_at: str | None
    reminded_at: str | None
    not_reminded: Annotated[Reason | None, Field(description="Why there was no reminder.")]
    created_at: str


class ResponseAnswer(Answer):
    """What a contact has answered."""

    id: Annotated[str, Field(examples=["resp_01j8x2m4k00000000000000000"])]
    survey_id: str
    contact_id: Annotated[str | None, Field(description="Null where it was answered by a token.")]
    score: int | None
    comment: str | None
    answers: dict[str, Any]
    category: Category | None
    responded_at: str
    updated_at: str
    correctable_until: str


class EffectAnswer(Answer):
    """What an answer has caused."""

    effect: str
    outcome: str
    category: str
    at: str


class ListedResponse(ResponseAnswer):
    """The same with what it has caused."""

    effects: list[EffectAnswer]


class DayAnswer(Answer):
    """The figures of one day of the project's time zone: sends by when they were sent, responses by when they came."""

    date: str
    sent: int
    responses: int
    nps_score: int | None
    csat_score: int | None
    breakdown: dict[str, int]
    average_score: float | None


class QuestionFigures(Answer):
    """How a question of a custom survey was answered."""

    id: str
    text: Annotated[str | None, Field(description="Null of a question that the survey has no more.")]
    responses: int
    average: float | None
    options: dict[str, int]


class StatsAnswer(Answer):
    """How a survey does; lags by less than 2 s."""

    survey_id: str
    status: Status
    total_sent: int
    total_responses: int
    response_rate: float
    nps_score: Annotated[int | None, Field(description="-100 to 100; null of other types.")]
    csat_score: Annotated[int | None, Field(description="0 to 100; null of other types.")]
    breakdown: Annotated[
        dict[str, int],
        Field(description="`promoters passives detractors`, or `satisfied neutral dissatisfied`."),
    ]
    average_score: float | None
    questions: list[QuestionFigures]
    by_day: list[DayAnswer]
    updated_at: Annotated[str, Field(description="When the figures were read.")]


class ExplainAnswer(Answer):
    """Why a contact was asked or not, and whether it would be now."""

    survey_id: str
    contact_id: str
    as_of: str
    may_be_asked: Annotated[bool, Field(description="Whether a send that is due now would be sent.")]
    reason: Annotated[str | None, Field(description="Why not; why past sends were skipped is told with them.")]
    message: str
    until: Annotated[str | None, Field(description="When that reason ends by itself.")]
    in_segment: Annotated[bool | None, Field(description="Null where the trigger names no segment.")]
    sends_counted: int
    max_surveys_per_contact: int | None
    last_sent_at: Annotated[str | None, Field(description="The last send of any survey of the project.")]
    cooldown_until: str | None
    waiting: SendAnswer | None
    sends: Annotated[list[SendAnswer], Field(description="The newest 25, the newest first.")]


def shown(survey: Survey) -> SurveyAnswer:
    """The survey as its callers see it."""
    trigger = survey.trigger
    return SurveyAnswer(
        id=survey.id,
        name=survey.name,
        type=survey.type,
        status=survey.status,
        question=survey.question,
        follow_up=survey.follow_up,
        questions=[_question(each) for each in survey.questions],
        trigger=TriggerAnswer(
            event=trigger.event,
            segment_id=trigger.segment_id,
            filters=trigger.filters,
            delay=format_duration(trigger.delay),
            include_existing=trigger.include_existing,
        ),
        frequency_cap=CapAnswer(max_surveys_per_contact=survey.cap.most, cooldown_days=survey.cap.cooldown_days),
        channels=list(survey.channels),
        remind_after=None if survey.remind_after is None else format_duration(survey.remind_after),
        repeat=None if survey.repeat is None else format_duration(survey.repeat),
        next_sweep_at=_iso(survey.next_sweep_at),
        email_template_id=survey.email_template_id,
        subject=survey.subject,
        actions={name: _action(each) for name, each in survey.actions.items()},
        created_at=iso(survey.created_at),
        updated_at=iso(survey.updated_at),
        activated_at=_iso(survey.activated_at),
    )


def _question(question: Question) -> QuestionAnswer:
    return QuestionAnswer(
        id=question.id,
        type=question.type,
        text=question.text,
        options=list(question.options),
        required=question.required,
    )


def _action(action: Action) -> ActionAnswer:
    return ActionAnswer(
        add_tags=list(action.add_tags),
        start_campaign_id=action.start_campaign_id,
        referral_program_id=action.referral_program_id,
        pause_marketing_days=action.pause_marketing_days,
    )


def send_shown(send: Send, now: int) -> SendAnswer:
    """A send as its callers see it at `now`."""
    return SendAnswer(
        id=send.id,
        survey_id=send.survey_id,
        contact_id=send.contact_id,
        state=send.shown_as(now),
        reason=send.reason,
        cause=send.cause.kind,
        event=send.cause.name,
        caused_at=iso(send.cause.moment),
        due_at=_iso(send.due_at) if send.state == "waiting" else None,
        channels=list(send.by),
        sent_at=_iso(send.sent_at),
        expires_at=_iso(send.expires_at),
        answered_at=_iso(send.answered_at),
        reminded_at=_iso(send.reminded_at),
        not_reminded=send.not_reminded,
        created_at=iso(send.created_at),
    )


def response_shown(response: Response) -> ListedResponse:
    """A response as lists show it."""
    return ListedResponse(
        id=response.id,
        survey_id=response.survey_id,
        contact_id=response.contact_id,
        score=response.score,
        comment=response.comment,
        answers=dict(response.answers),
        category=response.category,
        responded_at=iso(response.responded_at),
        updated_at=iso(response.updated_at),
        correctable_until=iso(response.correctable_until),
        effects=[
            EffectAnswer(effect=each.name, outcome=each.outcome, category=each.category, at=iso(each.at))
            for each in response.effects
        ],
    )


def stats_shown(
    survey: Survey, own: Figures, questions: list[OfQuestion], days: Mapping[str, Figures], now: int
) -> StatsAnswer:
    """A survey's figures as callers see them."""
    return StatsAnswer(
        survey_id=survey.id,
        status=survey.status,
        total_sent=own.sent,
        total_responses=own.responses,
        response_rate=own.rate,
        nps_score=own.score if survey.type == "nps" else None,
        csat_score=own.score if survey.type == "csat" else None,
        breakdown=_breakdown(own),
        average_score=own.average,
        questions=[_question_figures(survey, each) for each in questions],
        by_day=[_day(survey, date, figures) for date, figures in days.items()],
        updated_at=iso(now),
    )


def _day(survey: Survey, date: str, figures: Figures) -> DayAnswer:
    score = figures.score if figures.responses else None
    return DayAnswer(
        date=date,
        sent=figures.sent,
        responses=figures.responses,
        nps_score=score if survey.type == "nps" else None,
        csat_score=score if survey.type == "csat" else None,
        breakdown=_breakdown(figures),
        average_score=figures.average,
    )


def _breakdown(figures: Figures) -> dict[str, int]:
    plural = {"promoter": "promoters", "passive": "passives", "detractor": "detractors"}
    return {plural.get(name, name): n for name, n in figures.breakdown.items()}


def _question_figures(survey: Survey, figures: OfQuestion) -> QuestionFigures:
    question = survey.question_of(figures.id)
    return QuestionFigures(
        id=figures.id,
        text=None if question is None else question.text,
        responses=figures.responses,
        average=figures.average,
        options=dict(figures.options),
    )


def _iso(moment: int | None) -> str | None:
    return None if moment is None else iso(moment)
