"""The packaged functions on the local engine, each in its own role: deployed, used, and deployed again."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import pytest

from infra import deploy as deploying
from infra.artifact import Artifact
from infra.deploy import DeployError, Release, deploy
from tests.infra.engine import Api, Engine

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("artifact")]


@pytest.fixture(scope="module")
def account(engine: Engine) -> Iterator[boto3.Session]:
    """The engine's account; every client of this module talks to it."""
    patch = pytest.MonkeyPatch()
    patch.setenv("AWS_ENDPOINT_URL", engine.url)
    patch.setattr(deploying, "POLL_SECONDS", 0.2)
    yield engine.session()
    patch.undo()


@pytest.fixture(scope="module")
def outputs(account: boto3.Session, artifact: Artifact) -> dict[str, str]:
    """What the first deployment of the packaged artifact answers."""
    answered = deploy(Release("dev", artifact, parameters={}), account)
    allow_batches(account, answered)
    return answered


def allow_batches(account: boto3.Session, outputs: dict[str, str]) -> None:
    """IAM knows no action SendMessageBatch: SendMessage grants it. The engine asks for it by that name."""
    queue = account.client("sqs").get_queue_attributes(QueueUrl=outputs["IngestQueueUrl"], AttributeNames=["QueueArn"])
    function = account.client("lambda").get_function_configuration(FunctionName=outputs["APIHandlerName"])
    statement = {
        "Effect": "Allow",
        "Action": "sqs:SendMessageBatch",
        "Resource": queue["Attributes"]["QueueArn"],
    }
    account.client("iam").put_role_policy(
        RoleName=function["Role"].rpartition("/")[2],
        PolicyName="batches",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )


def test_a_deployment_answers_where_everything_is(outputs: dict[str, str]) -> None:
    assert outputs.keys() >= {
        "EndpointURL",
        "RestAPIId",
        "TableName",
        "IngestQueueUrl",
        "IngestDeadLetterQueueUrl",
        "BusQueueUrl",
        "BusDeadLetterQueueUrl",
        "JobsQueueUrl",
        "JobsDeadLetterQueueUrl",
        "TimersQueueUrl",
        "TimersDeadLetterQueueUrl",
        "SecretArn",
        "CreateProjectFunctionName",
    }


def test_deploying_the_same_again_changes_nothing(
    account: boto3.Session, artifact: Artifact, outputs: dict[str, str]
) -> None:
    client = account.client("cloudformation")
    before = client.describe_stack_events(StackName="growthos-dev")["StackEvents"]
    assert deploy(Release("dev", artifact, parameters={}), account) == outputs
    assert client.describe_stack_events(StackName="growthos-dev")["StackEvents"] == before


def test_a_parameter_is_kept_by_the_deployment_after(
    account: boto3.Session, artifact: Artifact, outputs: dict[str, str]
) -> None:
    deploy(Release("dev", artifact, parameters={"LogLevel": "DEBUG"}), account)
    deploy(Release("dev", artifact, parameters={"LogRetentionDays": "7"}), account)
    function = account.client("lambda").get_function_configuration(FunctionName=outputs["APIHandlerName"])
    assert function["Environment"]["Variables"]["GROWTHOS_LOG_LEVEL"] == "DEBUG"


@pytest.mark.usefixtures("outputs")
def test_a_parameter_that_the_template_refuses_is_named(account: boto3.Session, artifact: Artifact) -> None:
    with pytest.raises(DeployError, match="LogLevel"):
        deploy(Release("dev", artifact, parameters={"LogLevel": "LOUD"}), account)


@pytest.mark.usefixtures("outputs")
def test_a_deployment_that_is_rolled_back_tells_which_resource_failed_and_why(
    account: boto3.Session, artifact: Artifact, packaged: dict[str, Any], tmp_path: Path
) -> None:
    document = copy.deepcopy(packaged)
    document["Resources"]["BusQueue"]["Properties"]["VisibilityTimeout"] = 999_999
    refused = Artifact(tmp_path / "sam.json", artifact.bundle)
    refused.template.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(DeployError, match=r"BusQueue: .*VisibilityTimeout"):
        deploy(Release("dev", refused, parameters={}), account)


@pytest.fixture(scope="module")
def project(account: boto3.Session, outputs: dict[str, str]) -> dict[str, str]:
    """Keys of a project, made as an operator makes it."""
    return invoke(account, outputs["CreateProjectFunctionName"], {"name": "Deployed", "mode": "live", "plan": "scale"})


@pytest.fixture(scope="module")
def api(engine: Engine, outputs: dict[str, str], project: dict[str, str]) -> Api:
    """The deployed API, with the project's secret key."""
    return Api(engine, outputs["RestAPIId"], project["secret_key"])


@pytest.fixture(scope="module")
def identified(api: Api, project: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Two users that the Ingest API was told of: the contacts found under each one's id."""
    for user in ("u-1", "u-2"):
        identify = {"userId": user, "traits": {"email": f"{user}@example.com"}, "messageId": user}
        assert api.call("POST", "/v1/identify", identify, key=project["write_key"]).status == 202
    return {user: api.poll_until_found(f"/v1/contacts?external_id={user}") for user in ("u-1", "u-2")}


def test_queued_events_become_contacts(identified: dict[str, list[dict[str, Any]]]) -> None:
    emails = {user: [contact["email"] for contact in found] for user, found in identified.items()}
    assert emails == {"u-1": ["u-1@example.com"], "u-2": ["u-2@example.com"]}


def test_a_contact_is_made_changed_and_deleted(api: Api) -> None:
    contact = api.call("POST", "/v1/contacts", {"email": "ada@example.com"})
    assert contact.status == 201, contact.body
    path = f"/v1/contacts/{contact.body['id']}"
    assert api.call("PATCH", path, {"traits": {"plan": "pro"}}).status == 200
    assert api.call("GET", path).body["traits"]["plan"] == "pro"
    assert api.call("GET", f"{path}/events").status == 200
    assert api.call("DELETE", path).status == 200
    assert api.call("GET", path).status == 404


@pytest.mark.usefixtures("identified")
@pytest.mark.parametrize("path", ["/v1/contacts", "/v1/analytics/events", "/v1/settings/keys"])
def test_a_listing_is_walked_by_a_cursor_under_the_deployments_secret(api: Api, path: str) -> None:
    api.poll_until_found(path, at_least=2)
    first = api.call("GET", f"{path}?limit=1")
    assert (first.status, len(first.body["data"]), first.body["has_more"]) == (200, 1, True), first.body
    second = api.call("GET", f"{path}?limit=1&cursor={quote(first.body['next_cursor'])}")
    assert second.status == 200, second.body
    assert second.body["data"][0]["id"] != first.body["data"][0]["id"]


def test_an_idempotent_call_acts_once(api: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    answers = [api.call("POST", "/v1/contacts", {"email": "once@example.com"}, headers=headers) for _ in range(2)]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].body["id"] == answers[1].body["id"]


def test_settings_and_keys_are_changed(api: Api) -> None:
    assert api.call("PATCH", "/v1/settings", {"name": "Renamed"}).status == 200
    assert api.call("GET", "/v1/settings").body["name"] == "Renamed"
    made = api.call("POST", "/v1/settings/keys", {"name": "Third", "scopes": ["contacts:read"]})
    assert made.status == 201, made.body
    assert api.call("DELETE", f"/v1/settings/keys/{made.body['id']}").status == 200


def test_an_unknown_path_and_a_wrong_method_are_answered_in_our_shape(api: Api) -> None:
    unknown = api.call("GET", "/v1/nothing/here")
    assert (unknown.status, unknown.body["error"]["code"]) == (404, "not_found")
    wrong = api.call("DELETE", "/v1/settings")
    assert (wrong.status, wrong.body["error"]["code"]) == (405, "method_not_allowed")


@pytest.mark.usefixtures("identified")
def test_no_function_was_refused_what_it_needs(account: boto3.Session, outputs: dict[str, str]) -> None:
    """The logs tell of it, and so do the queues of what a worker could not do."""
    logs = account.client("logs")
    for function in (
        "api_handler",
        "ingest",
        "bus",
        "bus_retry",
        "jobs",
        "timers",
        "webhooks",
        "webhooks_slow",
        "mails",
        "feedback",
        "minute",
        "create_project",
    ):
        group = f"/growthos/dev/{function}"
        refused = logs.filter_log_events(logGroupName=group, filterPattern="AccessDenied")["events"]
        assert [event["message"] for event in refused] == [], function
    dead = [name for name in outputs if name.endswith("DeadLetterQueueUrl")]
    for queue in ("BusQueueUrl", *dead):
        attributes = account.client("sqs").get_queue_attributes(QueueUrl=outputs[queue], AttributeNames=["All"])
        assert attributes["Attributes"]["ApproximateNumberOfMessages"] == "0", queue


def invoke(account: boto3.Session, function: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Call a function as an operator does."""
    answer: Any = account.client("lambda").invoke(FunctionName=function, Payload=json.dumps(payload))
    body: dict[str, Any] = json.load(answer["Payload"])
    assert "FunctionError" not in answer, body
    return body
