"""The operator's function that makes a project."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from chalicelib.core import clock
from chalicelib.core.errors import ValidationFailed, detail
from chalicelib.flows import create_project

_FIELDS = ("name", "mode", "plan")


def handle(event: Mapping[str, Any]) -> dict[str, Any]:
    """`{name, mode?, plan?}` to `{project_id, secret_key, write_key}`. Raises ValidationFailed with every fault."""
    unknown = [detail(str(name), "unknown", f"One of {', '.join(_FIELDS)}.") for name in event if name not in _FIELDS]
    if unknown:
        raise ValidationFailed("The project can't be made like this.", details=unknown)
    given = {"name": ""} | dict(event)
    return asdict(create_project.run(**given, now=clock.system_ms()))
