"""The infrastructure template: what `chalice package` merges, and what the local stack builds, from the same files.

`infra/resources/*.json` are parts of one CloudFormation (SAM) template. Chalice adds the functions' code, the roles
and the API's paths. The local engine gets only the resources that hold data; functions run in the local server's own
process.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

Template = dict[str, Any]
SourceKind = Literal["sqs", "dynamodb", "schedule"]

RESOURCES: Final = Path(__file__).parent / "resources"
ENGINE_TYPES: Final = frozenset(
    {
        "AWS::DynamoDB::Table",
        "AWS::S3::Bucket",
        "AWS::SES::ConfigurationSet",
        "AWS::SNS::Subscription",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::SQS::QueuePolicy",
        "AWS::SecretsManager::Secret",
    }
)

# SAM's name for an event source: our kind, the property that says what feeds it, and SAM's default batch size.
_SAM_SOURCES: Final[Mapping[str, tuple[SourceKind, str, int]]] = {
    "SQS": ("sqs", "Queue", 10),
    "DynamoDB": ("dynamodb", "Stream", 100),
    "Schedule": ("schedule", "Schedule", 1),
}


@dataclass(frozen=True, slots=True)
class EventSource:
    """What feeds one function of app.py.

    `source` is the logical id of the queue or the table, or the schedule's expression, as `rate(1 minute)`.
    """

    function: str
    kind: SourceKind
    source: str
    batch_size: int
    partial_failures: bool
    max_concurrency: int | None = None
    """How many batches of a queue may be worked on at once."""

    window_s: int = 0
    """Seconds for which records of a stream are gathered, unless a batch is full before."""


def load() -> Template:
    """The parts merged into one template. Raises ValueError where two parts define the same name."""
    merged: Template = {}
    for part in sorted(RESOURCES.glob("*.json")):
        for section, entries in json.loads(part.read_text(encoding="utf-8")).items():
            known = merged.setdefault(section, {})
            if twice := known.keys() & entries.keys():
                raise ValueError(f"{part.name} defines {section} {sorted(twice)} again")
            known.update(entries)
    return merged


def with_stage(template: Template, stage: str) -> Template:
    """A copy whose Stage parameter defaults to `stage`. Raises ValueError for a name that the parameter refuses."""
    parameter = template["Parameters"]["Stage"]
    if not re.fullmatch(parameter["AllowedPattern"], stage):
        raise ValueError(f"bad stage name {stage!r}: {parameter['ConstraintDescription']}")
    staged = copy.deepcopy(template)
    staged["Parameters"]["Stage"]["Default"] = stage
    return staged


def engine_template(stage: str) -> Template:
    """The subset that a local engine creates: table, queues and secret, with the outputs that name them."""
    whole = with_stage(load(), stage)
    resources = {name: body for name, body in whole["Resources"].items() if body.get("Type") in ENGINE_TYPES}
    outputs = {name: body for name, body in whole["Outputs"].items() if _references(body["Value"]) <= resources.keys()}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": {"Stage": whole["Parameters"]["Stage"]},
        "Resources": resources,
        "Outputs": outputs,
    }


def event_sources() -> list[EventSource]:
    """Each event source of each function, in the template's order."""
    return [
        _event_source(function_name(logical_id), event)
        for logical_id, resource in load()["Resources"].items()
        for event in resource.get("Properties", {}).get("Events", {}).values()
    ]


def visibility_timeout(queue: str) -> int:
    """Seconds that a received message of the queue with this logical id stays hidden."""
    return int(load()["Resources"][queue]["Properties"]["VisibilityTimeout"])


def max_receives(queue: str) -> int:
    """How often a message of the queue with this logical id is received before it goes to the dead-letter queue."""
    return int(load()["Resources"][queue]["Properties"]["RedrivePolicy"]["maxReceiveCount"])


def ttl_attribute() -> str:
    """The table attribute by which rows expire; for engines that ignore the template's TTL."""
    return str(load()["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]["AttributeName"])


def function_name(logical_id: str) -> str:
    """`bus_retry` for `BusRetry`: chalice makes the one of the other."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", logical_id).lower()


def _event_source(function: str, event: Mapping[str, Any]) -> EventSource:
    kind, fed_by, default_batch = _SAM_SOURCES[event["Type"]]
    properties = event["Properties"]
    return EventSource(
        function=function,
        kind=kind,
        source=_source(properties[fed_by]),
        batch_size=properties.get("BatchSize", default_batch),
        partial_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", ()),
        max_concurrency=properties.get("ScalingConfig", {}).get("MaximumConcurrency"),
        window_s=properties.get("MaximumBatchingWindowInSeconds", 0),
    )


def _source(value: str | Mapping[str, Any]) -> str:
    return value if isinstance(value, str) else str(value["Fn::GetAtt"][0])


def _references(value: Any) -> set[str]:
    """Logical ids that a Ref or Fn::GetAtt inside the value names."""
    return set(_walk_references(value))


def _walk_references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _walk_references(entry)
    elif isinstance(value, dict):
        for key, entry in value.items():
            if key == "Ref":
                yield entry
            elif key == "Fn::GetAtt":
                yield entry[0]
            else:
                yield from _walk_references(entry)
