"""A server on loopback for a browser: what it asks is handed to a function, which may be a test's or the app itself."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from chalicelib.edge.call import Reply
from tests.support.client import Client


@dataclass(frozen=True, slots=True)
class Asked:
    """What the browser sent. `path` has the query."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, list[str]]:
        """The fields of a form."""
        return parse_qs(self.body.decode(), keep_blank_values=True)


@dataclass(frozen=True, slots=True)
class Told:
    """What the browser gets."""

    status: int
    headers: dict[str, str]
    text: str


Handle = Callable[[Asked], Told]


def told(reply: Reply) -> Told:
    """A page as the server sends it."""
    assert isinstance(reply.body, str)
    return Told(reply.status or 200, dict(reply.headers), reply.body)


def from_app(client: Client | None = None) -> Handle:
    """What hands everything to the app in this process, as the gateway would."""
    app = client or Client()

    def handle(asked: Asked) -> Told:
        sent = {name: value for name, value in asked.headers.items() if name.lower() != "content-length"}
        # Bytes go as they are, with the content type that the browser gave them.
        answer = app.request(asked.method, asked.path, asked.body or None, headers=sent, key="")
        return Told(answer.status, answer.headers, answer.text)

    return handle


@dataclass(slots=True)
class Served:
    """The server's address, and all that it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    @property
    def posts(self) -> list[dict[str, list[str]]]:
        """The forms that were sent, in order."""
        return [each.form for each in self.asked if each.method == "POST"]


@contextmanager
def serve(handle: Handle) -> Iterator[Served]:
    """Serve until the block ends. One call at a time reaches `handle`."""
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            """Nothing: the test has it all in `asked`."""

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, self.path, dict(self.headers), body)
            if asked.path == "/favicon.ico":
                self.send_error(404)
                return
            with turn:
                served.asked.append(asked)
                answer = handle(asked)
            content = answer.text.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() != "content-length":
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served = Served(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
