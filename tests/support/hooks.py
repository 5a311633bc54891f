"""Short ways to endpoints and their logs, over the API."""

from dataclasses import dataclass
from typing import Any

from tests.support.client import Client

ENDPOINTS = "/v1/webhooks/endpoints"


@dataclass(frozen=True, slots=True)
class Hook:
    """One endpoint and the client that made it."""

    client: Client
    id: str
    secret: str

    @property
    def path(self) -> str:
        return f"{ENDPOINTS}/{self.id}"

    @property
    def shown(self) -> Any:
        return self.client.get(self.path).json

    def logs(self, **query: str) -> list[Any]:
        """All logs, newest first."""
        found: list[Any] = []
        following: str | None = ""
        while following is not None:
            page = self.client.get(f"{self.path}/logs", query=query | ({"cursor": following} if following else {}))
            assert page.status == 200, page.text
            found += page.json["data"]
            following = page.json["next_cursor"]
        return found

    def attempts(self) -> list[tuple[str, int | None, int]]:
        """Status, HTTP status and number of each attempt, the oldest first."""
        return [(log["status"], log["http_status"], log["attempt"]) for log in reversed(self.logs())]


def hook(client: Client, url: str, *events: str, **more: Any) -> Hook:
    """A new endpoint for these events, or for all."""
    answer = client.post(ENDPOINTS, {"url": url, "events": list(events or ["*"])} | more)
    assert answer.status == 201, answer.text
    return Hook(client, answer.json["id"], answer.json["secret"])
