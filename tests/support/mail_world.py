"""A project that can send campaigns: a sender, templates, contacts, and a mail service of the tests behind it."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core import clock, strict_json
from chalicelib.core.mail.notifications import TAG
from chalicelib.workers import feedback, timers
from tests.support import pipeline
from tests.support.client import Response
from tests.support.hook_world import HookWorld
from tests.support.post_office import Posted, PostOffice

HTML = "<p>Hi {{ contact.name | default: 'there' }}! <a href='https://acme.test/start'>Start</a></p>"


def sent(world: "MailWorld", start: int) -> list[tuple[str, int, float]]:
    """Name, step and days since `start` of each mail that was kept, the oldest first."""
    return [
        (mail["to"].partition("@")[0], mail["step_index"], (clock.parse_instant(mail["sent_at"]) - start) / clock.DAY)
        for mail in world.mailbox()
    ]


class MailWorld(HookWorld):
    """As `HookWorld`; `office` has what was sent of a live project, `mailbox` what a test project kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, is_test: bool) -> None:
        self.redelivering: Callable[[pipeline.Handler], bool] = lambda _handle: False
        self.queued: Callable[[list[str]], list[str]] = lambda bodies: bodies
        super().__init__(monkeypatch, is_test=is_test)
        self.office = PostOffice()
        self.office.install(monkeypatch)
        self.ok(self.client.patch("/v1/settings", {"default_from_email": "hello@acme.test", "sender_name": "Acme"}))

    def deliver(self, handle: pipeline.Handler, event: dict[str, Any], time_left: int = pipeline.MINUTE) -> None:
        """As the world does; what was done is delivered once more where `redelivering` says so."""
        super().deliver(handle, event, time_left)
        while self.redelivering(handle):
            super().deliver(handle, event, time_left)

    def run_mails(self) -> bool:
        """As the world does, with what `queued` makes of the queue: another order, or what was there before."""
        self.mails = self.queued(self.mails)
        return super().run_mails()

    def due_timers(self, kind: str) -> list[int]:
        """The moments of the live project's timers of that kind."""
        return sorted(row["moment"] for row in self.table.rows.values() if row.get("kind") == kind)

    def fire(self, kind: str, until: int | None = None) -> None:
        """Let the timers of that kind fire as if their moment had come, or those whose moment has come by then."""
        for key, row in list(self.table.rows.items()):
            if row.get("kind") == kind and (until is None or row["moment"] <= until):
                name = key.sk.removeprefix("TIMER#")
                timers.fire_due(self.tenant, key.pk, name, row["moment"], row["moment"])

    def ok(self, answer: Response) -> Any:
        """The body of an answer that must be good."""
        assert answer.status in (200, 201, 202), (answer.status, answer.text)
        return answer.json

    def template(self, **parts: str) -> str:
        """The id of a new template."""
        body = {"name": "Welcome", "subject": "Hello", "html": HTML} | parts
        made: str = self.ok(self.client.post("/v1/templates", body))["id"]
        return made

    def contact(self, user: str, /, **traits: Any) -> str:
        """The id of a new contact, whose address is made of its external id unless it has another."""
        body = {"external_id": user, "traits": {"email": f"{user}@example.com"} | traits}
        made: str = self.ok(self.client.post("/v1/contacts", body))["id"]
        return made

    def segment(self, *conditions: dict[str, Any], name: str = "All") -> str:
        """The id of a new segment; everybody's without conditions."""
        rules = {"operator": "AND", "conditions": list(conditions) or [{"field": "created_at", "op": "exists"}]}
        made: str = self.ok(self.client.post("/v1/segments", {"name": name, "rules": rules}))["id"]
        self.settle()
        return made

    def lifecycle(self, *steps: dict[str, Any], **fields: Any) -> str:
        """The id of a new lifecycle campaign that is active."""
        template = self.template()
        body = {
            "name": "Onboarding",
            "type": "lifecycle",
            "trigger": {"event": "signed_up"},
            "steps": [{"template_id": template} | step for step in steps or ({},)],
        }
        return self.activated(body | fields)

    def broadcast(self, segment_id: str, **fields: Any) -> str:
        """The id of a new broadcast that is active, and has gone out where it is not scheduled."""
        body = {
            "name": "News",
            "type": "broadcast",
            "segment_id": segment_id,
            "steps": [{"template_id": self.template()}],
        }
        return self.activated(body | fields)

    def activated(self, body: dict[str, Any]) -> str:
        """The id of a new campaign after its activation, and all that this causes."""
        made: str = self.ok(self.client.post("/v1/campaigns", body))["id"]
        self.move(made, "activate")
        return made

    def move(self, campaign_id: str, verb: str) -> Any:
        """Activate, pause or archive a campaign, and let all act that this causes."""
        answer = self.ok(self.client.post(f"/v1/campaigns/{campaign_id}/{verb}", {}))
        self.settle()
        return answer

    def get(self, path: str, **query: str) -> Any:
        """The body of a read."""
        return self.ok(self.client.get(path, query=query))

    def track(self, user: str, event: str, **properties: Any) -> None:
        """Let a contact do something at the moment at which the clock stands, and let all act that this causes."""
        self.receive({"user_id": user, "event": event, "properties": properties}, "track")
        self.settle()

    def receive(self, raw: dict[str, Any], kind: str) -> None:
        """Record an event that was received now."""
        event = pipeline.accepted(raw, kind, self.now)
        pipeline.work(pipeline.messages(self.tenant, [event]))

    def mailbox(self) -> list[dict[str, Any]]:
        """All mails that a test project has kept, the oldest first."""
        mails: list[dict[str, Any]] = []
        query: dict[str, str] = {"limit": "100"}
        while True:
            page = self.get("/v1/test_mailbox", **query)
            mails += page["data"]
            if not page["has_more"]:
                return mails[::-1]
            query["cursor"] = page["next_cursor"]

    def stats(self, campaign_id: str) -> dict[str, Any]:
        """The figures of a campaign, those left out that are 0."""
        figures = self.get(f"/v1/campaigns/{campaign_id}/stats")["stats"]
        return {name: value for name, value in figures.items() if value}

    def messages(self, campaign_id: str) -> list[dict[str, Any]]:
        """All messages of a campaign, newest first."""
        rows: list[dict[str, Any]] = []
        query: dict[str, str] = {"limit": "100"}
        while True:
            page = self.get(f"/v1/campaigns/{campaign_id}/messages", **query)
            rows += page["data"]
            if not page["has_more"]:
                return rows
            query["cursor"] = page["next_cursor"]

    def tell(self, posted: Posted, kind: str, *, settled: bool = True, **about: Any) -> None:
        """Let the mail service tell something of a mail that it took; all acts that this causes, if it is `settled`."""
        moment = clock.iso(clock.system_ms())
        said = {
            "eventType": kind,
            "mail": {"timestamp": moment, "messageId": "ses", "tags": {TAG: [posted.ref]}},
            kind.lower(): {"timestamp": moment} | about,
        }
        body = strict_json.dumps({"Type": "Notification", "Message": strict_json.dumps(said)})
        self.deliver(feedback.handle, {"Records": [{"messageId": "f", "body": body}]})
        if settled:
            self.settle()
