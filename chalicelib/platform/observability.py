"""Structured logs and metrics. Never a key, a secret or an address goes into either."""

import logging
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from aws_lambda_powertools.metrics import MetricUnit

logger = Logger(service="growthos", level=os.environ.get("GROWTHOS_LOG_LEVEL", "INFO"), utc=True, location=None)
# Whoever sets up the root logger (Lambda does, and servers may) would write each line again.
logging.getLogger("growthos").propagate = False


def bind(**fields: str | None) -> None:
    """Add fields (request_id, project_id, key_id) to every line that this invocation logs from here on."""
    logger.thread_safe_append_keys(**fields)


def unbind() -> None:
    """Forget the fields of the invocation before."""
    logger.thread_safe_clear_keys()


def metric(name: str, value: float = 1, *, unit: str = "Count", **dimensions: str) -> None:
    """One CloudWatch metric as an embedded line of the log (no call is made)."""
    from aws_lambda_powertools.metrics import single_metric

    with single_metric(name=name, unit=_unit(unit), value=value, namespace="GrowthOS") as line:
        for key, text in dimensions.items():
            line.add_dimension(name=key, value=text)


@cache
def _unit(name: str) -> "MetricUnit":
    from aws_lambda_powertools.metrics import MetricUnit

    return MetricUnit(name)


def log_failure(message: str, **fields: Any) -> None:
    """Log an unexpected failure with its traceback; called from an `except` block."""
    logger.exception(message, extra=fields)
