"""What `make deploy` tells an operator before it changes anything."""

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra import deploy as deploying
from infra.artifact import Artifact
from infra.deploy import DeployError, Release, deploy


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
