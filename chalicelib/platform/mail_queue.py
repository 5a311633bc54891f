"""The queue of mails: what is to be sent, or decided of, travels as its fields by the name of its class."""

from collections.abc import Sequence
from typing import Any, Protocol

from chalicelib.core import strict_json
from chalicelib.core.errors import Unavailable
from chalicelib.platform import pending, queues
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.platform.queues import Delayed


class Wanted(Protocol):
    """Something for the worker that mails: a dataclass with slots. `mark` names it among all work of the project."""

    __slots__: tuple[str, ...]

    @property
    def mark(self) -> str: ...


def dispatch(tenant: Tenant, wanted: Sequence[Wanted], *, delay_s: int = 0) -> None:
    """Queue what is to be mailed, after 0 to 900 seconds. May be repeated. Raises Unavailable where something could
    not be queued."""
    pending.put([mark for each in wanted for mark in pending.mark(tenant, "MAIL", each.mark)])
    messages = [
        Delayed(
            strict_json.dumps(
                {"project": tenant.project_id, "kind": type(each).__name__}
                | {name: getattr(each, name) for name in each.__slots__}
            ),
            delay_s,
        )
        for each in wanted
    ]
    if not all(queues.send_delayed(settings().mails_queue_url, messages)):
        raise Unavailable


def received(body: str) -> tuple[Tenant, str, dict[str, Any]]:
    """Whose message it is, the name of its class, and its fields."""
    wire = strict_json.loads(body.encode())
    return Tenant(wire.pop("project")), wire.pop("kind"), wire


def done(tenant: Tenant, handled: Wanted) -> None:
    """Nothing is left to do for this message."""
    if tenant.is_test:
        pending.remove([tenant.pending("MAIL", handled.mark)])
