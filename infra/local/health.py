"""Whether every part of the local stack is up, as `GET /health` tells it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local.engine import is_healthy
from infra.local.heartbeat import living_pid
from infra.local.home import home_from, read_json

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_TIMEOUT_S = 2


def probe() -> Mapping[str, bool]:
    """For each part, whether it answers now."""
    home = home_from(os.environ)
    stack = read_json(home.stack_json) or {}
    engine = is_healthy(stack.get("engine_port", 0))
    return {"engine": engine, "table": _table_answers(), "pump": living_pid(home.heartbeat) is not None}


def _table_answers() -> bool:
    try:
        status = _dynamodb().describe_table(TableName=os.environ["GROWTHOS_TABLE"])["Table"]["TableStatus"]
    except (BotoCoreError, ClientError):
        return False
    return status == "ACTIVE"


@cache
def _dynamodb() -> DynamoDBClient:
    config = Config(connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S, retries={"total_max_attempts": 1})
    return boto3.client("dynamodb", endpoint_url=os.environ.get("DYNAMODB_ENDPOINT") or None, config=config)
