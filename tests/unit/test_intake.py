"""What the door makes of one event, rule by rule."""

from typing import Any

import pytest

from chalicelib.core import clock, strict_json
from chalicelib.core.errors import ValidationFailed
from chalicelib.features.activity import intake
from chalicelib.features.activity.intake import Accepted, Arrival, Refused
from tests.support.door import ARRIVAL, NOW, refused, taken


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("raw", "user", "anonymous"),
    [
        ({"user_id": "u", "anonymous_id": None}, "u", None),
        ({"user_id": "", "anonymous_id": "a"}, None, "a"),
        ({"user_id": 17, "anonymous_id": -3}, "17", "-3"),
        ({"user_id": "u", "userId": "other"}, "u", None),
        ({"user_id": None, "userId": "camel"}, "camel", None),
        ({"user_id": "  u  "}, "  u  ", None),
    ],
)
def test_ids_are_read_as_callers_give_them(raw: dict[str, Any], user: str | None, anonymous: str | None) -> None:
    event = intake.accept({"event": "e"} | raw, "track", ARRIVAL)

    assert isinstance(event, Accepted)
    assert (event.user_id, event.anonymous_id) == (user, anonymous)


@pytest.mark.parametrize("value", [True, 1.5, [], {}, ["u"]])
def test_an_id_of_another_type_is_refused_once(value: Any) -> None:
    assert refused({"user_id": value, "event": "e"}) == [("user_id", "string_type")]


def test_a_field_is_named_as_the_caller_wrote_it() -> None:
    assert refused({"userId": {}, "event": "e"}) == [("userId", "string_type")]


@pytest.mark.parametrize("char", ["\x00", "\n", "\x7f", "\x85"])
def test_a_control_character_in_an_id_is_refused(char: str) -> None:
    assert refused({"user_id": f"a{char}b", "event": "e"}) == [("user_id", "control_character")]


def test_names_and_ids_have_256_bytes_of_utf_8() -> None:
    assert taken({"user_id": "é" * 128, "event": "e" * 256}).user_id == "é" * 128
    assert refused({"user_id": "é" * 128 + "e", "event": "e" * 257}) == [("user_id", "too_long"), ("event", "too_long")]


@pytest.mark.parametrize(
    ("kind", "raw", "fields"),
    [
        ("track", {"event": "e"}, ["user_id"]),
        ("track", {"user_id": "u"}, ["event"]),
        ("track", {"user_id": "u", "event": " "}, ["event"]),
        ("track", {}, ["user_id", "event"]),
        ("identify", {"traits": {}}, ["user_id"]),
        ("alias", {"user_id": "u"}, ["previous_id"]),
        ("alias", {"previous_id": "p"}, ["user_id"]),
        ("alias", {"previous_id": "p", "anonymous_id": "a"}, ["user_id"]),
        ("alias", {}, ["previous_id", "user_id"]),
        ("group", {"group_id": "g"}, ["user_id"]),
        ("group", {"user_id": "u"}, ["group_id"]),
    ],
)
def test_what_a_call_needs_is_named(kind: str, raw: dict[str, Any], fields: list[str]) -> None:
    assert refused(raw, kind) == [(field, "missing") for field in fields]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("identify", "$identify"),
        ("page", "$page_view"),
        ("screen", "$screen_view"),
        ("group", "$group"),
        ("alias", "$alias"),
        ("track", "signed_up"),
    ],
)
def test_each_type_records_its_name(kind: str, name: str) -> None:
    assert taken({"group_id": "g", "previous_id": "p"}, kind).name == name


def test_reserved_views_may_be_tracked() -> None:
    assert taken({"event": "$page_view", "properties": {"url": "https://acme.com"}}).name == "$page_view"


@pytest.mark.parametrize("name", ["$identify", "$traits_overflow", "$anything", "$"])
def test_other_reserved_names_may_not(name: str) -> None:
    assert refused({"user_id": "u", "event": name}) == [("event", "reserved")]


@pytest.mark.parametrize("key", ["url", "path", "title", "referrer", "search", "name"])
@pytest.mark.parametrize("kind", ["track", "page", "screen"])
def test_a_view_is_described_in_text(kind: str, key: str) -> None:
    raw = {"user_id": "u", "event": "$page_view", "properties": {key: 5}}

    assert refused(raw, kind) == [(f"properties.{key}", "string_type")]


def test_the_name_of_a_page_becomes_a_property() -> None:
    event = taken({"name": "Pricing", "category": "Sales", "properties": {"category": "Docs"}}, "page")

    assert event.properties == {"name": "Pricing", "category": "Docs"}


def test_reserved_traits_are_refused() -> None:
    raw = {"user_id": "u", "traits": {"$first_touch": {}, "plan": "x"}, "context": {"traits": {"$x": 1}}}

    assert refused(raw, "identify") == [("traits.$x", "reserved"), ("traits.$first_touch", "reserved")]


def test_property_names_are_free() -> None:
    assert taken({"properties": {"$price": 1, "": 2, "a.b": None}}).properties == {"$price": 1, "": 2, "a.b": None}


def test_traits_of_the_context_stand_below_those_of_the_call() -> None:
    event = taken(
        {"traits": {"plan": "scale", "seats": None}, "context": {"traits": {"plan": "free", "a": 1}}}, "identify"
    )

    assert event.traits == {"plan": "scale", "seats": None, "a": 1}
    assert event.context == {}


def test_traits_of_the_context_of_another_call_stay_where_they_are() -> None:
    event = taken({"context": {"traits": {"plan": "free"}}})

    assert (event.traits, event.context) == ({}, {"traits": {"plan": "free"}})


@pytest.mark.parametrize(("field", "kind"), [("traits", "identify"), ("properties", "track"), ("context", "track")])
@pytest.mark.parametrize("value", ["text", 1, True, []])
def test_free_form_fields_are_objects(field: str, kind: str, value: Any) -> None:
    assert refused({"user_id": "u", "event": "e", field: value}, kind) == [(field, "object_type")]


def test_fields_that_a_type_does_not_have_are_passed_over() -> None:
    event = taken({"traits": [], "group_id": {"a": 1}, "previous_id": ["x"]})

    assert (event.traits, event.group_id, event.previous_id) == ({}, None, None)


def test_free_form_fields_may_be_null() -> None:
    event = taken({"traits": None, "properties": None, "context": {"traits": None}}, "identify")

    assert (event.traits, event.properties, event.context) == ({}, {}, {})


def test_256_properties_are_the_most() -> None:
    full = {f"p{n}": n for n in range(256)}
    taken({"properties": full, "name": "Pricing", "category": "Docs"}, "page")

    assert len(taken({"properties": full}).properties) == 256
    assert refused({"user_id": "u", "event": "e", "properties": full | {"one": 1}}) == [("properties", "too_long")]


def test_an_event_has_32_kb_of_compact_json() -> None:
    properties = {f"p{n}": "x" * 6500 for n in range(5)}
    raw = {"user_id": "u", "event": "e", "properties": properties}
    rest = 32 * 1024 - len(strict_json.dumps(raw)) - len(',"pad":""')
    properties["pad"] = "x" * rest

    assert isinstance(intake.accept(raw, "track", ARRIVAL), Accepted)
    properties["pad"] += "x"
    assert refused(raw) == [("properties", "too_large")]


def test_what_is_too_large_is_named_even_where_it_would_be_passed_over() -> None:
    assert refused({"user_id": "u", "event": "e", "integrations": ["x" * 33_000]}) == [("integrations", "too_large")]


@pytest.mark.parametrize("part", ["properties", "traits", "context"])
def test_a_value_has_10_kb(part: str) -> None:
    fits, over = "x" * (10 * 1024 - 2), "x" * (10 * 1024 - 1)

    taken({"group_id": "g", part: {"a": fits}}, "group")
    assert refused({"user_id": "u", "group_id": "g", part: {"a": over}}, "group") == [(f"{part}.a", "too_large")]


def test_the_traits_of_the_context_are_measured_one_by_one() -> None:
    assert len(taken({"context": {"traits": {f"t{n}": "x" * 900 for n in range(20)}}}, "identify").traits) == 20


@pytest.mark.parametrize("part", ["properties", "traits", "context"])
def test_nesting_has_8_levels(part: str) -> None:
    taken({"group_id": "g", part: nested(8)}, "group")
    assert refused({"user_id": "u", "group_id": "g", part: nested(9)}, "group") == [(f"{part}.a", "too_deep")]


def test_what_nests_too_deep_to_be_measured_is_refused_and_not_raised() -> None:
    bottomless: Any = 1
    for _ in range(100_000):
        bottomless = [bottomless]

    assert refused({"user_id": "u", "event": "e", "integrations": bottomless}) == [("", "too_deep")]


def test_lists_are_levels_too() -> None:
    assert refused({"user_id": "u", "event": "e", "properties": {"a": [[[[[[[[1]]]]]]]]}}) == [
        ("properties.a", "too_deep")
    ]


def test_an_address_is_added_where_the_caller_gave_none() -> None:
    arrival = Arrival(NOW, ip="203.0.113.9")

    assert taken({}, arrival=arrival).context == {"ip": "203.0.113.9"}
    assert taken({"context": {"ip": "198.51.100.1"}}, arrival=arrival).context == {"ip": "198.51.100.1"}


def test_at_most_20_faults_are_told() -> None:
    assert len(refused({"user_id": "u", "traits": {f"${n}": 1 for n in range(500)}}, "identify")) == 20


def test_the_body_type_of_a_single_call_does_not_matter() -> None:
    assert taken({"type": "identify"}).type == "track"


def batch(items: Any, **shared: Any) -> list[Accepted | Refused]:
    return intake.accept_batch({"batch": items} | shared, ARRIVAL)


def test_items_of_a_batch_are_judged_alone_and_named_by_position() -> None:
    outcomes = batch([{"type": "track", "userId": "u", "event": "e"}, {"type": "track", "userId": "u"}, 5, {}])

    assert isinstance(outcomes[0], Accepted)
    told = [entry["field"] for outcome in outcomes[1:] if isinstance(outcome, Refused) for entry in outcome.details]
    assert told == ["batch.1.event", "batch.2", "batch.3.type"]


@pytest.mark.parametrize("kind", [None, "", "Track", "purchase", 5, [], {}])
def test_an_item_of_no_known_type_is_refused(kind: Any) -> None:
    (outcome,) = batch([{"type": kind, "user_id": "u", "event": "e"}])

    assert isinstance(outcome, Refused)
    assert outcome.details[0]["field"] == "batch.0.type"


def test_the_context_of_a_batch_stands_below_that_of_each_item() -> None:
    (event,) = batch(
        [{"type": "track", "user_id": "u", "event": "e", "context": {"locale": "de"}}],
        context={"locale": "en", "app": {"name": "web"}},
    )

    assert isinstance(event, Accepted)
    assert event.context == {"locale": "de", "app": {"name": "web"}}


def test_the_sending_of_a_batch_corrects_its_items() -> None:
    stamped = {"type": "track", "user_id": "u", "event": "e", "timestamp": "2026-02-23T08:59:00Z"}
    shared, own = batch([stamped, stamped | {"sentAt": "2026-02-23T09:30:00Z"}], sentAt="2026-02-23T09:00:00Z")

    assert isinstance(shared, Accepted)
    assert isinstance(own, Accepted)
    assert (NOW - shared.timestamp, NOW - own.timestamp) == (clock.MINUTE, 31 * clock.MINUTE)


@pytest.mark.parametrize("items", [None, [], {}, "x", [{}] * 501])
def test_what_is_no_batch_is_refused_whole(items: Any) -> None:
    with pytest.raises(ValidationFailed) as caught:
        batch(items)

    assert [entry["field"] for entry in caught.value.details] == ["batch"]


def test_500_items_are_a_batch() -> None:
    assert len(batch([{"type": "page", "user_id": "u"}] * 500)) == 500


def test_a_batch_has_an_object_for_its_context() -> None:
    with pytest.raises(ValidationFailed) as caught:
        batch([{}], context="x")

    assert caught.value.details[0]["field"] == "context"


def test_the_context_of_a_batch_counts_for_each_item() -> None:
    with pytest.raises(ValidationFailed) as caught:
        batch([{"type": "page", "user_id": "u"}], context={f"c{n}": "x" * 9_000 for n in range(4)})

    assert caught.value.details[0]["field"] == "context"


def test_an_identity_stays_in_its_lane() -> None:
    user, anonymous = taken({"user_id": "u9"}), intake.accept({"anonymous_id": "u9"}, "page", ARRIVAL)

    assert isinstance(anonymous, Accepted)
    assert intake.lane("proj_1", user, 64) == intake.lane("proj_1", anonymous, 64) == "proj_1#4"


def test_lanes_are_used_evenly() -> None:
    used = {intake.lane("p", taken({"user_id": f"user_{n}"}), 64) for n in range(1000)}

    assert len(used) == 64
