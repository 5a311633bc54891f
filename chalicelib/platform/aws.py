"""Clients of AWS, made when first used: each one costs tens of milliseconds of a cold start."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

_CONNECTIONS = 32
_CONNECT_TIMEOUT = 1
_TABLE_CONNECT_TIMEOUT = 3.5
"""Seconds: longer than the 3 after which a lost request to connect has been sent again twice."""

_TABLE_READ_TIMEOUT = 5
_READ_TIMEOUT = 3
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
    return _client(  # type: ignore[no-any-return]
        "dynamodb", _TABLE_READ_TIMEOUT, attempts=1, connect_timeout=_TABLE_CONNECT_TIMEOUT, endpoint_url=endpoint
    )


@cache
def sqs() -> "SQSClient":
    """The queues' client."""
    return _client("sqs", _READ_TIMEOUT, attempts=_ATTEMPTS)  # type: ignore[no-any-return]


@cache
def secretsmanager() -> "SecretsManagerClient":
    """The client that reads the deployment secret."""
    return _client("secretsmanager", _READ_TIMEOUT, attempts=_ATTEMPTS)  # type: ignore[no-any-return]


def is_busy(error: "ClientError") -> bool:
    """True where a service throttled the call or failed itself: the same call may succeed later."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error.response["Error"]["Code"] in _THROTTLED or status >= _SERVER_FAILED


def _client(
    service: str, read_timeout: int, *, attempts: int, connect_timeout: float = _CONNECT_TIMEOUT, **options: Any
) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        max_pool_connections=_CONNECTIONS,
    )
    return boto3.client(service, config=config, **options)  # type: ignore[call-overload]
