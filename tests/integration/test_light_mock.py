"""The mock that is made lighter for the tests answers as it would by itself, and takes back what has failed."""

from collections.abc import Callable
from typing import Any

import pytest
from moto.dynamodb.models import dynamodb_backends

from chalicelib.platform import aws
from chalicelib.platform.config import settings
from tests.support import aws as support
from tests.support import light_mock, pipeline

KINDS: dict[str, Any] = {
    "text": {"S": "a"},
    "empty": {"S": ""},
    "number": {"N": "1.5"},
    "bytes": {"B": b"\x00\xff"},
    "true": {"BOOL": True},
    "false": {"BOOL": False},
    "nothing": {"NULL": True},
    "texts": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "blobs": {"BS": [b"\x01", b"\x02"]},
    "list": {"L": [{"S": "S"}, {"L": []}, {"M": {}}]},
    "map": {"M": {"S": {"N": "1"}, "N": {"L": [{"NULL": True}]}, "String": {"M": {"BOOL": {"BOOL": False}}}}},
}


def key(name: str) -> dict[str, Any]:
    return {"PK": {"S": "P#light"}, "SK": {"S": name}}


def put(name: str, **attributes: Any) -> dict[str, Any]:
    return {"Put": {"TableName": settings().table, "Item": key(name) | attributes}}


def update(name: str, condition: str | None = None) -> dict[str, Any]:
    changed = {
        "TableName": settings().table,
        "Key": key(name),
        "UpdateExpression": "SET n.deep = :one ADD heard :heard",
        "ExpressionAttributeValues": {":one": {"N": "1"}, ":heard": {"SS": ["b"]}},
    }
    return {"Update": changed | ({"ConditionExpression": condition} if condition else {})}


def delete(name: str) -> dict[str, Any]:
    return {"Delete": {"TableName": settings().table, "Key": key(name)}}


def stored(table: str) -> list[Any]:
    """All that the mock holds of the table, seen without its service."""
    tables: Any = dynamodb_backends[support.ACCOUNT][support.REGION].tables
    return [row.to_json() for rows in tables[table].items.values() for row in rows.values()]


@pytest.mark.parametrize(
    "fails",
    [
        pytest.param(lambda: update("standing", "attribute_not_exists(PK)"), id="a condition"),
        pytest.param(lambda: put("new"), id="one item twice"),
    ],
)
def test_a_transaction_that_fails_leaves_every_row_and_the_stream_as_they_were(
    table: str, fails: Callable[[], Any]
) -> None:
    standing = {"n": {"M": {"deep": {"N": "0"}}}, "heard": {"SS": ["a"]}}
    for name in ("standing", "replaced", "updated", "deleted"):
        aws.dynamodb().put_item(TableName=table, Item=key(name) | standing)
    before, told = stored(table), pipeline.stream_records()
    done: list[Any] = [put("new"), put("replaced"), update("updated"), delete("deleted")]
    with pytest.raises(aws.dynamodb().exceptions.ClientError):
        aws.dynamodb().transact_write_items(TransactItems=[*done, fails()])
    assert sorted(map(str, stored(table))) == sorted(map(str, before))
    assert pipeline.stream_records() == told
    aws.dynamodb().transact_write_items(TransactItems=done)
    assert len(pipeline.stream_records()) == len(told) + len(done)


def test_items_lists_and_the_stream_are_told_as_the_mock_tells_them_by_itself(
    table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.dynamodb().put_item(TableName=table, Item=key("all") | KINDS)
    for n, name in enumerate(("b", "a", "é", "Z", "a#")):
        listed = {"list_pk": {"S": "listed"}, "list_sk": {"S": str(n // 2)}}
        aws.dynamodb().put_item(TableName=table, Item=key(name) | listed)
        aws.dynamodb().put_item(TableName=table, Item={"PK": {"S": f"P#{name}"}, "SK": {"S": "last"}} | listed)

    def queried(pk: str, value: str, **options: Any) -> Any:
        named: Any = {"KeyConditionExpression": f"{pk} = :pk", "ExpressionAttributeValues": {":pk": {"S": value}}}
        return [
            aws.dynamodb().query(TableName=table, **named, **options, ScanIndexForward=forward, Limit=limit)["Items"]
            for forward in (True, False)
            for limit in (4, 100)
        ]

    def told() -> list[Any]:
        item = aws.dynamodb().get_item(TableName=table, Key=key("all"))["Item"]
        rows = aws.dynamodb().scan(TableName=table)["Items"]
        lists = [queried("PK", "P#light"), queried("list_pk", "listed", IndexName="list")]
        return [item, rows, lists, pipeline.stream_records()]

    light = told()
    assert light[0] == key("all") | KINDS
    assert len(light[2][1][1]) == 10
    for owner, name, own in light_mock.BY_ITSELF:
        monkeypatch.setattr(owner, name, own)
    assert told() == light
