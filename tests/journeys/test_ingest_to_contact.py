"""Events through worker and bus: once each, under the right contact, whatever fails on the way."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.core import strict_json
from chalicelib.features.activity import service as activity
from chalicelib.features.activity.intake import Accepted
from chalicelib.features.contacts import service as contacts
from chalicelib.features.contacts.model import Person
from chalicelib.features.contacts.names import Names
from chalicelib.features.contacts.service import Received
from chalicelib.platform.idempotency import Receipt
from chalicelib.platform.keys import Tenant
from chalicelib.workers import ingest
from tests.support import pipeline
from tests.support.pipeline import Killed, accepted

NOW = 1_770_000_000_000
CONTACTS = 5
EVENTS = 20


def tracked(n: int, **extra: Any) -> Accepted:
    raw = {"userId": f"user_{n % CONTACTS}", "event": f"event_{n % 3}", "messageId": f"m{n}", "properties": {"n": n}}
    return accepted(raw | extra, "track", NOW + n)


def by_user(tenant: Tenant, user: str) -> Person:
    found, _ = contacts.listing(tenant, contacts.Filter(external_id=user), 2, None)
    assert len(found) == 1
    return found[0]


def timeline(tenant: Tenant, contact_id: str) -> list[int]:
    rows, _ = activity.listing(tenant, "test", activity.Filter(contact_id=contact_id), 100, None)
    return [row.properties["n"] for row in rows]


def assert_all_are_there_once(tenant: Tenant) -> None:
    rows = pipeline.rows(tenant, "EVT#")
    assert Counter(row["message_id"] for row in rows) == {f"m{n}": 1 for n in range(EVENTS)}
    assert len(pipeline.rows(tenant, "CONTACT")) == CONTACTS
    for user in range(CONTACTS):
        expected = [n for n in reversed(range(EVENTS)) if n % CONTACTS == user]
        assert timeline(tenant, by_user(tenant, f"user_{user}").id) == expected


def test_events_arrive_once_in_order_and_a_second_sending_changes_nothing(tenant: Tenant) -> None:
    pipeline.record(tenant, [tracked(n) for n in range(EVENTS)])
    pipeline.record(tenant, [tracked(n) for n in reversed(range(EVENTS))])
    assert_all_are_there_once(tenant)


def _calls_of_a_clean_run(tenant: Tenant) -> int:
    with pipeline.counted() as calls:
        pipeline.record(tenant, [tracked(n) for n in range(EVENTS)])
    return len(calls)


@pytest.mark.parametrize("moment", ["before-call", "after-call"])
def test_a_worker_that_dies_at_any_call_loses_and_doubles_nothing(
    moment: str, tenant: Tenant, fresh_table: Callable[[], None]
) -> None:
    for step in range(_calls_of_a_clean_run(tenant)):
        fresh_table()

        def die(number: int, _operation: str, step: int = step) -> None:
            if number == step:
                raise Killed

        with pipeline.on_call(moment, die):
            pipeline.record(tenant, [tracked(n) for n in range(EVENTS)])
        pipeline.run_bus()
        assert_all_are_there_once(tenant)
        assert contacts.count(tenant) == CONTACTS


def _refusal(operation: str, code: str, **extra: Any) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "injected"}, **extra}
    return ClientError(response, operation)


def test_collisions_and_throttling_at_every_call_are_waited_out(
    tenant: Tenant, fresh_table: Callable[[], None]
) -> None:
    for step in range(_calls_of_a_clean_run(tenant)):
        fresh_table()

        def refuse(number: int, operation: str, step: int = step) -> None:
            if number != step:
                return
            if operation == "TransactWriteItems":
                reasons = [{"Code": "TransactionConflict"}, {"Code": "None"}]
                raise _refusal(operation, "TransactionCanceledException", CancellationReasons=reasons)
            raise _refusal(operation, "ProvisionedThroughputExceededException")

        with pipeline.on_call("before-call", refuse):
            pipeline.record(tenant, [tracked(n) for n in range(EVENTS)])
        assert_all_are_there_once(tenant)


def test_a_message_redelivered_after_its_memory_expired_is_not_doubled(tenant: Tenant) -> None:
    messages = pipeline.messages(tenant, [tracked(1)])
    pipeline.work(messages)
    for row in pipeline.rows(tenant, "MSG"):
        pipeline.delete(row)
    pipeline.work(messages)
    assert len(pipeline.rows(tenant, "EVT#")) == 1
    assert [row["version"] for row in pipeline.rows(tenant, "CONTACT")] == [1]


def test_one_message_id_that_two_workers_write_at_once_for_two_people_counts_once(tenant: Tenant) -> None:
    raced = {"done": False}

    def race(_number: int, operation: str) -> None:
        if operation == "TransactWriteItems" and not raced["done"]:
            raced["done"] = True
            pipeline.record(tenant, [accepted({"userId": "a", "event": "x", "messageId": "m"}, "track", NOW)])

    with pipeline.on_call("before-call", race):
        pipeline.record(tenant, [accepted({"userId": "b", "event": "x", "messageId": "m"}, "track", NOW)])
    assert len(pipeline.rows(tenant, "EVT#")) == 1
    assert [row["external_id"] for row in pipeline.rows(tenant, "CONTACT")] == ["a"]


def test_the_same_message_id_counts_again_after_24_hours(tenant: Tenant) -> None:
    day = 86_400_000
    raw = {"userId": "u", "event": "login", "messageId": "m"}
    pipeline.record(tenant, [accepted(raw, "track", NOW)])
    pipeline.record(tenant, [accepted(raw, "track", NOW + day - 1)])
    assert len(pipeline.rows(tenant, "EVT#")) == 1
    pipeline.record(tenant, [accepted(raw, "track", NOW + day)])
    assert len(pipeline.rows(tenant, "EVT#")) == 2


def test_events_without_message_id_all_count(tenant: Tenant) -> None:
    pipeline.record(tenant, [accepted({"userId": "u", "event": "login"}, "track", NOW) for _ in range(3)])
    assert len(pipeline.rows(tenant, "EVT#")) == 3


def test_two_workers_on_one_new_person_make_one_contact(tenant: Tenant) -> None:
    """A second lane writes the same person between the first one's reads and its transaction."""
    raced = {"done": False}

    def race(_number: int, operation: str) -> None:
        if operation == "TransactWriteItems" and not raced["done"]:
            raced["done"] = True
            pipeline.record(tenant, [accepted({"anonymousId": "a", "userId": "u", "event": "x"}, "track", NOW)])

    with pipeline.on_call("before-call", race):
        pipeline.record(tenant, [accepted({"userId": "u", "anonymousId": "a", "event": "y"}, "track", NOW + 1)])
    person = by_user(tenant, "u")
    assert {row["event"] for row in pipeline.rows(tenant, "EVT#")} == {"x", "y"}
    assert len(pipeline.rows(tenant, "CONTACT")) == 1
    assert contacts.get(tenant, person.id).version == 2


def test_a_visitor_becomes_the_user_that_signs_up(tenant: Tenant) -> None:
    pipeline.record(tenant, [accepted({"anonymousId": "a", "event": "visit", "properties": {"n": 1}}, "track", NOW)])
    pipeline.record(
        tenant,
        [accepted({"anonymousId": "a", "userId": "u", "event": "signup", "properties": {"n": 2}}, "track", NOW + 1)],
    )
    assert timeline(tenant, by_user(tenant, "u").id) == [2, 1]
    assert len(pipeline.rows(tenant, "CONTACT")) == 1


def imported(tenant: Tenant, email: str) -> str:
    change = contacts.Change({"email": email})
    return contacts.put(tenant, Names(email=email), change, Received(NOW, "req_0"), Receipt(tenant, NOW))[0].id


def test_an_imported_address_becomes_the_user_that_signs_up_with_it(tenant: Tenant) -> None:
    contact_id = imported(tenant, "a@x.io")
    pipeline.record(tenant, [accepted({"userId": "u", "traits": {"email": "A@x.io"}}, "identify", NOW + 1)])
    person = by_user(tenant, "u")
    assert (person.id, person.email) == (contact_id, "a@x.io")


def test_a_visitor_who_gives_the_address_of_a_user_stays_another_contact(tenant: Tenant) -> None:
    pipeline.record(tenant, [accepted({"userId": "u", "traits": {"email": "a@x.io"}}, "identify", NOW)])
    claim = {"anonymousId": "v", "traits": {"email": "a@x.io", "plan": "stolen"}}
    pipeline.record(tenant, [accepted(claim, "identify", NOW + 1)])
    assert by_user(tenant, "u").traits == {"email": "a@x.io"}
    assert len(pipeline.rows(tenant, "CONTACT")) == 2


def test_a_user_who_gives_the_address_of_a_visitor_stays_another_contact(tenant: Tenant) -> None:
    pipeline.record(tenant, [accepted({"anonymousId": "v", "traits": {"email": "a@x.io"}}, "identify", NOW)])
    pipeline.record(tenant, [accepted({"userId": "u", "traits": {"email": "a@x.io"}}, "identify", NOW + 1)])
    assert by_user(tenant, "u").email is None
    assert len(pipeline.rows(tenant, "CONTACT")) == 2


def test_the_second_claimant_of_an_address_keeps_its_trait_and_gets_no_email(tenant: Tenant) -> None:
    for n, user in enumerate(("first", "second")):
        raw = {"userId": user, "traits": {"email": " Same@X.io "}, "messageId": user}
        pipeline.record(tenant, [accepted(raw, "identify", NOW + n)])
    assert by_user(tenant, "first").email == "same@x.io"
    second = by_user(tenant, "second")
    assert second.email is None
    assert second.traits["email"] == " Same@X.io "
    rows, _ = activity.listing(tenant, "test", activity.Filter(contact_id=second.id), 10, None)
    assert [row.name for row in rows] == ["$identity_conflict", "$identify"]


def test_an_address_given_up_is_free_for_another(tenant: Tenant) -> None:
    for n, (user, email) in enumerate([("a", "x@x.io"), ("a", "y@x.io"), ("b", "x@x.io")]):
        pipeline.record(tenant, [accepted({"userId": user, "traits": {"email": email}}, "identify", NOW + n)])
    assert by_user(tenant, "a").email == "y@x.io"
    assert by_user(tenant, "b").email == "x@x.io"


def test_an_address_whose_holder_is_gone_is_claimed_when_it_is_said_again(tenant: Tenant) -> None:
    for n, user in enumerate("ab"):
        pipeline.record(tenant, [accepted({"userId": user, "traits": {"email": "x@x.io"}}, "identify", NOW + n)])
    contacts.delete(tenant, by_user(tenant, "a").id, NOW + 2)
    pipeline.record(tenant, [accepted({"userId": "b", "traits": {"email": "x@x.io"}}, "identify", NOW + 3)])
    assert by_user(tenant, "b").email == "x@x.io"


def test_people_who_exchange_their_addresses_in_one_message_do_not_wait_for_each_other(tenant: Tenant) -> None:
    def says(user: str, email: str | None, n: int) -> Accepted:
        return accepted({"userId": user, "traits": {"email": email}}, "identify", NOW + n)

    pipeline.record(tenant, [says("a", "x@x.io", 0), says("b", "y@x.io", 1)])
    exchange = [says("a", None, 2), says("b", "x@x.io", 3), says("a", "y@x.io", 4)]
    pipeline.work([one_message(tenant, exchange)], tries=1)
    assert (by_user(tenant, "a").email, by_user(tenant, "b").email) == ("y@x.io", "x@x.io")


def one_message(tenant: Tenant, events: list[Accepted]) -> dict[str, Any]:
    """A queue record of events whose identities happen to share a lane."""
    first = pipeline.messages(tenant, events[:1])[0]
    body = {"v": 1, "project": tenant.project_id, "events": [event.to_wire() for event in events]}
    return first | {"body": strict_json.dumps(body)}


def test_an_event_for_a_deleted_contact_makes_a_new_one(tenant: Tenant) -> None:
    pipeline.record(tenant, [accepted({"userId": "u", "event": "x"}, "track", NOW)])
    gone = by_user(tenant, "u")
    contacts.delete(tenant, gone.id, NOW + 1)
    pipeline.record(tenant, [accepted({"userId": "u", "event": "y"}, "track", NOW + 2)])
    assert by_user(tenant, "u").id != gone.id
    pipeline.run_bus()
    assert contacts.count(tenant) == 1


def test_properties_of_group_and_alias_calls_stand_on_the_timeline(tenant: Tenant) -> None:
    group = {"userId": "u", "groupId": "acme", "traits": {"n": 1}, "properties": {"role": "admin"}}
    alias = {"userId": "u", "previousId": "old", "properties": {"why": "sign up"}}
    pipeline.record(tenant, [accepted(group, "group", NOW), accepted(alias, "alias", NOW + 1)])
    rows, _ = activity.listing(tenant, "test", activity.Filter(contact_id=by_user(tenant, "u").id), 10, None)
    assert [row.properties for row in rows] == [
        {"why": "sign up", "previous_id": "old"},
        {"role": "admin", "group_id": "acme", "traits": {"n": 1}},
    ]


def test_traits_that_do_not_fit_are_told_on_the_timeline(tenant: Tenant) -> None:
    traits = {f"k{n}": "x" * 9_000 for n in range(8)}
    for n, some in enumerate(
        [dict(list(traits.items())[:3]), dict(list(traits.items())[3:6]), dict(list(traits.items())[6:])]
    ):
        pipeline.record(tenant, [accepted({"userId": "u", "traits": some}, "identify", NOW + n)])
    rows, _ = activity.listing(tenant, "test", activity.Filter(name="$traits_overflow"), 10, None)
    pipeline.run_bus()
    rows, _ = activity.listing(tenant, "test", activity.Filter(name="$traits_overflow"), 10, None)
    assert [row.properties for row in rows] == [{"dropped": ["k7"]}]


def test_campaigns_set_first_and_last_touch_whatever_arrives_first(tenant: Tenant) -> None:
    for n in (2, 1, 3):
        raw = {"userId": "u", "event": "x", "context": {"campaign": {"source": f"s{n}"}}}
        pipeline.record(tenant, [accepted(raw | {"timestamp": f"2026-01-0{n}T00:00:00Z"}, "track", NOW)])
    traits = by_user(tenant, "u").traits
    assert (traits["$first_touch"], traits["$last_touch"]) == ({"source": "s1"}, {"source": "s3"})


def test_a_lane_stops_behind_its_failed_message_and_others_go_on(tenant: Tenant) -> None:
    first, second = (pipeline.messages(tenant, [accepted({"userId": "u", "event": e}, "track", NOW)])[0] for e in "ab")
    other = pipeline.messages(tenant, [accepted({"userId": "somebody else", "event": "c"}, "track", NOW)])[0]
    broken = first | {"body": "{"}
    answer = ingest.handle({"Records": [broken, other, second]}, pipeline.Context())
    failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    assert failed == [first["messageId"], second["messageId"]]
    assert [row["event"] for row in pipeline.rows(tenant, "EVT#")] == ["c"]


def test_a_lane_goes_on_without_a_message_that_keeps_failing(tenant: Tenant) -> None:
    bad, good = (pipeline.messages(tenant, [accepted({"userId": "u", "event": e}, "track", NOW)])[0] for e in "ab")
    bad["body"] = "{"
    for received in ("1", "2", "3"):
        for message in (bad, good):
            message["attributes"]["ApproximateReceiveCount"] = received
        assert pipeline.rows(tenant, "EVT#") == []
        answer = ingest.handle({"Records": [bad, good]}, pipeline.Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": bad["messageId"]}]}
    assert [row["event"] for row in pipeline.rows(tenant, "EVT#")] == ["b"]


class Ending(pipeline.Context):
    """An invocation with time for so many more looks at the clock."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def get_remaining_time_in_millis(self) -> int:
        self.looks -= 1
        return 60_000 if self.looks >= 0 else 1_000


def test_a_worker_whose_time_ends_keeps_what_it_wrote_and_reports_the_rest(tenant: Tenant) -> None:
    message = one_message(tenant, [tracked(n) for n in range(CONTACTS)])
    answer = ingest.handle({"Records": [message]}, Ending(looks=2))
    assert answer == {"batchItemFailures": [{"itemIdentifier": message["messageId"]}]}
    assert len(pipeline.rows(tenant, "EVT#")) == 2
    pipeline.work([message], tries=1)
    assert len(pipeline.rows(tenant, "EVT#")) == CONTACTS
