"""A project that has something to show to its users: surveys, a referral program, waitlists."""

from collections import Counter
from typing import Any

from tests.support.client import Response
from tests.support.wait_world import WaitWorld

EVENT = "trial_expired"
NPS: dict[str, Any] = {
    "name": "Quarterly NPS, do not show",
    "type": "nps",
    "question": "How likely are you to recommend us?",
    "follow_up": "Why?",
    "trigger": {"event": EVENT},
    "channels": ["widget"],
}
PROGRAM: dict[str, Any] = {"name": "Friends", "reward_type": "credit", "reward_amount": 20, "reward_currency": "USD"}


class DecideWorld(WaitWorld):
    """As `WaitWorld`; `decide` asks as a page does."""

    def asks(self, **query: str) -> Response:
        return self.client.get("/v1/decide", query=query, key=self.write_key)

    def decide(self, user: str = "ann") -> Any:
        """What is shown to that user."""
        return self.ok(self.asks(user_id=user))

    def shown(self, user: str = "ann") -> list[str]:
        """The surveys that the user is to be asked."""
        return [each["survey_id"] for each in self.decide(user)["surveys"]]

    def referral(self, user: str = "ann") -> Any:
        return self.decide(user)["widgets"]["referral"]

    def waits(self, user: str = "ann") -> Any:
        return self.decide(user)["widgets"]["waitlist"]

    def survey(self, **fields: Any) -> str:
        """The id of a new survey that is active."""
        made: str = self.ok(self.client.post("/v1/surveys", NPS | fields))["id"]
        self.move_survey(made, "activate")
        return made

    def move_survey(self, survey_id: str, verb: str) -> None:
        """Activate, pause or archive a survey, and let all act that this causes."""
        self.ok(self.client.post(f"/v1/surveys/{survey_id}/{verb}", {}))
        self.settle()

    def program(self, **fields: Any) -> str:
        """The id of a new referral program."""
        made: str = self.ok(self.client.post("/v1/referrals/programs", PROGRAM | fields))["id"]
        return made

    def link(self, program: str, contact_id: str, channel: str = "email") -> Any:
        """A contact's link."""
        body = {"program_id": program, "contact_id": contact_id, "channel": channel}
        made = self.ok(self.client.post("/v1/referrals/links", body))
        self.settle()
        return made

    def merge(self, contact_id: str, source_id: str, *, settled: bool = True) -> None:
        self.ok(self.client.post(f"/v1/contacts/{contact_id}/merge", {"source_contact_id": source_id}))
        if settled:
            self.settle()

    def grow_old(self, prefix: str) -> int:
        """Take out of rows whose sort key begins so what rows of old lack; how many there were."""
        old = [row for key, row in self.table.rows.items() if key.sk.startswith(prefix)]
        for row in old:
            for name in ("code", "status", "joined_at"):
                row.pop(name, None)
        return len(old)

    def calls(self, **query: str) -> Counter[str]:
        """The calls of the table that `decide` makes where this instance knows the key and the definitions."""
        self.asks(**query)
        found: Counter[str] = Counter()
        self.table.on_call = lambda name: found.update([name])
        answer = self.asks(**query)
        self.table.on_call = lambda _name: None
        assert answer.status == 200, answer.text
        return found
