"""What `make package` builds can be deployed, and holds what it needs and nothing else."""

import copy
import importlib.util
import json
import marshal
import shutil
import subprocess
import sys
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from samtranslator.translator.transform import transform  # type: ignore[import-untyped]

from infra import template
from infra.artifact import Artifact, functions, problems

pytestmark = pytest.mark.xdist_group("artifact")

TAG = sys.implementation.cache_tag
BATCH_FUNCTIONS = {"Ingest", "Bus", "BusRetry", "Jobs", "Timers", "Webhooks", "WebhooksSlow", "Mails", "Feedback"}
BATCH_FUNCTIONS |= {"Projector", "Lake"}
EVENT_FUNCTIONS = BATCH_FUNCTIONS | {"Minute", "Compact"}


def lint(document: dict[str, Any], folder: Path) -> str:
    """What cfn-lint says of a template; empty where it finds nothing."""
    path = folder / "template.json"
    path.write_text(json.dumps(document, indent=2), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--regions", "us-east-1", "--", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def expanded(document: dict[str, Any]) -> dict[str, Any]:
    """The template as CloudFormation gets it, after the serverless transform."""

    class NoManagedPolicies:
        def load(self) -> dict[str, str]:
            return {}

    uploaded = copy.deepcopy(document)
    for function in functions(uploaded).values():
        function["CodeUri"] = "s3://growthos-artifacts/code.zip"
    result: dict[str, Any] = transform(uploaded, {}, NoManagedPolicies())
    return result


def test_the_artifact_is_fit_to_be_deployed(artifact: Artifact) -> None:
    assert problems(artifact) == []


def test_the_packaged_template_is_valid(packaged: dict[str, Any], tmp_path: Path) -> None:
    assert lint(packaged, tmp_path) == ""


def test_the_template_is_valid_after_the_serverless_transform(
    packaged: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    assert lint(expanded(packaged), tmp_path) == ""


def test_the_template_names_every_function_of_the_app_and_no_others(packaged: dict[str, Any]) -> None:
    named = {name for name, body in template.load()["Resources"].items() if "LoggingConfig" in body["Properties"]}
    assert named == functions(packaged).keys()
    assert {name for name in named if "Events" in functions(packaged)[name]} == EVENT_FUNCTIONS


def test_each_worker_answers_for_the_handler_of_its_name(packaged: dict[str, Any]) -> None:
    for logical_id in EVENT_FUNCTIONS:
        assert functions(packaged)[logical_id]["Handler"] == f"app.{template.function_name(logical_id)}"


@pytest.mark.parametrize("logical_id", sorted(BATCH_FUNCTIONS))
def test_a_worker_can_report_the_items_of_a_batch_that_failed(packaged: dict[str, Any], logical_id: str) -> None:
    events = functions(packaged)[logical_id]["Events"]
    assert [event["Properties"]["FunctionResponseTypes"] for event in events.values()] == [["ReportBatchItemFailures"]]


def test_the_batch_sizes_in_the_app_are_those_of_the_template(packaged: dict[str, Any]) -> None:
    declared = declared_batch_sizes()
    for logical_id in BATCH_FUNCTIONS:
        assert declared[logical_id] == {
            event["Properties"]["BatchSize"] for event in functions(packaged)[logical_id]["Events"].values()
        }


def declared_batch_sizes() -> dict[str, set[int]]:
    """Batch sizes as app.py's decorators say them, by logical id."""
    import app

    sizes: dict[str, set[int]] = {}
    handlers: list[Any] = app.app.event_sources  # chalice's base type does not know the batch size
    for handler in handlers:
        logical_id = handler.name.title().replace("_", "")
        if hasattr(handler, "batch_size"):
            sizes.setdefault(logical_id, set()).add(handler.batch_size)
    return sizes


def test_the_schedule_in_the_app_is_that_of_the_template(packaged: dict[str, Any]) -> None:
    (event,) = functions(packaged)["Minute"]["Events"].values()
    assert event["Properties"]["Schedule"] == "rate(1 minute)"


def test_no_queue_or_stream_is_named_by_a_placeholder(packaged: dict[str, Any]) -> None:
    for logical_id in BATCH_FUNCTIONS:
        for event in functions(packaged)[logical_id]["Events"].values():
            fed_by = event["Properties"].get("Queue") or event["Properties"].get("Stream")
            assert fed_by.keys() == {"Fn::GetAtt"}


def test_nothing_but_iam_can_start_the_function_that_makes_projects(packaged: dict[str, Any]) -> None:
    assert "Events" not in functions(packaged)["CreateProject"]
    invokers = [
        body["Properties"]["FunctionName"]
        for body in packaged["Resources"].values()
        if body["Type"] == "AWS::Lambda::Permission"
    ]
    assert invokers == [{"Ref": "APIHandler"}]
    assert "CreateProject" not in json.dumps(packaged["Resources"]["RestAPI"])


def test_each_function_has_a_role_of_its_own_with_its_own_policy(packaged: dict[str, Any]) -> None:
    roles = {name: body["Role"]["Fn::GetAtt"][0] for name, body in functions(packaged).items()}
    assert len(set(roles.values())) == len(roles)
    for role in roles.values():
        properties = packaged["Resources"][role]["Properties"]
        assert len(properties["Policies"]) == 1
        assert "ManagedPolicyArns" not in properties


def test_all_functions_run_on_the_python_that_packaged_them(packaged: dict[str, Any]) -> None:
    runtimes = {body["Runtime"] for body in functions(packaged).values()}
    assert runtimes == {f"python{sys.version_info.major}.{sys.version_info.minor}"}


def test_a_position_in_the_paths_has_one_variable_name(packaged: dict[str, Any]) -> None:
    """API Gateway refuses two variables of different names under one parent; chalice does not see it."""
    variables: dict[str, set[str]] = defaultdict(set)
    for path in packaged["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]:
        parent = ""
        for segment in path.strip("/").split("/"):
            if segment.startswith("{"):
                variables[parent].add(segment)
            parent += f"/{segment}"
    assert {parent: names for parent, names in variables.items() if len(names) > 1} == {}


def test_the_gateway_unpacks_and_packs_bodies(packaged: dict[str, Any]) -> None:
    assert packaged["Resources"]["RestAPI"]["Properties"]["MinimumCompressionSize"] == 1024


def test_the_gateways_own_answers_are_part_of_the_deployed_api(
    packaged: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    body = expanded(packaged)["Resources"]["RestAPI"]["Properties"]["Body"]
    answers = body["x-amazon-apigateway-gateway-responses"]
    assert answers["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == "404"
    assert answers["DEFAULT_5XX"]["responseParameters"]["gatewayresponse.header.X-Request-Id"] == "context.requestId"


def broken(artifact: Artifact, folder: Path, document: dict[str, Any], extra: Mapping[str, str | bytes]) -> list[str]:
    """Problems of a copy of the artifact with another template and with more files in its bundle."""
    copied = Artifact(template=folder / "sam.json", bundle=folder / "deployment.zip")
    copied.template.write_text(json.dumps(document), encoding="utf-8")
    shutil.copyfile(artifact.bundle, copied.bundle)
    with zipfile.ZipFile(copied.bundle, "a") as bundle:
        for name, content in extra.items():
            bundle.writestr(name, content)
    return problems(copied)


def test_a_handler_that_the_bundle_lacks_is_found(artifact: Artifact, packaged: dict[str, Any], tmp_path: Path) -> None:
    document = copy.deepcopy(packaged)
    document["Resources"]["Bus"]["Properties"]["Handler"] = "app.inner"
    assert broken(artifact, tmp_path, document, {}) == ["Bus: the bundle has no app.inner"]


def test_a_function_that_only_the_template_names_is_found(
    artifact: Artifact, packaged: dict[str, Any], tmp_path: Path
) -> None:
    document = copy.deepcopy(packaged)
    document["Resources"]["Mailer"] = {"Properties": {}}
    expected = ["infra/resources names Mailer, which app.py does not declare"]
    assert broken(artifact, tmp_path, document, {}) == expected


def test_what_does_not_belong_into_the_bundle_is_found(
    artifact: Artifact, packaged: dict[str, Any], tmp_path: Path
) -> None:
    extra = {"boto3/data.json": "", "tests/test_x.txt": ""}
    assert broken(artifact, tmp_path, packaged, extra) == [
        "the bundle contains boto3/",
        "the bundle contains tests/",
    ]


def test_a_compiled_file_that_stayed_in_the_checkout_is_found(
    artifact: Artifact, packaged: dict[str, Any], tmp_path: Path
) -> None:
    extra = {f"chalicelib/__pycache__/gone.{TAG}.pyc": "", f"chalicelib/__pycache__/api.{TAG}.pyc.140": ""}
    assert broken(artifact, tmp_path, packaged, extra) == [
        f"{name} has no source, or is for another Python" for name in extra
    ]


def test_a_compiled_file_of_another_state_of_its_source_is_found(
    artifact: Artifact, packaged: dict[str, Any], tmp_path: Path
) -> None:
    other = b"answer = 41"
    stale = importlib.util.MAGIC_NUMBER + b"\1\0\0\0" + importlib.util.source_hash(other) + marshal.dumps(None)
    extra = {"late.py": b"answer = 42", f"__pycache__/late.{TAG}.pyc": stale}
    assert broken(artifact, tmp_path, packaged, extra) == [f"__pycache__/late.{TAG}.pyc was not made for this bundle"]


def test_a_source_that_is_not_compiled_is_found(artifact: Artifact, packaged: dict[str, Any], tmp_path: Path) -> None:
    assert broken(artifact, tmp_path, packaged, {"late.py": ""}) == ["late.py is not compiled"]
