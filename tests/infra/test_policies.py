"""Each function may do what it does, and nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.package import PROJECT

POLICIES = PROJECT / "infra" / "policies"
CONFIG = json.loads((PROJECT / ".chalice" / "config.json").read_text(encoding="utf-8"))
FUNCTIONS = [
    *(
        "analytics",
        "api_handler",
        "bus",
        "bus_retry",
        "compact",
        "create_project",
        "feedback",
        "ingest",
        "jobs",
        "lake",
    ),
    *("mails", "minute", "projector", "rebuild_analytics", "timers", "webhooks", "webhooks_slow"),
]

# The streams of our own table: Lambda wants to list them before it reads the one that there is.
WIDER_THAN_ONE_RESOURCE = {"${Table.Arn}/stream/*", "*"}

FOLDERS = {f"${{LakeBucket.Arn}}/{each}/*" for each in ("athena", "edges", "events", "hot", "people", "scratch")}
TABLES = "arn:${AWS::Partition}:glue:${AWS::Region}:${AWS::AccountId}:table/${LakeDatabase}/*"
"""Of the lake's own database, whose catalog wants to be asked for its partitions too."""

BESIDE = {
    "mails": {"ses"},
    "api_handler": {"lambda"},
    "projector": {"s3"},
    "lake": {"s3"},
    "analytics": {"s3", "athena", "glue"},
}
"""Services that only these functions use."""

# Any identity of the account may be a project's sender, and the quota is the account's: SES knows no narrower resource.
OF_THE_WHOLE_ACCOUNT = {("ses:SendRawEmail", "*"), ("ses:GetSendQuota", "*")}


def statements(function: str) -> list[dict[str, Any]]:
    """The statements of one function's policy."""
    policy = json.loads((POLICIES / f"{function}.json").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = policy["Statement"]
    return found


def grants(function: str) -> set[tuple[str, str]]:
    """Pairs of an action and the resource that it is granted on."""
    return {
        (action, resource)
        for statement in statements(function)
        for action in statement["Action"]
        for resource in resource_names(statement["Resource"])
    }


def having(action: str, resource: str) -> set[str]:
    """The functions that are granted it."""
    return {function for function in FUNCTIONS if (action, resource) in grants(function)}


def resource_names(resource: Any) -> Iterator[str]:
    """Each resource as text: `Table.Arn` for a GetAtt, the pattern for a Sub."""
    for entry in resource if isinstance(resource, list) else [resource]:
        if isinstance(entry, str):
            yield entry
        else:
            yield ".".join(entry["Fn::GetAtt"]) if "Fn::GetAtt" in entry else entry["Fn::Sub"]


def test_each_function_has_its_own_policy_and_no_policy_is_left_over() -> None:
    assert sorted(CONFIG["lambda_functions"]) == FUNCTIONS
    assert sorted(path.stem for path in POLICIES.glob("*.json")) == FUNCTIONS
    for function, settings in CONFIG["lambda_functions"].items():
        assert settings["iam_policy_file"] == f"../infra/policies/{function}.json"
    assert CONFIG["autogen_policy"] is False


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_policy_names_more_than_the_deployments_own_resources(function: str) -> None:
    for action, resource in grants(function):
        assert "*" not in action
        assert "*" not in resource or resource in {*WIDER_THAN_ONE_RESOURCE, *FOLDERS, TABLES}
        assert resource != "*" or (action, resource) in OF_THE_WHOLE_ACCOUNT


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_can_read_the_whole_table_or_change_the_infrastructure(function: str) -> None:
    allowed = {"logs", "dynamodb", "sqs", "secretsmanager"} | BESIDE.get(function, set())
    for action, _ in grants(function):
        service, _, verb = action.partition(":")
        assert service in allowed
        assert not verb.startswith(("Scan", "PartiQL", "Set", "Add", "Purge", "Tag"))
        assert verb in {"CreateLogStream"} or not verb.startswith("Create")
        assert verb in {"DeleteItem", "DeleteMessage", "DeleteObject"} or not verb.startswith("Delete")
        assert verb in {"PutItem", "PutLogEvents", "PutObject"} or not verb.startswith("Put")
        assert verb in {"UpdateItem"} or not verb.startswith("Update")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_function_can_write_its_log_and_no_others(function: str) -> None:
    group = f"{function.title().replace('_', '')}LogGroup.Arn"
    logged = {grant for grant in grants(function) if grant[0].startswith("logs:")}
    assert logged == {("logs:CreateLogStream", group), ("logs:PutLogEvents", group)}


@pytest.mark.parametrize(
    ("function", "queue"),
    [
        ("ingest", "IngestQueue.Arn"),
        ("bus_retry", "BusQueue.Arn"),
        ("jobs", "JobsQueue.Arn"),
        ("timers", "TimersQueue.Arn"),
        ("webhooks", "WebhooksQueue.Arn"),
        ("webhooks_slow", "WebhooksSlowQueue.Arn"),
        ("mails", "MailsQueue.Arn"),
        ("feedback", "FeedbackQueue.Arn"),
        ("lake", "LakeQueue.Arn"),
    ],
)
def test_a_queue_worker_receives_from_its_own_queue_only(function: str, queue: str) -> None:
    received = {resource for action, resource in grants(function) if action == "sqs:ReceiveMessage"}
    assert received == {queue}
    assert ("sqs:DeleteMessage", queue) in grants(function)
    assert ("sqs:GetQueueAttributes", queue) in grants(function)


def test_only_the_api_sends_to_ingest() -> None:
    assert having("sqs:SendMessage", "IngestQueue.Arn") == {"api_handler"}


def test_only_those_read_the_secret_who_sign_seal_or_open() -> None:
    assert having("secretsmanager:GetSecretValue", "Secret.Id") == {
        "api_handler",
        "mails",
        "webhooks",
        "webhooks_slow",
    }


def test_the_projector_writes_hot_objects_only_and_none_but_the_lakes_worker_removes_any() -> None:
    assert {action for action in grants("projector") if action[0].startswith("s3:")} == {
        ("s3:PutObject", "${LakeBucket.Arn}/hot/*")
    }
    for folder in FOLDERS:
        assert having("s3:DeleteObject", folder) <= {"lake"}


def test_questions_change_nothing_of_what_they_read() -> None:
    written = {resource for action, resource in grants("analytics") if action == "s3:PutObject"}
    assert written == {"${LakeBucket.Arn}/scratch/*", "${LakeBucket.Arn}/athena/*"}
    assert {action for action, _ in grants("analytics") if action.startswith("dynamodb:")} == {
        "dynamodb:GetItem",
        "dynamodb:Query",
    }


def test_only_the_api_calls_another_function() -> None:
    assert having("lambda:InvokeFunction", "Analytics.Arn") == {"api_handler"}


def test_only_the_mails_worker_sends_mail() -> None:
    assert having("ses:SendRawEmail", "*") == {"mails"}


def test_mails_are_queued_by_the_bus_and_where_a_campaign_goes_on_and_again_where_they_have_to_wait() -> None:
    assert having("sqs:SendMessage", "MailsQueue.Arn") == {"bus", "bus_retry", "jobs", "mails"}


def test_only_the_api_hands_on_what_the_mail_service_posts() -> None:
    assert having("sqs:SendMessage", "FeedbackQueue.Arn") == {"api_handler"}


def test_webhooks_are_queued_by_the_bus_and_by_replays() -> None:
    for queue in ("WebhooksQueue.Arn", "WebhooksSlowQueue.Arn"):
        assert having("sqs:SendMessage", queue) == {"bus", "bus_retry", "jobs"}


def test_the_bus_starts_jobs_and_each_queues_its_own_next_page_and_the_api_has_clicks_judged() -> None:
    senders = {function for function in FUNCTIONS if ("sqs:SendMessage", "JobsQueue.Arn") in grants(function)}
    assert senders == {"api_handler", "bus", "bus_retry", "jobs"}


@pytest.mark.parametrize("function", ["minute", "bus", "bus_retry", "timers"])
def test_whoever_finds_a_timer_due_soon_queues_it(function: str) -> None:
    assert ("sqs:SendMessage", "TimersQueue.Arn") in grants(function)


def test_those_read_lists_who_show_them_or_walk_them() -> None:
    """The API; jobs, for contacts to judge; timers, for what an endpoint was sent lately; the lake, for a rebuild."""
    assert having("dynamodb:Query", "${Table.Arn}/index/list") == {"api_handler", "jobs", "lake", "timers"}


def test_only_the_schedule_looks_for_timers_of_all_projects() -> None:
    readers = [function for function in FUNCTIONS if ("dynamodb:Query", "${Table.Arn}/index/due") in grants(function)]
    assert readers == ["minute"]


def test_the_bus_reads_the_stream_and_sets_aside_what_fails() -> None:
    assert {
        ("dynamodb:GetRecords", "Table.StreamArn"),
        ("dynamodb:GetShardIterator", "Table.StreamArn"),
        ("dynamodb:DescribeStream", "Table.StreamArn"),
        ("dynamodb:ListStreams", "${Table.Arn}/stream/*"),
        ("sqs:SendMessage", "BusQueue.Arn"),
        ("sqs:SendMessage", "BusDeadLetterQueue.Arn"),
    } <= grants("bus")
