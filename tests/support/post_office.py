"""The mail service of the tests: takes mails, or does with them what SES may do, and remembers what it took."""

from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from chalicelib.platform import mail


@dataclass(frozen=True, slots=True)
class Posted:
    """A mail that was taken, with the tag by which the service names it."""

    to: str
    ref: str
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The mail as Python reads it."""
        read = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(read, EmailMessage)
        return read


@dataclass(slots=True)
class PostOffice:
    """Stands in for SES's client. `before` is called before a mail is taken and `after` once it is."""

    taken: list[Posted] = field(default_factory=list)
    rate: float = 1_000_000.0
    before: Callable[[dict[str, Any]], None] = lambda _call: None
    after: Callable[[dict[str, Any]], None] = lambda _call: None

    def send_raw_email(self, **call: Any) -> dict[str, Any]:
        self.before(call)
        (to,) = call["Destinations"]
        self.taken.append(Posted(to, call["Tags"][0]["Value"], call["RawMessage"]["Data"]))
        self.after(call)
        return {"MessageId": f"ses-{len(self.taken)}"}

    def get_send_quota(self) -> dict[str, Any]:
        return {"MaxSendRate": self.rate, "Max24HourSend": 50_000.0, "SentLast24Hours": 0.0}

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the product send by this."""
        monkeypatch.setattr(mail, "ses", lambda: self)
        monkeypatch.setattr(mail, "_known", [])
        monkeypatch.setattr(mail, "_leased", [])


def refused(code: str, status: int = 400) -> ClientError:
    """The service's answer that it does not take a mail."""
    answer: Any = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "SendRawEmail")


def not_answered() -> ReadTimeoutError:
    """Nobody knows what became of the call."""
    return ReadTimeoutError(endpoint_url="https://email.test")


def not_reached() -> ConnectTimeoutError:
    """The service could not be reached."""
    return ConnectTimeoutError(endpoint_url="https://email.test")
