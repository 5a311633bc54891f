"""Bodies and answers of the webhook endpoints."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from chalicelib.core import events
from chalicelib.core.addresses import BadTarget, parse_target
from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer, Body, Instant, NotNull, Page, PageQuery
from chalicelib.features.webhooks.model import (
    Attempt,
    DisabledReason,
    Endpoint,
    EndpointStatus,
    LogStatus,
    matches,
)

_URL_MAX = 2_048
_EVENTS_MAX = 100
_SECRET = re.compile(r"[\x21-\x7e]{16,256}")


def _url(text: str) -> str:
    """What can be told of a URL without looking at the network, or at what the deployment allows."""
    try:
        parse_target(text, allow_private=True)
    except BadTarget as refused:
        raise PydanticCustomError(refused.reason, refused.message) from None
    return text


def _pattern(text: str) -> str:
    if not any(matches(text, event) for event in events.WEBHOOKS):
        raise ValueError("There is no such event.")
    return text


def _name(text: str) -> str:
    name = events.WEBHOOK_ALIASES.get(text, text)
    if name not in events.WEBHOOKS:
        raise ValueError("There is no such event.")
    return name


def _secret(text: str) -> str:
    if not _SECRET.fullmatch(text):
        raise ValueError("A secret is 16 to 256 printable ASCII characters without spaces.")
    return text


Url = Annotated[
    str,
    Field(min_length=1, max_length=_URL_MAX, examples=["https://yourserver.com/webhooks/growthos"]),
    AfterValidator(_url),
]
Patterns = Annotated[
    list[Annotated[str, AfterValidator(_pattern)]],
    Field(
        min_length=1,
        max_length=_EVENTS_MAX,
        description="Names of events, groups of them as `referral.*`, or `*` for all.",
        examples=[["contact.created", "referral.*"]],
    ),
]
EventName = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"enum": list(events.WEBHOOKS)})]
SecretText = Annotated[
    str,
    AfterValidator(_secret),
    Field(
        description=(
            "What deliveries are signed with; one is made where none is given. Only `whsec_` and the base64 of 24 to "
            "64 bytes signs the headers of Standard Webhooks too."
        )
    ),
]


class NewEndpoint(Body):
    """Where webhooks are to go, and which."""

    url: Url
    events: Patterns
    secret: SecretText | None = None


class EndpointPatch(Body):
    """What to change; fields that are not sent stay as they are."""

    url: Annotated[Url | None, NotNull] = None
    events: Annotated[Patterns | None, NotNull] = None
    status: Annotated[
        EndpointStatus | None, NotNull, Field(description="`enabled` forgets what the endpoint was disabled for.")
    ] = None


class SecretRotation(Body):
    """The new secret, where it is not to be made."""

    secret: SecretText | None = None


class SampleBody(Body):
    """Which event to send a sample of."""

    event: EventName


class ReplayBody(Body):
    """Which deliveries to send again, of those that failed: by the moments at which their events happened."""

    since: Instant
    until: Annotated[Instant | None, Field(description="Up to now without it.")] = None
    events: Patterns | None = None

    @field_validator("until")
    @classmethod
    def _forward(cls, until: int | None, info: ValidationInfo) -> int | None:
        if until is not None and until < info.data.get("since", until):
            raise ValueError("This is before `since`.")
        return until


class LogsQuery(PageQuery):
    """Which logs to list."""

    status: Annotated[
        LogStatus | None,
        Field(description="`skipped`: an attempt that was due and not made, `error` saying why."),
    ] = None
    event: Annotated[EventName | None, Field(description="The event's exact name.")] = None


class EndpointAnswer(Answer):
    """An endpoint, without its secret."""

    id: str = Field(examples=["whep_01j8x2m4k00000000000000000"])
    url: str
    events: list[str]
    status: EndpointStatus
    disabled_at: str | None
    disabled_reason: Annotated[
        DisabledReason | None,
        Field(
            description="`gone`: it answered 410. `failing`: it has only failed for five days. `by_request`: you did."
        ),
    ]
    failing_since: Annotated[str | None, Field(description="The first failure after which nothing was delivered.")]
    created_at: str
    updated_at: str


class EndpointWithSecret(EndpointAnswer):
    """An endpoint with its secret, which is shown this once."""

    secret: str


class RotatedEndpoint(EndpointWithSecret):
    """An endpoint with its new secret, which is shown this once."""

    previous_secret_expires_at: Annotated[str, Field(description="Until when the one before signs beside it.")]


class RemovedEndpoint(Answer):
    """What is gone."""

    id: str
    deleted: Literal[True] = True


class LogAnswer(Answer):
    """One attempt to deliver one event."""

    id: str = Field(examples=["wh_log_01j8x2m4k00000000000000000"])
    event: str
    event_id: Annotated[str, Field(description="The `id` of the payload and the `webhook-id` of the request.")]
    status: LogStatus
    http_status: int | None
    attempt: int
    attempted_at: str
    delivered_at: str | None
    next_retry_at: str | None
    response_time_ms: int | None
    error: Annotated[str | None, Field(description="Why it failed or was not made, in a word for programs.")]
    response_body: Annotated[str | None, Field(description="The first KB of the answer.")]
    url: Annotated[str | None, Field(description="Where it was sent; null where it was not.")]
    replayed: Annotated[bool, Field(description="True where it was asked for by a replay.")]
    test: Annotated[bool, Field(description="True where it was a sample sent by the test endpoint.")]


class LogPage(Page[LogAnswer]):
    """One page of logs, newest first."""


class QueuedWebhook(Answer):
    """What is on its way; its log tells what became of it."""

    event_id: str
    event: str
    endpoint_id: str
    status: Literal["queued"] = "queued"


class QueuedReplay(Answer):
    """The replay has begun; logs tell what becomes of each."""

    endpoint_id: str
    since: str
    until: str
    status: Literal["queued"] = "queued"


def answer_fields(endpoint: Endpoint) -> dict[str, object]:
    """What an EndpointAnswer says of an endpoint."""
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "status": endpoint.status,
        "disabled_at": _iso(endpoint.disabled_at),
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": _iso(endpoint.failing_since),
        "created_at": iso(endpoint.created_at),
        "updated_at": iso(endpoint.updated_at),
    }


def shown(endpoint: Endpoint) -> EndpointAnswer:
    """The endpoint as its callers see it."""
    return EndpointAnswer.model_validate(answer_fields(endpoint))


def log_shown(attempt: Attempt) -> LogAnswer:
    """The log as its callers see it."""
    return LogAnswer(
        id=attempt.id,
        event=attempt.parcel.event,
        event_id=attempt.parcel.event_id,
        status=attempt.status,
        http_status=attempt.http_status,
        attempt=attempt.parcel.attempt,
        attempted_at=iso(attempt.attempted_at),
        delivered_at=iso(attempt.attempted_at) if attempt.status == "delivered" else None,
        next_retry_at=_iso(attempt.next_at),
        response_time_ms=attempt.took_ms,
        error=attempt.error,
        response_body=attempt.response_body,
        url=attempt.url,
        replayed=attempt.parcel.run > 0,
        test=attempt.parcel.is_test,
    )


def _iso(moment: int | None) -> str | None:
    return None if moment is None else iso(moment)
