"""Bodies and answers of the event endpoints."""

from typing import Any

from pydantic import Field

from chalicelib.core.clock import iso
from chalicelib.core.schema import Answer
from chalicelib.features.activity.model import Event


class EventAnswer(Answer):
    """One row of a timeline."""

    id: str = Field(examples=["evt_01j8x2m4k00000000000000000"])
    event: str
    type: str
    contact_id: str
    properties: dict[str, Any]
    context: dict[str, Any]
    timestamp: str
    received_at: str
    message_id: str | None


def shown(event: Event) -> EventAnswer:
    """The event as its callers see it."""
    return EventAnswer(
        id=event.id,
        event=event.name,
        type=event.type,
        contact_id=event.contact_id,
        properties=event.properties,
        context=event.context,
        timestamp=iso(event.timestamp),
        received_at=iso(event.received_at),
        message_id=event.message_id,
    )
