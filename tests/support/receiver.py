"""A receiver of webhooks on this machine: keeps what came, and answers as a test says."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Delivered:
    """One request; names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def type(self) -> str:
        return str(self.json["type"])

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        return self.json["data"]


Answer = Callable[[Delivered], int]
"""The status to answer with."""


class Receiver:
    """`got` has all requests in the order in which they came; `answer` says what each is answered."""

    def __init__(self) -> None:
        self.got: list[Delivered] = []
        self.answer: Answer = lambda _request: 200
        self.headers: dict[str, str] = {}
        self._arrived = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def at(self, path: str) -> list[Delivered]:
        """What came to that path."""
        return [each for each in self.got if each.path == path]

    def of(self, *types: str) -> list[Delivered]:
        """What came of these types of events."""
        return [each for each in self.got if each.type in types]

    def await_count(self, count: int, within_s: float) -> Sequence[Delivered]:
        """What came, once it is so many. Fails where it is not by then."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.got) >= count, within_s), f"{len(self.got)} of {count}"
            return list(self.got)

    def keep(self, request: Delivered) -> None:
        with self._arrived:
            self.got.append(request)
            self._arrived.notify_all()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A caller that has gone does not matter."""


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Delivered(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            status = receiver.answer(request)
            receiver.keep(request)
            told = b"thank you"
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, *_: object) -> None:
            return

    return Handler


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that is stopped at the end."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.stop()
