"""Public verbs of the webhooks feature."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from chalicelib.core import events, ids, strict_json
from chalicelib.core.addresses import BadTarget
from chalicelib.core.errors import Conflict, NotFound, Unavailable, ValidationFailed, detail
from chalicelib.features.webhooks import schedule, signing, store
from chalicelib.features.webhooks.model import (
    FORMER_SECRETS_MAX,
    GONE,
    KEPT,
    MAX_ENDPOINTS,
    SECRET_LASTS,
    Attempt,
    DisabledReason,
    Endpoint,
    LogStatus,
    Parcel,
    Secret,
)
from chalicelib.platform import cursor, definitions, outbound, outbox, pending, queues, table
from chalicelib.platform.config import settings
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import WEBHOOK_SHARDS, Key, Tenant, moment_sk
from chalicelib.platform.listing import FIRST, LAST, Range
from chalicelib.platform.queues import Outgoing
from chalicelib.platform.retries import retried
from chalicelib.platform.secrets import derive, seal, unseal
from chalicelib.platform.table import ConditionFailed, Delete, Op

if TYPE_CHECKING:
    # Workers start without the models of the API.
    from chalicelib.features.webhooks.schemas import EndpointPatch, EndpointWithSecret, NewEndpoint, RotatedEndpoint

T = TypeVar("T")
_ENDPOINTS = "webhooks.endpoints"
_LOGS = "webhooks.logs"
_BODIES_AT_ONCE = 50
_BODIES_BYTES = 2_000_000
_PURPOSE = "webhook-secrets"

endpoint = store.endpoint
body = store.body
forget_bodies = store.forget_bodies
body_op = store.body_op
body_key = store.body_key
endpoint_key = store.endpoint_key
done_keys = store.done_keys
pointer_key = store.pointer_key
set_first_failure = store.set_first_failure
last_success = store.last_success
first_failure = store.first_failure
standing = store.load_some
note_failing = store.note_failing
position_of = store.position_of


def _all(tenant: Tenant, version: int) -> list[Endpoint]:
    return store.load_all(tenant) if version else []


_known = definitions.Kept(_all)


def subscribers(tenant: Tenant) -> list[Endpoint]:
    """All endpoints as they were defined last; what attempts tell of them may be older."""
    return _known.at(tenant, definitions.version(tenant))


def get(tenant: Tenant, endpoint_id: str) -> Endpoint:
    """The endpoint. Raises NotFound."""
    found = store.load(tenant, endpoint_id)
    if found is None:
        raise NotFound("There is no such endpoint.")
    return found


def listing(tenant: Tenant, limit: int, after: str | None) -> tuple[list[Endpoint], str | None]:
    """One page of endpoints, newest first, and the cursor of the next one. Raises BadRequest on a foreign cursor."""
    position = None if after is None else cursor.decode(after, tenant, _ENDPOINTS, {})
    older = [each for each in reversed(store.load_all(tenant)) if position is None or each.id < position]
    shown = older[:limit]
    return shown, cursor.encode(tenant, _ENDPOINTS, {}, shown[-1].id) if len(older) > limit else None


def create(tenant: Tenant, body: "NewEndpoint", now: int, receipt: Receipt) -> "EndpointWithSecret":
    """A new endpoint with its secret.

    Raises ValidationFailed where nothing may be sent to its URL, Conflict where the project has too many.
    """
    from chalicelib.features.webhooks.schemas import EndpointWithSecret, answer_fields

    _check_url(body.url)
    secret = body.secret or signing.new_secret()
    endpoint_id = ids.new_id("whep")
    made = Endpoint(
        id=endpoint_id,
        url=body.url,
        events=tuple(dict.fromkeys(body.events)),
        secrets=(Secret(_sealed(tenant, endpoint_id, secret)),),
        created_at=now,
        updated_at=now,
    )
    answer = EndpointWithSecret.model_validate(answer_fields(made) | {"secret": secret})

    def write() -> None:
        version = definitions.version(tenant)
        if len(store.load_all(tenant)) >= MAX_ENDPOINTS:
            raise Conflict(f"A project has at most {MAX_ENDPOINTS} endpoints.")
        ops = [store.put(tenant, made, None), definitions.raise_op(tenant, version)]
        receipt.commit(ops, 201, answer.model_dump(mode="json"))

    retried(write)
    return answer


def update(tenant: Tenant, endpoint_id: str, patch: "EndpointPatch", now: int) -> Endpoint:
    """Change an endpoint. Raises NotFound, and ValidationFailed where nothing may be sent to its URL."""
    if patch.url is not None and patch.url != get(tenant, endpoint_id).url:
        _check_url(patch.url)

    def write() -> Endpoint:
        before = get(tenant, endpoint_id)
        after = _patched(before, patch, now)
        if after != before:
            table.transact([store.put(tenant, after, before), definitions.raise_op(tenant, None)])
        return after

    return retried(write)


def rotate(tenant: Tenant, endpoint_id: str, secret: str | None, now: int, receipt: Receipt) -> "RotatedEndpoint":
    """Give the endpoint a new secret, beside which the one before signs for a day.

    Raises NotFound, and Conflict where too many sign already.
    """
    from chalicelib.core.clock import iso
    from chalicelib.features.webhooks.schemas import RotatedEndpoint, answer_fields

    text = secret or signing.new_secret()

    def write() -> RotatedEndpoint:
        before = get(tenant, endpoint_id)
        after = before.rotated(_sealed(tenant, endpoint_id, text), now)
        if len(after.secrets) > 1 + FORMER_SECRETS_MAX:
            raise Conflict("The secret was changed too often. Former ones sign for 24 hours: try again when one ended.")
        ends = {"secret": text, "previous_secret_expires_at": iso(now + SECRET_LASTS)}
        answer = RotatedEndpoint.model_validate(answer_fields(after) | ends)
        receipt.commit([store.put(tenant, after, before)], 200, answer.model_dump(mode="json"))
        return answer

    return retried(write)


def remove(tenant: Tenant, endpoint_id: str) -> None:
    """Delete the endpoint; what is on its way to it is not sent any more. Raises NotFound."""
    try:
        table.transact([store.remove(tenant, endpoint_id), definitions.raise_op(tenant, None)])
    except ConditionFailed:
        raise NotFound("There is no such endpoint.") from None


def disabling(tenant: Tenant, known: Endpoint, reason: DisabledReason, now: int) -> list[Op]:
    """The operations that disable an endpoint and tell of it; the first is refused where it is not enabled any more."""
    after = known.disabled(reason, now)
    data = {
        "endpoint_id": after.id,
        "url": after.url,
        "reason": reason,
        "failing_since": after.failing_since,
        "disabled_at": now,
    }
    told = outbox.emit(tenant, events.ENDPOINT_DISABLED, data, now)
    return [store.disable(tenant, after), definitions.raise_op(tenant, None), told]


def note_health(tenant: Tenant, known: Endpoint, *, is_slow: bool, has_delivered: bool) -> None:
    """Note what an attempt tells of its endpoint, where that is news; an endpoint that is gone is passed over."""
    if known.is_slow != is_slow or (has_delivered and known.failing_since is not None):
        with suppress(ConditionFailed):
            table.write(store.note_health(tenant, known, is_slow=is_slow, has_delivered=has_delivered))


def keep(tenant: Tenant, bodies: Mapping[str, tuple[str | None, str]]) -> None:
    """Keep what webhooks say, by event id, each with the contact that it goes with; what is kept already stands."""
    ops = [store.body_op(tenant, event_id, contact_id, body) for event_id, (contact_id, body) in bodies.items()]
    for page in store.pages(ops, _BODIES_AT_ONCE, _BODIES_BYTES):
        waiting = page
        while waiting:
            try:
                table.transact(waiting)
            except ConditionFailed as refused:
                waiting = [op for n, op in enumerate(waiting) if n not in refused.failed]
            else:
                waiting = []


def dispatch(tenant: Tenant, parcels: Sequence[Parcel], slow: Iterable[str] = ()) -> None:
    """Queue attempts; those to endpoints that are `slow` queue up apart from the others.

    May be repeated: an attempt that was made is not made again. Raises Unavailable where one could not be queued.
    """
    apart, wanted = set(slow), list(dict.fromkeys(parcels))
    pending.put([mark for parcel in wanted for mark in pending.mark(tenant, "HOOK", parcel.mark)])
    for url, some in (
        (settings().webhooks_queue_url, [parcel for parcel in wanted if parcel.endpoint_id not in apart]),
        (settings().webhooks_slow_queue_url, [parcel for parcel in wanted if parcel.endpoint_id in apart]),
    ):
        messages = [
            Outgoing(parcel.lane, strict_json.dumps({"project": tenant.project_id} | parcel.to_wire()))
            for parcel in some
        ]
        if not all(queues.send_fifo(url, messages)):
            raise Unavailable


def dispatch_where_they_belong(tenant: Tenant, parcels: Sequence[Parcel]) -> None:
    """As `dispatch`, after a look at which endpoints are slow."""
    known = store.load_some(tenant, {parcel.endpoint_id for parcel in parcels})
    dispatch(tenant, parcels, slow=[each.id for each in known.values() if each.is_slow])


def received(body: str) -> tuple[Tenant, Parcel]:
    """The attempt that a message asks for."""
    wire = strict_json.loads(body.encode())
    return Tenant(wire.pop("project")), Parcel(**wire)


def done(tenant: Tenant, parcel: Parcel) -> None:
    """Nothing is left to do for this attempt."""
    if tenant.is_test:
        pending.remove([_mark(tenant, parcel)])


def signed(tenant: Tenant, to: Endpoint, parcel: Parcel, body: bytes, now: int, timestamp: int) -> dict[str, str]:
    """The headers of an attempt at `now`; `timestamp` is the real moment in Unix seconds."""
    texts = [unseal(derive(_PURPOSE), sealed, _bound(tenant, to.id)).decode() for sealed in to.signing(now)]
    return signing.signed_headers(parcel.event_id, parcel.event, timestamp, body, texts)


def followed(failed: Attempt, retry_after: int | None = None) -> Attempt:
    """A failed attempt with the moment of the next one, as `schedule` says.

    None follows on a sample, nor where the endpoint is gone (410). `retry_after`, in ms, is what the receiver asks for.
    """
    parcel = failed.parcel
    if parcel.is_test or failed.http_status == GONE:
        return failed
    shift = schedule.jitter(parcel.endpoint_id, parcel.event_id, parcel.attempt)
    next_at = schedule.next_moment(parcel.attempt, failed.attempted_at, shift, retry_after)
    return replace(failed, next_at=next_at)


def record(tenant: Tenant, made: Attempt, *, follows: Sequence[Op] = (), beside: Sequence[Op] = ()) -> bool:
    """Record an attempt, in one transaction with what `follows` and what stands `beside` it.

    False where what is beside it was refused, and nothing was written. An attempt that was recorded before is passed
    over. Nothing follows on one from whose run a replay has taken over.
    """
    parcel = made.parcel
    rest = [*beside, *([Delete(_mark(tenant, parcel))] if tenant.is_test else [])]
    ours: list[Op] = []
    if made.is_final and parcel.step > 1:
        ours = [store.pointer_op(tenant, made)]
    elif not made.is_final and not parcel.is_test:
        ours = [store.not_taken_over(tenant, parcel), store.pointer_op(tenant, made), *follows]
    try:
        _write([store.attempt_op(tenant, made), *ours, *rest])
    except ConditionFailed as refused:
        if 0 in refused.failed:
            done(tenant, parcel)
            return True
        if made.is_final or 1 not in refused.failed:
            return False
        return _record_alone(tenant, replace(made, next_at=None), rest)
    return True


def _record_alone(tenant: Tenant, made: Attempt, rest: Sequence[Op]) -> bool:
    try:
        _write([store.attempt_op(tenant, made), *rest])
    except ConditionFailed as refused:
        if 0 not in refused.failed:
            return False
        done(tenant, made.parcel)
    return True


def logs(
    tenant: Tenant,
    endpoint_id: str,
    status: LogStatus | None,
    event: str | None,
    limit: int,
    after: str | None,
    now: int,
) -> tuple[list[Attempt], str | None]:
    """One page of an endpoint's logs of the last 30 days, newest first, and the cursor of the next one.

    Raises NotFound, and BadRequest on a foreign cursor.
    """
    get(tenant, endpoint_id)
    filters = {"endpoint": endpoint_id, "status": status, "event": event}
    high = LAST if after is None else cursor.decode(after, tenant, _LOGS, filters)
    # They are listed by the real clock, and a test project's own may stand for long.
    low = FIRST if tenant.is_test else moment_sk(now - KEPT, "")
    span = Range(low, high)
    page = store.logs(tenant, endpoint_id, span, limit, status, event, now - KEPT + 1)
    following = cursor.encode(tenant, _LOGS, filters, page.position) if page.position else None
    return page.rows, following


def replayable(tenant: Tenant, endpoint_id: str, log_id: str, now: int) -> Parcel:
    """The last attempt of what a log tells of. Raises NotFound; Conflict where the endpoint is disabled."""
    to = get(tenant, endpoint_id)
    log = store.find_log(tenant, to.id, log_id) if ids.is_id("wh_log", log_id) else None
    last = store.last_attempt(tenant, log.parcel) if log is not None and log.attempted_at > now - KEPT else None
    if last is None:
        raise NotFound("There is no such log.")
    check_enabled(to)
    return last.parcel


def check_enabled(to: Endpoint) -> None:
    """Raises Conflict where the endpoint is disabled."""
    if to.status == "disabled":
        raise Conflict("The endpoint is disabled. Enable it first.")


def undelivered(
    tenant: Tenant, endpoint_id: str, at: tuple[int, str], until: str, limit: int
) -> tuple[list[Parcel], tuple[int, str] | None]:
    """The last attempts of what failed or still does, from a shard and a position on to `until`, which is exclusive.

    The second is where to go on; None at the end.
    """
    shard, after = at
    found = [each for each in store.undelivered(tenant, endpoint_id, shard, after, until, limit) if each[0] < until]
    parcels = [parcel for _, parcel in found]
    if len(found) == limit:
        # The least position after the last one.
        return parcels, (shard, found[-1][0] + " ")
    return parcels, (shard + 1, "") if shard + 1 < WEBHOOK_SHARDS else None


def _patched(before: Endpoint, patch: "EndpointPatch", now: int) -> Endpoint:
    after = before
    if patch.events is not None:
        after = replace(after, events=tuple(dict.fromkeys(patch.events)))
    if patch.url is not None and patch.url != before.url:
        # What was noted of the one before says nothing of this one.
        after = replace(after, url=patch.url, failing_since=None, failing_id=None, is_slow=False)
    if patch.status == "enabled" and before.status == "disabled":
        after = after.enabled()
    if patch.status == "disabled" and before.status == "enabled":
        after = after.disabled("by_request", now)
    return after if after == before else replace(after, updated_at=now)


def _check_url(url: str) -> None:
    try:
        outbound.check(url)
    except BadTarget as refused:
        raise ValidationFailed(
            "Nothing can be sent to this URL.", details=[detail("url", refused.reason, refused.message)]
        ) from None


def _sealed(tenant: Tenant, endpoint_id: str, secret: str) -> bytes:
    return seal(derive(_PURPOSE), secret.encode(), _bound(tenant, endpoint_id))


def _write(ops: Sequence[Op]) -> None:
    """One operation costs half of what it does in a transaction, and most attempts need no other."""
    if len(ops) == 1:
        table.write(ops[0])
    else:
        table.transact(ops)


def _bound(tenant: Tenant, endpoint_id: str) -> str:
    return "|".join(tenant.endpoint(endpoint_id))


def _mark(tenant: Tenant, parcel: Parcel) -> Key:
    return tenant.pending("HOOK", parcel.mark)
