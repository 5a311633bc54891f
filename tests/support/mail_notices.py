"""What the mail service says of mails, as its developer guide shows it."""

import copy
from typing import Any

from chalicelib.core.mail.notifications import TAG, message_ref

U = "01j8x2m4k0000000000000000"
IDS = (f"proj_{U}0", f"cntct_{U}1", f"msg_{U}2")
REF = message_ref(*IDS)
AT = "2016-01-27T14:59:38.237Z"
MAIL: dict[str, Any] = {
    "timestamp": "2016-01-27T14:05:45.000Z",
    "messageId": "000001378603177f-7a5433e7-8edb-42ae-af10-f0181f34d6ee-000000",
    "source": "Sender Name <sender@example.com>",
    "sourceArn": "arn:aws:ses:us-east-1:888888888888:identity/example.com",
    "sendingAccountId": "123456789012",
    "destination": ["Recipient Name <recipient@example.com>"],
    "headersTruncated": False,
    "headers": [{"name": "From", "value": "Sender"}, {"name": "X-GrowthOS-Message", "value": REF}],
    "tags": {"ses:configuration-set": ["ConfigSet"], TAG: [REF]},
}
BOUNCE = {
    "bounceType": "Permanent",
    "bounceSubType": "General",
    "bouncedRecipients": [{"emailAddress": "recipient@example.com", "status": "5.1.1", "action": "failed"}],
    "timestamp": AT,
    "feedbackId": "00000137860315fd-869464a4-8680-4114-98d3-716fe35851f9-000000",
}
COMPLAINT = {
    "complainedRecipients": [{"emailAddress": "recipient@example.com"}],
    "timestamp": AT,
    "complaintFeedbackType": "abuse",
    "feedbackId": "000001378603177f-18c07c78-fa81-4a58-9dd1-fedc3cb8f49a-000000",
}
DELIVERY = {"timestamp": AT, "processingTimeMillis": 546, "recipients": ["x@example.com"], "smtpResponse": "250 ok"}


def told(kind: str, about: dict[str, Any], name: str = "eventType", **mail: Any) -> dict[str, Any]:
    return {name: kind, "mail": copy.deepcopy(MAIL) | mail, kind.lower(): about}
