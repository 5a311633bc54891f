"""What the mail service tells of mails, where its topic is subscribed by HTTPS."""

from chalicelib.core import strict_json
from chalicelib.core.errors import BadRequest, Unavailable
from chalicelib.edge.call import Call, Reply
from chalicelib.edge.router import Router
from chalicelib.platform import queues, sns
from chalicelib.platform.config import settings
from chalicelib.platform.sns import NotSigned, Unreachable

router = Router("Feedback")

_BODY_MAX = 256 * 1024
_FORBIDDEN = 403


@router.post("/ses/notifications", access="public")
def take_feedback(call: Call[None, None]) -> Reply:
    """Take a message of the topic, or confirm the subscription to it. What is not signed for our topic is refused."""
    call.request.open_body(_BODY_MAX)
    envelope = call.request.json()
    if not isinstance(envelope, dict):
        raise BadRequest("This is not a message of SNS.")
    try:
        sns.verify(envelope)
        if envelope["Type"] == "SubscriptionConfirmation":
            sns.confirm(envelope)
        elif envelope["Type"] == "Notification":
            queues.send(settings().feedback_queue_url, strict_json.dumps(envelope))
    except NotSigned:
        return Reply({"accepted": False}, status=_FORBIDDEN)
    except Unreachable:
        raise Unavailable from None
    return Reply({"accepted": True})
