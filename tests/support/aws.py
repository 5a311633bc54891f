"""The AWS of the tests: moto in this process, with the resources of the real template."""

import copy
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import boto3

from chalicelib.platform import aws, config, outbound, secrets
from infra.template import engine_template, ttl_attribute

STAGE = "test"
REGION: Final = "eu-central-1"
ACCOUNT = "123456789012"
times_cleared = 0
"""How often a table was emptied: its stream then begins anew."""

STANDARD_QUEUES = ("bus", "jobs", "timers", "mails", "feedback", "lake")
FIFO_QUEUES = ("ingest", "webhooks", "webhooks_slow")

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
    "AWS_EC2_METADATA_DISABLED": "true",
    "GROWTHOS_STAGE": STAGE,
    "GROWTHOS_LOG_LEVEL": "INFO",
    "GROWTHOS_INGEST_LANES": "64",
    "GROWTHOS_PUBLIC_URL": "https://mail.acme.test",
    "POWERTOOLS_METRICS_NAMESPACE": "GrowthOS",
}


def set_environment() -> None:
    """To be called before anything reads it."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "DYNAMODB_ENDPOINT"):
        os.environ.pop(name, None)
    os.environ.update(ENVIRONMENT)


def create_table() -> str:
    """A new table as the template describes it, which becomes the one of the settings; its name."""
    properties = dict(engine_template(STAGE)["Resources"]["Table"]["Properties"])
    stream = properties["StreamSpecification"]["StreamViewType"]
    name = f"growthos-test-{uuid.uuid4().hex[:12]}"
    aws.dynamodb().create_table(
        TableName=name,
        AttributeDefinitions=properties["AttributeDefinitions"],
        KeySchema=properties["KeySchema"],
        GlobalSecondaryIndexes=properties["GlobalSecondaryIndexes"],
        BillingMode=properties["BillingMode"],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": stream},
    )
    aws.dynamodb().update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": ttl_attribute()}
    )
    return name


def create_queues() -> dict[str, str]:
    """The queues that the functions send to, as settings."""
    urls = {}
    for name in FIFO_QUEUES:
        made = aws.sqs().create_queue(QueueName=f"growthos-test-{name}.fifo", Attributes={"FifoQueue": "true"})
        urls[f"GROWTHOS_{name.upper()}_QUEUE_URL"] = made["QueueUrl"]
    for name in STANDARD_QUEUES:
        made = aws.sqs().create_queue(QueueName=f"growthos-test-{name}")
        urls[f"GROWTHOS_{name.upper()}_QUEUE_URL"] = made["QueueUrl"]
    return urls


@dataclass(frozen=True, slots=True)
class Queued:
    """A message in a queue, and the seconds for which it was sent to be delayed."""

    body: str
    delay_s: int
    group: str


def waiting(url: str) -> list[Queued]:
    """The messages in a queue, delayed ones too."""
    return [
        Queued(
            message.body,
            round(max(0, message.delayed_until - message.sent_timestamp) / 1000),
            message.group_id or "",
        )
        for message in _queue(url)._messages
    ]


def take(url: str) -> list[Queued]:
    """The same; the messages leave the queue. The service itself would hold delayed ones back, and purge rarely."""
    found = waiting(url)
    _queue(url)._messages.clear()
    _queue(url)._pending_messages.clear()
    return found


def clear_queues() -> None:
    """Empty all queues."""
    for name in (*FIFO_QUEUES, *STANDARD_QUEUES):
        take(getattr(config.settings(), f"{name}_queue_url"))


def _queue(url: str) -> Any:
    from moto.sqs.models import sqs_backends

    return sqs_backends[ACCOUNT][REGION].queues[url.rpartition("/")[2]]


def create_bucket() -> str:
    """The bucket in which the lake lies; its name."""
    name = "growthos-test-lake"
    aws.s3().create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def clear_bucket() -> None:
    """Empty the bucket without its API."""
    from moto.s3.models import s3_backends

    s3_backends[ACCOUNT]["aws"].buckets[config.settings().bucket].keys.clear()


def create_secret() -> str:
    """The deployment secret's ARN."""
    made = aws.secretsmanager().create_secret(Name="growthos-test-secret", SecretString="s" * 64)
    return made["ARN"]


def use(**environment: str) -> None:
    """Change the environment and let the settings be read again."""
    os.environ.update(environment)
    config.settings.cache_clear()


def drop(*names: str) -> None:
    """Take settings out of the environment again, for others inherit it."""
    for name in names:
        os.environ.pop(name, None)
    config.settings.cache_clear()


@contextmanager
def private_webhooks() -> Iterator[None]:
    """Webhooks may go to this machine within; nothing of it is left in the environment, for others inherit that."""
    use(GROWTHOS_ALLOW_PRIVATE_WEBHOOKS="1")
    try:
        yield
    finally:
        del os.environ["GROWTHOS_ALLOW_PRIVATE_WEBHOOKS"]
        config.settings.cache_clear()
        outbound.forget()


def clear_table(name: str) -> None:
    """Empty moto's table without its API, which is many times faster than to make another."""
    from moto.dynamodb.models import dynamodb_backends

    tables: Any = dynamodb_backends[ACCOUNT][REGION].tables
    tables[name].items.clear()
    global times_cleared
    times_cleared += 1
    if tables[name].stream_shard is not None:
        tables[name].stream_shard.items.clear()


def rows_of(name: str) -> Any:
    """What moto's table holds, for `put_back`."""
    return copy.deepcopy(_items(name))


def put_back(name: str, rows: Any) -> None:
    """Let the table hold these rows and no others, with nothing in its stream: faster than to have them made again."""
    clear_table(name)
    _items(name).update(copy.deepcopy(rows))


def _items(name: str) -> Any:
    from moto.dynamodb.models import dynamodb_backends

    return dynamodb_backends[ACCOUNT][REGION].tables[name].items


def forget_clients() -> None:
    """So that clients are made under the mock."""
    clients = (aws.dynamodb, aws.sqs, aws.ses, aws.s3, aws.athena, aws.functions, aws.secretsmanager)
    for cached in (*clients, secrets.derive, secrets._deployment_secret):
        cached.cache_clear()
    boto3.DEFAULT_SESSION = None
