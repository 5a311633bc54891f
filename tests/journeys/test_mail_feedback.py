"""What the mail service tells, as AWS documents it: told once or twice and in any order, it comes to the same."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import pytest

from chalicelib.core import strict_json
from chalicelib.core.mail.notifications import TAG
from chalicelib.features.messaging import service as messaging
from chalicelib.workers import feedback
from tests.support import pipeline
from tests.support.hooks import hook
from tests.support.mail_notices import BOUNCE, COMPLAINT, DELIVERY, told
from tests.support.mail_world import MailWorld
from tests.support.post_office import Posted
from tests.support.receiver import Receiver

FULL = BOUNCE | {"bounceType": "Transient", "bounceSubType": "MailboxFull"}
Notice = tuple[str, dict[str, Any]]
SEND: Notice = ("Send", {})
ARRIVED: Notice = ("Delivery", DELIVERY)
SENT_BACK: Notice = ("Bounce", BOUNCE)
BOX_FULL: Notice = ("Bounce", FULL)
SPAM: Notice = ("Complaint", COMPLAINT)
REFUSED: Notice = ("Reject", {"reason": "Bad content"})


@dataclass(frozen=True, slots=True)
class Story:
    """What is told of a mail, and what it is to come to."""

    notices: tuple[Notice, ...]
    status: str
    reason: str | None
    counted: tuple[str, ...] = ()
    suppressed: str | None = None
    webhooks: tuple[str, ...] = field(default=())


STORIES = {
    "taken": Story((SEND,), "sent", None),
    "delivered": Story((SEND, ARRIVED), "delivered", None, ("delivered",), None, ("delivered",)),
    "bounced": Story((SEND, SENT_BACK), "bounced", "permanent", ("bounced",), "bounced", ("bounced",)),
    "bounced later": Story(
        (ARRIVED, SENT_BACK), "bounced", "permanent", ("delivered", "bounced"), "bounced", ("delivered", "bounced")
    ),
    "mailbox full": Story((SEND, BOX_FULL), "bounced", "transient", ("bounced",), None, ("bounced",)),
    "mailbox full, then gone": Story(
        (BOX_FULL, SENT_BACK), "bounced", "permanent", ("bounced",), "bounced", ("bounced",)
    ),
    "complained of": Story(
        (ARRIVED, SPAM), "complained", "abuse", ("delivered", "complained"), "complained", ("delivered", "complained")
    ),
    "complained of, though sent back": Story(
        (SENT_BACK, SPAM), "complained", "abuse", ("bounced", "complained"), "complained", ("bounced", "complained")
    ),
    "rejected": Story((SEND, REFUSED), "failed", "rejected", ("failed",)),
}


def tell(world: MailWorld, posted: Posted, notice: Notice) -> None:
    body = told(*notice, tags={TAG: [posted.ref]}, headers=None)
    envelope = strict_json.dumps({"Type": "Notification", "Message": strict_json.dumps(body)})
    world.deliver(feedback.handle, {"Records": [{"messageId": "f", "body": envelope}]})


def orders(notices: tuple[Notice, ...]) -> list[tuple[Notice, ...]]:
    """The notices in every order, each told twice."""
    numbered = [number for number in range(len(notices)) for _ in range(2)]
    return [tuple(notices[number] for number in order) for order in sorted(set(permutations(numbered)))]


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "in doubt"])
@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_in_any_order_and_however_often_it_is_told_it_comes_to_the_same_once(
    live_mail: MailWorld, receiver: Receiver, story: Story, recorded: bool
) -> None:
    """`in doubt`: whoever sent it died before it could record that the mail service had taken it."""
    ways = orders(story.notices)
    people = {f"u{n}@example.com": live_mail.contact(f"u{n}") for n in range(len(ways))}
    segment = live_mail.segment()
    hook(live_mail.client, receiver.url(), "campaign.email.*")
    if not recorded:
        live_mail.office.after = lambda _: (_ for _ in ()).throw(pipeline.Killed())
    campaign = live_mail.broadcast(segment)
    before = {row["status"] for row in live_mail.messages(campaign)}
    assert before == {"sent" if recorded else "unconfirmed"}
    posted = {each.to: each for each in live_mail.office.taken}
    for address, way in zip(people, ways, strict=True):
        for notice in way:
            tell(live_mail, posted[address], notice)
    live_mail.settle()
    count = len(ways)
    rows = Counter((row["status"], row["reason"]) for row in live_mail.messages(campaign))
    assert rows == {(story.status, story.reason): count}
    figures = {name: value for name, value in live_mail.stats(campaign).items() if not name.endswith("_rate")}
    assert figures == dict.fromkeys(("sent", *story.counted), count)
    suppressed = messaging.suppressions(live_mail.tenant, list(people))
    assert set(suppressed.values()) == ({story.suppressed} if story.suppressed else set())
    assert len(suppressed) == (count if story.suppressed else 0)
    heard = Counter((got.type, got.data["contact_id"]) for got in receiver.got)
    kinds = ("sent", *story.webhooks)
    assert heard == {(f"campaign.email.{kind}", person): 1 for kind in kinds for person in people.values()}


@pytest.mark.parametrize(
    "body",
    ["", "nothing", "[]", "{}", '{"Message": "{"}', '{"Message": "[]"}', '{"Message": 5}', "\ud800", "[" * 100_000],
)
def test_what_is_no_notice_is_passed_over(live_mail: MailWorld, body: str) -> None:
    event = {"Records": [{"messageId": "f", "body": body}]}
    assert feedback.handle(event, pipeline.Context()) == {"batchItemFailures": []}


@pytest.mark.parametrize("kind", ["Delivery", "Bounce", "Complaint", "Reject", "Send"])
def test_a_notice_of_a_mail_that_is_not_ours_changes_nothing(live_mail: MailWorld, kind: str) -> None:
    """Its names are well formed, of a project, a contact and a message that never were."""
    known: dict[str, dict[str, Any]] = {"Delivery": DELIVERY, "Bounce": BOUNCE, "Complaint": COMPLAINT}
    before = dict(live_mail.table.rows)
    body = strict_json.dumps(told(kind, known.get(kind, {})))
    event = {"Records": [{"messageId": "f", "body": body}]}
    assert feedback.handle(event, pipeline.Context()) == {"batchItemFailures": []}
    assert live_mail.table.rows == before


def test_one_notice_that_fails_holds_up_no_other_of_its_batch(live_mail: MailWorld) -> None:
    live_mail.contact("u0")
    live_mail.contact("u1")
    campaign = live_mail.broadcast(live_mail.segment())
    records = [
        {"messageId": each.to, "body": strict_json.dumps(told(*ARRIVED, tags={TAG: [each.ref]}, headers=None))}
        for each in live_mail.office.taken
    ]
    calls: list[str] = []

    def fail_first(name: str) -> None:
        calls.append(name)
        if len(calls) == 1:
            raise OSError

    live_mail.table.on_call = fail_first
    answer = feedback.handle({"Records": records}, pipeline.Context())
    live_mail.table.on_call = lambda _: None
    assert answer == {"batchItemFailures": [{"itemIdentifier": records[0]["messageId"]}]}
    assert Counter(row["status"] for row in live_mail.messages(campaign)) == {"sent": 1, "delivered": 1}
