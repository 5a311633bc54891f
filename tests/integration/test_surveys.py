"""A survey's life on the mock of the table, where every transaction first collides with another one."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.core import clock
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import aws, survey_tokens
from chalicelib.platform.config import settings
from chalicelib.platform.keys import Tenant
from chalicelib.platform.survey_tokens import Token
from chalicelib.workers import mails
from tests.support import aws as support
from tests.support import pipeline
from tests.support.client import Client
from tests.support.wait_world import at_once

SURVEYS = "/v1/surveys"
SURVEY = {
    "name": "NPS",
    "type": "nps",
    "question": "How likely are you to recommend us?",
    "trigger": {"event": "trial_expired"},
    "channels": ["widget"],
    "actions": {"promoter": {"add_tags": ["fan"]}, "detractor": {"add_tags": ["unhappy"], "pause_marketing_days": 3}},
}


@pytest.fixture
def collisions(table: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every other call of a transaction is cancelled."""
    write: Callable[..., Any] = aws.dynamodb().transact_write_items
    tokens: list[str] = []

    def collide(**arguments: Any) -> Any:
        tokens.append(arguments["ClientRequestToken"])
        if len(tokens) % 2:
            answer: Any = {
                "Error": {"Code": "TransactionCanceledException", "Message": "collision"},
                "CancellationReasons": [{"Code": "TransactionConflict"}],
            }
            raise ClientError(answer, "TransactWriteItems")
        return write(**arguments)

    monkeypatch.setattr(aws.dynamodb(), "transact_write_items", collide)
    return tokens


def asked(client: Client, project: CreatedProject, users: list[str]) -> tuple[str, list[str]]:
    """A survey, and the contacts that it was sent to."""
    tenant = Tenant(project.project_id)
    survey = client.post(SURVEYS, SURVEY).json["id"]
    assert client.post(f"{SURVEYS}/{survey}/activate", {}).status == 200
    contacts = [client.post("/v1/contacts", {"external_id": user}).json["id"] for user in users]
    pipeline.drain()
    now = clock.system_ms()
    pipeline.record(
        tenant, [pipeline.accepted({"user_id": user, "event": "trial_expired"}, "track", now) for user in users]
    )
    pipeline.drain()
    for message in support.take(settings().mails_queue_url):
        record = {"messageId": "m", "body": message.body}
        assert mails.handle({"Records": [record]}, pipeline.Context()) == {"batchItemFailures": []}
    pipeline.drain()
    return survey, contacts


def figures(client: Client, survey: str) -> tuple[int, int]:
    told = client.get(f"{SURVEYS}/{survey}/stats").json
    assert sum(told["breakdown"].values()) == told["total_responses"]
    return told["total_sent"], told["total_responses"]


def test_asking_answers_merges_and_deletions_come_through(collisions: list[str], project: CreatedProject) -> None:
    client = Client(project.secret_key)
    survey, contacts = asked(client, project, [f"u{n}" for n in range(6)])
    assert figures(client, survey) == (6, 0)
    for n, contact in enumerate(contacts[:5]):
        assert client.post(f"{SURVEYS}/{survey}/responses", {"contact_id": contact, "score": 10 - 2 * n}).status == 201
    assert client.post(f"{SURVEYS}/{survey}/responses", {"contact_id": contacts[0], "score": 1}).status == 200
    pipeline.drain()
    assert sorted(client.get(f"/v1/contacts/{contacts[0]}").json["tags"]) == ["fan", "unhappy"]
    assert figures(client, survey) == (6, 5)
    assert client.post(f"/v1/contacts/{contacts[1]}/merge", {"source_contact_id": contacts[2]}).status == 200
    assert client.delete(f"/v1/contacts/{contacts[3]}").status == 200
    pipeline.drain()
    assert figures(client, survey) == (5, 4)
    holders = [row["contact_id"] for row in client.get(f"{SURVEYS}/{survey}/responses").json["data"]]
    assert sorted(holders) == sorted([contacts[0], contacts[1], contacts[1], contacts[4]])
    assert len(collisions) > 50


def test_20_who_answer_at_once_make_one_response(project: CreatedProject) -> None:
    client = Client(project.secret_key)
    survey, (ada,) = asked(client, project, ["ada"])
    (send,) = client.get(f"{SURVEYS}/{survey}/sends").json["data"]
    token = survey_tokens.make(Token(Tenant(project.project_id), ada, survey, send["id"]))
    calls = [{"token": token}, {"contact_id": ada}]
    acts = [
        lambda n=n: client.post(f"{SURVEYS}/{survey}/responses", calls[n % 2] | {"score": n % 11}).status
        for n in range(20)
    ]
    assert sorted(at_once(acts, threads=20)) == [200] * 19 + [201]
    pipeline.drain()
    (response,) = client.get(f"{SURVEYS}/{survey}/responses").json["data"]
    assert figures(client, survey) == (1, 1)
    assert client.get(f"{SURVEYS}/{survey}/stats").json["average_score"] == response["score"]
