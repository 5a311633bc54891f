"""What the functions are told by their environment, as one validated model.

A plain dataclass: workers have no other use for pydantic, whose import is a third of their start.
"""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any

_PREFIX = "GROWTHOS_"
_NUMBERS = {"ingest_lanes": 1024, "athena_above_mb": 1_000_000}
"""The most that each number may be; the least is 1."""


class ConfigurationError(Exception):
    """The environment lacks something, or says something that cannot be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Each field is read from `GROWTHOS_<NAME>`; a missing or malformed one stops the function at its start."""

    stage: str
    table: str
    ingest_queue_url: str
    bus_queue_url: str
    jobs_queue_url: str
    timers_queue_url: str
    webhooks_queue_url: str
    webhooks_slow_queue_url: str
    mails_queue_url: str
    feedback_queue_url: str
    lake_queue_url: str
    bucket: str
    secret_arn: str
    log_level: str = "INFO"
    ingest_lanes: int = 64
    mail_configuration_set: str = ""
    mail_topic_arn: str = ""
    """Where the mail service tells of mails: what comes by HTTPS is taken from this topic only."""

    public_url: str = ""
    """Where the links of mails lead: the address of this deployment, without a slash at its end."""

    analytics_function: str = ""
    """The function that answers analytics questions; empty: whoever asks answers itself, as on one machine."""

    athena_workgroup: str = ""
    """Where questions to large lakes are asked; empty: the embedded engine answers all."""

    athena_database: str = ""
    athena_above_mb: int = 350
    """Megabytes of live objects of a project above which its questions go to Athena."""

    allow_private_webhooks: str = ""
    """Not empty: webhooks may go to private addresses and over plain http, as on a developer's machine."""

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """The settings in an environment. Raises ConfigurationError with every fault; no value is repeated in it."""
        values: dict[str, Any] = {}
        faults: list[str] = []
        for each in fields(cls):
            name = _PREFIX + each.name.upper()
            text = environment.get(name)
            if text:
                values[each.name] = text
            elif each.default is MISSING:
                faults.append(f"{name} is missing")
        for number, most in _NUMBERS.items():
            text = values.get(number)
            if text is not None and text.isascii() and text.isdecimal() and 1 <= int(text) <= most:
                values[number] = int(text)
            elif text is not None:
                faults.append(f"{_PREFIX}{number.upper()} is a whole number from 1 to {most}")
        if faults:
            raise ConfigurationError("; ".join(faults))
        return cls(**values)


@cache
def settings() -> Settings:
    """The deployment's settings, read once. Raises ConfigurationError."""
    return Settings.read(os.environ)
