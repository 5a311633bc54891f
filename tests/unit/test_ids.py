"""Identifiers: ULIDs as the specification writes them, in the order in which they were made."""

import secrets

import pytest

from chalicelib.core import clock, ids
from chalicelib.platform.keys import Tenant


def test_the_moment_stands_first_as_the_specification_encodes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_last", 0)
    monkeypatch.setattr(clock, "system_ms", lambda: 1_469_918_176_385)  # the specification's own example
    assert ids.new_ulid().startswith("01aryz6s41")


def test_ids_never_repeat_and_never_step_back() -> None:
    made = [ids.new_ulid() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_an_id_is_told_from_other_text() -> None:
    made = ids.new_id("cntct")
    assert ids.is_id("cntct", made)
    assert not ids.is_id("evt", made)
    assert not ids.is_id("cntct", made[:-1])
    assert not ids.is_id("cntct", made.upper())


def test_a_prefix_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown prefix"):
        ids.new_id("thing")


@pytest.mark.parametrize("is_test", [True, False])
def test_a_projects_id_says_whether_it_is_a_test_project(is_test: bool) -> None:
    made = [ids.new_project_id(is_test=is_test) for _ in range(100)]
    assert {ids.is_test_project(project_id) for project_id in made} == {is_test}
    assert {Tenant(project_id).is_test for project_id in made} == {is_test}
    assert all(ids.is_id("proj", project_id) for project_id in made)


def test_projects_made_in_one_millisecond_have_different_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_last", 0)
    monkeypatch.setattr(clock, "system_ms", lambda: 1)
    monkeypatch.setattr(secrets, "randbits", lambda _bits: 0)
    made = [ids.new_project_id(is_test=bool(n % 2)) for n in range(100)]
    assert len(set(made)) == 100
