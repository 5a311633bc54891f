"""Clients of AWS, made when first used: each one costs tens of milliseconds of a cold start."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ses import SESClient
    from mypy_boto3_sqs import SQSClient

_CONNECTIONS = 32
_CONNECT_TIMEOUT = 1
_TABLE_READ_TIMEOUT = 5
_READ_TIMEOUT = 3
_MAIL_READ_TIMEOUT = 10
_OBJECT_READ_TIMEOUT = 20
_FUNCTION_READ_TIMEOUT = 29
_ATTEMPTS = 2
_THROTTLED = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)
_SERVER_FAILED = 500


@cache
def dynamodb() -> "DynamoDBClient":
    """The table's client; DYNAMODB_ENDPOINT points it to another engine than the rest.

    It makes one attempt: `table` tries again, and knows until when.
    """
    endpoint = os.environ.get("DYNAMODB_ENDPOINT") or None
    return _client("dynamodb", _TABLE_READ_TIMEOUT, attempts=1, endpoint_url=endpoint)  # type: ignore[no-any-return]


@cache
def sqs() -> "SQSClient":
    """The queues' client."""
    return _client("sqs", _READ_TIMEOUT, attempts=_ATTEMPTS)  # type: ignore[no-any-return]


@cache
def secretsmanager() -> "SecretsManagerClient":
    """The client that reads the deployment secret."""
    return _client("secretsmanager", _READ_TIMEOUT, attempts=_ATTEMPTS)  # type: ignore[no-any-return]


@cache
def s3() -> "S3Client":
    """The client of the bucket in which the lake lies."""
    return _client("s3", _OBJECT_READ_TIMEOUT, attempts=3)  # type: ignore[no-any-return]


@cache
def functions() -> "LambdaClient":
    """The client that calls other functions of the deployment. It makes one attempt: its callers answer a request."""
    return _client("lambda", _FUNCTION_READ_TIMEOUT, attempts=1)  # type: ignore[no-any-return]


@cache
def athena() -> "AthenaClient":
    """The client of the query service that answers where a project's lake is too large for one function."""
    return _client("athena", _READ_TIMEOUT, attempts=_ATTEMPTS)  # type: ignore[no-any-return]


@cache
def ses() -> "SESClient":
    """The mail service's client. It makes one attempt: a second one may be a second mail."""
    return _client("ses", _MAIL_READ_TIMEOUT, attempts=1)  # type: ignore[no-any-return]


def is_busy(error: "ClientError") -> bool:
    """True where a service throttled the call or failed itself: the same call may succeed later."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error.response["Error"]["Code"] in _THROTTLED or status >= _SERVER_FAILED


def _client(service: str, read_timeout: int, *, attempts: int, **options: Any) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=_CONNECT_TIMEOUT,
        read_timeout=read_timeout,
        max_pool_connections=_CONNECTIONS,
    )
    return boto3.client(service, config=config, **options)  # type: ignore[call-overload]
