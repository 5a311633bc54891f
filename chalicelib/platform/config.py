"""What the functions are told by their environment, as one validated model."""

import os
from functools import cache

from pydantic import BaseModel, ConfigDict, Field

_PREFIX = "GROWTHOS_"


class Settings(BaseModel):
    """Each field is read from `GROWTHOS_<NAME>`; a missing or malformed one stops the function at its start."""

    model_config = ConfigDict(frozen=True)

    stage: str
    table: str
    ingest_queue_url: str
    bus_queue_url: str
    secret_arn: str
    log_level: str = "INFO"
    ingest_lanes: int = Field(default=64, ge=1, le=1024)


@cache
def settings() -> Settings:
    """The deployment's settings, read once. Raises pydantic.ValidationError where one is missing."""
    values = {name: os.environ.get(_PREFIX + name.upper()) for name in Settings.model_fields}
    return Settings.model_validate({name: value for name, value in values.items() if value is not None})
