"""The bus: reads the table's stream and calls what is wired to each event. EVENT_FLOWS is the whole wiring.

A stream keeps order for each item only, and delivers at least once: flows take an event as a hint and act once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chalicelib.core import clock, events, strict_json
from chalicelib.flows import count_contacts, index_days
from chalicelib.flows.segments import build, clean, on_events
from chalicelib.flows.segments import count as count_members
from chalicelib.platform import observability, outbox, queues
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent

Flow = Callable[[Tenant, Sequence[DomainEvent]], None]

EVENT_FLOWS: dict[str, tuple[Flow, ...]] = {
    events.ACTIVITY_RECORDED: (index_days.run, on_events.run),
    events.CONTACT_CREATED: (count_contacts.run, on_events.run),
    events.CONTACT_UPDATED: (on_events.run,),
    events.CONTACT_DELETED: (count_contacts.run, on_events.run),
    events.SEGMENT_DEFINED: (build.start,),
    events.SEGMENT_REMOVED: (clean.start,),
    events.SEGMENT_ENTERED: (count_members.run,),
    events.SEGMENT_LEFT: (count_members.run,),
    events.SEGMENT_DROPPED: (count_members.run,),
}

_TRIES = 5
_PAUSE = 0.05
_RESERVE = 5_000
"""Milliseconds of the invocation that one more record may need."""

Record = Mapping[str, Any]


def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Work through a batch of the stream; returns the first record that could neither be handled nor kept.

    The mapping delivers that record again with all that follow it, so every other one is worked on first.
    """
    records: Sequence[Record] = event["Records"]
    told = [outbox.told_by(record) for record in records]
    by_tenant: dict[Tenant, list[int]] = {}
    for n, domain_events in enumerate(told):
        if domain_events:
            by_tenant.setdefault(domain_events[0].tenant, []).append(n)
    left: list[int] = []
    for tenant, places in by_tenant.items():
        if not _attempt(tenant, [domain_event for n in places for domain_event in told[n]]):
            left += [n for n in places if not (_has_time(context) and (_persist(tenant, told[n]) or _keep(records[n])))]
    failures = [{"itemIdentifier": records[n]["dynamodb"]["SequenceNumber"]} for n in sorted(left)[:1]]
    return {"batchItemFailures": failures}


def handle_retry(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Work through records that failed on the stream, kept whole on the bus's own queue."""
    failed: list[str] = []
    for message in event["Records"]:
        domain_events = outbox.told_by(strict_json.loads(message["body"].encode()))
        if domain_events and not _attempt(domain_events[0].tenant, domain_events):
            failed.append(message["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": ident} for ident in failed]}


def _attempt(tenant: Tenant, domain_events: Sequence[DomainEvent]) -> bool:
    """Call each flow once with all of its events."""
    observability.bind(project_id=tenant.project_id)
    wanted: dict[Flow, list[DomainEvent]] = {}
    for domain_event in domain_events:
        for flow in EVENT_FLOWS.get(domain_event.name, ()):
            wanted.setdefault(flow, []).append(domain_event)
    try:
        for flow, its_events in wanted.items():
            flow(tenant, its_events)
    except Exception:  # one event's fault must not stop the stream for everybody
        observability.log_failure("bus flow failed")
        return False
    finally:
        observability.unbind()
    return True


def _has_time(context: Any) -> bool:
    return bool(context.get_remaining_time_in_millis() > _RESERVE)


def _persist(tenant: Tenant, domain_events: Sequence[DomainEvent]) -> bool:
    """Handle one record alone, a few times over."""
    for attempt in range(_TRIES):
        if _attempt(tenant, domain_events):
            return True
        clock.sleep(_PAUSE * 2**attempt)
    return False


def _keep(record: Record) -> bool:
    """Put a record that keeps failing aside, whole, so that the stream goes on."""
    observability.metric("BusRecordSetAside")
    try:
        queues.send(settings().bus_queue_url, strict_json.dumps(record))
    except Exception:
        observability.log_failure("bus record could not be kept")
        return False
    return True
