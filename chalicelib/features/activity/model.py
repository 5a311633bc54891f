"""What a contact did, as it stands on the timeline. Pure."""

from dataclasses import dataclass
from typing import Any

from chalicelib.core import clock

_STARTS_WITHIN = 24 * clock.HOUR
"""Age of an event at its receipt, up to which it starts something."""


def is_past(timestamp: int, received_at: int, *, historical: bool) -> bool:
    """True where an event counts and starts nothing: it was imported, or came too late."""
    return historical or received_at - timestamp > _STARTS_WITHIN


@dataclass(frozen=True, slots=True)
class Event:
    """One row of a timeline; moments in ms. `message_id` is None where the caller gave none.

    `user_id` and `anonymous_id` are those that it was sent with. `changed` names the contact's fields that it changed:
    `email`, `external_id`, `tags`, `groups`, `unsubscribed_at`, and `traits.<key>`.
    """

    id: str
    name: str
    type: str
    contact_id: str
    properties: dict[str, Any]
    context: dict[str, Any]
    timestamp: int
    received_at: int
    message_id: str | None = None
    historical: bool = False
    user_id: str | None = None
    anonymous_id: str | None = None
    changed: tuple[str, ...] = ()
