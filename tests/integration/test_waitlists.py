"""A waitlist's life on the mock of the table, where every transaction first collides with another one."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.features.waitlists import order
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import aws
from chalicelib.platform.keys import Tenant
from tests.support import pipeline
from tests.support.client import Client

LISTS = "/v1/waitlists"
SMALL = (("LEAF_MAX", 6), ("_HALF_LEAF", 3), ("NODE_MAX", 4), ("_HALF_NODE", 2))


@pytest.fixture
def collisions(table: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every other call of a transaction is cancelled; with parts so small that they split and go."""
    for name, value in SMALL:
        monkeypatch.setattr(order, name, value)
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


def test_joins_referrals_approvals_merges_and_leavings_come_through(
    collisions: list[str], project: CreatedProject
) -> None:
    client, widget = Client(project.secret_key), Client(project.write_key)
    waitlist = client.post(LISTS, {"name": "Early", "slug": "early", "referral_boost": 20}).json["id"]
    made: list[Any] = []

    def join(name: str, code: str | None = None) -> None:
        answer = widget.post(f"{LISTS}/early/join", {"email": f"{name}@x.io", "referral_code": code})
        assert answer.status == 201, answer.text
        made.append(answer.json)

    def queue() -> list[str]:
        rows = client.get(f"{LISTS}/{waitlist}/entries", query={"limit": "100"}).json["data"]
        assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
        return [row["email"].partition("@")[0] for row in rows]

    expected = [f"u{n}" for n in range(30)]
    for name in expected:
        join(name)
    assert queue() == expected
    for n in (25, 28, 21, 29):
        join(f"by{n}", made[n]["referral_code"])
        pipeline.drain()
        place = expected.index(f"u{n}")
        expected.insert(max(0, place - 20), expected.pop(place))
        expected.append(f"by{n}")
        assert queue() == expected
    batch = client.post(f"{LISTS}/{waitlist}/entries/approve-batch", {"count": 11})
    assert [row["email"].partition("@")[0] for row in batch.json["data"]] == expected[:11]
    expected = expected[11:]
    rows = {row["email"]: row for row in client.get(f"{LISTS}/{waitlist}/entries?limit=100").json["data"]}
    one, other = (rows[f"{expected[n]}@x.io"]["contact_id"] for n in (2, 5))
    assert client.post(f"/v1/contacts/{one}/merge", {"source_contact_id": other}).status == 200
    client.delete(f"/v1/contacts/{rows[f'{expected[7]}@x.io']['contact_id']}")
    client.delete(f"{LISTS}/{waitlist}/entries/{rows[f'{expected[9]}@x.io']['id']}")
    pipeline.drain()
    expected = [name for n, name in enumerate(expected) if n not in (5, 7, 9)]
    assert queue() == expected
    stats = client.get(f"{LISTS}/{waitlist}").json["stats"]
    assert stats == {"waiting": len(expected), "approved": 11, "total": len(expected) + 11}
    assert client.delete(f"{LISTS}/{waitlist}").status == 200
    pipeline.drain()
    assert [row for row in pipeline.rows(Tenant(project.project_id), "") if f"#WL#{waitlist}" in row["PK"]] == []
    assert len(collisions) > 100
