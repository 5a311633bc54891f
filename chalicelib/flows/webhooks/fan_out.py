"""Tell endpoints of events, on the bus.

What: for each event that some endpoint asked for, what its webhook says is written down once; then one attempt for each
endpoint is queued, for a disabled one too: the worker notes in its log what it would have got. May be repeated: the
first text stands, and an attempt that was made is not made again.

What is said of a contact goes with the contact's rows. It is looked at once more after that was written, and what was
written of one that is gone by then, by this run or by one that died, is removed: so a purge leaves nothing behind.
"""

from collections.abc import Sequence

from chalicelib.core.events import ENDPOINT_DISABLED
from chalicelib.features.contacts import service as contacts
from chalicelib.features.webhooks import service as webhooks
from chalicelib.features.webhooks.model import Endpoint, Parcel
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent


def run(tenant: Tenant, told: Sequence[DomainEvent]) -> None:
    """Queue what these events are to be told by."""
    wanted = _wanted(webhooks.subscribers(tenant), told)
    if not wanted:
        return
    # Most projects have no endpoints, and workers start without the models of the API.
    from chalicelib.flows.webhooks import payloads

    events = {event.id: event for event, _ in wanted}
    bodies = payloads.made(tenant, list(events.values()))
    webhooks.keep(tenant, bodies)
    people = {
        of: contacts.key(tenant, of) for event in events.values() if (of := payloads.contact_of(event)) is not None
    }
    to = {endpoint.id: webhooks.endpoint_key(tenant, endpoint.id) for _, endpoint in wanted}
    rows = table.batch_get([*people.values(), *to.values()])
    gone = [of for of, key in people.items() if contacts.is_gone(tenant, contacts.read(rows.get(key)))]
    if gone:
        late = {event.id: of for event in events.values() if (of := payloads.contact_of(event)) in gone}
        webhooks.forget_bodies(tenant, [(event_id, str(of)) for event_id, of in late.items()])
        shown = [events[event_id] for event_id in late if bodies[event_id][0] is not None]
        without = payloads.made(tenant, shown, gone=gone)
        webhooks.keep(tenant, without)
        bodies |= without
    # As they are now: an endpoint that has become slow is not waited for.
    standing = [each for key in to.values() if (each := webhooks.endpoint(rows.get(key))) is not None]
    due = [
        Parcel(endpoint.id, event.id, event.name, event.created_at, bodies[event.id][0]) for event, endpoint in wanted
    ]
    webhooks.dispatch(tenant, due, slow=[each.id for each in standing if each.is_slow])


def _wanted(endpoints: Sequence[Endpoint], told: Sequence[DomainEvent]) -> list[tuple[DomainEvent, Endpoint]]:
    return [
        (event, each)
        for event in told
        for each in endpoints
        if each.wants(event.name, event.id, event.created_at) and not _is_its_own_end(event, each)
    ]


def _is_its_own_end(event: DomainEvent, endpoint: Endpoint) -> bool:
    return event.name == ENDPOINT_DISABLED and event.data["endpoint_id"] == endpoint.id
