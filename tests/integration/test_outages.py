"""What is told, and how soon, where a service that we depend on throttles, fails or does not answer."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from chalicelib.core import clock
from chalicelib.core.errors import Unavailable
from chalicelib.flows.create_project import CreatedProject
from chalicelib.platform import aws, deadline, queues, secrets, table
from chalicelib.platform.keys import Tenant
from chalicelib.platform.queues import Outgoing
from chalicelib.platform.table import ConditionFailed, Put, attr
from tests.support import pipeline
from tests.support.client import Client

GATEWAY_WAITS = 29


class Time:
    """A clock that goes on only by what the code waits for."""

    def __init__(self) -> None:
        self.now = 0.0

    def hang(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    passed = Time()
    monkeypatch.setattr(clock, "monotonic", lambda: passed.now)
    monkeypatch.setattr(clock, "sleep", passed.hang)
    return passed


@pytest.fixture
def unknown_deployment_secret() -> Iterator[None]:
    """As in a process that has just started."""
    secrets.derive.cache_clear()
    secrets._deployment_secret.cache_clear()
    yield
    secrets.derive.cache_clear()
    secrets._deployment_secret.cache_clear()


def hanging(time: Time) -> Callable[[int, str], None]:
    """A table that takes connections and never answers: each call ends with the client's own timeout."""

    def hang(_number: int, _operation: str) -> None:
        client: Any = aws.dynamodb()
        time.hang(client.meta.config.read_timeout)
        raise ReadTimeoutError(endpoint_url="https://table")

    return hang


def refusal(code: str, status: int = 400) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "Operation")


def test_a_call_to_a_hanging_table_is_given_up_within_6_seconds_while_a_caller_waits(engine: str, time: Time) -> None:
    with pipeline.on_call("before-call", hanging(time)), deadline.within(15), pytest.raises(Unavailable):
        table.get(Tenant("proj_a").project())
    assert time.now <= 6


def test_a_worker_waits_for_a_hanging_table_within_its_invocation(engine: str, time: Time) -> None:
    with pipeline.on_call("before-call", hanging(time)) as calls, pytest.raises(Unavailable):
        table.get(Tenant("proj_a").project())
    assert len(calls) > 2
    assert time.now <= 25


@pytest.mark.parametrize("is_known", [True, False])
def test_a_request_on_a_hanging_table_is_503_before_the_gateway_gives_up(
    client: Client, test_project: CreatedProject, time: Time, is_known: bool
) -> None:
    caller = Client(test_project.secret_key)
    if is_known:
        assert caller.get("/v1/settings").status == 200
    with pipeline.on_call("before-call", hanging(time)):
        answer = caller.get("/v1/settings")
    assert (answer.status, answer.code) == (503, "unavailable")
    assert time.now <= GATEWAY_WAITS - 5


def test_a_table_that_always_throttles_is_503(client: Client, time: Time) -> None:
    client.get("/v1/settings")

    def throttle(_number: int, _operation: str) -> None:
        raise refusal("ProvisionedThroughputExceededException")

    with pipeline.on_call("before-call", throttle):
        assert client.get("/v1/settings").code == "unavailable"
    assert time.now < 10


@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerError", "TransactionInProgressException"])
def test_a_short_outage_is_not_noticed(client: Client, code: str) -> None:
    def fail_once(number: int, _operation: str) -> None:
        if number == 0:
            raise refusal(code, 500 if code == "InternalServerError" else 400)

    with pipeline.on_call("before-call", fail_once):
        assert client.get("/v1/settings").status == 200


@pytest.mark.usefixtures("table")
def test_each_try_of_a_transaction_has_the_same_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service answers a token that it has committed with success, and not with the conditions of the second try."""
    tokens: list[str] = []
    write = aws.dynamodb().transact_write_items

    def write_and_lose_the_answer(**arguments: Any) -> Any:
        tokens.append(arguments["ClientRequestToken"])
        if tokens.count(tokens[0]) < len(tokens):
            raise AssertionError("another token")
        if len(tokens) > 1:
            return {}
        write(**arguments)
        raise ReadTimeoutError(endpoint_url="https://table")

    monkeypatch.setattr(aws.dynamodb(), "transact_write_items", write_and_lose_the_answer)
    table.transact([Put(Tenant("proj_a").project(), {"name": "x"}, attr("PK").not_exists())])
    assert len(tokens) == 2


def test_a_cancelled_transaction_is_tried_again_as_a_new_one(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens: list[str] = []

    def collide(**arguments: Any) -> Any:
        tokens.append(arguments["ClientRequestToken"])
        if len(tokens) == 3:
            return {}
        error = refusal("TransactionCanceledException")
        error.response["CancellationReasons"] = [{"Code": "TransactionConflict"}]
        raise error

    monkeypatch.setattr(aws.dynamodb(), "transact_write_items", collide)
    table.transact([Put(Tenant("proj_a").project(), {"name": "x"})])
    assert len(set(tokens)) == 3


@pytest.mark.usefixtures("table")
def test_a_refused_condition_is_no_outage() -> None:
    op = Put(Tenant("proj_a").project(), {"name": "x"}, attr("PK").exists())
    with pytest.raises(ConditionFailed):
        table.transact([op])


@pytest.mark.usefixtures("unknown_deployment_secret")
@pytest.mark.parametrize(
    "failure",
    [
        refusal("ThrottlingException"),
        refusal("InternalServiceError", 500),
        EndpointConnectionError(endpoint_url="https://secrets"),
        ReadTimeoutError(endpoint_url="https://secrets"),
    ],
)
def test_a_secret_that_can_not_be_read_now_is_503(
    client: Client, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(**_: Any) -> Any:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(aws.secretsmanager(), "get_secret_value", fail)
        assert client.get("/v1/settings/keys?limit=1").code == "unavailable"
    assert client.get("/v1/settings/keys?limit=1").status == 200


def test_no_batch_is_sent_after_the_deadline(engine: str, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []

    def hang(**_: Any) -> Any:
        calls.append(time.now)
        time.hang(7)
        raise ReadTimeoutError(endpoint_url="https://queue")

    monkeypatch.setattr(aws.sqs(), "send_message_batch", hang)
    with deadline.within(15):
        sent = queues.send_fifo("https://queue", [Outgoing(str(n), "{}") for n in range(60)])
    assert (sent, len(calls)) == ([False] * 60, 3)


@pytest.mark.parametrize(("client_of", "seconds"), [(aws.dynamodb, 5), (aws.sqs, 3), (aws.secretsmanager, 3)])
def test_clients_give_up_soon(engine: str, client_of: Callable[[], Any], seconds: int) -> None:
    config = client_of().meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, seconds)
    assert config.retries["total_max_attempts"] <= 2
