"""`make bench`: what a place in a long waitlist costs. On a table in memory, for calls are what counts."""

import sys

import pytest

from tests.bench import waitlists
from tests.support.wait_world import WaitWorld

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]


def test_a_place_costs_the_same_at_200_000_entries_as_at_200(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = waitlists.findings(WaitWorld(monkeypatch, is_test=False))
    lines = [f"{each.name}: budget {each.budget}; measured {each.measured}" for each in findings]
    sys.stdout.write("\n".join(["", *lines, ""]))
    assert [each.name for each in findings if not each.kept] == []
