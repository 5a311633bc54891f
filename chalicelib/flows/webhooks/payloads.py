"""What webhooks say: a model for each event, and how it is made of the event and of what it concerns.

A contact is shown as it is when the bus tells of it, which is within seconds of the event; one that is gone by then is
told by its id alone.
"""

from collections.abc import Container, Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field

from chalicelib.core import events, strict_json
from chalicelib.core.clock import iso, parse_instant
from chalicelib.core.schema import Answer
from chalicelib.features.apikeys.schemas import KeyView
from chalicelib.features.campaigns import service as campaigns
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.schemas import shown
from chalicelib.features.segments import service as segments
from chalicelib.features.segments.model import Reason
from chalicelib.features.surveys import service as surveys
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.webhooks.model import DisabledReason
from chalicelib.flows.webhooks import campaign_kinds, referral_kinds, survey_kinds, waitlist_kinds
from chalicelib.flows.webhooks.kinds import AT, CONTACT, OF_CONTACT, ULID, Around, Kind, OfContact
from chalicelib.platform import table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.outbox import DomainEvent

T = TypeVar("T", bound=Answer)


class ContactCreated(OfContact):
    """A contact is new."""


class ContactUpdated(OfContact):
    """A contact has changed."""

    changed: Annotated[list[str], Field(description="Its fields: `email`, `tags`, `traits.<key>`, …")]


class ContactMerged(OfContact):
    """A contact has become part of this one."""

    source_contact_id: str


class ContactDeleted(Answer):
    """A contact was deleted."""

    contact_id: str
    external_id: Annotated[str | None, Field(description="Null where it had none, or was purged at once.")]


class SegmentMoved(OfContact):
    """A contact has entered a segment, or left it."""

    segment_id: str
    segment_name: Annotated[str | None, Field(description="Null where the segment was deleted meanwhile.")]
    reason: Reason


class EndpointDisabled(Answer):
    """Nothing more is sent to an endpoint."""

    endpoint_id: str
    url: str
    reason: DisabledReason
    failing_since: str | None
    disabled_at: str


class Payload(Answer, Generic[T]):
    """What is posted to an endpoint."""

    id: Annotated[str, Field(description="The event's id; also in the header `webhook-id`.")]
    type: str
    created_at: Annotated[str, Field(description="When it happened. Deliveries come in no order that is promised.")]
    project_id: str
    data: T
    idempotency_key: Annotated[str, Field(description="The same at each delivery of this event: act once for each.")]


def _created(event: DomainEvent, around: Around) -> Answer:
    return ContactCreated(**around.of_contact(event))


def _updated(event: DomainEvent, around: Around) -> Answer:
    return ContactUpdated(changed=event.data["changed"], **around.of_contact(event))


def _merged(event: DomainEvent, around: Around) -> Answer:
    return ContactMerged(source_contact_id=event.data["source_contact_id"], **around.of_contact(event))


def _deleted(event: DomainEvent, _around: Around) -> Answer:
    return ContactDeleted(contact_id=event.data["contact_id"], external_id=event.data.get("external_id"))


def _moved(event: DomainEvent, around: Around) -> Answer:
    segment_id = event.data["segment_id"]
    return SegmentMoved(
        segment_id=segment_id,
        segment_name=around.segment_names.get(segment_id),
        reason=event.data["reason"],
        **around.of_contact(event),
    )


def _key(event: DomainEvent, _around: Around) -> Answer:
    return KeyView.model_validate(event.data)


def _disabled(event: DomainEvent, _around: Around) -> Answer:
    data = dict(event.data)
    since = data["failing_since"]
    return EndpointDisabled(
        endpoint_id=data["endpoint_id"],
        url=data["url"],
        reason=data["reason"],
        failing_since=None if since is None else iso(since),
        disabled_at=iso(data["disabled_at"]),
    )


_MOVED = SegmentMoved(segment_id=f"seg_{ULID}", segment_name="Active Trial Users", reason="event", **OF_CONTACT)
_KEY = {
    "id": f"key_{ULID}",
    "name": "Production",
    "type": "secret",
    "key_hint": "...4k9m",
    "scopes": ["contacts:read"],
    "created_at": AT,
    "last_used_at": None,
    "revoked_at": None,
    "expires_at": None,
}

KINDS: Mapping[str, Kind] = {
    events.CONTACT_CREATED: Kind(ContactCreated, _created, ContactCreated(**OF_CONTACT)),
    events.CONTACT_UPDATED: Kind(ContactUpdated, _updated, ContactUpdated(changed=["traits.plan"], **OF_CONTACT)),
    events.CONTACT_MERGED: Kind(
        ContactMerged, _merged, ContactMerged(source_contact_id="cntct_01kj5x8v7c2n4q6s8t0v2x4z6b", **OF_CONTACT)
    ),
    events.CONTACT_DELETED: Kind(
        ContactDeleted, _deleted, ContactDeleted(contact_id=CONTACT.id, external_id=CONTACT.external_id)
    ),
    events.SEGMENT_ENTERED: Kind(SegmentMoved, _moved, _MOVED),
    events.SEGMENT_LEFT: Kind(SegmentMoved, _moved, _MOVED),
    **referral_kinds.KINDS,
    **campaign_kinds.KINDS,
    **survey_kinds.KINDS,
    **waitlist_kinds.KINDS,
    events.KEY_CREATED: Kind(KeyView, _key, KeyView.model_validate(_KEY)),
    events.KEY_REVOKED: Kind(
        KeyView,
        _key,
        KeyView.model_validate(_KEY | {"revoked_at": AT, "expires_at": "2026-02-24T10:05:00Z"}),
    ),
    events.ENDPOINT_DISABLED: Kind(
        EndpointDisabled,
        _disabled,
        EndpointDisabled(
            endpoint_id=f"whep_{ULID}",
            url="https://yourserver.com/webhooks/growthos",
            reason="failing",
            failing_since="2026-02-18T10:05:00Z",
            disabled_at=AT,
        ),
    ),
}
"""All that is told so far."""


def model(name: str) -> type[Payload[Any]]:
    """The model of an event's payload, named for the event."""
    # The type checker takes no argument that is chosen at run time.
    return Payload.__class_getitem__(KINDS[name].model)  # type: ignore[return-value]


def example(name: str) -> Any:
    """A payload of that event as JSON."""
    return strict_json.stored(text(Tenant(f"proj_{ULID}"), f"evt_{ULID}", name, parse_instant(AT), KINDS[name].sample))


def contact_of(event: DomainEvent) -> str | None:
    """The contact that the event's webhook shows; None where it shows none."""
    return str(event.data["contact_id"]) if issubclass(KINDS[event.name].model, OfContact) else None


def made(
    tenant: Tenant, told: Sequence[DomainEvent], *, gone: Container[str] = ()
) -> dict[str, tuple[str | None, str]]:
    """The text of each event's payload by the event's id, with the id of the contact that it shows; None where none.

    Contacts that are known to be `gone` are not shown.
    """
    around = _around(tenant, told, gone)
    texts: dict[str, tuple[str | None, str]] = {}
    for event in told:
        kind = KINDS[event.name]
        data = kind.make(event, around)
        of = data.contact.id if isinstance(data, OfContact) and data.contact is not None else None
        texts[event.id] = of, text(tenant, event.id, event.name, event.created_at, data)
    return texts


def text(tenant: Tenant, event_id: str, name: str, created_at: int, data: Answer) -> str:
    """One payload as it is posted."""
    payload: Payload[Any] = Payload(
        id=event_id,
        type=name,
        created_at=iso(created_at),
        project_id=tenant.project_id,
        data=data,
        idempotency_key=event_id,
    )
    return payload.model_dump_json()


def _around(tenant: Tenant, told: Sequence[DomainEvent], gone: Container[str]) -> Around:
    wanted = {contacts.key(tenant, of) for event in told if (of := contact_of(event)) is not None}
    people = [contacts.read(item) for item in table.batch_get(wanted).values()]
    names: dict[str, str] = {}
    if any(KINDS[event.name].model is SegmentMoved for event in told):
        names = {each.id: each.name for each in segments.catalog(tenant).segments.values()}
    named = any("campaign_id" in event.data for event in told)
    of_entries = any("entry_id" in event.data for event in told)
    of_surveys = any("survey_id" in event.data for event in told)
    return Around(
        {
            each.id: shown(each)
            for each in people
            if each is not None and each.status == "active" and each.id not in gone
        },
        names,
        {each.id: each.name for each in campaigns.catalog(tenant).campaigns.values()} if named else {},
        {each.id: each.name for each in waitlists.all_of(tenant)} if of_entries else {},
        {each.id: each.name for each in surveys.catalog(tenant).surveys.values()} if of_surveys else {},
    )
