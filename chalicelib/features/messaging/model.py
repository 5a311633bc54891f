"""A message and what becomes of it. Pure; moments in ms on the project's clock, but for fetches of links."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

from chalicelib.core import clock, events

Status = Literal["sending", "sent", "delivered", "bounced", "complained", "unconfirmed", "failed", "skipped"]
STATUSES: tuple[Status, ...] = get_args(Status)
Suppression = Literal["bounced", "complained"]
Bounce = Literal["permanent", "transient"]

CONFIRMED_WITHIN = 24 * clock.HOUR
"""How long the mail service may take to tell of a message whose outcome is unknown, before it counts as failed."""

UNCONFIRMED = "unconfirmed"
"""Why such a message has failed."""

SCAN_WITHIN = 2 * clock.SECOND
"""Real milliseconds within which a machine fetches several links of one mail."""

_CAMPAIGN = "cmpgn_"
_SCANNED_LINKS = 3
_FETCHES_MAX = 60


class Fetch(NamedTuple):
    """One request for a link: which link, and the real moment in ms."""

    link: int
    moment: int


@dataclass(frozen=True, slots=True)
class Message:
    """One mail of a campaign to a contact, or the step that was skipped, with why.

    Of a mail of a waitlist, or of a survey, `campaign_id` is that, `run_id` the entry or the send, and `step_id` says
    which mail it is.
    `contact_id` is the contact that it was made for. `to` is the address; `links` how many links the mail has, and
    `fetches` the requests for them. `sending` is what a worker has claimed: until the outcome is recorded nobody knows
    whether it was sent.
    """

    id: str
    contact_id: str
    campaign_id: str
    run_id: str
    step_id: str
    step_index: int
    status: Status
    created_at: int
    to: str | None = None
    reason: str | None = None
    sent_at: int | None = None
    delivered_at: int | None = None
    opened_at: int | None = None
    clicked_at: int | None = None
    bounced_at: int | None = None
    complained_at: int | None = None
    failed_at: int | None = None
    unsubscribed_at: int | None = None
    provider_id: str | None = None
    links: int = 0
    fetches: tuple[Fetch, ...] = ()
    version: int = 0

    @property
    def is_of_campaign(self) -> bool:
        """True where a campaign sent it: what becomes of other mails is in no figure, and told to nobody."""
        return self.campaign_id.startswith(_CAMPAIGN)


class Change(NamedTuple):
    """A message after something became known of it, and the events that tell of that."""

    message: Message
    told: tuple[str, ...]


Judge = Callable[[Message], Change]
"""Says what a message is, after something became known of it."""


def then(change: Change, judge: Judge) -> Change:
    """The one change and the other after it."""
    following = judge(change.message)
    return Change(following.message, (*change.told, *following.told))


def accepted(message: Message, provider_id: str | None) -> Change:
    """The mail service has taken it; that is news once, whoever says so first."""
    if message.sent_at is not None or message.status == "skipped":
        return Change(replace(message, provider_id=message.provider_id or provider_id), ())
    return Change(
        replace(
            message, status="sent", reason=None, sent_at=message.created_at, provider_id=provider_id, failed_at=None
        ),
        (events.MAIL_SENT,),
    )


def refused(message: Message, now: int, reason: str) -> Change:
    """It will not arrive, without having bounced. Told after anything else of its end, it is counted and changes the
    status no more."""
    if message.failed_at is not None or message.status == "skipped":
        return Change(message, ())
    failed = replace(message, failed_at=now)
    if message.status not in ("delivered", "bounced", "complained"):
        failed = replace(failed, status="failed", reason=reason)
    return Change(failed, (events.MAIL_FAILED,))


def in_doubt(message: Message) -> Change:
    """Whoever was sending it has died, before or after the mail service took it."""
    if message.status != "sending":
        return Change(message, ())
    return Change(replace(message, status="unconfirmed"), (events.MAIL_UNCONFIRMED,))


def given_up(message: Message, now: int) -> Change:
    """Nobody has told of it for CONFIRMED_WITHIN."""
    return refused(message, now, UNCONFIRMED) if message.status == "unconfirmed" else Change(message, ())


def delivered(message: Message, now: int) -> Change:
    """It has arrived. Told after a bounce or a complaint, it is counted and changes the status no more."""
    if message.delivered_at is not None:
        return Change(message, ())
    arrived = replace(message, delivered_at=now)
    if message.status not in ("bounced", "complained"):
        arrived = replace(arrived, status="delivered", reason=None)
    return Change(arrived, (events.MAIL_DELIVERED,))


def bounced(message: Message, now: int, reason: Bounce) -> Change:
    """It was sent back. Told twice, it was so at the earlier moment, and for good if either says so; a complaint weighs
    more than both."""
    is_first = message.bounced_at is None
    back = replace(message, bounced_at=now if message.bounced_at is None else min(message.bounced_at, now))
    if message.status != "complained" and (is_first or reason == "permanent"):
        back = replace(back, status="bounced", reason=reason)
    return Change(back, (events.MAIL_BOUNCED,) if is_first else ())


def complained(message: Message, now: int, reason: str | None) -> Change:
    """Whoever got it calls it spam."""
    if message.complained_at is not None:
        return Change(message, ())
    return Change(replace(message, status="complained", complained_at=now, reason=reason), (events.MAIL_COMPLAINED,))


def opened(message: Message, now: int) -> Change:
    """Its picture was shown: so the mail service has taken it."""
    if message.opened_at is not None or message.status == "skipped":
        return Change(message, ())
    return then(accepted(message, None), lambda sent: Change(replace(sent, opened_at=now), (events.MAIL_OPENED,)))


def clicked(message: Message, now: int) -> Change:
    """A person has followed one of its links: so the mail service has taken it."""
    if message.clicked_at is not None or message.status == "skipped":
        return Change(message, ())
    return then(accepted(message, None), lambda sent: Change(replace(sent, clicked_at=now), (events.MAIL_CLICKED,)))


def unsubscribed(message: Message, now: int) -> Change:
    """Whoever got it wants no more."""
    if message.unsubscribed_at is not None:
        return Change(message, ())
    return Change(replace(message, unsubscribed_at=now), (events.MAIL_UNSUBSCRIBED,))


def fetched(message: Message, fetch: Fetch) -> Message:
    """The message with one more request for a link; those that can decide nothing any more make room."""
    return replace(message, fetches=(*message.fetches, fetch)[-_FETCHES_MAX:])


def is_scan(fetches: Sequence[Fetch], links: int, fetch: Fetch) -> bool:
    """True where a machine has made that request: within SCAN_WITHIN around it three different links were fetched, or
    both of two. Known for certain SCAN_WITHIN after it; a mail of one link is never judged so."""
    enough = _SCANNED_LINKS if links >= _SCANNED_LINKS else links
    return links > 1 and any(
        len({each.link for each in _within(fetches, first.moment)}) >= enough
        for first in fetches
        if first.moment <= fetch.moment <= first.moment + SCAN_WITHIN
    )


def _within(fetches: Iterable[Fetch], start: int) -> list[Fetch]:
    return [each for each in fetches if start <= each.moment <= start + SCAN_WITHIN]


SIMULATORS = {
    "bounce@simulator.amazonses.com": "bounce",
    "suppressionlist@simulator.amazonses.com": "bounce",
    "complaint@simulator.amazonses.com": "complaint",
}
"""Addresses at which the mail service plays what it does elsewhere; the others of that domain deliver."""


def simulated(address: str) -> str:
    """What becomes of a mail to that address in a test project: `delivery`, `bounce` or `complaint`.

    A label after a plus sign is the sender's own, as with the mail service.
    """
    local, _, domain = address.rpartition("@")
    return SIMULATORS.get(f"{local.partition('+')[0]}@{domain}", "delivery")
