"""The template says what the design says, before anything is packaged."""

import json
from dataclasses import fields
from typing import Any

import pytest

from chalicelib.features.lake.model import EVENT_COLUMNS, PEOPLE_COLUMNS
from chalicelib.platform.config import Settings
from chalicelib.readings.lake import recent
from infra import template
from infra.package import PROJECT
from infra.template import EventSource

CONFIG = json.loads((PROJECT / ".chalice" / "config.json").read_text(encoding="utf-8"))
RESOURCES: dict[str, Any] = template.load()["Resources"]
GATEWAY_RESPONSES: dict[str, Any] = RESOURCES["RestAPI"]["Properties"]["GatewayResponses"]
QUEUES = {name: body["Properties"] for name, body in RESOURCES.items() if body.get("Type") == "AWS::SQS::Queue"}
CODES = {
    400: "bad_request",
    404: "not_found",
    413: "payload_too_large",
    429: "rate_limited",
    500: "internal_error",
    503: "unavailable",
}


def test_each_worker_is_fed_by_what_the_design_names() -> None:
    assert template.event_sources() == [
        EventSource("ingest", "sqs", "IngestQueue", 10, partial_failures=True, max_concurrency=16),
        EventSource("bus", "dynamodb", "Table", 100, partial_failures=True),
        EventSource("bus_retry", "sqs", "BusQueue", 10, partial_failures=True, max_concurrency=2),
        EventSource("jobs", "sqs", "JobsQueue", 1, partial_failures=True, max_concurrency=8),
        EventSource("timers", "sqs", "TimersQueue", 10, partial_failures=True, max_concurrency=32),
        EventSource("webhooks", "sqs", "WebhooksQueue", 1, partial_failures=True, max_concurrency=200),
        EventSource("webhooks_slow", "sqs", "WebhooksSlowQueue", 1, partial_failures=True, max_concurrency=200),
        EventSource("mails", "sqs", "MailsQueue", 10, partial_failures=True, max_concurrency=16),
        EventSource("feedback", "sqs", "FeedbackQueue", 10, partial_failures=True, max_concurrency=4),
        EventSource("minute", "schedule", "rate(1 minute)", 1, partial_failures=False),
        EventSource("projector", "dynamodb", "Table", 1000, partial_failures=True, window_s=30),
        EventSource("lake", "sqs", "LakeQueue", 1, partial_failures=True, max_concurrency=4),
        EventSource("compact", "schedule", "rate(1 hour)", 1, partial_failures=False),
    ]


def test_a_message_stays_hidden_for_six_times_its_functions_timeout() -> None:
    for source in template.event_sources():
        if source.kind == "sqs":
            timeout = CONFIG["lambda_functions"][source.function]["lambda_timeout"]
            assert template.visibility_timeout(source.source) >= 6 * timeout, source.function


def test_each_fed_queue_gives_up_after_five_receives_into_a_queue_of_its_kind() -> None:
    for source in template.event_sources():
        if source.kind == "sqs":
            assert template.max_receives(source.source) == 5
            target = QUEUES[source.source]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
            assert QUEUES[target].get("FifoQueue") == QUEUES[source.source].get("FifoQueue")
            assert QUEUES[target]["MessageRetentionPeriod"] > QUEUES[source.source]["MessageRetentionPeriod"]


def test_every_queue_is_encrypted() -> None:
    assert all(properties["SqsManagedSseEnabled"] for properties in QUEUES.values())


def test_a_busy_lane_does_not_slow_the_others() -> None:
    for name in ("IngestQueue", "WebhooksQueue", "WebhooksSlowQueue"):
        assert QUEUES[name]["FifoThroughputLimit"] == "perMessageGroupId"
        assert QUEUES[name]["DeduplicationScope"] == "messageGroup"


@pytest.mark.parametrize(
    ("function", "target"), [("Bus", "BusDeadLetterQueue"), ("Projector", "ProjectorDeadLetterQueue")]
)
def test_a_poisoned_stream_record_is_set_aside_and_not_retried_for_a_day(function: str, target: str) -> None:
    stream = RESOURCES[function]["Properties"]["Events"][f"{function}DynamodbEventSource"]["Properties"]
    assert stream["StartingPosition"] == "TRIM_HORIZON"
    assert stream["BisectBatchOnFunctionError"] is True
    assert 5 < stream["MaximumRetryAttempts"] <= 100
    assert stream["MaximumRecordAgeInSeconds"] == 86_400
    assert stream["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": [target, "Arn"]}


@pytest.mark.parametrize("index", ["list", "stream", "due"])
def test_an_index_is_sparse_and_holds_keys_only(index: str) -> None:
    indexes = {entry["IndexName"]: entry for entry in RESOURCES["Table"]["Properties"]["GlobalSecondaryIndexes"]}
    assert indexes[index]["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert [key["AttributeName"] for key in indexes[index]["KeySchema"]] == [f"{index}_pk", f"{index}_sk"]


def test_the_table_can_be_restored_to_any_second_and_is_encrypted_and_billed_by_request() -> None:
    table = RESOURCES["Table"]["Properties"]
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert template.ttl_attribute() == "ttl"


@pytest.mark.parametrize("name", ["Table", "Secret", "LakeBucket"])
def test_what_cannot_be_made_again_outlives_the_stack(name: str) -> None:
    assert RESOURCES[name]["DeletionPolicy"] == RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


def test_each_dead_letter_queue_and_the_streams_delay_have_an_alarm() -> None:
    watched = {
        (body["Properties"]["MetricName"], json.dumps(body["Properties"]["Dimensions"][0]["Value"]))
        for body in RESOURCES.values()
        if body.get("Type") == "AWS::CloudWatch::Alarm" and "Dimensions" in body["Properties"]
    }
    assert {
        ("ApproximateNumberOfMessagesVisible", '{"Fn::GetAtt": ["IngestDeadLetterQueue", "QueueName"]}'),
        ("ApproximateNumberOfMessagesVisible", '{"Fn::GetAtt": ["BusDeadLetterQueue", "QueueName"]}'),
        ("ApproximateNumberOfMessagesVisible", '{"Fn::GetAtt": ["JobsDeadLetterQueue", "QueueName"]}'),
        ("ApproximateNumberOfMessagesVisible", '{"Fn::GetAtt": ["TimersDeadLetterQueue", "QueueName"]}'),
        ("ApproximateNumberOfMessagesVisible", '{"Fn::GetAtt": ["WebhooksDeadLetterQueue", "QueueName"]}'),
        ("ApproximateNumberOfMessagesVisible", '{"Fn::GetAtt": ["WebhooksSlowDeadLetterQueue", "QueueName"]}'),
        ("ApproximateAgeOfOldestMessage", '{"Fn::GetAtt": ["WebhooksQueue", "QueueName"]}'),
        ("ApproximateNumberOfMessagesVisible", '{"Fn::GetAtt": ["MailsDeadLetterQueue", "QueueName"]}'),
        ("ApproximateNumberOfMessagesVisible", '{"Fn::GetAtt": ["FeedbackDeadLetterQueue", "QueueName"]}'),
        ("ApproximateAgeOfOldestMessage", '{"Fn::GetAtt": ["MailsQueue", "QueueName"]}'),
        ("ApproximateAgeOfOldestMessage", '{"Fn::GetAtt": ["WebhooksSlowQueue", "QueueName"]}'),
        ("ApproximateNumberOfMessagesVisible", '{"Fn::GetAtt": ["LakeDeadLetterQueue", "QueueName"]}'),
        ("ApproximateNumberOfMessagesVisible", '{"Fn::GetAtt": ["ProjectorDeadLetterQueue", "QueueName"]}'),
        ("ApproximateAgeOfOldestMessage", '{"Fn::GetAtt": ["LakeQueue", "QueueName"]}'),
        ("IteratorAge", '{"Ref": "Bus"}'),
        ("IteratorAge", '{"Ref": "Projector"}'),
    } <= watched


def test_the_bucket_is_private_encrypted_and_keeps_nothing_that_was_removed() -> None:
    bucket = RESOURCES["LakeBucket"]["Properties"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert "VersioningConfiguration" not in bucket
    assert bucket["BucketEncryption"]
    (refused,) = RESOURCES["LakeBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (refused["Effect"], refused["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_the_catalog_has_the_columns_of_the_lake() -> None:
    told = {"events": EVENT_COLUMNS, **recent.TABLES, "people": PEOPLE_COLUMNS}
    kinds = {"string": "VARCHAR", "bigint": "BIGINT"}
    tables = {
        body["Properties"]["TableInput"]["Name"]: body["Properties"]["TableInput"]["StorageDescriptor"]["Columns"]
        for body in RESOURCES.values()
        if body.get("Type") == "AWS::Glue::Table"
    }
    assert {name: {each["Name"]: kinds[each["Type"]] for each in columns} for name, columns in tables.items()} == {
        f"lake_{name}": {each: kind for each, kind in columns.items() if each != "project_id"}
        for name, columns in told.items()
    }


def test_the_functions_are_told_exactly_what_the_settings_read() -> None:
    variables = template.load()["Globals"]["Function"]["Environment"]["Variables"]
    assert variables.keys() == {f"GROWTHOS_{field.name.upper()}" for field in fields(Settings)}


@pytest.mark.parametrize("kind", GATEWAY_RESPONSES)
def test_the_gateways_own_answers_have_the_shape_of_every_error(kind: str) -> None:
    response = GATEWAY_RESPONSES[kind]
    body = json.loads(response["ResponseTemplates"]["application/json"])
    told = {"code": CODES[response["StatusCode"]], "message": body["error"]["message"]}
    # The gateway does not know whether the path was one of ingest, whose clients read the root and are in browsers.
    assert body == {"error": {**told, "details": []}, "request_id": "$context.requestId", **told}
    headers = response["ResponseParameters"]["Headers"]
    assert headers["X-Request-Id"] == "context.requestId"
    assert headers["Access-Control-Allow-Origin"] == "'*'"
    assert ("Retry-After" in headers) == (response["StatusCode"] in {429, 503})


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("MISSING_AUTHENTICATION_TOKEN", 404),
        ("INVALID_SIGNATURE", 404),
        ("REQUEST_TOO_LARGE", 413),
        ("THROTTLED", 429),
        ("INTEGRATION_TIMEOUT", 503),
        ("DEFAULT_4XX", 400),
        ("DEFAULT_5XX", 500),
    ],
)
def test_the_gateway_answers_with_the_contracts_status(kind: str, status: int) -> None:
    assert GATEWAY_RESPONSES[kind]["StatusCode"] == status


def test_the_local_engine_gets_the_resources_that_hold_data_and_nothing_else() -> None:
    subset = template.engine_template("local")
    mail = {"MailConfigurationSet", "MailTopic", "MailFeedback", "FeedbackQueuePolicy"}
    assert subset["Resources"].keys() == {"Table", "Secret", "LakeBucket", *QUEUES} | mail
    assert subset["Resources"]["Table"] == RESOURCES["Table"]
    assert subset["Outputs"].keys() >= {"TableName", "TableStreamArn", "IngestQueueUrl", "SecretArn"}
    assert subset["Outputs"].keys() >= {f"{name}Url" for name in QUEUES}
    assert subset["Parameters"]["Stage"]["Default"] == "local"


@pytest.mark.parametrize("stage", ["", "Prod", "9lives", "a_b", "x" * 21])
def test_a_stage_name_that_cannot_be_part_of_a_queues_name_is_refused(stage: str) -> None:
    with pytest.raises(ValueError, match="bad stage name"):
        template.engine_template(stage)
