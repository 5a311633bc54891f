"""Surveys: what is asked, whom and when, what was answered, and how a survey does."""

from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.core.schema import EmptyBody, Page
from chalicelib.edge.call import Call, Reply
from chalicelib.edge.router import Router
from chalicelib.features.surveys import service as surveys
from chalicelib.features.surveys.schemas import (
    ExplainQuery,
    NewResponse,
    NewSurvey,
    ResponsesQuery,
    SendsQuery,
    StatsQuery,
    SurveyPatch,
    SurveysQuery,
)
from chalicelib.flows.surveys import answer, define, read
from chalicelib.flows.surveys.answer import Given, Taken
from chalicelib.flows.surveys.answers import (
    ExplainAnswer,
    ListedResponse,
    ResponseAnswer,
    SendAnswer,
    StatsAnswer,
    SurveyAnswer,
    shown,
)
from chalicelib.platform import survey_tokens
from chalicelib.platform.survey_tokens import Token
from chalicelib.platform.token_text import BadToken

router = Router("Surveys")

_ONE = "/v1/surveys/{survey_id}"


@router.post("/v1/surveys", scope="surveys:write", body=NewSurvey, answer=SurveyAnswer, status=201, idempotent=True)
def create_survey(call: Call[None, NewSurvey]) -> SurveyAnswer:
    """Create a survey. It is a draft until it is activated.

    An nps survey asks for 0 to 10, a csat survey for 1 to 5, a custom one has questions of its own.
    """
    return shown(define.create(call.tenant, call.body, call.now, call.receipt))


@router.get("/v1/surveys", scope="surveys:read", query=SurveysQuery, answer=Page[SurveyAnswer])
def list_surveys(call: Call[SurveysQuery, None]) -> Page[SurveyAnswer]:
    """List surveys, newest first."""
    query = call.query
    rows, following = surveys.listing(call.tenant, query.type, query.status, query.limit, query.cursor)
    return Page(data=[shown(row) for row in rows], has_more=following is not None, next_cursor=following)


@router.get(_ONE, scope="surveys:read", answer=SurveyAnswer)
def get_survey(call: Call[None, None]) -> SurveyAnswer:
    """Get a survey."""
    return shown(surveys.get(call.tenant, call.path["survey_id"]))


@router.patch(_ONE, scope="surveys:write", body=SurveyPatch, answer=SurveyAnswer)
def update_survey(call: Call[None, SurveyPatch]) -> SurveyAnswer:
    """Change a survey. What waits to be sent is judged by it when it is due."""
    return shown(define.change(call.tenant, call.path["survey_id"], call.body, call.now))


@router.post(
    f"{_ONE}/activate",
    scope="surveys:write",
    body=EmptyBody,
    may_be_empty=True,
    answer=SurveyAnswer,
    idempotent=True,
)
def activate_survey(call: Call[None, EmptyBody]) -> SurveyAnswer:
    """Begin to send a survey, or go on with one that is paused: what is overdue goes out once."""
    return shown(define.activate(call.tenant, call.path["survey_id"], call.now, call.receipt))


@router.post(
    f"{_ONE}/pause", scope="surveys:write", body=EmptyBody, may_be_empty=True, answer=SurveyAnswer, idempotent=True
)
def pause_survey(call: Call[None, EmptyBody]) -> SurveyAnswer:
    """Ask nobody any more, within 5 seconds. What was sent can still be answered."""
    return shown(define.pause(call.tenant, call.path["survey_id"], call.now, call.receipt))


@router.post(
    f"{_ONE}/archive", scope="surveys:write", body=EmptyBody, may_be_empty=True, answer=SurveyAnswer, idempotent=True
)
def archive_survey(call: Call[None, EmptyBody]) -> SurveyAnswer:
    """End a survey for good. Its responses and figures stay, and what was sent can still be answered."""
    return shown(define.archive(call.tenant, call.path["survey_id"], call.now, call.receipt))


@router.get(f"{_ONE}/sends", scope="surveys:read", query=SendsQuery, answer=Page[SendAnswer])
def list_sends(call: Call[SendsQuery, None]) -> Page[SendAnswer]:
    """List who was or is to be asked, and who not and why; newest first."""
    query = call.query
    rows, following = read.sends(call.tenant, call.path["survey_id"], query.state, query.limit, query.cursor, call.now)
    return Page(data=rows, has_more=following is not None, next_cursor=following)


@router.get(f"{_ONE}/responses", scope="surveys:read", query=ResponsesQuery, answer=Page[ListedResponse])
def list_responses(call: Call[ResponsesQuery, None]) -> Page[ListedResponse]:
    """List responses, newest first, each with what it has caused."""
    query = call.query
    rows, following = read.responses(call.tenant, call.path["survey_id"], query.category, query.limit, query.cursor)
    return Page(data=rows, has_more=following is not None, next_cursor=following)


@router.post(
    f"{_ONE}/responses",
    access="ingest",
    scope="surveys:write",
    body=NewResponse,
    answer=ResponseAnswer,
    status=201,
    also=(200,),
    idempotent=True,
)
def create_response(call: Call[None, NewResponse]) -> Reply:
    """Answer a survey (201), or correct what was answered within 24 hours (200).

    A widget answers by the token that `/v1/decide` gave it, with a write key. A server answers with a secret key by a
    token or for a contact: its newest open send, or one that is made and answered at once.
    """
    body = call.body
    given = Given(body.score, body.comment, body.answers, "comment" in body.model_fields_set)
    if body.token is not None and body.contact_id is None:
        return _reply(answer.by_token(call.tenant, _token(call, body.token), given, call.receipt), shows_contact=False)
    if body.contact_id is None or body.token is not None:
        message = "Give either a token or a contact_id."
        raise ValidationFailed(message, details=[detail("token", "one_of", message)])
    if call.principal.key_type == "write":
        message = "A write key answers by a token."
        raise ValidationFailed(message, details=[detail("contact_id", "not_allowed", message)])
    taken = answer.by_contact(call.tenant, call.path["survey_id"], body.contact_id, given, call.receipt)
    return _reply(taken, shows_contact=True)


@router.get(f"{_ONE}/stats", scope="surveys:read", query=StatsQuery, answer=StatsAnswer)
def get_survey_stats(call: Call[StatsQuery, None]) -> StatsAnswer:
    """Get a survey's figures, in all and by day."""
    return read.stats(call.tenant, call.path["survey_id"], call.query.from_, call.query.to, call.now)


@router.get(f"{_ONE}/explain", scope="surveys:read", query=ExplainQuery, answer=ExplainAnswer)
def explain_survey(call: Call[ExplainQuery, None]) -> ExplainAnswer:
    """Explain why a contact was asked or not, and whether it would be now."""
    return read.explain(call.tenant, call.path["survey_id"], call.query.contact_id, call.now)


def _token(call: Call[None, NewResponse], text: str) -> Token:
    """The token, of this survey and project. Raises NotFound for any other."""
    try:
        token = survey_tokens.read(text)
    except BadToken:
        token = None
    if token is None or (token.tenant, token.survey_id) != (call.tenant, call.path["survey_id"]):
        raise answer.nothing()
    return token


def _reply(taken: Taken, *, shows_contact: bool) -> Reply:
    told = answer.shown(taken.response, shows_contact=shows_contact)
    return Reply(ResponseAnswer(**told), status=201 if taken.done == "created" else 200)
