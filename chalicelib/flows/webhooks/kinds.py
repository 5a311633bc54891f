"""What payloads of all sections are made of, and the sample that their examples show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from chalicelib.core.schema import Answer
from chalicelib.features.contacts.schemas import ContactAnswer
from chalicelib.platform.outbox import DomainEvent

AT = "2026-02-23T10:05:00Z"
ULID = "01kj5x8v7c2n4q6s8t0v2x4z6a"


class OfContact(Answer):
    """What concerns a contact."""

    contact_id: str
    contact: Annotated[ContactAnswer | None, Field(description="Null where it was deleted or merged meanwhile.")]


@dataclass(frozen=True, slots=True)
class Around:
    """What the events of a batch concern, as it stands now."""

    contacts: Mapping[str, ContactAnswer]
    segment_names: Mapping[str, str]
    campaign_names: Mapping[str, str]
    waitlist_names: Mapping[str, str]
    survey_names: Mapping[str, str]

    def of_contact(self, event: DomainEvent) -> dict[str, Any]:
        contact_id = str(event.data["contact_id"])
        return {"contact_id": contact_id, "contact": self.contacts.get(contact_id)}

    def of_entry(self, event: DomainEvent) -> dict[str, Any]:
        waitlist_id = str(event.data["waitlist_id"])
        about = {"waitlist_id": waitlist_id, "waitlist_name": self.waitlist_names.get(waitlist_id)}
        return self.of_contact(event) | about | {"entry_id": event.data["entry_id"]}


@dataclass(frozen=True, slots=True)
class Kind:
    """One event's data: its model, how it is made, and a sample."""

    model: type[Answer]
    make: Callable[[DomainEvent, Around], Answer]
    sample: Answer


CONTACT = ContactAnswer(
    id=f"cntct_{ULID}",
    email="alice@example.com",
    external_id="user_123",
    traits={"name": "Alice Chen", "plan": "growth"},
    tags=["enterprise"],
    created_at="2026-01-15T10:30:00Z",
    updated_at=AT,
    last_seen_at=AT,
)
OF_CONTACT: dict[str, Any] = {"contact_id": CONTACT.id, "contact": CONTACT}
