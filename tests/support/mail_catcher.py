"""A mail server that keeps what it is given: the far side of the local engine's mail service."""

from __future__ import annotations

import email
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from tests.support.stack import free_port


class Catcher:
    """Mails by their recipient, oldest first, as bytes and as Python's `email` reads them.

    The server speaks RFC 5321: a line of more than 1,000 bytes is refused.
    """

    def __init__(self) -> None:
        self.raw: list[tuple[str, bytes]] = []
        self._arrived = threading.Condition()

    async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Any) -> str:  # noqa: N802 - the library's name
        """Keep a mail."""
        with self._arrived:
            self.raw += [(to, bytes(envelope.content)) for to in envelope.rcpt_tos]
            self._arrived.notify_all()
        return "250 kept"

    def to(self, address: str) -> list[EmailMessage]:
        """What that address has."""
        return [email.message_from_bytes(raw, policy=policy.default) for to, raw in self.raw if to == address]

    def await_mail(self, address: str, count: int = 1, within_s: float = 20) -> list[EmailMessage]:
        """Wait until the address has that many. Raises AssertionError where it has not in time."""
        deadline = time.monotonic() + within_s
        with self._arrived:
            while len(found := self.to(address)) < count:
                assert self._arrived.wait(deadline - time.monotonic()), (address, len(found))
        return found


@contextmanager
def catching() -> Iterator[tuple[Catcher, str]]:
    """A catcher that listens, and its address as `host:port`."""
    catcher, port = Catcher(), free_port()
    controller = Controller(catcher, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield catcher, f"127.0.0.1:{port}"
    finally:
        controller.stop()
