"""Other functions of the deployment, called and waited for."""

from collections.abc import Mapping
from typing import Any

from chalicelib.core import strict_json
from chalicelib.core.errors import Unavailable
from chalicelib.platform import aws


class FunctionFailed(Exception):
    """The function raised; its own log tells why."""


def invoke(name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the function returns. Raises Unavailable where it can't be called, FunctionFailed where it failed."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer: Mapping[str, Any] = aws.functions().invoke(
            FunctionName=name, Payload=strict_json.dumps(dict(payload)).encode()
        )
        told = strict_json.loads(answer["Payload"].read())
    except (BotoCoreError, ClientError) as error:
        raise Unavailable from error
    if "FunctionError" in answer:
        if isinstance(told, dict) and told.get("errorType") == Unavailable.__name__:
            raise Unavailable
        raise FunctionFailed(name)
    return dict(told)
