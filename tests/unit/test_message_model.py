"""What a message comes to, in whatever order it is told, and which clicks a machine has made."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import events
from chalicelib.features.messaging.model import (
    Change,
    Fetch,
    Judge,
    Message,
    accepted,
    bounced,
    clicked,
    complained,
    delivered,
    given_up,
    in_doubt,
    is_scan,
    opened,
    refused,
    simulated,
    then,
)

_SENDING = Message("msg_1", "cntct_1", "cmpgn_1", "run", "a", 0, "sending", 1_000, to="a@example.com")


def _after(*judges: Judge, start: Message = _SENDING) -> Change:
    change = Change(start, ())
    for judge in judges:
        change = then(change, judge)
    return change


def _sent(known: Message) -> Change:
    return accepted(known, "ses-1")


def _fed(judge: Judge) -> Judge:
    """As the mail service's word is taken: whatever it tells, it has taken the mail."""
    return lambda known: then(accepted(known, "ses-1"), judge)


_FEEDBACK: dict[str, Judge] = {
    events.MAIL_SENT: _sent,
    events.MAIL_DELIVERED: _fed(lambda known: delivered(known, 2_000)),
    events.MAIL_BOUNCED: _fed(lambda known: bounced(known, 3_000, "transient")),
    "bounced for good": _fed(lambda known: bounced(known, 3_500, "permanent")),
    events.MAIL_FAILED: _fed(lambda known: refused(known, 4_500, "rejected")),
    events.MAIL_COMPLAINED: _fed(lambda known: complained(known, 4_000, "abuse")),
    events.MAIL_OPENED: lambda known: opened(known, 5_000),
    events.MAIL_CLICKED: lambda known: clicked(known, 6_000),
}


@pytest.mark.parametrize("order", list(permutations([events.MAIL_SENT, events.MAIL_DELIVERED, events.MAIL_COMPLAINED])))
def test_each_thing_is_told_once_in_any_order_and_any_number_of_times(order: tuple[str, ...]) -> None:
    change = _after(*(_FEEDBACK[name] for name in [*order, *order]))
    assert sorted(change.told) == sorted([events.MAIL_SENT, events.MAIL_DELIVERED, events.MAIL_COMPLAINED])
    assert change.message.status == "complained"
    assert (change.message.sent_at, change.message.delivered_at, change.message.complained_at) == (1_000, 2_000, 4_000)


@given(st.data(), st.sets(st.sampled_from(sorted(_FEEDBACK)), min_size=1), st.sampled_from(["sending", "in doubt"]))
def test_whatever_is_told_comes_to_the_same_in_any_order(data: st.DataObject, told: set[str], state: str) -> None:
    start = _SENDING if state == "sending" else in_doubt(_SENDING).message
    known = sorted(told)
    once = _after(*(_FEEDBACK[name] for name in known), start=start)
    order = data.draw(st.permutations(known + known))
    change = _after(*(_FEEDBACK[name] for name in order), start=start)
    assert change.message == once.message
    assert sorted(change.told) == sorted(once.told)
    weight = ["complained", "bounced", "delivered", "failed", "sent"]
    ends = {
        events.MAIL_COMPLAINED: "complained",
        events.MAIL_BOUNCED: "bounced",
        "bounced for good": "bounced",
        events.MAIL_DELIVERED: "delivered",
        events.MAIL_FAILED: "failed",
    }
    assert change.message.status == min((ends.get(name, "sent") for name in told), key=weight.index)


@given(st.lists(st.sampled_from(sorted(_FEEDBACK)), max_size=12))
def test_a_message_never_loses_what_was_told_of_it(told: list[str]) -> None:
    change = Change(_SENDING, ())
    for name in told:
        before = change.message
        change = then(change, _FEEDBACK[name])
        moments = ("sent_at", "delivered_at", "bounced_at", "complained_at", "opened_at", "clicked_at")
        for moment in moments:
            after = getattr(change.message, moment)
            assert getattr(before, moment) in (None, after) or moment == "bounced_at"
            assert getattr(before, moment) is None or after <= getattr(before, moment)
    assert len(change.told) == len(set(change.told))


def test_a_message_in_doubt_is_settled_by_the_mail_services_word() -> None:
    doubt = _after(in_doubt)
    assert (doubt.message.status, doubt.told) == ("unconfirmed", (events.MAIL_UNCONFIRMED,))
    settled = _after(_FEEDBACK[events.MAIL_DELIVERED], start=doubt.message)
    assert (settled.message.status, settled.told) == ("delivered", (events.MAIL_SENT, events.MAIL_DELIVERED))


def test_a_message_in_doubt_counts_as_failed_in_the_end_and_is_settled_even_then() -> None:
    failed = _after(in_doubt, lambda known: given_up(known, 9_000))
    assert (failed.message.status, failed.message.reason) == ("failed", "unconfirmed")
    late = _after(_sent, start=failed.message)
    assert (late.message.status, late.message.reason) == ("sent", None)


def test_giving_up_changes_nothing_of_a_message_that_was_sent() -> None:
    sent = _after(in_doubt, _sent).message
    assert given_up(sent, 9_000) == Change(sent, ())


def test_a_message_that_was_refused_stays_refused() -> None:
    change = _after(lambda known: refused(known, 2_000, "rejected"))
    assert (change.message.status, change.message.reason, change.told) == ("failed", "rejected", (events.MAIL_FAILED,))
    assert refused(change.message, 3_000, "other") == Change(change.message, ())


def test_a_bounce_after_the_delivery_is_told_and_shown() -> None:
    change = _after(_FEEDBACK[events.MAIL_DELIVERED], _FEEDBACK[events.MAIL_BOUNCED])
    assert (change.message.status, change.message.delivered_at, change.message.bounced_at) == ("bounced", 2_000, 3_000)


@pytest.mark.parametrize(
    ("links", "fetches", "scanned"),
    [
        (1, [(0, 0), (0, 100)], False),  # a mail with one link is never judged so
        (2, [(0, 0), (1, 1_500)], True),
        (2, [(0, 0), (1, 2_001)], False),
        (2, [(0, 0), (0, 10), (0, 20)], False),  # one link, several times
        (5, [(0, 0), (1, 500)], False),
        (5, [(0, 0), (1, 500), (2, 2_000)], True),
        (5, [(0, 0), (1, 500), (2, 2_001)], False),
        (5, [(0, 0), (1, 1_999), (2, 3_998)], False),
    ],
)
def test_the_first_fetch_is_a_scan_where_enough_links_are_fetched_within_two_seconds(
    links: int, fetches: list[tuple[int, int]], *, scanned: bool
) -> None:
    found = [Fetch(link, 10_000 + moment) for link, moment in fetches]
    assert is_scan(found, links, found[0]) is scanned


def test_a_person_who_clicks_after_a_scan_is_not_judged_by_it() -> None:
    scan = [Fetch(link, 10_000) for link in range(4)]
    person = Fetch(1, 60_000)
    assert not is_scan([*scan, person], 4, person)
    assert all(is_scan([*scan, person], 4, each) for each in scan)


@given(
    links=st.integers(1, 6),
    moments=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6_000)), min_size=1, max_size=12),
)
def test_scans_are_those_that_a_look_at_every_window_finds(links: int, moments: list[tuple[int, int]]) -> None:
    fetches = [Fetch(link % links, moment) for link, moment in moments]
    enough = 3 if links > 2 else 2
    for fetch in fetches:
        windows = range(fetch.moment - 2_000, fetch.moment + 1)
        expected = links > 1 and any(
            len({each.link for each in fetches if start <= each.moment <= start + 2_000}) >= enough
            for start in (*(each.moment for each in fetches if each.moment in windows), fetch.moment)
        )
        assert is_scan(fetches, links, fetch) is expected


@pytest.mark.parametrize(
    ("address", "outcome"),
    [
        ("success@simulator.amazonses.com", "delivery"),
        ("bounce@simulator.amazonses.com", "bounce"),
        ("bounce+label@simulator.amazonses.com", "bounce"),
        ("complaint@simulator.amazonses.com", "complaint"),
        ("suppressionlist@simulator.amazonses.com", "bounce"),
        ("ooto@simulator.amazonses.com", "delivery"),
        ("bounce@example.com", "delivery"),
    ],
)
def test_the_simulators_addresses_do_what_they_do_at_the_mail_service(address: str, outcome: str) -> None:
    assert simulated(address) == outcome
