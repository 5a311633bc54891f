"""Deploys the app through CloudFormation: `python -m infra.deploy --stage dev`.

It packages, uploads the code and the template to a bucket, and has CloudFormation make and run a change set, as
`aws cloudformation package` and `deploy` do. Credentials and region come from where boto3 finds them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, WaiterError

from infra import artifact
from infra.package import PackagingError, package

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import ParameterTypeDef, StackTypeDef

POLL_SECONDS: Final = 2
POLL_ATTEMPTS: Final = 1800
"""An hour; the first deployment takes a few minutes."""

_NOTHING_TO_CHANGE: Final = ("didn't contain changes", "No updates are to be performed")
_CANCELLED: Final = "Resource creation cancelled"
_BEGINNINGS: Final = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"})


class DeployError(Exception):
    """The deployment did not happen or was rolled back; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Release:
    """One artifact on its way to one stack."""

    stage: str
    artifact: artifact.Artifact
    parameters: Mapping[str, str]
    bucket: str | None = None

    @property
    def stack(self) -> str:
        """The stack's name."""
        return f"growthos-{self.stage}"


def deploy(release: Release, session: boto3.Session) -> dict[str, str]:
    """Create or update the stack and return its outputs. Raises DeployError."""
    if session.region_name is None:
        raise DeployError("no region is set: set AWS_DEFAULT_REGION, or a profile that has one")
    try:
        bucket = _bucket(release, session)
        template_url = _upload(release, session, bucket)
        return _run(release, session.client("cloudformation"), template_url)
    except NoCredentialsError as error:
        raise DeployError("no AWS credentials were found: run `aws configure`, or set AWS_PROFILE") from error
    except (BotoCoreError, ClientError) as error:
        raise DeployError(f"AWS refused: {error}") from error


def _bucket(release: Release, session: boto3.Session) -> str:
    """The bucket for code and templates: the one given, or the account's own for this region, made where missing."""
    if release.bucket:
        return release.bucket
    s3 = session.client("s3")
    account = session.client("sts").get_caller_identity()["Account"]
    region: Any = s3.meta.region_name
    name = f"growthos-artifacts-{account}-{region}"
    try:
        # A bucket of that name in another account must not be given our code.
        s3.head_bucket(Bucket=name, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
            raise
        if region == "us-east-1":
            s3.create_bucket(Bucket=name)
        else:
            s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    return name


def _upload(release: Release, session: boto3.Session, bucket: str) -> str:
    """Put code and template under names made of their contents; the template's URL."""
    s3 = session.client("s3")
    code = release.artifact.bundle.read_bytes()
    code_key = f"{release.stack}/{hashlib.sha256(code).hexdigest()}.zip"
    s3.put_object(Bucket=bucket, Key=code_key, Body=code)
    template = release.artifact.read_template()
    for function in artifact.functions(template).values():
        function["CodeUri"] = f"s3://{bucket}/{code_key}"
    body = json.dumps(template, separators=(",", ":")).encode()
    template_key = f"{release.stack}/{hashlib.sha256(body).hexdigest()}.template.json"
    s3.put_object(Bucket=bucket, Key=template_key, Body=body)
    return f"{s3.meta.endpoint_url}/{bucket}/{template_key}"


def _run(release: Release, client: CloudFormationClient, template_url: str) -> dict[str, str]:
    existing = _existing_stack(client, release.stack)
    kind: Literal["CREATE", "UPDATE"] = "UPDATE" if existing else "CREATE"
    name = f"deploy-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    client.create_change_set(
        StackName=release.stack,
        ChangeSetName=name,
        ChangeSetType=kind,
        TemplateURL=template_url,
        Parameters=list(_parameters(release.parameters, existing)),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    if _is_empty(client, release.stack, name):
        client.delete_change_set(StackName=release.stack, ChangeSetName=name)
    else:
        client.execute_change_set(StackName=release.stack, ChangeSetName=name)
        _await_stack(client, release.stack, kind)
    return _outputs(client, release.stack)


def _existing_stack(client: CloudFormationClient, stack: str) -> StackTypeDef | None:
    """The stack where there is one to update. Raises DeployError where it must be deleted first."""
    try:
        found = client.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    if found["StackStatus"] in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}:
        raise DeployError(
            f"the stack {stack} is in {found['StackStatus']}: look at its events, delete it, and deploy again "
            "(its table and its secret are kept when it is deleted; see infra/README.md)"
        )
    return None if found["StackStatus"] == "REVIEW_IN_PROGRESS" else found


def _parameters(given: Mapping[str, str], existing: StackTypeDef | None) -> Iterator[ParameterTypeDef]:
    """What was given now, and for the rest what was given before. Stage is the artifact's own."""
    for name, value in given.items():
        yield {"ParameterKey": name, "ParameterValue": value}
    for known in existing.get("Parameters", []) if existing else []:
        if known["ParameterKey"] not in {*given, "Stage"}:
            yield {"ParameterKey": known["ParameterKey"], "UsePreviousValue": True}


def _is_empty(client: CloudFormationClient, stack: str, change_set: str) -> bool:
    """Wait until the change set is made; whether it changes nothing. Raises DeployError where it can't be made."""
    waiter = client.get_waiter("change_set_create_complete")
    try:
        waiter.wait(
            StackName=stack,
            ChangeSetName=change_set,
            WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": POLL_ATTEMPTS},
        )
    except WaiterError as error:
        reason = str(error.last_response.get("StatusReason", error))
        if any(phrase in reason for phrase in _NOTHING_TO_CHANGE):
            return True
        raise DeployError(f"CloudFormation refused the template: {reason}") from error
    return False


def _await_stack(client: CloudFormationClient, stack: str, kind: Literal["CREATE", "UPDATE"]) -> None:
    waiter = (
        client.get_waiter("stack_create_complete") if kind == "CREATE" else client.get_waiter("stack_update_complete")
    )
    try:
        waiter.wait(StackName=stack, WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": POLL_ATTEMPTS})
    except WaiterError as error:
        reasons = "\n".join(_failures(client, stack)) or str(error)
        raise DeployError(f"the deployment failed and CloudFormation rolls it back:\n{reasons}") from error


def _failures(client: CloudFormationClient, stack: str) -> list[str]:
    """What went wrong in the stack's last operation, the first failure first."""
    failures: list[str] = []
    for page in client.get_paginator("describe_stack_events").paginate(StackName=stack):
        for event in page["StackEvents"]:  # the newest first
            status, reason = event.get("ResourceStatus", ""), event.get("ResourceStatusReason", "")
            if event.get("LogicalResourceId") == stack and status in _BEGINNINGS:
                return failures[::-1]
            if status.endswith("FAILED") and _CANCELLED not in reason:
                failures.append(f"  {event.get('LogicalResourceId')}: {reason}")
    return failures[::-1]


def _outputs(client: CloudFormationClient, stack: str) -> dict[str, str]:
    outputs = client.describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    return {output["OutputKey"]: output["OutputValue"] for output in outputs}


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description="Deploy to AWS.")
    parser.add_argument("--stage", required=True, help="the name of the deployment, as dev or prod")
    parser.add_argument("--out", type=Path, default=Path("build"), help="where the artifact is built (build)")
    parser.add_argument("--bucket", help="the bucket to upload to; one of the account's own is made where not given")
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the template, as LogLevel=DEBUG; kept by the following deployments",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit status."""
    arguments = _parse(argv)
    try:
        release = Release(
            stage=arguments.stage,
            artifact=package(arguments.stage, arguments.out),
            parameters=dict(_named_value(pair) for pair in arguments.parameter),
            bucket=arguments.bucket,
        )
        outputs = deploy(release, boto3.Session())
    except (DeployError, PackagingError) as error:
        print(f"deploy: {error}", file=sys.stderr)
        return 1
    for name, value in sorted(outputs.items()):
        print(f"{name}: {value}")
    return 0


def _named_value(pair: str) -> tuple[str, str]:
    name, separator, value = pair.partition("=")
    if not separator:
        raise DeployError(f"--parameter wants NAME=VALUE, not {pair!r}")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
