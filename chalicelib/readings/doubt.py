"""Messages of which nobody knows whether they were sent: whoever was sending them has died.

They are never sent again. The mail service's own word settles them, and without one in time they count as failed.
"""

from typing import Final

from chalicelib.features.messaging import model as messages
from chalicelib.features.messaging import service as messaging
from chalicelib.features.messaging.model import Message
from chalicelib.features.timers import service as timers
from chalicelib.features.timers.service import Timer
from chalicelib.platform.keys import Tenant, contact_of

KIND: Final = "unconfirmed_mail"
"""The kind of the timer of a message in doubt."""


def note(tenant: Tenant, message: Message | None, now: int) -> None:
    """Note that the message is in doubt, where it is being sent and nobody has said what came of it."""
    if message is None or message.status != "sending":
        return
    owner = messaging.key(tenant, message.contact_id, message.id).pk
    watch = timers.set_ops(tenant, owner, f"{KIND}#{message.id}", KIND, now + messages.CONFIRMED_WITHIN)
    messaging.amend(tenant, message.contact_id, message.id, messages.in_doubt, now, beside=lambda _: watch)


def end(tenant: Tenant, owner_pk: str, timer: Timer, now: int) -> None:
    """A message of which nobody has told in time counts as failed."""
    contact_id, message_id = contact_of(owner_pk) or "", timer.name.removeprefix(f"{KIND}#")
    messaging.amend(tenant, contact_id, message_id, lambda known: messages.given_up(known, now), now)
    timers.drop(tenant, owner_pk, timer)
