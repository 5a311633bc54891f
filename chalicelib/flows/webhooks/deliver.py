"""Make one attempt to deliver one webhook: prepare, send, and record what came of it.

Order: the attempt is recorded after it was made, where it failed in one transaction with the timer of the next one, or
with the end of an endpoint that is gone. A death before leads to the same attempt again, under the same id; after it
the attempt is passed over. An endpoint's health is noted before the record: noted twice it is the same.
"""

from dataclasses import dataclass
from typing import Final

from chalicelib.core import clock, ids
from chalicelib.features.contacts import service as contacts
from chalicelib.features.projects import service as projects
from chalicelib.features.timers import service as timers
from chalicelib.features.webhooks import schedule
from chalicelib.features.webhooks import service as webhooks
from chalicelib.features.webhooks.model import (
    CONTACT_DELETED,
    ENDPOINT_DISABLED,
    EXPIRED,
    FAILING_MAX,
    GONE,
    SLOW,
    Attempt,
    Endpoint,
    LogStatus,
    Parcel,
)
from chalicelib.platform import outbound, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbound import Answer
from chalicelib.platform.secrets import SealBroken
from chalicelib.platform.table import ConditionFailed, Op

RETRY: Final = "retry_webhook"
FAILING: Final = "failing_endpoint"
"""The kinds of the timers of a delivery and of an endpoint, whose names they are too."""

_RETRIED_STATUSES = (429, 503)
_GOOD = range(200, 300)


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that an attempt needs; `now` in ms on the project's clock."""

    parcel: Parcel
    endpoint: Endpoint
    body: bytes
    now: int


def run(tenant: Tenant, parcel: Parcel) -> None:
    """Make the attempt, unless it was made before, or must not be made."""
    prepared = prepare(tenant, parcel)
    if prepared is None:
        return
    answer = send(tenant, prepared)
    if answer.error is None and answer.status in _GOOD:
        record_success(tenant, prepared, answer)
    else:
        record_failure(tenant, prepared, answer)


def prepare(tenant: Tenant, parcel: Parcel) -> Prepared | None:
    """What the attempt needs, by one read; None where it is not to be made, and nothing is left to do."""
    to, said = webhooks.endpoint_key(tenant, parcel.endpoint_id), webhooks.body_key(tenant, parcel)
    made, pointer = webhooks.done_keys(tenant, parcel), webhooks.pointer_key(tenant, parcel)
    people = [] if parcel.contact_id is None else [contacts.key(tenant, parcel.contact_id)]
    rows = table.batch_get([to, said, *made, *people, *([] if parcel.replay is None else [pointer])])
    endpoint = webhooks.endpoint(rows.get(to))
    # Of a replay of all that failed, what was delivered since is left out.
    is_settled = any(key in rows for key in made) or (parcel.replay is not None and pointer not in rows)
    if endpoint is None or is_settled:
        webhooks.done(tenant, parcel)
        return None
    now, body = projects.now(tenant), webhooks.body(rows.get(said))
    obstacle = EXPIRED if body is None else None
    if endpoint.status == "disabled" and not parcel.is_test:
        obstacle = ENDPOINT_DISABLED
    if people and contacts.is_gone(tenant, contacts.read(rows.get(people[0]))):
        obstacle = CONTACT_DELETED
    if obstacle is not None or body is None:
        webhooks.record(tenant, Attempt(ids.new_id("wh_log"), parcel, "skipped", now, error=obstacle))
        return None
    return Prepared(parcel, endpoint, body.encode(), now)


def send(tenant: Tenant, prepared: Prepared) -> Answer:
    """Post it. Whatever the far side does becomes an answer, and so does a secret that can't be read any more."""
    timestamp = clock.system_ms() // clock.SECOND
    try:
        headers = webhooks.signed(tenant, prepared.endpoint, prepared.parcel, prepared.body, prepared.now, timestamp)
    except SealBroken:
        return Answer(None, None, b"", "secret_unreadable", 0)
    return outbound.post(prepared.endpoint.url, headers, prepared.body)


def record_success(tenant: Tenant, prepared: Prepared, answer: Answer) -> None:
    """Record that the webhook was delivered."""
    if not prepared.parcel.is_test:
        webhooks.note_health(tenant, prepared.endpoint, is_slow=answer.took_ms > SLOW, has_delivered=True)
    webhooks.record(tenant, _made(prepared, "delivered", answer))


def record_failure(tenant: Tenant, prepared: Prepared, answer: Answer) -> None:
    """Record that the attempt failed, and when the next one is due; an endpoint that is gone is disabled.

    A sample that fails says nothing of the endpoint.
    """
    parcel, endpoint = prepared.parcel, prepared.endpoint
    failed = _made(prepared, "failed", answer, answer.error or f"http_{answer.status}")
    failed = webhooks.followed(failed, _asked_wait(tenant, answer))
    if parcel.is_test:
        webhooks.record(tenant, failed)
        return
    webhooks.note_health(tenant, endpoint, is_slow=answer.took_ms > SLOW, has_delivered=False)
    if answer.status == GONE and endpoint.status == "enabled":
        ends = webhooks.disabling(tenant, endpoint, "gone", prepared.now)
        if webhooks.record(tenant, failed, beside=ends):
            return
    elif endpoint.failing_since is None:
        _begin_to_fail(tenant, endpoint, failed)
    webhooks.record(tenant, failed, follows=_retry_ops(tenant, failed))


def _asked_wait(tenant: Tenant, answer: Answer) -> int | None:
    """Milliseconds from the attempt's beginning for which the receiver wants to be left alone; None if it said none."""
    if answer.status not in _RETRIED_STATUSES:
        return None
    asked = schedule.parse_retry_after(answer.retry_after, clock.system_ms())
    # It counts from the answer, which on a clock that stands came at once.
    return asked if asked is None or tenant.is_test else asked + answer.took_ms


def _retry_ops(tenant: Tenant, failed: Attempt) -> list[Op]:
    """The operations that set the timer of the next attempt, where one is due."""
    if failed.next_at is None:
        return []
    parcel = failed.parcel
    owner = webhooks.done_keys(tenant, parcel)[0].pk
    return timers.set_ops(tenant, owner, RETRY, RETRY, failed.next_at, data=parcel.following().to_wire())


def _made(prepared: Prepared, status: LogStatus, answer: Answer, error: str | None = None) -> Attempt:
    return Attempt(
        ids.new_id("wh_log"),
        prepared.parcel,
        status,
        prepared.now,
        http_status=answer.status,
        took_ms=answer.took_ms,
        error=error,
        response_body=answer.body.decode(errors="replace"),
        url=prepared.endpoint.url,
    )


def _begin_to_fail(tenant: Tenant, endpoint: Endpoint, failed: Attempt) -> None:
    """Note the first failure, and the moment at which the endpoint is disabled if it only fails until then."""
    owner, moment = tenant.endpoint_timers(endpoint.id), failed.attempted_at + FAILING_MAX
    watch = timers.set_ops(tenant, owner, FAILING, FAILING, moment, data=failed.id)
    try:
        table.transact([webhooks.note_failing(tenant, endpoint, failed), *watch])
    except ConditionFailed:
        return  # noted by another attempt, or the endpoint is gone
