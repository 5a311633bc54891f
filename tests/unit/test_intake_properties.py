"""Properties of the door that hold for every JSON value."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.core import clock, strict_json
from chalicelib.core.errors import ValidationFailed
from chalicelib.features.activity import intake
from chalicelib.features.activity.intake import Accepted, Arrival, Refused

NOW = clock.parse_instant("2026-02-23T10:00:00Z")

BUSY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""On a busy machine time says nothing of the code."""

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
TEXTS = st.text(min_size=1, max_size=300)
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.isoformat())
OBJECTS = st.dictionaries(st.text(max_size=10), VALUES, max_size=6)
KNOWN: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("user_id", "userId", "anonymous_id", "anonymousId", "messageId", "group_id"), TEXTS | VALUES),
    **dict.fromkeys(("previousId", "event", "name", "category"), TEXTS | VALUES),
    **dict.fromkeys(("timestamp", "originalTimestamp", "sentAt", "sent_at"), MOMENTS | VALUES),
    **dict.fromkeys(("traits", "properties", "context"), OBJECTS | VALUES),
}
CALLS = st.fixed_dictionaries({}, optional=KNOWN) | VALUES
KINDS = st.sampled_from(sorted(intake.TYPES))

SOUND_IDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60).filter(
    str.strip
)
SOUND = st.fixed_dictionaries(
    {"user_id": SOUND_IDS, "event": SOUND_IDS.filter(lambda text: text[0] != "$")},
    optional={
        "anonymous_id": SOUND_IDS,
        "group_id": SOUND_IDS,
        "previous_id": SOUND_IDS,
        "message_id": SOUND_IDS | st.integers(),
        "traits": st.dictionaries(st.sampled_from(["plan", "name", "seats"]), SCALARS),
        "properties": st.dictionaries(st.sampled_from(["plan", "url2", "seats"]), SCALARS),
        "timestamp": st.datetimes(min_value=datetime(1970, 1, 2)).map(lambda moment: moment.isoformat()),
        "sent_at": MOMENTS,
        "original_timestamp": MOMENTS,
    },
)


@BUSY
@given(CALLS, KINDS)
def test_any_json_is_either_accepted_within_the_bounds_or_refused_by_name(raw: Any, kind: str) -> None:
    outcome = intake.accept(raw, kind, Arrival(NOW, ip="203.0.113.9"))

    if isinstance(outcome, Refused):
        assert outcome.details
        assert all(set(entry) == {"field", "reason", "message"} for entry in outcome.details)
        return
    assert outcome.user_id or outcome.anonymous_id
    labels = (
        outcome.user_id,
        outcome.anonymous_id,
        outcome.previous_id,
        outcome.group_id,
        outcome.message_id,
        outcome.name,
    )
    assert all(0 < len(label.encode()) <= 256 and "\0" not in label for label in labels if label is not None)
    assert 0 <= outcome.timestamp <= NOW + clock.HOUR
    assert len(outcome.properties) <= 256
    assert not any(key.startswith("$") for key in outcome.traits)
    assert all(strict_json.depth(part) <= 8 for part in (outcome.traits, outcome.properties, outcome.context))


@BUSY
@given(st.fixed_dictionaries({"batch": st.lists(CALLS, min_size=1, max_size=5)}, optional=KNOWN))
def test_any_batch_is_judged_item_by_item_or_refused_whole(raw: dict[str, Any]) -> None:
    try:
        outcomes = intake.accept_batch(raw, Arrival(NOW))
    except ValidationFailed as error:
        assert error.details  # noqa: PT017 - either outcome is right, and each is checked
    else:
        assert len(outcomes) == len(raw["batch"])


@BUSY
@given(SOUND, KINDS)
def test_the_wire_keeps_all_of_an_event(raw: dict[str, Any], kind: str) -> None:
    event = intake.accept(raw, kind, Arrival(NOW, ip="203.0.113.9", historical=True))
    if isinstance(event, Accepted):
        read = strict_json.loads(strict_json.dumps(event.to_wire()).encode())

        assert Accepted.from_wire(read) == event


@BUSY
@given(SOUND, KINDS)
def test_both_spellings_of_a_field_mean_the_same(raw: dict[str, Any], kind: str) -> None:
    camel = {intake.CAMEL_NAMES.get(name, name): value for name, value in raw.items()}

    assert _essence(intake.accept(raw, kind, Arrival(NOW))) == _essence(intake.accept(camel, kind, Arrival(NOW)))


@BUSY
@given(
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2050, 1, 1)),
    st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)),
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=300)),
)
def test_skew_is_corrected_as_an_independent_reckoning_has_it(
    received: datetime, skew: timedelta, waited: timedelta
) -> None:
    """The event happened `waited` before it was sent, by a clock that is off by `skew`; sending took no time."""
    received, skew, waited = (_whole_milliseconds(value) for value in (received, skew, waited))
    sent = received + skew
    raw = {
        "user_id": "u",
        "timestamp": (sent - waited).isoformat() + "Z",
        "sentAt": sent.isoformat() + "Z",
    }
    happened = received - waited if abs(skew) > timedelta(seconds=10) else received + skew - waited

    event = intake.accept(raw, "page", Arrival(_ms(received)))

    assert isinstance(event, Accepted)
    assert event.timestamp == _ms(happened)


def _whole_milliseconds(value: Any) -> Any:
    return (
        value
        - timedelta(microseconds=value.microsecond if isinstance(value, datetime) else value.microseconds)
        + (timedelta(milliseconds=(value.microsecond if isinstance(value, datetime) else value.microseconds) // 1000))
    )


def _ms(moment: datetime) -> int:
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000)


def _essence(outcome: Accepted | Refused) -> Any:
    if isinstance(outcome, Refused):
        snake = {camel: name for name, camel in intake.CAMEL_NAMES.items()}
        return [(snake.get(entry["field"], entry["field"]), entry["reason"]) for entry in outcome.details]
    return {name: value for name, value in outcome.to_wire().items() if name != "id"}
