"""A server that answers byte for byte what a test writes, on this machine."""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields

import pytest

from chalicelib.platform import config, outbound

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_AT_ONCE = struct.pack("ii", 1, 0)


class Visit:
    """One request, to be answered."""

    def __init__(self, connection: socket.socket, number: int, stopped: threading.Event) -> None:
        self._connection = connection
        self._stopped = stopped
        self.number = number
        """Counts the requests of all connections, from 1."""

        self.is_open = True

    def send(self, data: bytes) -> None:
        """A far side that has gone does not matter."""
        with contextlib.suppress(OSError):
            self._connection.sendall(data)

    def drip(self, data: bytes, seconds: float) -> None:
        """Byte for byte, with so long a pause after each."""
        for byte in data:
            self.send(bytes([byte]))
            if self.wait(seconds):
                return

    def wait(self, seconds: float) -> bool:
        """True where the server was stopped."""
        return self._stopped.wait(seconds)

    def close(self) -> None:
        """After what was sent."""
        self.is_open = False

    def reset(self) -> None:
        """With RST instead of FIN."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.is_open = False


Script = Callable[[Visit], None]


class FarSide:
    """Keeps connections open until the script closes them; `requests` are the bytes that came, in order."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self.greeting = b""
        """Sent to everyone who connects, before a request."""

        self._start(self._accept)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        """With the scheme that the server speaks."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def stop(self) -> None:
        """And wait for all that it began."""
        self._stopped.set()
        # Closing alone would not wake those that wait.
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            with connection:
                connection.sendall(self.greeting)
                self._answer(connection)
        except OSError:
            connection.close()

    def _answer(self, connection: socket.socket) -> None:
        while request := _request(connection):
            self.requests.append(request)
            visit = Visit(connection, len(self.requests), self._stopped)
            self._script(visit)
            if not visit.is_open:
                return


def _request(connection: socket.socket) -> bytes:
    """A whole request; nothing where none comes."""
    read = b""
    while b"\r\n\r\n" not in read:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        read += piece
    head, _, _ = read.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(read) < len(head) + 4 + length:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        read += piece
    return read


@contextmanager
def answering(script: Script | bytes, tls: ssl.SSLContext | None = None) -> Iterator[FarSide]:
    """A server with a script, or with the same bytes for each request."""
    far_side = FarSide((lambda visit: visit.send(script)) if isinstance(script, bytes) else script, tls)
    try:
        yield far_side
    finally:
        far_side.stop()


def closing(answer: bytes) -> Script:
    """Send it, and close."""

    def script(visit: Visit) -> None:
        visit.send(answer)
        visit.close()

    return script


@contextmanager
def private_webhooks(allowed: str) -> Iterator[None]:
    """Settings that say so; the connections that were kept under others are closed before and after."""
    with pytest.MonkeyPatch.context() as patch:
        for field in fields(config.Settings):
            if field.default is MISSING:
                patch.setenv(f"GROWTHOS_{field.name.upper()}", "unused")
        patch.setenv("GROWTHOS_ALLOW_PRIVATE_WEBHOOKS", allowed)
        _begin_anew()
        yield
    _begin_anew()


def _begin_anew() -> None:
    config.settings.cache_clear()
    outbound.forget()


def short(value: object) -> str | None:
    """The name of a parameter in a test's name."""
    return repr(value[:40]) if isinstance(value, bytes) else None


def refusing_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port: int = unused.getsockname()[1]
        return port


class Resolver:
    """Stands in for `socket.getaddrinfo`: each call takes the next list of addresses, the last one again and again."""

    def __init__(self, *answers: list[tuple[str, int]]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, **_options: object) -> list[tuple[object, ...]]:
        """In the shape of `getaddrinfo`. A port other than 0 replaces the one asked for."""
        self.asked.append(host)
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [
            (
                socket.AF_INET6 if ":" in ip else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (ip, own or port),
            )
            for ip, own in found
        ]
