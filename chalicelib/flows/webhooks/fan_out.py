"""Tell endpoints of events, on the bus.

What: for each event that some endpoint asked for, what its webhook says is written down once; then one attempt for each
endpoint is queued. What a disabled endpoint would have got is noted in its log, and can be replayed. May be repeated:
the first text stands, and an attempt that was made is not made again.
"""

from collections.abc import Sequence

from chalicelib.core import ids
from chalicelib.core.events import ENDPOINT_DISABLED
from chalicelib.features.projects import service as projects
from chalicelib.features.webhooks import service as webhooks
from chalicelib.features.webhooks.model import Attempt, Endpoint, Parcel
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Queue what these events are to be told by."""
    wanted = _wanted(webhooks.subscribers(tenant), told)
    if not wanted:
        return
    # Most projects have no endpoints, and workers start without the models of the API.
    from chalicelib.flows.webhooks import payloads

    bodies = payloads.made(tenant, list({event.id: event for event, _ in wanted}.values()))
    webhooks.keep(tenant, bodies)
    # As they are now: an endpoint that has become slow or was disabled is not waited for.
    standing = webhooks.standing(tenant, {endpoint.id for _, endpoint in wanted})
    due: list[Parcel] = []
    for event, endpoint in wanted:
        parcel = Parcel(endpoint.id, event.id, event.name, event.created_at, bodies[event.id][0])
        stands = standing.get(endpoint.id)
        if stands is not None and stands.status == "enabled":
            due.append(parcel)
        elif stands is not None:
            _note_disabled(tenant, parcel)
    webhooks.dispatch(tenant, due, slow=[each.id for each in standing.values() if each.is_slow])


def _wanted(endpoints: Sequence[Endpoint], told: Sequence[DomainEvent]) -> list[tuple[DomainEvent, Endpoint]]:
    return [
        (event, each)
        for event in told
        for each in endpoints
        if each.wants(event.name, event.created_at) and not _is_its_own_end(event, each)
    ]


def _is_its_own_end(event: DomainEvent, endpoint: Endpoint) -> bool:
    return event.name == ENDPOINT_DISABLED and event.data["endpoint_id"] == endpoint.id


def _note_disabled(tenant: Tenant, parcel: Parcel) -> None:
    webhooks.record(
        tenant, Attempt(ids.new_id("wh_log"), parcel, "skipped", projects.now(tenant), error="endpoint_disabled")
    )
