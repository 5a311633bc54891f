"""What is sent to join a waitlist."""

from pydantic import ConfigDict, Field

from chalicelib.core.schema import Body
from chalicelib.features.contacts.schemas import Email, Traits
from chalicelib.features.waitlists.schemas import Code


class NewEntry(Body):
    """Somebody to add to a waitlist. Traits are merged into the contact's."""

    email: Email = Field(examples=["charlie@example.com"])
    traits: Traits = Field(default_factory=dict, examples=[{"name": "Charlie Park", "source": "partner_referral"}])
    referral_code: Code = None


class Joining(NewEntry):
    """Somebody who joins. Traits that the contact has already stay as they are. Unknown fields are passed over."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, defer_build=True)
