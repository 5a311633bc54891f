"""Act on what the mail service tells of a message: delivered, bounced, complained of, refused. In any order, each once.

Order: the address is suppressed first, then the message is written with the events that tell of it; a death between
leads to the same again. Whatever the service tells of a message says too that it took it: so a message in doubt is
settled by it.
"""

from chalicelib.core.mail.notifications import Feedback
from chalicelib.features.contacts import service as contacts
from chalicelib.features.messaging import model as messages
from chalicelib.features.messaging import service as messaging
from chalicelib.features.messaging.model import Change, Message
from chalicelib.features.projects import service as projects
from chalicelib.platform.keys import Tenant


def run(tenant: Tenant, feedback: Feedback) -> None:
    """Bring the message up to it; one that is not there any more is passed over."""
    message = messaging.load(tenant, feedback.contact_id, feedback.message_id)
    if message is None:
        return
    # Of a test project nothing is sent: its time would have to be asked for.
    now = projects.now(tenant)
    if feedback.kind == "complaint" and message.to is not None:
        messaging.suppress(tenant, message.to, "complained", now)
    elif feedback.kind == "bounce" and feedback.is_permanent and message.to is not None:
        messaging.suppress(tenant, message.to, "bounced", now)
    heir = contacts.heir(tenant, feedback.contact_id)

    def judge(known: Message) -> Change:
        taken = messages.accepted(known, feedback.provider_id)
        return messages.then(taken, lambda sent: _told(sent, feedback, now))

    of = None if heir is None else heir.id
    messaging.amend(tenant, feedback.contact_id, feedback.message_id, judge, now, of=of)


def _told(known: Message, feedback: Feedback, now: int) -> Change:
    at = min(feedback.at, now)
    if feedback.kind == "delivery":
        return messages.delivered(known, at)
    if feedback.kind == "bounce":
        return messages.bounced(known, at, "permanent" if feedback.is_permanent else "transient")
    if feedback.kind == "complaint":
        return messages.complained(known, at, feedback.reason)
    if feedback.kind == "reject":
        return messages.refused(known, at, "rejected")
    return Change(known, ())
