"""Paths of faults, for models with unions of every kind."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from chalicelib.edge import locations


class Leaf(BaseModel):
    kind: Literal["leaf"] = "leaf"
    value: int


class Tree(BaseModel):
    kind: Literal["tree"] = "tree"
    all_of: list["Node"]


Node = Annotated[Leaf | Tree, Field(discriminator="kind")]


class Whole(BaseModel):
    number: int | float = 0
    either: int | list[Leaf] | Leaf | dict[str, int] | None = None
    node: Node | None = None
    names: dict[Annotated[str, Field(min_length=2)], int] = {}
    renamed: Annotated[int | None, Field(alias="from")] = None


def fields(given: dict[str, Any]) -> set[str]:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(given)
    return {locations.dotted(fault["loc"], Whole) for fault in caught.value.errors()}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"number": "x"}, {"number"}),
        ({"number": {"int": 1}}, {"number"}),
        ({"either": {"Leaf": {"value": 1}}}, {"either", "either.value", "either.Leaf"}),
        ({"either": [{"value": "x"}]}, {"either", "either.0.value"}),
        ({"node": {"kind": "leaf"}}, {"node.value"}),
        ({"node": {"kind": "tree", "all_of": [{"kind": "leaf", "value": "x"}]}}, {"node.all_of.0.value"}),
        ({"node": {"kind": "tree", "all_of": [{"kind": "nope"}]}}, {"node.all_of.0"}),
        ({"names": {"x": 1}}, {"names.x"}),
        ({"names": {"xy": "z"}}, {"names.xy"}),
        ({"from": "x"}, {"from"}),
    ],
)
def test_a_path_has_fields_and_positions_and_no_branches(given: dict[str, Any], expected: set[str]) -> None:
    assert fields(given) == expected
