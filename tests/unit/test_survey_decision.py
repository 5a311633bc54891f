"""Whether somebody is asked, and by what, at the very edges of each rule."""

from dataclasses import replace

import pytest

from chalicelib.core.clock import DAY, HOUR
from chalicelib.features.surveys.decision import (
    Ask,
    Bound,
    Decision,
    Facts,
    Hold,
    NotYet,
    Paused,
    Skip,
    bound,
    decide,
    may_wait,
    remind,
)
from chalicelib.features.surveys.model import ANSWERABLE, Cap, Cause, Reason, Send, Status, Survey, Surveyed

NOW = 1_800_000_000_000
SURVEY = Survey("srvy_1", "NPS", "nps", "active", 0, 0, question="?", cap=Cap(most=2, cooldown_days=30))
SEND = Send("S", "cntct_1", "srvy_1", Cause("event", "evt_S", NOW, "trial_expired"), NOW, due_at=NOW)
NOTHING = Surveyed("cntct_1")
SENT = replace(SEND, state="sent", sent_at=NOW, by=("email",), due_at=NOW + HOUR)


def decided(
    survey: Survey | None = SURVEY,
    send: Send = SEND,
    *,
    is_member: bool = True,
    surveyed: Surveyed = NOTHING,
    obstacle: Reason | None = None,
    quiet_until: int = NOW,
) -> Decision:
    return decide(survey, send, Facts(lambda: is_member, surveyed, obstacle, quiet_until), NOW)


def test_who_may_be_asked_is_asked_by_all_channels() -> None:
    assert decided() == Ask(("email", "widget"))


def test_nothing_happens_before_it_is_due() -> None:
    assert decided(send=replace(SEND, due_at=NOW + 1)) == NotYet()


@pytest.mark.parametrize("state", ["sent", "answered", "skipped"])
def test_what_was_judged_is_not_judged_again(state: str) -> None:
    assert decided(send=replace(SEND, state=state)) == NotYet()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "expected"), [("paused", Paused()), ("draft", Paused()), ("archived", Skip("archived"))]
)
def test_a_survey_that_is_not_active_asks_nobody(status: Status, expected: Decision) -> None:
    assert decided(replace(SURVEY, status=status), is_member=False) == expected


def test_a_survey_that_is_gone_has_ended() -> None:
    assert decided(None) == Skip("archived")


def test_who_has_left_the_segment_is_not_asked_whatever_the_caps_say() -> None:
    assert decided(is_member=False, surveyed=Surveyed("c", counts={"srvy_1": 9})) == Skip("left_segment")


@pytest.mark.parametrize(("count", "expected"), [(1, Ask(("email", "widget"))), (2, Skip("max_surveys"))])
def test_the_number_of_sends_is_a_bound(count: int, expected: Decision) -> None:
    assert decided(surveyed=Surveyed("c", counts={"srvy_1": count, "srvy_2": 50})) == expected


@pytest.mark.parametrize(
    ("ago", "expected"), [(30 * DAY, Ask(("email", "widget"))), (30 * DAY - 1, Skip("cooldown")), (0, Skip("cooldown"))]
)
def test_the_cooldown_ends_at_exactly_so_many_days(ago: int, expected: Decision) -> None:
    assert decided(surveyed=Surveyed("c", last_sent_at=NOW - ago)) == expected


def test_a_bound_tells_until_when_it_holds() -> None:
    assert bound(SURVEY, Surveyed("c", last_sent_at=NOW), NOW) == Bound("cooldown", NOW + 30 * DAY)
    assert bound(SURVEY, Surveyed("c", counts={"srvy_1": 2}, last_sent_at=NOW), NOW) == Bound("max_surveys", None)
    assert bound(replace(SURVEY, cap=Cap(None, 0)), Surveyed("c", counts={"srvy_1": 99}, last_sent_at=NOW), NOW) is None


def test_who_gets_no_mail_is_asked_by_widgets_alone() -> None:
    assert decided(obstacle="unsubscribed", quiet_until=NOW + HOUR) == Ask(("widget",), "unsubscribed")


def test_who_gets_no_mail_of_a_survey_by_mail_is_not_asked_and_told_why() -> None:
    assert decided(replace(SURVEY, channels=("email",)), obstacle="bounced") == Skip("bounced")


def test_an_obstacle_of_mail_is_none_for_a_survey_of_widgets() -> None:
    assert decided(replace(SURVEY, channels=("widget",)), obstacle="no_email", quiet_until=NOW + 1) == Ask(("widget",))


def test_quiet_hours_hold_a_mail_until_their_end() -> None:
    assert decided(quiet_until=NOW + HOUR) == Hold(NOW + HOUR)


@pytest.mark.parametrize(
    ("surveyed", "expected"),
    [
        (Surveyed("c"), True),
        (Surveyed("c", waiting={"srvy_1": "other"}), False),
        (Surveyed("c", waiting={"srvy_2": "other"}), True),
        (Surveyed("c", counts={"srvy_1": 2}), False),
        (Surveyed("c", last_sent_at=NOW), True),
    ],
)
def test_a_cause_makes_a_send_where_none_waits_and_there_is_room(surveyed: Surveyed, expected: bool) -> None:
    assert may_wait(SURVEY, surveyed) is expected


def reminded(
    send: Send = SENT, survey: Survey | None = SURVEY, obstacle: Reason | None = None, quiet: int = 0
) -> Decision:
    at = NOW + HOUR
    return remind(survey, send, obstacle, max(quiet, at), at)


def test_who_has_not_answered_is_reminded_once_by_mail() -> None:
    assert reminded() == Ask(("email",))
    assert reminded(replace(SENT, reminded_at=NOW)) == NotYet()
    assert reminded(replace(SENT, reminder=("c", "m"))) == NotYet()
    assert reminded(replace(SENT, not_reminded="no_email")) == NotYet()


def test_who_has_answered_is_not_reminded() -> None:
    assert reminded(replace(SENT, state="answered")) == NotYet()


def test_nobody_is_reminded_of_what_can_be_answered_no_more() -> None:
    at = NOW + ANSWERABLE
    assert remind(SURVEY, replace(SENT, due_at=at - 1), None, at - 1, at - 1) == Ask(("email",))
    assert remind(SURVEY, replace(SENT, due_at=at), None, at, at) == NotYet()


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (reminded(survey=replace(SURVEY, status="paused")), Paused()),
        (reminded(survey=replace(SURVEY, status="archived")), Skip("archived")),
        (reminded(survey=None), Skip("archived")),
        (reminded(obstacle="complained", quiet=NOW + DAY), Skip("complained")),
        (reminded(quiet=NOW + DAY), Hold(NOW + DAY)),
    ],
)
def test_what_keeps_a_reminder_back(decision: Decision, expected: Decision) -> None:
    assert decision == expected
