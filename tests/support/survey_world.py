"""A project with surveys, its API and all workers on a table in memory."""

import re
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.support.client import Response
from tests.support.mail_world import MailWorld

PERSON = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Safari/604.1"
NPS = {"name": "NPS", "type": "nps", "question": "How likely are you to recommend us?", "follow_up": "Why?"}
_LINK = re.compile(r'href="([^"]*/s/[^"]*)"')


class SurveyWorld(MailWorld):
    """As `MailWorld`; each mail that links to a survey is answered by its token."""

    def survey(self, **fields: Any) -> str:
        """The id of a new survey that is active, sent by the event `trial_expired`."""
        return self.begun(NPS | {"trigger": {"event": "trial_expired"}} | fields)

    def begun(self, body: dict[str, Any]) -> str:
        """The id of a new survey after its activation, and all that this causes."""
        made: str = self.ok(self.client.post("/v1/surveys", body))["id"]
        self.do(made, "activate")
        return made

    def do(self, survey_id: str, verb: str) -> Any:
        """Activate, pause or archive a survey, and let all act that this causes."""
        answer = self.ok(self.client.post(f"/v1/surveys/{survey_id}/{verb}", {}))
        self.settle()
        return answer

    def rows(self, survey_id: str, what: str = "sends", **query: str) -> list[Any]:
        """All sends or responses of a survey, newest first, in pages."""
        rows: list[Any] = []
        more = {"limit": "100"} | query
        while True:
            page = self.get(f"/v1/surveys/{survey_id}/{what}", **more)
            rows += page["data"]
            if not page["has_more"]:
                return rows
            more["cursor"] = page["next_cursor"]

    def states(self, survey_id: str) -> list[tuple[str, str | None]]:
        """State and reason of each send, the oldest first."""
        return [(row["state"], row["reason"]) for row in reversed(self.rows(survey_id))]

    def figures(self, survey_id: str) -> Any:
        return self.get(f"/v1/surveys/{survey_id}/stats")

    def explain(self, survey_id: str, contact_id: str) -> Any:
        return self.get(f"/v1/surveys/{survey_id}/explain", contact_id=contact_id)

    def links(self, mail: dict[str, Any]) -> list[str]:
        """The links to a survey's page in a mail, as paths with their query."""
        found = [urlsplit(url.replace("&amp;", "&")) for url in _LINK.findall(mail["html"])]
        return [f"{each.path}?{each.query}" if each.query else each.path for each in found]

    def token(self, mail: dict[str, Any]) -> str:
        """The token by which a mail's survey is answered."""
        return urlsplit(self.links(mail)[0]).path.removeprefix("/s/")

    def page(self, path: str, *, agent: str = PERSON) -> Response:
        """A page as a person's browser asks for it."""
        return self.client.get(path, key="", headers={"User-Agent": agent})

    def press(self, token: str, agent: str = PERSON, /, **fields: Any) -> Response:
        """The page's form, posted as a browser does."""
        body = urlencode({name: value for name, value in fields.items() if value is not None}, doseq=True)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": agent}
        return self.client.post(f"/s/{token}", body.encode(), key="", headers=headers)

    def answer(self, survey_id: str, contact_id: str, score: int | None = None, **fields: Any) -> Any:
        """The response of a contact, given by a secret key."""
        body = {"contact_id": contact_id, "score": score} | fields
        answered = self.ok(self.client.post(f"/v1/surveys/{survey_id}/responses", body))
        self.settle()
        return answered

    def notes(self, contact_id: str, name: str = "$survey_effect") -> list[dict[str, Any]]:
        """What a contact's timeline tells of surveys by that name, the oldest first."""
        rows = self.get(f"/v1/contacts/{contact_id}/events", limit="100")["data"]
        return [row["properties"] for row in reversed(rows) if row["event"] == name]
