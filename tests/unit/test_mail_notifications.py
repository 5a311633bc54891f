"""What SES publishes, as its developer guide shows it, and what is none of ours."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core import clock
from chalicelib.core.mail.notifications import TAG, Feedback, parse
from tests.support.mail_notices import AT, BOUNCE, COMPLAINT, DELIVERY, IDS, MAIL, REF, told


def fed(kind: Any, **more: Any) -> Feedback:
    return Feedback(kind, *IDS, at=clock.parse_instant(AT), provider_id=MAIL["messageId"], **more)


@pytest.mark.parametrize("name", ["eventType", "notificationType"])
@pytest.mark.parametrize("by", ["tags", "headers"])
@pytest.mark.parametrize(
    ("kind", "about", "expected"),
    [
        ("Delivery", DELIVERY, fed("delivery")),
        ("Bounce", BOUNCE, fed("bounce", is_permanent=True, reason="General")),
        ("Bounce", BOUNCE | {"bounceType": "Transient", "bounceSubType": "Full"}, fed("bounce", reason="Full")),
        ("Bounce", BOUNCE | {"bounceType": "Undetermined"}, fed("bounce", reason="General")),
        ("Complaint", COMPLAINT, fed("complaint", reason="abuse")),
    ],
)  # fmt: skip
def test_notifications_and_events_are_read_alike(
    name: str, by: str, kind: str, about: dict[str, Any], expected: Feedback
) -> None:
    other = {"tags": "headers", "headers": "tags"}[by]
    assert parse(told(kind, about, name, **{other: None})) == expected


def test_what_has_no_moment_of_its_own_takes_that_of_the_mail() -> None:
    sent = parse(told("Send", {}))
    rejected = parse(told("Reject", {"reason": "Bad content"}))
    assert sent is not None
    assert rejected is not None
    assert (sent.kind, sent.at) == ("send", clock.parse_instant(MAIL["timestamp"]))
    assert (rejected.kind, rejected.reason) == ("reject", "Bad content")


@pytest.mark.parametrize(
    "strange",
    [
        None,
        [],
        "text",
        {},
        {"eventType": "Delivery"},
        {"eventType": "Open", "mail": MAIL, "open": DELIVERY},
        {"eventType": "Delivery", "mail": [], "delivery": DELIVERY},
        told("Delivery", DELIVERY, tags={TAG: []}, headers=[]),
        told("Delivery", DELIVERY, tags={TAG: ["proj_x-cntct_y-msg_z"]}),
        told("Delivery", DELIVERY, tags={TAG: [f"{IDS[0]}-{IDS[2]}-{IDS[1]}"]}),
        told("Delivery", DELIVERY, tags={TAG: [f"{REF}-{IDS[2]}"]}),
        told("Delivery", DELIVERY, tags={TAG: [7]}, headers=None),
        told("Delivery", DELIVERY, tags=None, headers=[{"name": "X-GrowthOS-Message", "value": 7}]),
        told("Delivery", {"timestamp": "yesterday"}, timestamp="never"),
        told("Delivery", {"timestamp": 5}, timestamp=None),
    ],
)
def test_what_is_none_of_ours_tells_nothing(strange: Any) -> None:
    assert parse(strange) is None


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@given(
    kind=st.sampled_from(["Delivery", "Bounce", "Complaint", "Send", "Reject"]) | json,
    mail=json,
    about=json,
    tags=json,
    headers=json,
)
def test_no_notification_is_too_strange_to_be_read(kind: Any, mail: Any, about: Any, tags: Any, headers: Any) -> None:
    whole = dict(MAIL) | {"tags": tags, "headers": headers}
    for each in (mail, whole):
        parse({"eventType": kind, "mail": each, "bounce": about, "delivery": about, "complaint": about})
