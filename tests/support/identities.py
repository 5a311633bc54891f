"""Facts as the product gets them, in any order; and what it makes of them, as the oracle tells it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chalicelib.core import clock, ids
from chalicelib.core.errors import Unavailable
from chalicelib.features.activity import service as activity
from chalicelib.features.activity.intake import Accepted
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.names import Names
from chalicelib.features.contacts.service import Received
from chalicelib.flows import merge_contacts
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.identity_oracle import Fact, Seen

EPOCH = 1_770_000_000_000
RECEIVED = EPOCH + 10 * clock.DAY
_TRIES = 5
_SYSTEM = ("$identity_conflict", "$traits_overflow")


@dataclass
class Feed:
    """Each fact as it was received: always the same, however often and in whatever order it arrives."""

    tenant: Tenant
    facts: list[Fact]
    meanwhile: Callable[[], object] = lambda: None
    _events: dict[str, Accepted] = field(default_factory=dict)
    _calls: dict[str, Received] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for fact in self.facts:
            if fact.kind == "merge":
                self._calls[fact.ident] = Received(EPOCH + fact.at * clock.SECOND, f"req_{ids.new_ulid()}")
            else:
                self._events[fact.ident] = accepted(fact)

    def arrive(self, fact: Fact) -> None:
        """Let the product work on it."""
        if fact.kind == "merge":
            self._merge(fact)
        else:
            pipeline.record(self.tenant, [self._events[fact.ident]], self.meanwhile)

    def arrive_together(self, facts: list[Fact]) -> None:
        """Let the product work on several events in one message."""
        pipeline.record(self.tenant, [self._events[fact.ident] for fact in facts], self.meanwhile)

    def _merge(self, fact: Fact) -> None:
        preference: Any = fact.preference
        for _ in range(_TRIES):
            target, source = (contact_of(self.tenant, user) for user in (fact.user, fact.source))
            if target is None or source is None or target == source:
                return
            receipt = Receipt(self.tenant, RECEIVED)
            try:
                merge_contacts.run(self.tenant, target, source, preference, self._calls[fact.ident], receipt)
            except Unavailable:
                self.meanwhile()
            else:
                return
        raise AssertionError("the merge is refused for good")


def accepted(fact: Fact) -> Accepted:
    """The event that the door made of it."""
    raw: dict[str, Any] = {
        "messageId": fact.ident,
        "userId": fact.user,
        "anonymousId": fact.anonymous,
        "previousId": fact.previous,
        "groupId": fact.group,
        "timestamp": clock.iso(EPOCH + fact.at * clock.SECOND),
        "event": "did",
        "traits": fact.traits,
        "context": {"campaign": {"source": fact.campaign}} if fact.campaign else {},
    }
    return pipeline.accepted(raw, fact.kind, RECEIVED)


def contact_of(tenant: Tenant, user: str | None) -> str | None:
    """The contact that a user id leads to."""
    found = contacts.directory_with_emails(tenant, Names(user=user)).home("user", user)
    return found.id if found is not None else None


def seen(tenant: Tenant, rows: Callable[[], list[str]]) -> list[Seen]:
    """All contacts as the product's readers tell them; `rows` gives the ids of the active ones."""
    found = []
    for contact_id in rows():
        contact = contacts.get(tenant, contact_id)
        listed, following = activity.listing(tenant, "test", activity.Filter(contact_id=contact_id), 100, None)
        assert following is None
        events = [event.message_id or "" for event in listed if event.name not in _SYSTEM]
        assert len(events) == len(set(events)), events
        found.append(
            Seen(
                events=frozenset(events),
                external_id=contact.external_id,
                email=contact.email,
                traits=contact.traits,
                groups={group.id: _second(group.joined_at) for group in contact.groups},
                last_seen_at=_second(contact.last_seen_at or 0),
            )
        )
    return found


def _second(moment: int) -> int:
    return (moment - EPOCH) // clock.SECOND
