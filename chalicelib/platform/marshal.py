"""Between plain Python values and the table's typed ones, and the text of condition expressions.

boto3 is imported when first used: its import costs more than everything else that a function loads.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boto3.dynamodb.conditions import Attr, ConditionBase

    Condition = ConditionBase
else:
    Condition = Any

Item = dict[str, Any]


def attr(name: str) -> "Attr":
    """An attribute in a condition: `attr("version").eq(3) & attr("PK").not_exists()`."""
    from boto3.dynamodb.conditions import Attr

    return Attr(name)


def to_item(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """The table's form of an item; attributes that are None are left out."""
    return {name: to_value(value) for name, value in attrs.items() if value is not None}


def from_item(raw: Mapping[str, Any]) -> Item:
    """A plain item. Numbers come back as int: the table holds no other ones.

    Neither this nor `to_value` is boto3's way: a page of a list has over a thousand values, and this is much faster.
    """
    return {name: value["S"] if "S" in value else _plain(value) for name, value in raw.items()}


def _plain(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    if kind in ("S", "BOOL"):
        return content
    return _PLAIN[kind](content)


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "N": int,
    "B": bytes,
    "NULL": lambda _: None,
    "L": lambda content: [_plain(each) for each in content],
    "M": from_item,
    "SS": set,
    "NS": lambda content: {int(each) for each in content},
    "BS": lambda content: {bytes(each) for each in content},
}


def to_value(value: Any) -> Any:
    """The table's form of one value. Raises TypeError for what it does not hold: floats, and sets that are empty."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, list | tuple):
        return {"L": [to_value(each) for each in value]}
    if isinstance(value, Mapping):
        return {"M": {name: to_value(each) for name, each in value.items()}}
    return _rare_value(value)


def _rare_value(value: Any) -> Any:
    if value is None:
        return {"NULL": True}
    if isinstance(value, bytes):
        return {"B": value}
    kinds = {type(each) for each in value} if isinstance(value, set | frozenset) else set()
    if kinds == {str}:
        return {"SS": list(value)}
    if kinds == {int}:
        return {"NS": [str(each) for each in value]}
    if kinds == {bytes}:
        return {"BS": list(value)}
    raise TypeError(f"the table does not hold a {type(value).__name__} like this")


def key_condition(
    index: str | None,
    pk: str,
    between: tuple[str, str] | None,
    prefix: str | None,
    names: dict[str, str],
    values: dict[str, Any],
) -> str:
    """The key condition of a query on the table or on one of its indexes; its names and values are added."""
    pk_name, sk_name = (f"{index}_pk", f"{index}_sk") if index else ("PK", "SK")
    names["#k0"], values[":k0"] = pk_name, pk
    if between is None and prefix is None:
        return "#k0 = :k0"
    names["#k1"] = sk_name
    if between is not None:
        values[":k1"], values[":k2"] = between
        return "#k0 = :k0 AND #k1 BETWEEN :k1 AND :k2"
    values[":k1"] = prefix
    return "#k0 = :k0 AND begins_with(#k1, :k1)"


def render(condition: "ConditionBase", names: dict[str, str], values: dict[str, Any]) -> str:
    """The expression text of a condition; its names and values are added to the two dictionaries."""
    from boto3.dynamodb.conditions import ConditionExpressionBuilder

    built = ConditionExpressionBuilder().build_expression(condition, is_key_condition=False)
    text = str(built.condition_expression).replace("#n", "#c").replace(":v", ":c")
    names |= {name.replace("#n", "#c"): value for name, value in built.attribute_name_placeholders.items()}
    values |= {name.replace(":v", ":c"): value for name, value in built.attribute_value_placeholders.items()}
    return text
