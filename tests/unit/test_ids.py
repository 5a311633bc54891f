"""Identifiers: ULIDs as the specification writes them, in the order in which they were made."""

import pytest

from chalicelib.core import clock, ids


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
