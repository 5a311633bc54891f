"""Ingest: what browsers, apps and servers send. Its paths and answers are those of the Segment-style clients."""

from typing import Any

from chalicelib.core.errors import BadRequest, Unavailable, ValidationFailed, detail
from chalicelib.edge import errors
from chalicelib.edge.call import Call, Reply
from chalicelib.edge.router import Router
from chalicelib.features.activity import intake
from chalicelib.features.activity.intake import Accepted, Arrival, Refused
from chalicelib.features.activity.schemas import (
    Alias,
    Batch,
    BatchAnswer,
    DecideQuery,
    GroupCall,
    Identify,
    IngestAnswer,
    ItemError,
    ItemOutcome,
    PageView,
    ScreenView,
    Track,
)
from chalicelib.features.contacts.names import Names
from chalicelib.flows import accept_events
from chalicelib.flows.decide import show
from chalicelib.flows.decide.answers import DecideAnswer

router = Router("Ingest")

_ACCEPTED = 202


@router.post("/v1/identify", access="ingest", body=Identify, answer=IngestAnswer, status=_ACCEPTED)
def identify(call: Call[None, Identify]) -> IngestAnswer:
    """Tell who a user is: the traits are merged into the contact's."""
    return _take(call, call.body.root, "identify")


@router.post("/v1/track", access="ingest", body=Track, answer=IngestAnswer, status=_ACCEPTED)
def track(call: Call[None, Track]) -> IngestAnswer:
    """Tell what a user did."""
    return _take(call, call.body.root, "track")


@router.post("/v1/page", access="ingest", body=PageView, answer=IngestAnswer, status=_ACCEPTED)
def page(call: Call[None, PageView]) -> IngestAnswer:
    """Tell which page a user saw."""
    return _take(call, call.body.root, "page")


@router.post("/v1/screen", access="ingest", body=ScreenView, answer=IngestAnswer, status=_ACCEPTED)
def screen(call: Call[None, ScreenView]) -> IngestAnswer:
    """Tell which screen of an app a user saw."""
    return _take(call, call.body.root, "screen")


@router.post("/v1/group", access="ingest", body=GroupCall, answer=IngestAnswer, status=_ACCEPTED)
def group(call: Call[None, GroupCall]) -> IngestAnswer:
    """Tell which organisation a user belongs to."""
    return _take(call, call.body.root, "group")


@router.post("/v1/alias", access="ingest", body=Alias, answer=IngestAnswer, status=_ACCEPTED)
def alias(call: Call[None, Alias]) -> IngestAnswer:
    """Tell that two ids are one user."""
    return _take(call, call.body.root, "alias")


@router.post("/v1/batch", access="ingest", body=Batch, answer=BatchAnswer, status=_ACCEPTED)
def batch(call: Call[None, Batch]) -> BatchAnswer | Reply:
    """Send up to 500 events. Each is judged alone, and `items` tells what became of it."""
    return _take_all(call, historical=False)


@router.post("/v1/import", access="ingest", body=Batch, answer=BatchAnswer, status=_ACCEPTED)
def import_history(call: Call[None, Batch]) -> BatchAnswer | Reply:
    """Send up to 500 events of the past."""
    return _take_all(call, historical=True)


@router.get("/v1/decide", access="ingest", query=DecideQuery, answer=DecideAnswer)
def decide(call: Call[DecideQuery, None]) -> DecideAnswer:
    """Ask what to show to a user now.

    `surveys` are those to ask, newest first: answer one at `POST /v1/surveys/{survey_id}/responses` by its `token`, or
    show its page. `widgets.referral` and `widgets.waitlist` are empty objects where there is nothing to show. The exact
    place in a waitlist is told by `GET /v1/waitlists/{slug}/status` with the `status_token`. Of a user who is not known
    nothing is shown. Nothing is written, and neither traits nor addresses nor scores are told.
    """
    query = call.query
    names = Names(
        user=query.user_id or query.user_id_camel or None,
        anonymous=query.anonymous_id or query.anonymous_id_camel or None,
    )
    if not names.identities():
        message = "Give a user_id or an anonymous_id."
        raise BadRequest(message, details=[detail("user_id", "missing", message)])
    return show.run(call.tenant, names, call.now, call.request.request_id)


def _take(call: Call[None, Any], raw: dict[str, object], kind: str) -> IngestAnswer:
    outcome = intake.accept(raw, kind, _arrival(call, historical=False))
    if isinstance(outcome, Refused):
        raise ValidationFailed("The event breaks a rule.", details=outcome.details)
    if not all(accept_events.run(call.tenant, [outcome])):
        raise Unavailable("The event could not be queued. Send it again.")
    return IngestAnswer(request_id=call.request.request_id)


def _take_all(call: Call[None, Batch], *, historical: bool) -> BatchAnswer | Reply:
    outcomes = intake.accept_batch(call.body.root, _arrival(call, historical=historical))
    queued = iter(_queue(call, outcomes))
    items = [
        _refused(n, ValidationFailed("The event breaks a rule.", details=outcome.details))
        if isinstance(outcome, Refused)
        else ItemOutcome(index=n, status=_ACCEPTED, success=True)
        if next(queued)
        else _refused(n, Unavailable("The event could not be queued. Send it again."))
        for n, outcome in enumerate(outcomes)
    ]
    request_id = call.request.request_id
    if any(item.status == Unavailable.status for item in items):
        return _partly(items, request_id)
    return BatchAnswer(request_id=request_id, items=items)


def _queue(call: Call[None, Batch], outcomes: list[Accepted | Refused]) -> list[bool]:
    accepted = [outcome for outcome in outcomes if isinstance(outcome, Accepted)]
    return accept_events.run(call.tenant, accepted)


def _refused(index: int, error: ValidationFailed | Unavailable) -> ItemOutcome:
    told = ItemError(code=error.code, message=error.message, details=error.details)
    return ItemOutcome(index=index, status=error.status, success=False, error=told)


def _partly(items: list[ItemOutcome], request_id: str) -> Reply:
    """A batch of which some could not be queued: clients send all of it again, and message ids keep each event once."""
    error = Unavailable("Part of the batch could not be queued. Send it again.")
    told = errors.envelope(error, request_id, at_root=True)
    body = told.body | {"success": False, "items": [item.model_dump(mode="json") for item in items]}
    return Reply(body, status=told.status, headers=told.headers)


def _arrival(call: Call[None, Any], *, historical: bool) -> Arrival:
    # A secret key calls from a server: its address is not the user's.
    is_users_own = call.principal.key_type == "write" and not historical
    ip = call.request.source_ip if is_users_own else None
    return Arrival(call.now, ip, historical, stands=call.principal.mode == "test")
