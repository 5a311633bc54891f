"""Connections to the far side of webhooks: names resolved, connections opened, secured, kept and reused.

Imported when the first request is sent: `socket` and `ssl` are a twentieth of a worker's start.
"""

import select
import socket
import ssl
import threading
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address
from queue import Empty, SimpleQueue
from typing import Any, Final

from chalicelib.core import clock
from chalicelib.core.addresses import Target, literal
from chalicelib.platform.http_answer import Closed, Failed

MAX_KEPT = 64
MAX_KEPT_OF_ONE = 4
MAX_IDLE_S = 20.0

_PIECE = 16 * 1024
"""Bytes asked of a socket at once; as many as a TLS record has."""

_GONE: Final = (Closed, BrokenPipeError, ConnectionResetError, ConnectionAbortedError, ssl.SSLEOFError)
_WORDS: Final[tuple[tuple[type[OSError], str], ...]] = (
    (TimeoutError, "timeout"),
    (ssl.SSLError, "tls_error"),
    (ConnectionRefusedError, "connection_refused"),
    (ConnectionResetError, "connection_reset"),
    (ConnectionAbortedError, "connection_reset"),
    (BrokenPipeError, "connection_reset"),
)

Key = tuple[str, str, int]
"""Scheme, host and port."""


@dataclass(frozen=True, slots=True)
class Address:
    """One of a host's addresses: `ip` as text, and what a socket of `family` connects to."""

    ip: str
    family: int
    where: Any


def word(error: OSError) -> str:
    """The machine word for a failure of the network."""
    return next((word for kind, word in _WORDS if isinstance(error, kind)), "connection_failed")


def is_gone(error: Exception) -> bool:
    """True where the far side has closed or reset the connection."""
    return isinstance(error, _GONE)


def left(end: float) -> float:
    """Seconds until a moment of the monotonic clock, more than 0. Raises TimeoutError."""
    seconds = end - clock.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def resolve(target: Target, end: float) -> list[Address]:
    """The addresses of the target's host, in the resolver's order, each once. Raises Failed (unresolvable) and
    TimeoutError.
    """
    address = literal(target.host)
    if address is not None:
        family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
        return [Address(target.host, family, (target.host, target.port))]
    answers: SimpleQueue[list[Address]] = SimpleQueue()

    def look() -> None:
        try:
            answers.put(_addresses(target))
        except (OSError, UnicodeError):
            answers.put([])

    # The system's resolver takes no timeout; a thread that it holds does not keep the process.
    threading.Thread(target=look, daemon=True).start()
    try:
        found = answers.get(timeout=left(end))
    except Empty:
        raise TimeoutError from None
    if not found:
        raise Failed("unresolvable")
    return found


def _addresses(target: Target) -> list[Address]:
    found = {
        where: Address(str(where[0]), family, where)
        for family, _, _, _, where in socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    }
    return list(found.values())


class Connection:
    """A connected socket and what was read ahead of it. No wait goes on after `end`, a monotonic moment."""

    __slots__ = ("_ahead", "_socket", "end", "has_answered")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._ahead = bytearray()
        self.end = 0.0
        self.has_answered = False
        """True after the first byte since it was last set to False."""

    def send(self, data: bytes) -> None:
        """Raises OSError."""
        rest = memoryview(data)
        while rest:
            self._socket.settimeout(left(self.end))
            rest = rest[self._socket.send(rest) :]

    def line(self, most: int) -> bytes:
        """See `http_answer.Source`."""
        searched = 0
        while (at := self._ahead.find(b"\n", searched)) < 0:
            searched = len(self._ahead)
            if searched >= most:
                raise Failed("answer_too_large")
            if not self._fill():
                raise Closed
        if at >= most:
            raise Failed("answer_too_large")
        return self._take(at + 1)

    def some(self, most: int) -> bytes:
        """See `http_answer.Source`."""
        return self._take(most) if self._ahead or self._fill() else b""

    def waiting(self, most: int) -> bytes:
        """See `http_answer.Source`."""
        return self._take(most)

    def is_quiet(self) -> bool:
        """True where nothing came since the last answer: neither more bytes nor the end."""
        if self._ahead or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """Without a word to the far side."""
        self._socket.close()

    def _fill(self) -> bool:
        """Wait for bytes; False at the end of all."""
        self._socket.settimeout(left(self.end))
        piece = self._socket.recv(_PIECE)
        self._ahead += piece
        self.has_answered |= bool(piece)
        return bool(piece)

    def _take(self, most: int) -> bytes:
        taken = bytes(self._ahead[:most])
        del self._ahead[:most]
        return taken


def connect(target: Target, addresses: list[Address], end: float) -> Connection:
    """A connection to the first of the addresses that takes one, with TLS where the target's scheme asks for it.

    Raises OSError.
    """
    connected = _connect_any(addresses, end)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if target.scheme == "https":
            secured = tls_context().wrap_socket(connected, server_hostname=target.host, do_handshake_on_connect=False)
            connected = secured
            secured.settimeout(left(end))
            secured.do_handshake()
    except BaseException:
        connected.close()
        raise
    return Connection(connected)


def _connect_any(addresses: list[Address], end: float) -> socket.socket:
    """Each address gets its share of the time, so that one that is silent does not use up that of the next."""
    *firsts, last = addresses
    for index, address in enumerate(firsts):
        try:
            return _connect(address, left(end) / (len(addresses) - index))
        except OSError:
            continue
    return _connect(last, left(end))


def _connect(address: Address, seconds: float) -> socket.socket:
    made = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        made.settimeout(seconds)
        made.connect(address.where)
    except BaseException:
        made.close()
        raise
    return made


@cache
def tls_context() -> ssl.SSLContext:
    """Certificates of the system's authorities, for the host's name; made once, which takes tens of milliseconds."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


class Pool:
    """Connections without a request, oldest first. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Key, Connection]] = []

    def take(self, key: Key) -> Connection | None:
        """The one used last that is still open, as far as can be seen; it is the caller's now."""
        while (connection := self._newest(key)) is not None:
            if connection.is_quiet():
                return connection
            connection.close()
        return None

    def put(self, key: Key, connection: Connection) -> None:
        """Keep it; the oldest ones go where there are too many."""
        with self._lock:
            self._idle.append((clock.monotonic(), key, connection))
            self._close([each for each in self._idle if each[1] == key][:-MAX_KEPT_OF_ONE])
            self._close(self._idle[:-MAX_KEPT])

    def forget(self) -> None:
        """Close all, as in a process that has just started."""
        with self._lock:
            self._close(list(self._idle))

    def _newest(self, key: Key) -> Connection | None:
        with self._lock:
            limit = clock.monotonic() - MAX_IDLE_S
            self._close([each for each in self._idle if each[0] < limit])
            for index in range(len(self._idle) - 1, -1, -1):
                if self._idle[index][1] == key:
                    return self._idle.pop(index)[2]
        return None

    def _close(self, which: list[tuple[float, Key, Connection]]) -> None:
        for each in which:
            self._idle.remove(each)
            each[2].close()


pool: Final = Pool()
