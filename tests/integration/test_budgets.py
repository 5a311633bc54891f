"""The architecture's budgets that count calls, at 100 and at 1,000 contacts. `make bench` repeats them at 20,000."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from moto.dynamodb.models import dynamodb_backends

from tests.bench import budgets, mails, rules, world
from tests.bench.budgets import Finding
from tests.bench.world import Row, World
from tests.support import aws, ingest_queue

SIZES = (100, 1_000)
LARGE_BATCH = 45
"""In events."""


def loader(table: str) -> Callable[[Iterable[Row]], None]:
    """Writes rows into moto's table without its API and its stream."""

    def load(rows: Iterable[Row]) -> None:
        tables: Any = dynamodb_backends["123456789012"][aws.REGION].tables
        for row in rows:
            tables[table].put_item(row, overwrite=True)
        tables[table].stream_shard.items.clear()

    return load


@pytest.fixture(params=SIZES)
def populated(request: pytest.FixtureRequest, table: str) -> Iterator[World]:
    yield world.build(request.param, loader(table), LARGE_BATCH)
    ingest_queue.empty()


@pytest.mark.parametrize("measure", [*budgets.COUNTED, mails.calls], ids=lambda measure: measure.__name__)
def test_the_budget_is_kept(populated: World, measure: Callable[..., list[Finding]]) -> None:
    missed = [finding for finding in measure(populated) if finding.kept is False]
    assert missed == []


@pytest.mark.parametrize("measure", [budgets.read_contact, budgets.list_contacts], ids=lambda measure: measure.__name__)
def test_reads_cost_the_same_however_many_contacts_there_are(table: str, measure: Callable[..., list[Finding]]) -> None:
    few, many = (world.build(size, loader(table), LARGE_BATCH) for size in SIZES)
    assert measure(few) == measure(many)


def test_rules_cost_no_more_than_their_budget_allows_beside_bare_closures() -> None:
    assert rules.is_kept(*rules.measure())
