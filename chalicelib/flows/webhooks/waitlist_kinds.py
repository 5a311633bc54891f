"""What webhooks say of waitlists."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import ConfigDict, Field

from chalicelib.core import events
from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer
from chalicelib.flows.webhooks.kinds import AT, OF_CONTACT, ULID, Around, Kind, OfContact
from chalicelib.platform.outbox import DomainEvent


class OfEntry(OfContact):
    """What concerns somebody in a waitlist."""

    waitlist_id: str
    waitlist_name: Annotated[str | None, Field(description="Null where the waitlist was deleted meanwhile.")]
    entry_id: str


class EntryCreated(OfEntry):
    """Somebody has joined a waitlist."""

    joined_at: str
    referral_code: Annotated[str | None, Field(description="The code that it came with, as it was given.")]


class EntryApproved(OfEntry):
    """Somebody has left the queue of a waitlist for good."""

    approved_at: str


class PositionChanged(OfEntry):
    """Somebody has moved up by a referral. Who was overtaken is not told of."""

    model_config = ConfigDict(frozen=True, defer_build=True, serialize_by_alias=True, validate_by_name=True)

    from_: Annotated[int, Field(alias="from")]
    to: int


def _created(event: DomainEvent, around: Around) -> Answer:
    data = event.data
    return EntryCreated(joined_at=iso(data["joined_at"]), referral_code=data["referral_code"], **around.of_entry(event))


def _approved(event: DomainEvent, around: Around) -> Answer:
    return EntryApproved(approved_at=iso(event.data["approved_at"]), **around.of_entry(event))


def _changed(event: DomainEvent, around: Around) -> Answer:
    return PositionChanged(from_=event.data["from"], to=event.data["to"], **around.of_entry(event))


_ENTRY = OF_CONTACT | {
    "waitlist_id": f"wl_{ULID}",
    "waitlist_name": "Pro Plan Early Access",
    "entry_id": f"wl_entry_{ULID}",
}

KINDS: Mapping[str, Kind] = {
    events.ENTRY_CREATED: Kind(
        EntryCreated, _created, EntryCreated(joined_at=AT, referral_code="ALICE-ACME-7K2", **_ENTRY)
    ),
    events.ENTRY_APPROVED: Kind(EntryApproved, _approved, EntryApproved(approved_at=AT, **_ENTRY)),
    events.POSITION_CHANGED: Kind(PositionChanged, _changed, PositionChanged(from_=7, to=4, **_ENTRY)),
}
