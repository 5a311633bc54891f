"""A mail as bytes: both parts, and the headers by which mail programs unsubscribe (RFC 8058). Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from chalicelib.core import clock
from chalicelib.core.bounds import without_control

MESSAGE_HEADER = "X-GrowthOS-Message"
"""Names the message to the mail service, which repeats it in what it tells."""

# No header is folded: some mail programs do not find an address that begins on the second line.
_POLICY = policy.SMTP.clone(max_line_length=998)


@dataclass(frozen=True, slots=True)
class Mail:
    """All that a mail says. `ref` names the message; `sent_at` in ms."""

    from_address: str
    from_name: str
    to: str
    subject: str
    html: str
    text: str
    unsubscribe_url: str
    ref: str
    sent_at: int


def compose(mail: Mail) -> bytes:
    """The mail with CRLF line ends, none longer than 998 bytes. No field can add a header or end one."""
    message = EmailMessage(policy=_POLICY)
    local, _, domain = mail.from_address.rpartition("@")
    message["From"] = Address(without_control(mail.from_name), local, domain)
    to_local, _, to_domain = mail.to.rpartition("@")
    message["To"] = Address("", to_local, to_domain)
    message["Subject"] = without_control(mail.subject)
    message["Date"] = format_datetime(datetime.fromtimestamp(mail.sent_at // clock.SECOND, UTC))
    message["Message-ID"] = f"<{mail.ref}@{domain}>"
    message["List-Unsubscribe"] = f"<{mail.unsubscribe_url}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message[MESSAGE_HEADER] = mail.ref
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return message.as_bytes()


def headers_of(raw: bytes) -> list[tuple[str, str]]:
    """The headers of a mail, decoded, in their order."""
    return [(name, str(value)) for name, value in message_from_bytes(raw, policy=policy.default).items()]
