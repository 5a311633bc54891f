"""Webhooks: where events are told to, how each delivery went, and what is to be sent again."""

from chalicelib.core.clock import iso
from chalicelib.core.schema import EmptyBody, Page, PageQuery
from chalicelib.edge.call import Call
from chalicelib.edge.router import Router
from chalicelib.features.webhooks import service as webhooks
from chalicelib.features.webhooks.schemas import (
    EndpointAnswer,
    EndpointPatch,
    EndpointWithSecret,
    LogPage,
    LogsQuery,
    NewEndpoint,
    QueuedReplay,
    QueuedWebhook,
    RemovedEndpoint,
    ReplayBody,
    RotatedEndpoint,
    SampleBody,
    SecretRotation,
    log_shown,
    shown,
)
from chalicelib.flows.webhooks import ask

router = Router("Webhooks")


@router.post(
    "/v1/webhooks/endpoints",
    scope="webhooks:write",
    body=NewEndpoint,
    answer=EndpointWithSecret,
    status=201,
    idempotent=True,
)
def create_endpoint(call: Call[None, NewEndpoint]) -> EndpointWithSecret:
    """Register an endpoint. The answer shows its secret this once.

    The URL is https and leads to a public address; a name that does not resolve yet may be registered.
    """
    return webhooks.create(call.tenant, call.body, call.now, call.receipt)


@router.get("/v1/webhooks/endpoints", scope="webhooks:read", query=PageQuery, answer=Page[EndpointAnswer])
def list_endpoints(call: Call[PageQuery, None]) -> Page[EndpointAnswer]:
    """List endpoints, newest first."""
    rows, following = webhooks.listing(call.tenant, call.query.limit, call.query.cursor)
    return Page(data=[shown(row) for row in rows], has_more=following is not None, next_cursor=following)


@router.get("/v1/webhooks/endpoints/{endpoint_id}", scope="webhooks:read", answer=EndpointAnswer)
def get_endpoint(call: Call[None, None]) -> EndpointAnswer:
    """Get an endpoint."""
    return shown(webhooks.get(call.tenant, call.path["endpoint_id"]))


@router.patch("/v1/webhooks/endpoints/{endpoint_id}", scope="webhooks:write", body=EndpointPatch, answer=EndpointAnswer)
def update_endpoint(call: Call[None, EndpointPatch]) -> EndpointAnswer:
    """Change an endpoint's URL or events, disable it, or enable it again."""
    return shown(webhooks.update(call.tenant, call.path["endpoint_id"], call.body, call.now))


@router.delete("/v1/webhooks/endpoints/{endpoint_id}", scope="webhooks:write", answer=RemovedEndpoint)
def delete_endpoint(call: Call[None, None]) -> RemovedEndpoint:
    """Delete an endpoint; its logs are not shown any more. What is on its way to it is not sent."""
    webhooks.remove(call.tenant, call.path["endpoint_id"])
    return RemovedEndpoint(id=call.path["endpoint_id"])


@router.post(
    "/v1/webhooks/endpoints/{endpoint_id}/rotate-secret",
    scope="webhooks:write",
    body=SecretRotation,
    may_be_empty=True,
    answer=RotatedEndpoint,
    idempotent=True,
)
def rotate_endpoint_secret(call: Call[None, SecretRotation]) -> RotatedEndpoint:
    """Replace an endpoint's secret. The answer shows the new one this once.

    Deliveries are signed with both for 24 hours.
    """
    return webhooks.rotate(call.tenant, call.path["endpoint_id"], call.body.secret, call.now, call.receipt)


@router.post(
    "/v1/webhooks/endpoints/{endpoint_id}/test",
    scope="webhooks:write",
    body=SampleBody,
    answer=QueuedWebhook,
    idempotent=True,
)
def send_test_event(call: Call[None, SampleBody]) -> QueuedWebhook:
    """Send a sample of an event to an endpoint, whatever it subscribes to and even while it is disabled.

    It is sent once and not tried again; the endpoint's logs tell what became of it.
    """
    made = ask.sample(call.tenant, call.path["endpoint_id"], call.body.event, call.now, call.receipt)
    return QueuedWebhook.model_validate(made)


@router.get("/v1/webhooks/endpoints/{endpoint_id}/logs", scope="webhooks:read", query=LogsQuery, answer=LogPage)
def list_endpoint_logs(call: Call[LogsQuery, None]) -> LogPage:
    """List the attempts of the last 30 days, newest first: one row for each."""
    query = call.query
    rows, following = webhooks.logs(
        call.tenant, call.path["endpoint_id"], query.status, query.event, query.limit, query.cursor, call.now
    )
    return LogPage(data=[log_shown(row) for row in rows], has_more=following is not None, next_cursor=following)


@router.post(
    "/v1/webhooks/endpoints/{endpoint_id}/logs/{log_id}/replay",
    scope="webhooks:write",
    body=EmptyBody,
    may_be_empty=True,
    answer=QueuedWebhook,
    idempotent=True,
)
def replay_delivery(call: Call[None, EmptyBody]) -> QueuedWebhook:
    """Send one webhook again, under the same id, whether it was delivered or not.

    If it fails it is tried again as a new one is.
    """
    made = ask.again(call.tenant, call.path["endpoint_id"], call.path["log_id"], call.now, call.receipt)
    return QueuedWebhook.model_validate(made)


@router.post(
    "/v1/webhooks/endpoints/{endpoint_id}/replay",
    scope="webhooks:write",
    body=ReplayBody,
    answer=QueuedReplay,
    idempotent=True,
)
def replay_endpoint(call: Call[None, ReplayBody]) -> QueuedReplay:
    """Send all again that was not delivered, of events since a moment.

    That is what failed for good, still fails, or was skipped because the endpoint was disabled.
    """
    endpoint_id, body = call.path["endpoint_id"], call.body
    until = call.now if body.until is None else body.until
    answer = QueuedReplay(endpoint_id=endpoint_id, since=iso(body.since), until=iso(until))
    # Without an end, what happens at this very moment is among it.
    span = (body.since, until + (body.until is None))
    told = answer.model_dump(mode="json")
    ask.replay(call.tenant, endpoint_id, span, body.events, call.now, call.receipt, told)
    return answer
