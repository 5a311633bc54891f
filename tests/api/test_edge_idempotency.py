"""Idempotency-Key: one act, one answer, whatever comes between."""

from typing import Any

import pytest
import time_machine

from chalicelib.core import clock
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import idempotency, table
from tests.support.client import Client, Response
from tests.support.keys import key_with
from tests.support.probe import probe, runs


@pytest.fixture
def caller(project: CreatedProject) -> Client:
    runs.clear()
    return Client(project.secret_key, app=probe)


def create(caller: Client, idempotency_key: str, name: str = "ab", **options: Any) -> Response:
    return caller.post("/v1/things", {"name": name}, headers={"Idempotency-Key": idempotency_key}, **options)


def test_the_second_call_gets_the_first_answer(caller: Client) -> None:
    first, second = create(caller, "k1"), create(caller, "k1")
    assert (second.status, second.text) == (first.status, first.text)
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert runs == ["ab"]


def test_another_body_is_409(caller: Client) -> None:
    create(caller, "k1")
    assert create(caller, "k1", "cd").code == "conflict"


@pytest.mark.parametrize("body", [{"name": 1}, {}, b"{", [1]])
def test_another_body_is_409_even_where_it_is_invalid(caller: Client, body: Any) -> None:
    create(caller, "k1")
    assert caller.post("/v1/things", body, headers={"Idempotency-Key": "k1"}).code == "conflict"
    assert caller.post("/v1/things", body, headers={"Idempotency-Key": "k2"}).status in (400, 422)


def test_a_slash_at_the_end_is_the_same_call(caller: Client) -> None:
    first = create(caller, "k1")
    again = caller.post("/v1/things/", {"name": "ab"}, headers={"Idempotency-Key": "k1"})
    assert (again.status, again.text, again.headers["idempotency-replayed"]) == (201, first.text, "true")


def test_another_key_acts_again(caller: Client) -> None:
    assert create(caller, "k1").text != create(caller, "k2").text


def test_another_caller_with_the_same_key_acts_on_its_own(caller: Client, client: Client) -> None:
    create(caller, "k1")
    assert "idempotency-replayed" not in create(caller, "k1", key=key_with(client, "*")).headers


def test_without_a_key_every_call_acts(caller: Client) -> None:
    for _ in range(2):
        caller.post("/v1/things", {"name": "ab"})
    assert len(runs) == 2


def test_after_24_hours_the_key_is_free(caller: Client) -> None:
    with time_machine.travel(clock.system_ms() / 1000, tick=False) as traveller:
        create(caller, "k1")
        traveller.shift(24 * 3600 - 1)
        assert create(caller, "k1").headers.get("idempotency-replayed") == "true"
        traveller.shift(2)
        assert "idempotency-replayed" not in create(caller, "k1", "cd").headers


def test_a_call_that_loses_the_race_gets_the_answer_of_the_winner(
    caller: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both look for an answer before either has acted; the transaction decides."""
    winner = create(caller, "k1")
    recall = idempotency.Receipt.recall
    looked: list[object] = []

    def recall_too_early(receipt: idempotency.Receipt) -> object:
        looked.append(receipt)
        return None if len(looked) == 1 else recall(receipt)

    monkeypatch.setattr(idempotency.Receipt, "recall", recall_too_early)
    loser = create(caller, "k1")
    assert (loser.status, loser.text) == (winner.status, winner.text)
    assert loser.headers["idempotency-replayed"] == "true"


def test_a_crash_between_act_and_answer_acts_once(caller: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    transact = table.transact

    def act_and_die(ops: Any) -> None:
        transact(ops)
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(table, "transact", act_and_die)
        assert create(caller, "k1").status == 500
    again = create(caller, "k1")
    assert (again.status, again.headers["idempotency-replayed"]) == (201, "true")
    assert runs == ["ab"]


@pytest.mark.parametrize("bad", ["", "x" * 256, "é", "a\tb", "\udcff"])
def test_a_malformed_key_is_400(caller: Client, bad: str) -> None:
    response = create(caller, bad)
    assert (response.status, response.fields) == (400, ["Idempotency-Key"])
    assert runs == []


@pytest.mark.parametrize("good", ["x", "x" * 255, "a b~!"])
def test_1_to_255_printable_characters_will_do(caller: Client, good: str) -> None:
    assert create(caller, good).status == 201


def test_a_refused_call_is_not_remembered(caller: Client) -> None:
    assert create(caller, "k1", "a").status == 422
    assert create(caller, "k1").status == 201


def test_the_stored_row_shows_neither_key_nor_answer(caller: Client, project: CreatedProject, table: str) -> None:
    from chalicelib.platform import aws

    create(caller, "my-idempotency-key", "visible-name")
    rows = [row for row in aws.dynamodb().scan(TableName=table)["Items"] if "sealed" in row]
    assert len(rows) == 1
    for text in ("my-idempotency-key", "visible-name", project.secret_key):
        assert text not in str(rows[0])
