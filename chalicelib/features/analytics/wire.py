"""Questions as JSON, for the function that answers them. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from chalicelib.features.analytics.model import (
    CohortQuestion,
    Figures,
    Filter,
    FunnelQuestion,
    Path,
    Question,
    Series,
    Span,
    Step,
)


def to_wire(question: Question) -> dict[str, Any]:
    """The question as a JSON object."""
    return {"kind": type(question).__name__, **asdict(question)}


def of_wire(wire: Mapping[str, Any]) -> Question:
    """The question that `to_wire` made it of. Raises KeyError where there is none such."""
    fields = {name: value for name, value in wire.items() if name != "kind"}
    return _READERS[wire["kind"]](fields | {"span": Span(**wire["span"])})


def _series(fields: Mapping[str, Any]) -> Series:
    group_by = fields["group_by"]
    filters = tuple(map(_filter, fields["filters"]))
    return Series(**{**fields, "filters": filters, "group_by": Path(**group_by) if group_by else None})


def _funnel(fields: Mapping[str, Any]) -> FunnelQuestion:
    return FunnelQuestion(**{**fields, "steps": tuple(map(_step, fields["steps"]))})


def _cohort(fields: Mapping[str, Any]) -> CohortQuestion:
    return CohortQuestion(**{**fields, "entry": _step(fields["entry"]), "comeback": _step(fields["comeback"])})


def _step(wire: Mapping[str, Any]) -> Step:
    return Step(wire["event"], tuple(map(_filter, wire["filters"])))


def _filter(wire: Mapping[str, Any]) -> Filter:
    return Filter(Path(**wire["path"]), tuple(wire["values"]))


_READERS: dict[str, Callable[[Mapping[str, Any]], Question]] = {
    Series.__name__: _series,
    FunnelQuestion.__name__: _funnel,
    CohortQuestion.__name__: _cohort,
    Figures.__name__: lambda fields: Figures(**fields),
}
