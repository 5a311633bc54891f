"""What callers ask to be sent: a sample to try an endpoint, one webhook again, or all that failed.

The request is written down with its answer, and acted upon by the bus: so it is neither lost nor done twice.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chalicelib.core import events, ids
from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.features.webhooks import service as webhooks
from chalicelib.features.webhooks.model import KEPT, Parcel, matches
from chalicelib.platform import jobs, outbox
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent

KIND: Final = "replay_webhooks"
"""The kind of the job."""

_PAGE = 50


def sample(tenant: Tenant, endpoint_id: str, event: str, now: int, receipt: Receipt) -> dict[str, Any]:
    """Send a sample of an event to an endpoint, whatever it asked for, even a disabled one; what is on its way.

    Raises NotFound, and ValidationFailed for an event that is not told yet.
    """
    from chalicelib.flows.webhooks import payloads

    webhooks.get(tenant, endpoint_id)
    kind = payloads.KINDS.get(event)
    if kind is None:
        message = "Nothing tells of this event yet."
        raise ValidationFailed(message, details=[detail("event", "not_told", message)])
    parcel = Parcel(endpoint_id, ids.new_id("evt"), event, now, is_test=True)
    body = payloads.text(tenant, parcel.event_id, event, now, kind.sample)
    told = outbox.emit(tenant, events.WEBHOOK_DUE, parcel.to_wire(), now)
    answer = _queued(parcel)
    receipt.commit([webhooks.body_op(tenant, parcel.event_id, None, body), told], 200, answer)
    return answer


def again(tenant: Tenant, endpoint_id: str, log_id: str, now: int, receipt: Receipt) -> dict[str, Any]:
    """Send once more what a log tells of; what is on its way. Raises NotFound; Conflict where it is disabled."""
    parcel = webhooks.replayable(tenant, endpoint_id, log_id, now).again()
    answer = _queued(parcel)
    told = outbox.emit(tenant, events.WEBHOOK_DUE, parcel.to_wire(), now)
    receipt.commit([told], 200, answer)
    return answer


def replay(
    tenant: Tenant,
    endpoint_id: str,
    span: tuple[int, int],
    patterns: Sequence[str] | None,
    now: int,
    receipt: Receipt,
    answer: Mapping[str, Any],
) -> None:
    """Send all again that failed or still does, of events in a span of moments in ms, the second one exclusive.

    Raises NotFound; Conflict where the endpoint is disabled; ValidationFailed for a span of the future.
    """
    if span[0] > span[1]:
        message = "This moment has not come yet."
        raise ValidationFailed(message, details=[detail("since", "in_the_future", message)])
    webhooks.check_enabled(webhooks.get(tenant, endpoint_id))
    data = {
        "endpoint_id": endpoint_id,
        "since": max(0, span[0], now - KEPT),
        "until": max(0, span[1]),
        "events": patterns and list(patterns),
        "replay": ids.new_ulid(),
    }
    receipt.commit([outbox.emit(tenant, events.WEBHOOKS_REPLAY_ASKED, data, now)], 200, answer)


def start(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Begin the replays that were asked for, on the bus; may be repeated."""
    for event in told:
        jobs.send(tenant, KIND, event.data)


def run(tenant: Tenant, data: Mapping[str, Any], has_time: Callable[[], bool]) -> Mapping[str, Any] | None:
    """Queue the attempts of a replay as long as there is time; returns where to go on, None at the end.

    `data` is `{endpoint_id, since, until, events, replay, at?}`; a page that runs twice sends nothing twice.
    """
    endpoint_id, patterns = str(data["endpoint_id"]), data["events"]
    since, until = webhooks.position_of(data["since"]), webhooks.position_of(data["until"])
    shard, after = data.get("at") or (0, "")
    to = webhooks.standing(tenant, [endpoint_id]).get(endpoint_id)
    if to is None or to.status == "disabled":
        return None
    while True:
        found, following = webhooks.undelivered(tenant, endpoint_id, (shard, after or since), until, _PAGE)
        wanted = [
            each.again(data["replay"])
            for each in found
            # A page that runs twice passes over what it sent the first time and failed again since.
            if each.replay != data["replay"]
            and (patterns is None or any(matches(pattern, each.event) for pattern in patterns))
        ]
        webhooks.dispatch(tenant, wanted, slow=[to.id] if to.is_slow else [])
        if following is None:
            return None
        shard, after = following
        if not has_time():
            return {**data, "at": [shard, after]}


def _queued(parcel: Parcel) -> dict[str, Any]:
    return {
        "event_id": parcel.event_id,
        "event": parcel.event,
        "endpoint_id": parcel.endpoint_id,
        "status": "queued",
    }
