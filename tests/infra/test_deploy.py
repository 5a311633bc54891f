"""`make deploy`: what it tells an operator, and the whole of it on the local engine with the policies enforced."""

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra import deploy as deploying
from infra.artifact import Artifact
from infra.deploy import DeployError, Release, deploy
from tests.infra.engine import Engine

# One engine and one deployment for the module, also where several processes run the tests.
pytestmark = pytest.mark.xdist_group("deployment")


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine on which nobody has set up AWS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release("dev", Artifact(tmp_path / "sam.json", tmp_path / "deployment.zip"), parameters={})


@pytest.mark.usefixtures("no_account")
def test_without_a_region_it_says_so(release: Release) -> None:
    with pytest.raises(DeployError, match="no region is set"):
        deploy(release, boto3.Session())


@pytest.mark.usefixtures("no_account")
def test_without_credentials_it_says_so(release: Release) -> None:
    with pytest.raises(DeployError, match="no AWS credentials were found"):
        deploy(release, boto3.Session(region_name="eu-west-1"))


def test_a_stack_that_was_never_created_must_be_deleted_first(release: Release) -> None:
    client = boto3.client("cloudformation", "eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    stack = {"StackName": release.stack, "StackStatus": "ROLLBACK_COMPLETE", "CreationTime": "2026-01-01T00:00:00Z"}
    with Stubber(client) as stubber:
        stubber.add_response("describe_stacks", {"Stacks": [stack]})
        with pytest.raises(DeployError, match="delete it, and deploy again"):
            deploying._existing_stack(client, release.stack)


def test_a_parameter_given_once_stays_and_the_stage_is_the_artifacts_own() -> None:
    before: Any = {"Parameters": [{"ParameterKey": key} for key in ("Stage", "LogLevel", "AlarmTopicArn")]}
    assert list(deploying._parameters({"LogLevel": "DEBUG"}, before)) == [
        {"ParameterKey": "LogLevel", "ParameterValue": "DEBUG"},
        {"ParameterKey": "AlarmTopicArn", "UsePreviousValue": True},
    ]


@pytest.mark.parametrize("argument", ["LogLevel", ""])
def test_a_parameter_without_a_value_is_refused(argument: str) -> None:
    with pytest.raises(DeployError, match="NAME=VALUE"):
        deploying._named_value(argument)


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


@pytest.mark.e2e
def test_a_deployment_answers_where_everything_is(outputs: dict[str, str]) -> None:
    assert outputs.keys() >= {
        "EndpointURL",
        "RestAPIId",
        "TableName",
        "IngestQueueUrl",
        "IngestDeadLetterQueueUrl",
        "BusQueueUrl",
        "BusDeadLetterQueueUrl",
        "SecretArn",
        "CreateProjectFunctionName",
    }


@pytest.mark.e2e
def test_deploying_the_same_again_changes_nothing(
    account: boto3.Session, artifact: Artifact, outputs: dict[str, str]
) -> None:
    client = account.client("cloudformation")
    before = client.describe_stack_events(StackName="growthos-dev")["StackEvents"]
    assert deploy(Release("dev", artifact, parameters={}), account) == outputs
    assert client.describe_stack_events(StackName="growthos-dev")["StackEvents"] == before


@pytest.mark.e2e
def test_a_parameter_is_kept_by_the_deployment_after(
    account: boto3.Session, artifact: Artifact, outputs: dict[str, str]
) -> None:
    deploy(Release("dev", artifact, parameters={"LogLevel": "DEBUG"}), account)
    deploy(Release("dev", artifact, parameters={"LogRetentionDays": "7"}), account)
    function = account.client("lambda").get_function_configuration(FunctionName=outputs["APIHandlerName"])
    assert function["Environment"]["Variables"]["GROWTHOS_LOG_LEVEL"] == "DEBUG"


@pytest.mark.e2e
@pytest.mark.usefixtures("outputs")
def test_a_parameter_that_the_template_refuses_is_named(account: boto3.Session, artifact: Artifact) -> None:
    with pytest.raises(DeployError, match="LogLevel"):
        deploy(Release("dev", artifact, parameters={"LogLevel": "LOUD"}), account)


@pytest.mark.e2e
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


@pytest.mark.e2e
def test_an_event_becomes_a_contact_under_the_functions_own_policies(
    engine: Engine, account: boto3.Session, outputs: dict[str, str]
) -> None:
    """Operator, API, queue, worker and bus: each runs as its packaged function in its own role."""
    keys = invoke(account, outputs["CreateProjectFunctionName"], {"name": "Deployed", "mode": "live", "plan": "scale"})
    identify = {"userId": "u-1", "traits": {"email": "ada@example.com"}, "messageId": "m-1"}
    bearer = {"Authorization": f"Bearer {keys['write_key']}"}
    queued = engine.call(outputs["RestAPIId"], "POST", "/v1/identify", identify, bearer)
    assert queued.status == 202, queued.body

    secret = {"Authorization": f"Bearer {keys['secret_key']}"}
    contacts = poll_until_found(engine, outputs["RestAPIId"], "/v1/contacts?external_id=u-1", secret)
    assert [contact["external_id"] for contact in contacts] == ["u-1"]


def invoke(account: boto3.Session, function: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Call a function as an operator does."""
    answer = account.client("lambda").invoke(FunctionName=function, Payload=json.dumps(payload))
    body: dict[str, Any] = json.load(answer["Payload"])
    assert "FunctionError" not in answer, body
    return body


def poll_until_found(engine: Engine, api: str, path: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    """The rows of a listing once it has any."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = engine.call(api, "GET", path, headers=headers)
        assert answer.status == 200, answer.body
        if answer.body["data"]:
            rows: list[dict[str, Any]] = answer.body["data"]
            return rows
        time.sleep(0.1)
    raise AssertionError(f"nothing came:\n{engine.log.read_text()[-4000:]}")
