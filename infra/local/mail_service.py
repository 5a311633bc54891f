"""What the local engine's mail service lacks: it takes any sender, and tells of each mail by the tag that it came with.

There is nobody on a developer's machine to prove a domain to. The engine's own notifications leave out the mail's tags
and headers, by which SES lets the sender know its message again (`mail.tags`, `mail.headers`).
"""

from __future__ import annotations

import base64
from contextvars import ContextVar
from email import message_from_bytes, policy
from typing import Any

from infra import template

_sent: ContextVar[dict[str, Any] | None] = ContextVar("sent_mail", default=None)


def install() -> None:
    """Mend the engine's SES within this process; to be called before it serves."""
    from ministack.services import ses

    send, publish = ses._send_raw_email, ses._publish_notification

    def send_raw_email(params: dict[str, Any]) -> Any:
        token = _sent.set({"tags": _tags(params), "headers": _headers(ses._p(params, "RawMessage.Data"))})
        try:
            return send(params)
        finally:
            _sent.reset(token)

    def publish_notification(topic_arn: str, payload: dict[str, Any]) -> None:
        publish(topic_arn, payload | {"mail": payload["mail"] | (_sent.get() or {})})

    def notification_identity(source: str) -> tuple[str, dict[str, Any]]:
        topic = f"arn:aws:sns:{ses.get_region()}:{ses.get_account_id()}:{_topic_name()}"
        return source, {"NotificationTopics": dict.fromkeys(("Bounce", "Complaint", "Delivery"), topic)}

    ses._send_raw_email = send_raw_email
    ses._publish_notification = publish_notification
    ses._notification_identity = notification_identity
    ses._message_rejection = lambda *_: None


def _topic_name() -> str:
    from infra.local.resources import STAGE

    named: str = template.load()["Resources"]["MailTopic"]["Properties"]["TopicName"]["Fn::Sub"]
    return named.replace("${Stage}", STAGE)


def _tags(params: dict[str, Any]) -> dict[str, list[str]]:
    """The tags of a call, as SES shows them: a list of values for each name."""
    flat = {name: value[0] if isinstance(value, list) else value for name, value in params.items()}
    numbers = (name.split(".")[2] for name in flat if name.startswith("Tags.member.") and name.endswith(".Name"))
    return {flat[f"Tags.member.{n}.Name"]: [flat.get(f"Tags.member.{n}.Value", "")] for n in numbers}


def _headers(raw: str) -> list[dict[str, str]]:
    read = message_from_bytes(base64.b64decode(raw), policy=policy.default)
    return [{"name": name, "value": str(value)} for name, value in read.items()]
