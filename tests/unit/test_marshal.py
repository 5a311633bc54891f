"""Items come back from the table as they went in, and as boto3 itself would read them."""

from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.platform.marshal import from_item, to_item, to_value

LEAVES = st.none() | st.booleans() | st.integers(-(10**37), 10**37) | st.text()
SETS = st.sets(st.text(min_size=1), min_size=1) | st.sets(st.integers(-9, 9), min_size=1)
VALUES = st.recursive(
    LEAVES | SETS | st.binary(min_size=1) | st.sets(st.binary(min_size=1), min_size=1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1), VALUES, max_size=6))
def test_an_item_comes_back_as_it_went_in(item: dict[str, Any]) -> None:
    raw = to_item(item)
    back = from_item(raw)
    assert back == {name: value for name, value in item.items() if value is not None}
    assert all(type(back[name]) is type(item[name]) for name in back)


def test_every_type_of_the_table_reads_as_boto3_reads_it() -> None:
    raw: dict[str, Any] = {
        "text": {"S": "x"},
        "number": {"N": "-12"},
        "bytes": {"B": b"x"},
        "flag": {"BOOL": False},
        "nothing": {"NULL": True},
        "list": {"L": [{"S": "x"}, {"N": "1"}]},
        "map": {"M": {"x": {"N": "1"}}},
        "texts": {"SS": ["a", "b"]},
        "numbers": {"NS": ["1", "2"]},
        "blobs": {"BS": [b"a"]},
    }
    deserialize = TypeDeserializer().deserialize
    assert from_item(raw) == {name: deserialize(value) for name, value in raw.items()}


@given(st.dictionaries(st.text(min_size=1), VALUES, max_size=6))
def test_an_item_is_written_as_boto3_writes_it(item: dict[str, Any]) -> None:
    deserialize = TypeDeserializer().deserialize
    serialize = TypeSerializer().serialize
    for value in item.values():
        assert deserialize(to_value(value)) == deserialize(serialize(value))


@pytest.mark.parametrize("value", [1.5, set(), {1, "a"}, object(), {1.5}])
def test_what_the_table_does_not_hold_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="does not hold"):
        to_value(value)
