"""A process that dies at a call of AWS, whichever service it goes to."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import botocore.client

from tests.support.pipeline import Killed


@contextmanager
def calls_of(on_call: Callable[[str], None], on_answer: Callable[[str], None]) -> Iterator[None]:
    """Within, each call of AWS tells of itself before it is made, and when it has its answer."""
    client: Any = botocore.client.BaseClient
    plain = client._make_api_call

    def call(self: Any, operation: str, arguments: Any) -> Any:
        on_call(operation)
        answer = plain(self, operation, arguments)
        on_answer(operation)
        return answer

    client._make_api_call = call
    try:
        yield
    finally:
        client._make_api_call = plain


def counted(act: Callable[[], object]) -> int:
    """How many calls it makes."""
    seen: list[str] = []
    with calls_of(seen.append, lambda _: None):
        act()
    return len(seen)


@contextmanager
def dying_at(number: int, *, after: bool) -> Iterator[None]:
    """Within, whoever makes the call of that number, from 0 on, dies before it, or after its answer.

    It is dead from then on: calls of its other threads fail, too.
    """
    lock, seen = threading.Lock(), [0]

    def on_call(_: str) -> None:
        with lock:
            seen[0] += 1
            is_dead = seen[0] > number + 1 or (seen[0] == number + 1 and not after)
        if is_dead:
            raise Killed

    def on_answer(_: str) -> None:
        if after and seen[0] > number:
            raise Killed

    with calls_of(on_call, on_answer):
        yield
