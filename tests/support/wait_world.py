"""A project with waitlists, its API and all workers on a table in memory."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from chalicelib.core import clock, ids
from chalicelib.features.contacts.service import Received
from chalicelib.features.waitlists import service as waitlists
from chalicelib.features.waitlists.model import BatchOrder, Waitlist
from chalicelib.features.waitlists.schemas import BatchAnswer, EntryAnswer
from chalicelib.flows.waitlists import approve, join
from chalicelib.flows.waitlists.join import Asked
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import contact_of
from tests.support.client import Response
from tests.support.mail_world import MailWorld

T = TypeVar("T")


class WaitWorld(MailWorld):
    """As `MailWorld`; nothing that a call causes has happened before `settle`."""

    def waitlist(self, slug: str = "early", **fields: Any) -> str:
        """The id of a new waitlist."""
        made: str = self.ok(self.client.post("/v1/waitlists", {"name": "Early", "slug": slug} | fields))["id"]
        return made

    def add(self, waitlist_id: str, email: str, **fields: Any) -> Any:
        """The entry of somebody whom the project adds."""
        return self.ok(self.client.post(f"/v1/waitlists/{waitlist_id}/entries", {"email": email} | fields))

    def added(self, waitlist_id: str, count: int, *, settled: bool = True) -> list[Any]:
        """The entries of so many who join one after the other."""
        made = [self.add(waitlist_id, f"u{n}@x.io", traits={"name": f"u{n}"}) for n in range(count)]
        if settled:
            self.settle()
        return made

    def joins(self, waitlist_id: str, email: str, *, ip: str = "203.0.113.7", **fields: Any) -> Response:
        """Somebody joins by itself."""
        path = f"/v1/waitlists/{waitlist_id}/join"
        return self.client.post(path, {"email": email} | fields, key=self.write_key, source_ip=ip)

    def entries(self, waitlist_id: str, limit: int = 100, **query: str) -> list[Any]:
        """All entries of a status, in pages."""
        rows: list[Any] = []
        more: dict[str, str] = {}
        while True:
            page = self.get(f"/v1/waitlists/{waitlist_id}/entries", limit=str(limit), **query, **more)
            rows += page["data"]
            if not page["has_more"]:
                return rows
            more = {"cursor": page["next_cursor"]}

    def queue(self, waitlist_id: str) -> list[str]:
        """The ids of those who wait, the first one first; their positions are those of the list."""
        rows = self.entries(waitlist_id)
        assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
        return [row["id"] for row in rows]

    def emails(self, waitlist_id: str) -> list[str]:
        """The names of those who wait, the first one first."""
        return [row["email"].partition("@")[0] for row in self.entries(waitlist_id)]

    def approve(self, waitlist_id: str, entry_id: str) -> Any:
        return self.ok(self.client.post(f"/v1/waitlists/{waitlist_id}/entries/{entry_id}/approve", {}))

    def tell_alike(self, waitlist_id: str) -> bool:
        """True where the contacts' own rows tell of their entries what these say, and of no others."""
        entries = {
            row["contact_id"]: row for each in ("waiting", "approved") for row in self.entries(waitlist_id, status=each)
        }
        names = ("id", "referral_code", "status", "joined_at")
        said = {contact_id: tuple(row[name] for name in names) for contact_id, row in entries.items()}
        held = {
            contact_of(key.pk): waitlists.held(self.tenant, waitlist_id, row)
            for key, row in self.table.rows.items()
            if key.sk == f"ENTRY#{waitlist_id}"
        }
        told = {
            contact_id: (each.entry_id, each.code, each.status, clock.iso(each.joined_at))
            for contact_id, each in held.items()
            if each is not None
        }
        return told == said

    def stats(self, waitlist_id: str) -> dict[str, int]:
        """How many wait and how many were approved."""
        figures: dict[str, int] = self.get(f"/v1/waitlists/{waitlist_id}")["stats"]
        return figures

    def definition(self, waitlist_id: str) -> Waitlist:
        return waitlists.get(self.tenant, waitlist_id)

    def join_now(self, waitlist_id: str, email: str, code: str | None = None) -> EntryAnswer:
        """As `add`, without the edge, so that many threads may."""
        now = clock.system_ms()
        # By their names their codes differ: that two draw the same one is a test of its own.
        asked = Asked(email, {"name": email.partition("@")[0]}, code, Received(now, ids.new_id("req")))
        return join.run(self.tenant, waitlist_id, asked, Receipt(self.tenant, now)).entry

    def approve_now(self, waitlist_id: str, entry_id: str) -> EntryAnswer:
        now = clock.system_ms()
        return approve.one(self.tenant, self.definition(waitlist_id), entry_id, now, Receipt(self.tenant, now))

    def approve_many(self, waitlist_id: str, count: int, order: BatchOrder = "position") -> BatchAnswer:
        now = clock.system_ms()
        return approve.batch(self.tenant, self.definition(waitlist_id), count, order, now, Receipt(self.tenant, now))

    def rows(self, prefix: str) -> list[str]:
        """The keys of the project's rows whose partition goes on so."""
        whole = f"P#{self.tenant.project_id}#{prefix}"
        return [f"{key.pk} {key.sk}" for key in self.table.rows if key.pk.startswith(whole)]


def at_once(acts: Sequence[Callable[[], T]], threads: int = 16) -> list[T]:
    """What all of these return, which are called at the same time."""
    with ThreadPoolExecutor(min(threads, len(acts))) as pool:
        return [each.result() for each in [pool.submit(act) for act in acts]]
