"""The pages of surveys: asked in a mail, answered by one click and a button, without a script too."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from chalicelib.core.errors import BadRequest, NotFound, PayloadTooLarge, ValidationFailed, detail
from chalicelib.core.mail.agents import is_robot
from chalicelib.edge import pages
from chalicelib.edge.call import Call, Reply
from chalicelib.edge.pages import Brand, Question, SurveyForm, Thanks
from chalicelib.edge.router import Router
from chalicelib.features.projects import service as projects
from chalicelib.features.surveys.model import MAX_COMMENT, RATINGS, Response, Survey
from chalicelib.flows.surveys import answer
from chalicelib.flows.surveys.answer import Expired, Given, Settled
from chalicelib.flows.surveys.standing import Standing
from chalicelib.platform import survey_tokens
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.survey_tokens import Token
from chalicelib.platform.token_text import BadToken
from chalicelib.readings import survey_link

router = Router("Survey pages")

_BODY_MAX = 256 * 1024
_FIELDS_MAX = 1_000
_ANSWER = "answers."
_RATINGS = tuple(str(each) for each in RATINGS)
_FORBIDDEN, _NOT_FOUND, _CONFLICT, _GONE, _UNPROCESSABLE = 403, 404, 409, 410, 422


@router.get("/s/{token}", access="public")
def show_survey(call: Call[None, None]) -> Reply:
    """Show a survey, with the score chosen that the link has. Nothing is recorded: scanners follow every link."""
    token = _token(call)
    if token is None:
        return _broken()
    try:
        at = answer.read(token.tenant, token)
    except NotFound:
        return _gone_away()
    brand, response = Brand.of(at.project), at.response
    now = projects.now(token.tenant)
    if response is not None and now >= response.correctable_until:
        return _settled(brand)
    if response is None and (at.send is None or not at.send.is_open(now)):
        return _expired(brand)
    survey = answer.survey_of(at)
    chosen = _chosen(survey, call.request.query.get("score", []))
    # What was answered is changed by nobody but who presses the button.
    sends_itself = chosen is not None and response is None
    return pages.survey(_form(survey, response, chosen=chosen, sends_itself=sends_itself), brand)


@router.post("/s/{token}", access="public")
def answer_survey(call: Call[None, None]) -> Reply:
    """Answer a survey, or change the answer within 24 hours."""
    token = _token(call)
    if token is None:
        return _broken()
    if is_robot(call.request.headers.get("user-agent")):
        # What opens pages for people, to see whether they do harm, presses their buttons too.
        text = "This looks like a program that checks links. Open the page in your own browser to answer."
        return pages.message("Nothing was recorded", text, status=_FORBIDDEN)
    try:
        at = answer.read(token.tenant, token)
    except NotFound:
        return _gone_away()
    brand, survey = Brand.of(at.project), answer.survey_of(at)
    fields = _fields(call)
    if isinstance(fields, Reply):
        return fields
    try:
        given = _given(survey, fields)
        receipt = Receipt(token.tenant, call.now)
        taken = answer.by_token(token.tenant, token, given, receipt)
    except ValidationFailed as refused:
        return pages.survey(_refused(survey, at, fields, refused), brand, status=_UNPROCESSABLE)
    except Expired:
        return _expired(brand)
    except Settled:
        return _settled(brand)
    except NotFound:
        return _gone_away()
    return _thanks(token, at, taken.response, brand)


def _token(call: Call[None, None]) -> Token | None:
    try:
        return survey_tokens.read(call.path["token"])
    except BadToken:
        return None


def _chosen(survey: Survey, scores: list[str]) -> int | None:
    """The score that a link has chosen; None where it is none of the survey's."""
    text = scores[-1] if scores else ""
    score = int(text) if text.isascii() and text.isdecimal() and len(text) <= 2 else None
    return score if score is not None and score in survey.scale else None


def _fields(call: Call[None, None]) -> dict[str, list[str]] | Reply:
    """The form that was posted; or the page that tells why it can't be read."""
    try:
        text = call.request.open_body(_BODY_MAX).decode()
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except PayloadTooLarge as refused:
        return pages.message(
            "This is too much", "Nothing was recorded. Write less and send again.", status=refused.status
        )
    except (BadRequest, ValueError):
        text = "Nothing was recorded. Open the link in the mail again and send the form from there."
        return pages.message("This could not be read", text, status=BadRequest.status)
    # Browsers send each line break as two characters, and count one against what a field may hold.
    return {name: [each.replace("\r\n", "\n") for each in values] for name, values in fields.items()}


def _given(survey: Survey, fields: Mapping[str, list[str]]) -> Given:
    """What a form says. A choice that is not made is no answer; a form without a comment leaves the one that stands.

    Raises ValidationFailed for what no form of ours sends.
    """
    score = _chosen(survey, fields.get("score", []))
    comment = fields["comment"][-1] if "comment" in fields else None
    if survey.scale and score is None and any(fields.get("score", [])):
        message = f"A score is {survey.scale[0]} to {survey.scale[-1]}."
        raise ValidationFailed(message, details=[detail("score", "range", message)])
    if comment is not None and len(comment) > MAX_COMMENT:
        message = f"A comment has at most {MAX_COMMENT:,} characters."
        raise ValidationFailed(message, details=[detail("comment", "too_long", message)])
    answers: dict[str, Any] = {}
    for question in survey.questions:
        values = [each for each in fields.get(f"{_ANSWER}{question.id}", []) if each.strip()]
        if question.type == "multiple_choice":
            answers[question.id] = values
        elif question.type == "rating" and values and values[-1] in _RATINGS:
            answers[question.id] = int(values[-1])
        else:
            answers[question.id] = values[-1] if values else ""
    return Given(score, comment, answers, comment is not None)


def _form(
    survey: Survey, response: Response | None, *, chosen: int | None = None, sends_itself: bool = False
) -> SurveyForm:
    stands = {} if response is None else response.answers
    low, high = survey_link.LABELS[survey.type]
    return SurveyForm(
        question=survey.question or "",
        scale=list(survey.scale),
        low_label=low,
        high_label=high,
        chosen=chosen if chosen is not None or response is None else response.score,
        follow_up=survey.follow_up,
        comment=(response.comment or "") if response is not None else "",
        questions=_questions(survey, {name: _texts(each) for name, each in stands.items()}, {}),
        is_answered=response is not None,
        until=None if response is None else response.correctable_until,
        sends_itself=sends_itself,
    )


def _questions(survey: Survey, values: Mapping[str, list[str]], errors: Mapping[str, str]) -> list[Question]:
    return [
        Question(
            each.id,
            each.type,
            each.text,
            list(each.options),
            each.required,
            values.get(each.id, []),
            errors.get(f"{_ANSWER}{each.id}"),
        )
        for each in survey.questions
    ]


def _texts(answered: Any) -> list[str]:
    return [str(each) for each in answered] if isinstance(answered, list) else [str(answered)]


def _refused(survey: Survey, at: Standing, fields: Mapping[str, list[str]], refused: ValidationFailed) -> SurveyForm:
    """The same form with what was filled in, and what is wrong with it."""
    errors = {each["field"]: each["message"] for each in refused.details}
    values = {each.id: fields.get(f"{_ANSWER}{each.id}", []) for each in survey.questions}
    form = _form(survey, at.response, chosen=_chosen(survey, fields.get("score", [])))
    return SurveyForm(
        question=form.question,
        scale=form.scale,
        low_label=form.low_label,
        high_label=form.high_label,
        chosen=form.chosen,
        follow_up=form.follow_up,
        comment=fields.get("comment", [""])[-1],
        questions=_questions(survey, values, errors),
        error=errors.get("score") or errors.get("comment") or errors.get("answers"),
        is_answered=form.is_answered,
        until=form.until,
    )


def _thanks(token: Token, at: Standing, response: Response, brand: Brand) -> Reply:
    survey = answer.survey_of(at)
    return pages.thanks(
        Thanks(
            score=response.score,
            share_url=answer.share_url(token.tenant, at, response),
            may_change=True,
            until=response.correctable_until,
            follow_up=survey.follow_up if response.comment is None and survey.scale else None,
        ),
        brand,
    )


def _broken() -> Reply:
    text = "This link is not complete. Copy it from the mail again, or ask whoever sent it."
    return pages.message("This link does not work", text, status=_NOT_FOUND)


def _gone_away() -> Reply:
    return pages.message("There is nothing to answer", "This survey is not there any more.", status=_NOT_FOUND)


def _expired(brand: Brand) -> Reply:
    text = "This survey was sent some time ago and can't be answered any more. Thank you all the same."
    return pages.message("This survey has ended", text, brand=brand, status=_GONE)


def _settled(brand: Brand) -> Reply:
    text = "Your answer was recorded and can be changed for one day only. Thank you for it."
    return pages.message("You have answered already", text, brand=brand, status=_CONFLICT)
