"""Between plain Python values and the table's typed ones, and the text of condition expressions."""

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.conditions import Attr, ConditionBase, ConditionExpressionBuilder
from boto3.dynamodb.conditions import Key as KeyAttribute
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

Item = dict[str, Any]
Condition = ConditionBase


class _Integers(TypeDeserializer):
    """Numbers come back as int: the table holds no other ones."""

    def _deserialize_n(self, value: str) -> int:
        return int(value)

    def _deserialize_b(self, value: bytes) -> bytes:
        return bytes(value)


_serialize = TypeSerializer().serialize
_deserialize = _Integers().deserialize


def attr(name: str) -> Attr:
    """An attribute in a condition: `attr("version").eq(3) & attr("PK").not_exists()`."""
    return Attr(name)


def to_item(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The table's form of an item; attributes that are None are left out."""
    return {name: _serialize(value) for name, value in attrs.items() if value is not None}


def from_item(raw: Mapping[str, Any]) -> Item:
    """A plain item."""
    return {name: _deserialize(value) for name, value in raw.items()}


def to_value(value: Any) -> Any:
    """The table's form of one value."""
    return _serialize(value)


def key_equals(
    index: str | None, pk: str, between: tuple[str, str] | None = None, prefix: str | None = None
) -> Condition:
    """The key condition of a query on the table or on one of its indexes."""
    pk_name, sk_name = (f"{index}_pk", f"{index}_sk") if index else ("PK", "SK")
    condition: Condition = KeyAttribute(pk_name).eq(pk)
    if between is not None:
        condition = condition & KeyAttribute(sk_name).between(*between)
    elif prefix is not None:
        condition = condition & KeyAttribute(sk_name).begins_with(prefix)
    return condition


def render(condition: Condition, names: dict[str, str], values: dict[str, Any], *, is_key: bool = False) -> str:
    """The expression text of a condition; its names and values are added to the two dictionaries."""
    built = ConditionExpressionBuilder().build_expression(condition, is_key_condition=is_key)
    tag = "k" if is_key else "c"
    text = str(built.condition_expression).replace("#n", f"#{tag}").replace(":v", f":{tag}")
    names |= {name.replace("#n", f"#{tag}"): value for name, value in built.attribute_name_placeholders.items()}
    values |= {name.replace(":v", f":{tag}"): value for name, value in built.attribute_value_placeholders.items()}
    return text
