"""Reading one HTTP/1 answer of a server that nobody vouches for: strict, and bounded in every direction.

The standard library's reader has no bound on interim answers, trailers and chunk sizes, and forgives lengths that
contradict each other, after which a connection must not be used again.
"""

import re
from collections.abc import Mapping
from typing import Final, Protocol

MAX_HEAD = 32 * 1024
"""Bytes of status lines and headers, interim answers included."""

MAX_BODY = 1024 * 1024
"""Bytes of body; also of what chunks add to it."""

KEPT_BODY = 1_024
"""Bytes of body that are kept."""

_KEPT_RETRY_AFTER = 64
_PIECE = 64 * 1024
_SWITCHING = 101
_FIRST_FINAL = 200
_WITHOUT_BODY: Final = frozenset({204, 304})

_STATUS: Final = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: .*)?", re.DOTALL)
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?", re.DOTALL)

_Fields = Mapping[bytes, list[bytes]]


class Failed(Exception):
    """A request without a whole answer; `word` says why to machines."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class Closed(Failed):
    """The far side closed the connection where more had to come."""

    def __init__(self) -> None:
        super().__init__("bad_answer")


class Source(Protocol):
    """The bytes that the far side sends. Each method may raise OSError."""

    def line(self, most: int) -> bytes:
        """The next line with its end. Raises Failed over `most` bytes, and Closed where the end never comes."""

    def some(self, most: int) -> bytes:
        """Between 1 and `most` bytes; none at the end of all."""

    def waiting(self, most: int) -> bytes:
        """At most so many of the bytes that are here already."""


class Received:
    """What was read so far; it stands also where reading failed."""

    __slots__ = ("_kept", "_size", "body", "retry_after", "status")

    def __init__(self, kept: int = KEPT_BODY) -> None:
        """Of the body the first `kept` bytes stay."""
        self._kept = kept
        self.status: int | None = None
        self.retry_after: str | None = None
        self.body = b""
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Count a piece of the body and keep what belongs to its beginning. Raises Failed over MAX_BODY."""
        self._size += len(piece)
        if len(self.body) < self._kept:
            self.body += piece[: self._kept - len(self.body)]
        if not self.has_room(0):
            raise Failed("answer_too_large")

    def has_room(self, size: int) -> bool:
        """True where so many bytes more stay within MAX_BODY."""
        return self._size + size <= MAX_BODY


class _Lines:
    """The lines of a source, at most `left` bytes of them."""

    def __init__(self, source: Source, left: int) -> None:
        self._source = source
        self._left = left

    def next(self) -> bytes:
        """The next one without its end. Raises what the source does."""
        line = self._source.line(self._left)
        self._left -= len(line)
        return line.rstrip(b"\r\n")


def read(source: Source, received: Received) -> bool:
    """Read one answer to a POST into `received`; True where the connection may carry another request.

    Raises Failed (bad_answer, answer_too_large) and what the source raises.
    """
    version, status, fields = _head(_Lines(source, MAX_HEAD), received)
    options = _members(fields, b"connection")
    is_kept = b"close" not in options if version else b"keep-alive" in options
    return _body(source, status, fields, received) and is_kept


def _head(lines: _Lines, received: Received) -> tuple[int, int, _Fields]:
    """Minor version, status and headers of the final answer."""
    while True:
        line = _STATUS.fullmatch(lines.next())
        if line is None:
            raise Failed("bad_answer")
        version, status = int(line[1]), int(line[2])
        is_final = status >= _FIRST_FINAL or status == _SWITCHING
        if is_final:
            received.status = status
        fields = _fields(lines)
        if is_final:
            received.retry_after = _retry_after(fields)
            return version, status, fields


def _fields(lines: _Lines) -> _Fields:
    """Headers up to the empty line: values by name in lower case."""
    found: dict[bytes, list[bytes]] = {}
    values: list[bytes] = []
    while line := lines.next():
        if line[0] in b" \t" and values:
            values[-1] += b" " + line.strip()
            continue
        name, colon, value = line.partition(b":")
        if not colon or not name.strip():
            raise Failed("bad_answer")
        values = found.setdefault(name.strip().lower(), [])
        values.append(value.strip())
    return found


def _retry_after(fields: _Fields) -> str | None:
    values = fields.get(b"retry-after")
    return values[0][:_KEPT_RETRY_AFTER].decode("latin-1") if values else None


def _members(fields: _Fields, name: bytes) -> list[bytes]:
    """What a header lists, in lower case."""
    values = fields.get(name)
    return [each.strip().lower() for each in b",".join(values).split(b",")] if values else []


def _body(source: Source, status: int, fields: _Fields, received: Received) -> bool:
    """Read the body; True where its end was told, so that what follows is another answer."""
    if status == _SWITCHING:
        raise Failed("bad_answer")
    if status in _WITHOUT_BODY:
        return True
    codings, lengths = _members(fields, b"transfer-encoding"), _members(fields, b"content-length")
    if codings:
        if codings != [b"chunked"]:
            raise Failed("bad_answer")
        _read_chunks(source, received)
        return not lengths
    if lengths:
        if len(set(lengths)) != 1 or not _LENGTH.fullmatch(lengths[0]):
            raise Failed("bad_answer")
        _read_exactly(source, int(lengths[0]), received)
        return True
    while piece := source.some(_PIECE):
        received.add(piece)
    return False


def _read_exactly(source: Source, size: int, received: Received) -> None:
    if not received.has_room(size):
        received.add(source.waiting(KEPT_BODY))
        raise Failed("answer_too_large")
    while size:
        piece = source.some(min(size, _PIECE))
        if not piece:
            raise Closed
        received.add(piece)
        size -= len(piece)


def _read_chunks(source: Source, received: Received) -> None:
    lines = _Lines(source, MAX_BODY)
    while size := _chunk_size(lines.next()):
        _read_exactly(source, size, received)
        if lines.next():
            raise Failed("bad_answer")
    while lines.next():
        pass


def _chunk_size(line: bytes) -> int:
    match = _CHUNK_SIZE.fullmatch(line)
    if match is None:
        raise Failed("bad_answer")
    return int(match[1], 16)
