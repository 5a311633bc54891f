"""What `decide` answers: never a trait, an email or a score."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer
from chalicelib.features.referrals.model import Program, Standing
from chalicelib.features.surveys.model import Question, QuestionType, Survey, Type
from chalicelib.features.waitlists.model import Held, Status, Waitlist
from chalicelib.readings import survey_link


class AskedQuestion(Answer):
    """A question of a custom survey."""

    id: str
    type: QuestionType
    text: str
    options: Annotated[list[str], Field(description="Those of a choice.")]
    required: bool


class ScaleShown(Answer):
    """The whole numbers that a survey takes as its score, and what its ends say."""

    min: int
    max: int
    min_label: str
    max_label: str


class DueSurvey(Answer):
    """A survey that the user is to be asked."""

    survey_id: Annotated[str, Field(examples=["srvy_01j8x2m4k00000000000000000"])]
    type: Type
    question: Annotated[str | None, Field(description="Null where a custom one has none.")]
    follow_up: Annotated[str | None, Field(description="What to ask after the score, answered as `comment`.")]
    questions: Annotated[list[AskedQuestion], Field(description="Those of a custom survey.")]
    scale: Annotated[ScaleShown | None, Field(description="Null where a custom one has none.")]
    token: Annotated[str, Field(description="By this it is answered.")]
    page_url: Annotated[str, Field(description="A page on which it can be answered.")]
    expires_at: Annotated[str, Field(description="From then on it can't be answered.")]


class Nothing(Answer):
    """There is nothing to show."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ReferralWidget(Answer):
    """The referral program, the oldest one that is active, and what the user has referred in it."""

    program_id: Annotated[str, Field(examples=["ref_prog_01j8x2m4k00000000000000000"])]
    name: str
    code: Annotated[str | None, Field(description="Null as long as the user has no link of the channel `email`.")]
    share_url: str | None
    referrals: int
    conversions: int


class WaitlistWidget(Answer):
    """The waitlist that the user has joined last."""

    waitlist_id: Annotated[str, Field(examples=["wl_01j8x2m4k00000000000000000"])]
    slug: str
    name: str
    status: Status
    referral_code: str
    share_url: str
    status_token: Annotated[str, Field(description="By this the position is asked for; it holds no address.")]


class Widgets(Answer):
    """What the widgets on a page show of this user."""

    referral: ReferralWidget | Nothing = Field(default_factory=Nothing)
    waitlist: WaitlistWidget | Nothing = Field(default_factory=Nothing)


class DecideAnswer(Answer):
    """What is to be shown now; never a trait, an email or a score."""

    surveys: list[DueSurvey] = Field(default_factory=list)
    widgets: Widgets = Field(default_factory=Widgets)
    feature_flags: Annotated[dict[str, Any], Field(description="Empty as yet.")] = Field(default_factory=dict)
    active_experiments: Annotated[list[dict[str, Any]], Field(description="Empty as yet.")] = Field(
        default_factory=list
    )
    request_id: str


def due_survey(survey: Survey, token: str, expires_at: int) -> DueSurvey:
    """The survey as widgets ask it."""
    return DueSurvey(
        survey_id=survey.id,
        type=survey.type,
        question=survey.question,
        follow_up=survey.follow_up,
        questions=[_question(each) for each in survey.questions],
        scale=_scale(survey),
        token=token,
        page_url=survey_link.page(token),
        expires_at=iso(expires_at),
    )


def _question(asked: Question) -> AskedQuestion:
    return AskedQuestion(
        id=asked.id, type=asked.type, text=asked.text, options=list(asked.options), required=asked.required
    )


def _scale(survey: Survey) -> ScaleShown | None:
    if not survey.scale:
        return None
    lowest, highest = survey_link.LABELS[survey.type]
    return ScaleShown(min=survey.scale[0], max=survey.scale[-1], min_label=lowest, max_label=highest)


def referral_widget(
    program: Program, code: str | None, share_url: str | None, standing: Standing | None
) -> ReferralWidget:
    """The program as its widget shows it."""
    return ReferralWidget(
        program_id=program.id,
        name=program.name,
        code=code,
        share_url=share_url,
        referrals=0 if standing is None else standing.referrals,
        conversions=0 if standing is None else standing.conversions,
    )


def waitlist_widget(waitlist: Waitlist, entry: Held, share_url: str, token: str) -> WaitlistWidget:
    """The entry as its widget shows it."""
    return WaitlistWidget(
        waitlist_id=waitlist.id,
        slug=waitlist.slug,
        name=waitlist.name,
        status=entry.status,
        referral_code=entry.code,
        share_url=share_url,
        status_token=token,
    )
