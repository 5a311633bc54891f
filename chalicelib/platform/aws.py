"""Clients of AWS, made when first used: each one costs tens of milliseconds of a cold start."""

import os
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

_CONNECTIONS = 32
_CONNECT_TIMEOUT = 2
_READ_TIMEOUT = 10
_ATTEMPTS = 4


@cache
def dynamodb() -> "DynamoDBClient":
    """The table's client; DYNAMODB_ENDPOINT points it to another engine than the rest."""
    return _client("dynamodb", endpoint_url=os.environ.get("DYNAMODB_ENDPOINT") or None)  # type: ignore[no-any-return]


@cache
def sqs() -> "SQSClient":
    """The queues' client."""
    return _client("sqs")  # type: ignore[no-any-return]


@cache
def secretsmanager() -> "SecretsManagerClient":
    """The client that reads the deployment secret."""
    return _client("secretsmanager")  # type: ignore[no-any-return]


def _client(service: str, **options: Any) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        connect_timeout=_CONNECT_TIMEOUT,
        read_timeout=_READ_TIMEOUT,
        max_pool_connections=_CONNECTIONS,
    )
    return boto3.client(service, config=config, **options)  # type: ignore[call-overload]
