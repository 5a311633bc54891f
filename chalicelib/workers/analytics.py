"""The function that answers questions of analytics; the API calls it."""

from collections.abc import Mapping
from typing import Any

from chalicelib.flows.analytics import ask


def handle(event: Mapping[str, Any]) -> dict[str, Any]:
    """`{project, question, now}` to the answer. Raises Unavailable."""
    return ask.asked(dict(event))
