"""What the documents say of ingest bodies never refuses what the door accepts."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from chalicelib.core import clock
from chalicelib.features.activity import intake
from chalicelib.features.activity.intake import Accepted, Arrival
from chalicelib.features.activity.schemas import Batch, event_schema

NOW = clock.parse_instant("2026-02-23T10:00:00Z")

BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""On a busy machine time says nothing of the code."""

_ids: st.SearchStrategy[Any] = st.none() | st.text(max_size=5) | st.integers() | st.booleans() | st.just([])
_values = st.integers() | st.text(max_size=3)
_objects = st.none() | st.dictionaries(st.text(max_size=3), _values, max_size=2) | st.just("x")
_moments = st.none() | st.sampled_from(["2026-02-23T09:00:00Z", "2026-02-23", "then", 5])
_calls = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("user_id", "anonymous_id", "previous_id", "group_id", "message_id"), _ids),
        **dict.fromkeys(("event", "name", "category"), _ids),
        **dict.fromkeys(("traits", "properties", "context"), _objects),
        **dict.fromkeys(("timestamp", "original_timestamp"), _moments),
    },
)
_kinds = st.sampled_from(sorted(intake.TYPES))


@BUSY
@given(_calls, _kinds, st.booleans())
def test_what_the_door_accepts_fits_the_schema(raw: dict[str, Any], kind: str, is_camel: bool) -> None:
    body = {intake.CAMEL_NAMES.get(name, name): value for name, value in raw.items()} if is_camel else raw

    if isinstance(intake.accept(body, kind, Arrival(NOW)), Accepted):
        assert list(Draft202012Validator(event_schema(kind)).iter_errors(body)) == []


@BUSY
@given(st.lists(st.tuples(_calls, _kinds), min_size=1, max_size=3))
def test_a_batch_that_the_door_accepts_fits_the_schema(items: list[tuple[dict[str, Any], str]]) -> None:
    body = {"batch": [raw | {"type": kind} for raw, kind in items]}

    if all(isinstance(outcome, Accepted) for outcome in intake.accept_batch(body, Arrival(NOW))):
        assert list(Draft202012Validator(Batch.model_json_schema()).iter_errors(body)) == []
