"""Creates the table, the queues and the secret on the local engine, from the template that AWS gets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra import template
from infra.local.engine import HOST, REGION
from infra.local.home import Home, StackError, read_json, write_json

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient

STAGE: Final = "local"
STACK_NAME: Final = "growthos-local"
_EXTERNAL_TABLE: Final = "growthos-local"
_TABLE_ID: Final = "Table"
_WAIT_S: Final = 30.0
_CLIENT_CONFIG: Final = Config(connect_timeout=2, read_timeout=20, retries={"total_max_attempts": 2})
_CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True, slots=True)
class Stack:
    """What the processes of one running stack share.

    `environment` is all that the functions are told. `queues` maps a queue's logical id to its URL.
    `is_new` is true where the table was made just now: keys of an earlier one are worth nothing.
    """

    engine_port: int
    environment: Mapping[str, str]
    queues: Mapping[str, str]
    stream_arn: str
    is_new: bool

    def save(self, home: Home) -> None:
        """Leave it where the other processes find it."""
        write_json(home.stack_json, asdict(self))


def load_stack(home: Home) -> Stack:
    """The stack as the supervisor left it. Raises StackError where there is none."""
    values = read_json(home.stack_json)
    if values is None:
        raise StackError(f"there is no local stack in {home.path}; start it with: make run")
    return Stack(**values)


def aws_environment(engine_port: int, dynamodb_endpoint: str | None) -> dict[str, str]:
    """What points every AWS client of a process to the local engine."""
    pointers = {"AWS_ENDPOINT_URL": f"http://{HOST}:{engine_port}"}
    if dynamodb_endpoint:
        pointers["DYNAMODB_ENDPOINT"] = dynamodb_endpoint
    return pointers | _CREDENTIALS


def create(engine_port: int, dynamodb_endpoint: str | None) -> Stack:
    """Bring the engine to the template's state and describe the result. Raises StackError with the engine's reason."""
    try:
        return _create(engine_port, dynamodb_endpoint)
    except (BotoCoreError, ClientError) as error:
        raise StackError(f"the resources could not be created: {error}") from error


def _create(engine_port: int, dynamodb_endpoint: str | None) -> Stack:
    engine = f"http://{HOST}:{engine_port}"
    whole = template.engine_template(STAGE)
    physical, is_new = _deploy(_client("cloudformation", engine), _without_table(whole) if dynamodb_endpoint else whole)
    dynamodb = _client("dynamodb", dynamodb_endpoint or engine)
    if dynamodb_endpoint:
        physical[_TABLE_ID] = _EXTERNAL_TABLE
        is_new = _create_table(dynamodb, whole["Resources"][_TABLE_ID]["Properties"])
    _enable_expiry(dynamodb, physical[_TABLE_ID])
    table = dynamodb.describe_table(TableName=physical[_TABLE_ID])["Table"]
    functions = {name: _resolve(value, physical) for name, value in _function_variables().items()}
    return Stack(
        engine_port=engine_port,
        environment=aws_environment(engine_port, dynamodb_endpoint) | functions,
        queues={name: physical[name] for name in _queue_ids(whole)},
        stream_arn=table["LatestStreamArn"],
        is_new=is_new,
    )


def _client(service: str, endpoint: str) -> Any:
    return boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=_CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=_CLIENT_CONFIG,
    )


def _deploy(cloudformation: CloudFormationClient, wanted: template.Template) -> tuple[dict[str, str], bool]:
    """Create or update the stack; returns each resource's physical id by its logical id, and whether it was created."""
    body = json.dumps(wanted)
    is_new = True
    try:
        cloudformation.create_stack(StackName=STACK_NAME, TemplateBody=body)
    except cloudformation.exceptions.AlreadyExistsException:
        is_new = False
        _update(cloudformation, body)
    _await_complete(cloudformation)
    resources = cloudformation.describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    return {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}, is_new


def _update(cloudformation: CloudFormationClient, body: str) -> None:
    try:
        cloudformation.update_stack(StackName=STACK_NAME, TemplateBody=body)
    except ClientError as error:
        if "No updates" not in str(error):
            raise


def _await_complete(cloudformation: CloudFormationClient) -> None:
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        stack = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]
        status = stack["StackStatus"]
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            return
        if "FAILED" in status or "ROLLBACK" in status:
            raise StackError(f"the resources could not be created: {status}, {stack.get('StackStatusReason', '')}")
        time.sleep(0.05)
    raise StackError(f"the resources were not ready after {_WAIT_S:.0f} s")


def _create_table(dynamodb: DynamoDBClient, properties: Mapping[str, Any]) -> bool:
    """The template's table, by DynamoDB's own API, which any endpoint has. False where it stood already."""
    copied = {name: properties[name] for name in ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")}
    try:
        dynamodb.create_table(
            TableName=_EXTERNAL_TABLE,
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={
                "StreamEnabled": True,
                "StreamViewType": properties["StreamSpecification"]["StreamViewType"],
            },
            **copied,
        )
    except dynamodb.exceptions.ResourceInUseException:
        return False
    dynamodb.get_waiter("table_exists").wait(TableName=_EXTERNAL_TABLE)
    return True


def _enable_expiry(dynamodb: DynamoDBClient, table: str) -> None:
    """The engine's CloudFormation leaves the table's TTL out; DynamoDB refuses to set it twice."""
    described = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if described.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
        expiry = {"Enabled": True, "AttributeName": template.ttl_attribute()}
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=expiry)  # type: ignore[arg-type]


def _without_table(whole: template.Template) -> template.Template:
    return {
        **whole,
        "Resources": {name: body for name, body in whole["Resources"].items() if name != _TABLE_ID},
        "Outputs": {name: body for name, body in whole["Outputs"].items() if _TABLE_ID not in _named(body["Value"])},
    }


def _named(value: Mapping[str, Any]) -> Iterator[str]:
    yield value.get("Ref", "")
    yield next(iter(value.get("Fn::GetAtt", ())), "")


def _queue_ids(whole: template.Template) -> list[str]:
    return [name for name, body in whole["Resources"].items() if body["Type"] == "AWS::SQS::Queue"]


def _function_variables() -> Mapping[str, Any]:
    variables: Mapping[str, Any] = template.load()["Globals"]["Function"]["Environment"]["Variables"]
    return variables


def _resolve(value: Any, physical: Mapping[str, str]) -> str:
    """A variable's value: text, or a Ref to a resource or to a parameter."""
    if isinstance(value, str):
        return value
    name = value["Ref"]
    if name in physical:
        return physical[name]
    return STAGE if name == "Stage" else str(template.load()["Parameters"][name]["Default"])
