"""What webhooks say of surveys."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from chalicelib.core import events
from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer
from chalicelib.features.surveys.model import Category
from chalicelib.flows.webhooks.kinds import AT, OF_CONTACT, ULID, Around, Kind, OfContact
from chalicelib.platform.outbox import DomainEvent


class SurveyAnswered(OfContact):
    """Somebody has answered a survey. A correction is told only where it makes a promoter or a detractor of somebody,
    each once for a response."""

    survey_id: str
    survey_name: Annotated[str | None, Field(description="Null where the survey is not there any more.")]
    response_id: str
    type: str
    score: Annotated[int | None, Field(description="Null of a custom survey.")]
    category: Category | None
    comment: Annotated[str | None, Field(description="Null also where the contact was deleted meanwhile.")]
    answers: Annotated[dict[str, Any], Field(description="Of a custom survey, by the question's id.")]
    responded_at: str


def _answered(event: DomainEvent, around: Around) -> Answer:
    data, of = event.data, around.of_contact(event)
    is_there = of["contact"] is not None
    survey_id = str(data["survey_id"])
    return SurveyAnswered(
        survey_id=survey_id,
        survey_name=around.survey_names.get(survey_id),
        response_id=data["response_id"],
        type=data["type"],
        score=data["score"],
        category=data["category"],
        comment=data["comment"] if is_there else None,
        answers=data["answers"] if is_there else {},
        responded_at=iso(data["responded_at"]),
        **of,
    )


def _sample(score: int, category: Category, comment: str) -> SurveyAnswered:
    return SurveyAnswered(
        survey_id=f"srvy_{ULID}",
        survey_name="Post-Trial NPS",
        response_id=f"resp_{ULID}",
        type="nps",
        score=score,
        category=category,
        comment=comment,
        answers={},
        responded_at=AT,
        **OF_CONTACT,
    )


_PROMOTER = _sample(9, "promoter", "Love the referral feature!")

KINDS: Mapping[str, Kind] = {
    events.SURVEY_ANSWERED: Kind(SurveyAnswered, _answered, _PROMOTER),
    events.SURVEY_PROMOTER: Kind(SurveyAnswered, _answered, _PROMOTER),
    events.SURVEY_DETRACTOR: Kind(
        SurveyAnswered, _answered, _sample(3, "detractor", "The email editor could be better.")
    ),
}
