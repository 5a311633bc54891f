"""A project with as many contacts as wanted, put into the table as the worker leaves them, but without its way."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from chalicelib.core import clock, ids
from chalicelib.features.activity import store as activity_store
from chalicelib.features.activity.model import Event
from chalicelib.features.contacts import store as contact_store
from chalicelib.features.contacts.model import Contact, Part, Said, Stamp
from chalicelib.features.contacts.names import Claim, Identity, Pointer
from chalicelib.flows import create_project
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform.keys import Tenant
from chalicelib.platform.marshal import to_item
from chalicelib.platform.table import Op, Put
from tests.support.client import Client

Row = dict[str, Any]
Loader = Callable[[Iterable[Row]], None]

ACTIVE = 20
"""Contacts whose identities are written too, so that events find them."""
SHORT, LONG = 10, 300
"""Events in the history of the first and of the second contact."""

_FILLING = "x" * 490


@dataclass(frozen=True, slots=True)
class World:
    """One live project on plan scale; the first ACTIVE contacts answer to the user ids `u0`, `u1`, ...

    `volume` is how many events a large batch has: few where the engine's transactions are slow.
    """

    project: CreatedProject
    tenant: Tenant
    size: int
    contact_ids: list[str]
    now: int
    volume: int

    @property
    def client(self) -> Client:
        """Calls with the secret key."""
        return Client(self.project.secret_key)


def build(size: int, load: Loader, volume: int) -> World:
    """Make the project, and load its rows."""
    now = clock.system_ms()
    project = create_project.run("Bench", "live", "scale", now=now)
    tenant = Tenant(project.project_id)
    people = [_contact(n, now - (size - n) * clock.SECOND) for n in range(size)]
    load(_rows(tenant, people, now))
    return World(project, tenant, size, [person.id for person in people], now, volume)


def _contact(n: int, created_at: int) -> Contact:
    """A contact of nearly 1 KB."""
    traits = {"name": f"Person {n}", "plan": "pro", "about": _FILLING}
    stamp = Stamp(created_at, server_made=False, message_id="m", receipt=ids.new_id("evt"))
    says = {key: Said(stamp, value) for key, value in traits.items()}
    ident = ids.new_id("cntct")
    return Contact(
        id=ident,
        created_at=created_at,
        updated_at=created_at,
        external_id=f"u{n}",
        traits=traits,
        parts={ident: Part(of=ident, says=says, seen=created_at)},
        stands=dict(says),
        users={f"u{n}": ident},
        last_seen_at=created_at,
    )


def _rows(tenant: Tenant, people: list[Contact], now: int) -> Iterator[Row]:
    for n, person in enumerate(people):
        yield _row(contact_store.save(tenant, person))
        if n < ACTIVE:
            yield _row(contact_store.claim(tenant, Identity("user", f"u{n}"), Claim(Pointer(person.id), None)))
    for person, count in zip(people, (SHORT, LONG), strict=False):
        for n in range(count):
            yield _row(activity_store.event_op(tenant, _event(person.id, now - n * clock.MINUTE)))


def _event(contact_id: str, moment: int) -> Event:
    ident = ids.new_id("evt")
    return Event(ident, "opened", "track", contact_id, {"n": 1}, {}, moment, moment, f"m-{ident}")


def _row(op: Op) -> Row:
    assert isinstance(op, Put)
    return {"PK": {"S": op.key.pk}, "SK": {"S": op.key.sk}} | to_item(op.attrs)
