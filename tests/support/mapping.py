"""FIFO queues and what Lambda's event source mappings make of them, in threads of this process."""

import threading
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chalicelib.platform.queues import Outgoing

Handler = Callable[[Mapping[str, Any], Any], Mapping[str, Any]]


class FifoMapping:
    """One queue that feeds one function, a message at a time, `concurrency` times at once.

    A group has one message in flight; `handled` has the bodies of those that are done.
    """

    def __init__(self, handler: Handler, context: object, concurrency: int) -> None:
        self._handler = handler
        self._context = context
        self._ready: OrderedDict[str, deque[str]] = OrderedDict()
        self._busy: dict[str, deque[str]] = {}
        self._changed = threading.Condition()
        self._is_stopped = False
        self.handled: list[str] = []
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(concurrency)]
        for thread in self._threads:
            thread.start()

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Queue messages."""
        with self._changed:
            for message in messages:
                waiting = self._busy.get(message.group)
                if waiting is None:
                    waiting = self._ready.setdefault(message.group, deque())
                waiting.append(message.body)
            self._changed.notify(len(messages))

    def stop(self) -> None:
        """End the threads, once they have their answers; what is queued stays."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._ready) or self._is_stopped)
                if self._is_stopped:
                    return
                group, waiting = self._ready.popitem(last=False)
                self._busy[group] = waiting
                body = waiting.popleft()
            answer = self._handler({"Records": [{"messageId": uuid.uuid4().hex, "body": body}]}, self._context)
            with self._changed:
                del self._busy[group]
                if answer["batchItemFailures"]:
                    waiting.appendleft(body)
                else:
                    self.handled.append(body)
                if waiting:
                    self._ready[group] = waiting
                    self._changed.notify()
