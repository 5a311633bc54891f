"""Acts of a history, played through the product and told to the model; and whether both tell the same of everybody."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from chalicelib.core import strict_json
from chalicelib.core.clock import iso
from chalicelib.core.ids import new_project_id, new_ulid
from chalicelib.features.activity import service as activity
from chalicelib.features.activity.intake import Accepted
from chalicelib.features.activity.model import Event
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.names import Names
from chalicelib.features.contacts.service import Change, Received
from chalicelib.features.projects import service as projects
from chalicelib.features.projects.model import Project
from chalicelib.flows import merge_contacts
from chalicelib.flows.segments import purge
from chalicelib.platform import table
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.analytics_people import CALLS, Act, People

T = TypeVar("T")

_QUEUED = 100
"""Calls in one message at the most."""


class Workers(Protocol):
    """All workers but the projector: on the AWS mock (`pipeline`), or on a table in memory."""

    def drain(self) -> object: ...


class Play:
    """A new live project, and the model of its people."""

    def __init__(self, workers: Workers, created_at: int) -> None:
        self.tenant = Tenant(new_project_id(is_test=False))
        self.people = People()
        self._workers = workers
        project = Project(self.tenant.project_id, "P", "live", "scale", created_at=created_at)
        table.transact(projects.creation(project))

    def take(self, act: Act) -> None:
        """One act, worked through until nothing is left to do."""
        self.take_together([act])

    def take_together(self, acts: Sequence[Act]) -> None:
        """Acts one after the other, of which calls in a row are queued together, worked through in the end."""
        queued: list[Accepted] = []
        for act in filter(self.people.take, acts):
            if act.kind in CALLS:
                queued.append(_accepted(act))
                continue
            self._record(queued)
            if act.kind == "patch":
                contacts.update(self.tenant, self._whose(act), Change(traits=act.traits), _received(act))
            elif act.kind == "merge":
                self._merge(act)
            else:
                purge.delete(self.tenant, self._whose(act), act.received_at, purges=False)
        self._record(queued)
        self._workers.drain()

    def _record(self, queued: list[Accepted]) -> None:
        for n in range(0, len(queued), _QUEUED):
            pipeline.record(self.tenant, queued[n : n + _QUEUED])
        queued.clear()

    def agrees(self) -> None:
        """The product's own lists tell of the same events, of the same people, who have the same traits."""
        world = self.people.world()
        expected = sorted(world.events, key=lambda each: each.event_id)
        told = self._listed()
        same("events", [_line(each) for each in told], [_line(each) for each in expected])
        pairs = {(one.contact_id, other.contact_id) for one, other in zip(told, expected, strict=True)}
        assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs}), pairs
        for contact_id, name in pairs:
            traits = contacts.get(self.tenant, contact_id).traits
            same(f"traits of {name}", _text(traits), _text(world.traits[name]))

    def _listed(self) -> list[Event]:
        """All events that callers sent, in the order of their receipt."""
        found: dict[str, Event] = {}
        for person in _whole(lambda after: contacts.listing(self.tenant, contacts.Filter(), 100, after)):
            rows = self._events_of(person.id)
            assert found.keys().isdisjoint(row.id for row in rows)
            found |= {row.id: row for row in rows if row.type != "system"}
        return [found[each] for each in sorted(found)]

    def _events_of(self, contact_id: str) -> list[Event]:
        only = activity.Filter(contact_id=contact_id)
        return _whole(lambda after: activity.listing(self.tenant, "test", only, 100, after))

    def _merge(self, act: Act) -> None:
        source = self._home(Names(user=act.source))
        receipt = Receipt(self.tenant, act.received_at)
        merge_contacts.run(self.tenant, self._whose(act), source, act.preference, _received(act), receipt)

    def _whose(self, act: Act) -> str:
        return self._home(Names(user=act.user) if act.user is not None else Names(anonymous=act.visitor))

    def _home(self, names: Names) -> str:
        directory = contacts.directory_with_emails(self.tenant, names)
        found = (
            directory.home("anonymous", names.anonymous) if names.user is None else directory.home("user", names.user)
        )
        assert found is not None, names
        return found.id


def same(what: str, got: Any, expected: Any) -> None:
    """pytest shows no values of asserts in this module."""
    if got != expected:
        raise AssertionError(f"{what}:\n  got      {got}\n  expected {expected}")


def _whole(page: Callable[[str | None], tuple[list[T], str | None]]) -> list[T]:
    """All rows of a list, in pages."""
    rows, after = page(None)
    while after is not None:
        more, after = page(after)
        rows += more
    return rows


def _received(act: Act) -> Received:
    return Received(act.received_at, f"req_{new_ulid()}")


def _accepted(act: Act) -> Accepted:
    raw: dict[str, Any] = {
        "userId": act.user,
        "anonymousId": act.visitor,
        "messageId": act.message_id,
        "timestamp": None if act.timestamp is None else iso(act.timestamp),
        "properties": act.properties,
        "traits": act.traits,
    }
    raw["event" if act.kind == "track" else "name"] = act.event
    return pipeline.accepted(raw, act.kind, act.received_at, historical=act.imported)


def _line(event: Any) -> tuple[str, str, int, int, str]:
    """What an event is, whoever tells it."""
    return event.name, event.type, event.timestamp, event.received_at, _text(event.properties)


def _text(values: dict[str, Any]) -> str:
    """As JSON, in which 1 and true differ."""
    return strict_json.dumps(dict(sorted(values.items())))
